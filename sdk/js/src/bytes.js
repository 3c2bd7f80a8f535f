/** The UTF-8 of a text. */
export function bytes(text) {
  if (text instanceof Uint8Array) return text;
  const latin = unescape(encodeURIComponent(String(text).toWellFormed()));
  return Uint8Array.from(latin, (letter) => letter.charCodeAt(0));
}

/** How many arguments a call takes for sure. */
const AT_ONCE = 4096;

/** The text of UTF-8 bytes; null where they are none. */
export function text(data) {
  if (data.every((byte) => byte < 0x80)) {
    // What nearly all texts of a request are, and many times as fast.
    let plain = "";
    for (let at = 0; at < data.length; at += AT_ONCE) {
      plain += String.fromCharCode.apply(null, data.slice(at, at + AT_ONCE));
    }
    return plain;
  }
  let escaped = "";
  for (const byte of data) escaped += "%" + byte.toString(16).padStart(2, "0");
  try {
    return decodeURIComponent(escaped);
  } catch {
    return null;
  }
}
