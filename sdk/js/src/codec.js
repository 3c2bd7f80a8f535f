import { bytes, text } from "./bytes.js";
import { hotLifecycle } from "./hot.js";

/** What a codec may throw: `malformed`, `unsupported` or `too-large`. Anything else ends the instance. */
export class CodecError extends Error {
  /** @param {"malformed" | "unsupported" | "too-large"} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/**
 * Plugins of the kind `codec`: how calls look inside a message, as envelopes around values. The class gets `(context,
 * options)` and has
 *
 * | member                               | is                                                                        |
 * |--------------------------------------|---------------------------------------------------------------------------|
 * | `formats`                            | `[{ contentType, value }]`                                                |
 * | `seal(format, role, head, length)`   | `[prefix, suffix]` around a value of so many bytes                        |
 * | `open(format, role, data)`           | `{ id, endpoint, error, value }`                                          |
 *
 * `role` is `request` or `response`; `head` is `{ id, endpoint, error }`; `id` and `value` are bytes.
 */
export function exportCodec(Plugin) {
  let plugin;
  const lifecycle = hotLifecycle((context, options) => {
    plugin = new Plugin(context, options);
  });
  const codec = {
    formats: () => plugin.formats,
    seal: (format, role, head, length) =>
      answer(() => {
        const [prefix, suffix] = plugin.seal(plugin.formats[format], role, head, length);
        return { prefix: bytes(prefix), suffix: bytes(suffix) };
      }),
    open: (format, role, data) =>
      answer(() => opened(plugin.open(plugin.formats[format], role, new Uint8Array(data)), data.length)),
  };
  return { lifecycle, codec };
}

function answer(call) {
  try {
    return call();
  } catch (error) {
    throw error instanceof CodecError ? error.code : error;
  }
}

/** All parts behind the message, in `extra`: copying is cheaper here than finding them again. */
function opened({ id = "", endpoint = "", error = "", value = "" }, length) {
  const parts = [id, endpoint, error, value].map(bytes);
  const extra = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  const ranges = parts.map((part) => {
    extra.set(part, at);
    at += part.length;
    return { offset: length + at - part.length, length: part.length };
  });
  return { id: ranges[0], endpoint: ranges[1], error: ranges[2], value: ranges[3], extra };
}

/** The text of bytes of a message. Throws `malformed` where they are none. */
export function textOf(data) {
  const found = text(data);
  if (found === null) throw new CodecError("malformed");
  return found;
}
