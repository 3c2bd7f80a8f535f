/** The UTF-8 of a text. */
export function bytes(text) {
  if (text instanceof Uint8Array) return text;
  const latin = unescape(encodeURIComponent(String(text).toWellFormed()));
  return Uint8Array.from(latin, (letter) => letter.charCodeAt(0));
}

/** The text of UTF-8 bytes; null where they are none. */
export function text(data) {
  let escaped = "";
  for (const byte of data) escaped += "%" + byte.toString(16).padStart(2, "0");
  try {
    return decodeURIComponent(escaped);
  } catch {
    return null;
  }
}
