//! JSON strings to and from text.

use std::fmt::Write;

/// Appends `text` as it has to stand between the quotes of a JSON string.
pub(crate) fn escape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.find(|letter| matches!(letter, '"' | '\\' | '\0'..='\x1f')) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        match rest.as_bytes()[at] {
            special @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', special]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let mut escaped = String::with_capacity(6);
                // Writing to a String cannot fail.
                _ = write!(escaped, "\\u{control:04x}");
                out.extend_from_slice(escaped.as_bytes());
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Appends the text that `quoted`, the inside of a well-formed JSON string, stands for. Halves of a surrogate pair
/// become U+FFFD, as in Go.
pub(crate) fn unescape(quoted: &[u8], out: &mut Vec<u8>) {
    let mut letters = quoted;
    while let Some(at) = letters.iter().position(|&byte| byte == b'\\') {
        out.extend_from_slice(&letters[..at]);
        let (letter, length) = escaped(&letters[at + 1..]);
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        letters = letters.get(at + 1 + length..).unwrap_or_default();
    }
    out.extend_from_slice(letters);
}

/// The letter behind a backslash, and how many bytes it takes there.
fn escaped(rest: &[u8]) -> (char, usize) {
    let simple = match rest.first() {
        Some(b'b') => '\x08',
        Some(b'f') => '\x0c',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(&rest[1..]),
        Some(&other) => other as char,
        None => char::REPLACEMENT_CHARACTER,
    };
    (simple, 1)
}

/// The letter of `XXXX`, or of `XXXX\uXXXX` where both are halves of one.
fn unicode(rest: &[u8]) -> (char, usize) {
    let first = hex(rest);
    let second = rest.get(4..).and_then(|rest| rest.strip_prefix(b"\\u")).map(hex);
    if let (0xd800..0xdc00, Some(second @ 0xdc00..0xe000)) = (first, second) {
        let letter = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(letter).unwrap_or(char::REPLACEMENT_CHARACTER), 11);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 5)
}

fn hex(digits: &[u8]) -> u32 {
    let digits = digits.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(quoted: &str) -> String {
        let mut out = Vec::new();
        unescape(quoted.as_bytes(), &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn texts_come_back() {
        for text in ["", "plain", "\"\\/\n\r\t\x08\x0c\0\x1f", "é 日本 😀\u{2028}", "\\u0041"] {
            let mut out = Vec::new();
            escape(text, &mut out);
            let quoted = String::from_utf8(out).expect("UTF-8");
            assert!(quoted.bytes().all(|byte| byte >= 0x20), "{quoted}");
            assert_eq!(unescaped(&quoted), text, "{quoted}");
        }
    }

    #[test]
    fn escapes_of_other_writers_are_read() {
        for (quoted, text) in [
            (r"\u0041\u00e9\u65e5", "Aé日"),
            (r"\uD83D\uDE00!", "😀!"),
            (r"\b\f\n\r\t\/\\", "\x08\x0c\n\r\t/\\"),
            (r"\ud83d", "\u{fffd}"),
            (r"\ud83dx", "\u{fffd}x"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\u003c\u0026", "<&"),
        ] {
            assert_eq!(unescaped(quoted), text, "{quoted}");
        }
    }
}
