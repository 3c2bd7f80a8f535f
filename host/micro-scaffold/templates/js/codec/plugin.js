/**
 * @name@: JSON behind lines that say whose call it is, as `application/x-lines`.
 *
 * The first line is always the same. Id (any bytes), endpoint and error (UTF-8; no error in requests) have a line each,
 * then comes the value:
 *
 *     lines/1
 *     17
 *     Say.Hello
 *
 *     {"name": "John"}
 *
 * What does not fit into these lines is `unsupported`, and what does not look like this is `malformed`: a call arrives
 * as it was made, or not at all.
 */
import { bytes } from "./vendor/micro-sdk/src/index.js";
import { CodecError, exportCodec, textOf } from "./vendor/micro-sdk/src/codec.js";

const FIRST_LINE = bytes("lines/1\n");
const NEWLINE = 10;

export class Lines {
  formats = [{ contentType: "application/x-lines", value: "application/json" }];

  seal(format, role, { id, endpoint, error }) {
    const lines = [id, bytes(endpoint), bytes(error)];
    const failedRequest = role === "request" && error !== "";
    if (failedRequest || lines.some((line) => line.includes(NEWLINE))) throw new CodecError("unsupported");
    return [Uint8Array.from([...FIRST_LINE, ...lines.flatMap((line) => [...line, NEWLINE])]), ""];
  }

  open(format, role, data) {
    if (FIRST_LINE.some((byte, at) => data[at] !== byte)) throw new CodecError("malformed");
    let start = FIRST_LINE.length;
    const line = () => {
      const end = data.indexOf(NEWLINE, start);
      if (end < 0) throw new CodecError("malformed");
      const found = data.subarray(start, end);
      start = end + 1;
      return found;
    };
    const [id, endpoint, error] = [line(), line(), line()];
    if (role === "request" && error.length > 0) throw new CodecError("malformed");
    return { id, endpoint: textOf(endpoint), error: textOf(error), value: data.subarray(start) };
  }
}

export const { lifecycle, codec } = exportCodec(Lines);
