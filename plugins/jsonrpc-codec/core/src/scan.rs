//! Where JSON values begin and end (RFC 8259), without building them.

use crate::Error;
use std::ops::Range;

/// The most arrays and objects inside each other.
pub const MAX_DEPTH: u32 = 128;

/// A position in a JSON text.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    data: &'a [u8],
    at: usize,
}

/// A string as it stands in the text, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quoted {
    pub(crate) inside: Range<usize>,
    /// Whether it has to be unescaped before it can be read.
    pub(crate) escaped: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// The next byte behind white space; it is not taken.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.data.get(self.at) {
            self.at += 1;
        }
        self.data.get(self.at).copied()
    }

    /// Takes the next byte behind white space if it is this one.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes the next byte behind white space, which has to be this one.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Error> {
        self.take(byte).then_some(()).ok_or(Error::Malformed)
    }

    /// Takes a string.
    pub(crate) fn string(&mut self) -> Result<Quoted, Error> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.next()? {
                b'"' => return Ok(Quoted { inside: start..self.at - 1, escaped }),
                b'\\' => {
                    escaped = true;
                    match self.next()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            for _ in 0..4 {
                                if !self.next()?.is_ascii_hexdigit() {
                                    return Err(Error::Malformed);
                                }
                            }
                        }
                        _ => return Err(Error::Malformed),
                    }
                }
                0..=0x1f => return Err(Error::Malformed),
                _ => {}
            }
        }
    }

    /// Takes a member's name and the colon behind it.
    pub(crate) fn key(&mut self) -> Result<Quoted, Error> {
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// Takes a value of any kind. Flat, so that no input can exhaust the stack.
    pub(crate) fn value(&mut self) -> Result<Range<usize>, Error> {
        // One bit for each level that is open: 1 is an object.
        let (mut objects, mut depth) = (0u128, 0);
        let first = self.peek();
        let start = self.at;
        let mut next = first;
        loop {
            // A value begins here.
            match next.ok_or(Error::Malformed)? {
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    let object = open == b'{';
                    if !self.take(if object { b'}' } else { b']' }) {
                        if depth == MAX_DEPTH {
                            return Err(Error::Malformed);
                        }
                        depth += 1;
                        objects = objects << 1 | u128::from(object);
                        if object {
                            self.key()?;
                        }
                        next = self.peek();
                        continue;
                    }
                }
                b'"' => {
                    self.string()?;
                }
                b't' => self.literal(b"true")?,
                b'f' => self.literal(b"false")?,
                b'n' => self.literal(b"null")?,
                _ => self.number()?,
            }
            // A value has ended here, and maybe those around it.
            loop {
                if depth == 0 {
                    return Ok(start..self.at);
                }
                let object = objects & 1 == 1;
                if self.take(b',') {
                    if object {
                        self.key()?;
                    }
                    break;
                }
                self.expect(if object { b'}' } else { b']' })?;
                depth -= 1;
                objects >>= 1;
            }
            next = self.peek();
        }
    }

    /// Whether nothing but white space is left.
    pub(crate) fn at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    fn next(&mut self) -> Result<u8, Error> {
        let byte = self.data.get(self.at).copied().ok_or(Error::Malformed)?;
        self.at += 1;
        Ok(byte)
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Error> {
        let found = self.data[self.at..].starts_with(word);
        self.at += word.len();
        found.then_some(()).ok_or(Error::Malformed)
    }

    fn number(&mut self) -> Result<(), Error> {
        self.at += usize::from(self.here() == Some(b'-'));
        match self.here() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.here() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.here() {
            self.at += 1;
            self.at += usize::from(matches!(self.here(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while self.here().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(()).ok_or(Error::Malformed)
    }

    fn here(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }
}

/// Whether this is one JSON value and nothing else.
pub(crate) fn is_value(text: &[u8]) -> bool {
    let mut scanner = Scanner::new(text);
    std::str::from_utf8(text).is_ok() && scanner.value().is_ok() && scanner.at_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_they_end() {
        for (text, value) in [
            ("  {} ,", "{}"),
            ("[ ]]", "[ ]"),
            (r#"{"a":[1,{"b":"}\""}],"c":null}x"#, r#"{"a":[1,{"b":"}\""}],"c":null}"#),
            ("-0.5e+10,", "-0.5e+10"),
            ("0", "0"),
            ("true]", "true"),
            (r#""\ud83d\ude00"""#, r#""\ud83d\ude00""#),
        ] {
            let range =
                Scanner::new(text.as_bytes()).value().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(&text[range], value, "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in [
            "",
            " ",
            "nul",
            "tru",
            "+1",
            "-",
            ".5",
            "1.",
            "1e",
            "{",
            "[",
            "[1",
            "[1,]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "[1}",
            "{\"a\":1]",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "'a'",
        ] {
            assert!(Scanner::new(text.as_bytes()).value().is_err(), "{text}");
        }
        for text in ["1 2", "01", "{}{}", "nullx", "\"a\"b"] {
            assert!(!is_value(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_value(nested(MAX_DEPTH as usize).as_bytes()));
        assert!(!is_value(nested(MAX_DEPTH as usize + 2).as_bytes()));
        assert!(!is_value("{\"a\":".repeat(1 << 20).as_bytes()));
    }
}
