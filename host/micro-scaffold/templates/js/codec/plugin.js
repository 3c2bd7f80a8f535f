/**
 * @name@: JSON behind three lines that say whose call it is, as `application/x-lines`.
 *
 * Id, endpoint and error have a line each, then comes the value:
 *
 *     17
 *     Say.Hello
 *
 *     {"name": "John"}
 */
import { bytes } from "./vendor/micro-sdk/src/index.js";
import { CodecError, exportCodec, textOf } from "./vendor/micro-sdk/src/codec.js";

const NEWLINE = 10;

export class Lines {
  formats = [{ contentType: "application/x-lines", value: "application/json" }];

  seal(format, role, { id, endpoint, error }) {
    if (id.includes(NEWLINE) || endpoint.includes("\n")) throw new CodecError("unsupported");
    const rest = bytes(`\n${endpoint}\n${error.replaceAll("\n", " ")}\n`);
    return [Uint8Array.from([...id, ...rest]), ""];
  }

  open(format, role, data) {
    const ends = [];
    for (let at = 0; ends.length < 3; at += 1) {
      at = data.indexOf(NEWLINE, at);
      if (at < 0) throw new CodecError("malformed");
      ends.push(at);
    }
    const [id, endpoint, error] = ends;
    return {
      id: data.slice(0, id),
      endpoint: textOf(data.slice(id + 1, endpoint)),
      error: textOf(data.slice(endpoint + 1, error)),
      value: data.slice(error + 1),
    };
  }
}

export const { lifecycle, codec } = exportCodec(Lines);
