//! @name@: JSON behind lines that say whose call it is, as `application/x-lines`.
//!
//! The first line is always the same. Id (any bytes), endpoint and error (UTF-8; no error in requests) have a line
//! each, then comes the value:
//!
//! ```text
//! lines/1
//! 17
//! Say.Hello
//!
//! {"name": "John"}
//! ```
//!
//! What does not fit into these lines is `unsupported`, and what does not look like this is `malformed`: a call arrives
//! as it was made, or not at all.

use micro_sdk::codec::{Codec, Enclosure, Error, Format, Head, Opened, Range};
use micro_sdk::hot::{Context, Invalid, NoOptions, Role};

const FIRST_LINE: &[u8] = b"lines/1\n";

/// The format. It keeps nothing.
#[derive(Debug)]
pub struct Lines;

impl Codec for Lines {
    type Options = NoOptions;

    fn configure(_: &Context, _: NoOptions) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn formats(&self) -> Vec<Format> {
        vec![Format::new("application/x-lines", "application/json")]
    }

    fn seal(&self, _: usize, role: Role, head: Head<'_>, _: u32) -> Result<Enclosure, Error> {
        let lines = [head.id, head.endpoint.as_bytes(), head.error.as_bytes()];
        let failed_request = role == Role::Request && !head.error.is_empty();
        if failed_request || lines.iter().any(|line| line.contains(&b'\n')) {
            return Err(Error::Unsupported);
        }
        let mut prefix = FIRST_LINE.to_vec();
        for line in lines {
            prefix.extend_from_slice(line);
            prefix.push(b'\n');
        }
        Ok(Enclosure { prefix, suffix: Vec::new() })
    }

    fn open(&self, _: usize, role: Role, data: &[u8]) -> Result<Opened, Error> {
        if !data.starts_with(FIRST_LINE) {
            return Err(Error::Malformed);
        }
        let mut start = FIRST_LINE.len();
        let mut line = || {
            let length = data[start..].iter().position(|byte| *byte == b'\n').ok_or(Error::Malformed)?;
            let range = Range::new(start, length).ok_or(Error::TooLarge)?;
            let line = &data[start..start + length];
            start += length + 1;
            Ok((range, line))
        };
        let ((id, _), (endpoint, endpoint_text), (error, error_text)) = (line()?, line()?, line()?);
        let texts = [endpoint_text, error_text].iter().all(|text| std::str::from_utf8(text).is_ok());
        let failed_request = role == Role::Request && !error_text.is_empty();
        if failed_request || !texts {
            return Err(Error::Malformed);
        }
        let value = Range::new(start, data.len() - start).ok_or(Error::TooLarge)?;
        Ok(Opened { id, endpoint, error, value, extra: Vec::new() })
    }
}

micro_sdk::register_codec!(Lines);

#[cfg(test)]
mod tests {
    use super::*;

    fn part(data: &[u8], range: Range) -> &[u8] {
        &data[range.offset as usize..][..range.length as usize]
    }

    #[test]
    fn what_was_sealed_is_opened() {
        let value = b"{\"a\":\n1}";
        for (role, id, endpoint, error) in [
            (Role::Request, &b""[..], "", ""),
            (Role::Request, b"17", "Say.Hello", ""),
            (Role::Response, b"17", "Say.Hello", "no such name"),
            (Role::Response, b"\xff\r", "\u{fc}", "\t"),
        ] {
            let head = Head { id, endpoint, error };
            let Enclosure { prefix, suffix } = Lines.seal(0, role, head, 0).expect("it has a place");
            let data = [prefix.as_slice(), value, &suffix].concat();
            let opened = Lines.open(0, role, &data).expect("sealed");
            let parts =
                [opened.id, opened.endpoint, opened.error, opened.value].map(|range| part(&data, range));
            assert_eq!(parts, [id, endpoint.as_bytes(), error.as_bytes(), value]);
        }
    }

    #[test]
    fn what_has_no_place_is_refused() {
        for (role, id, endpoint, error) in [
            (Role::Request, "1\n", "", ""),
            (Role::Request, "", "a\nb", ""),
            (Role::Response, "", "", "a\nb"),
            (Role::Request, "", "", "an error"),
        ] {
            let head = Head { id: id.as_bytes(), endpoint, error };
            assert_eq!(Lines.seal(0, role, head, 0), Err(Error::Unsupported));
        }
    }

    #[test]
    fn other_bytes_are_malformed() {
        for data in [
            &b""[..],
            b"lines/1",
            b"lines/1\n1\na.b\n",
            b"lines/2\n1\na.b\n\n{}",
            b"1\na.b\n\n{}",
            b"lines/1\r\n1\na.b\n\n{}",
            b"lines/1\n1\n\xff\n\n{}",
            b"lines/1\n1\na.b\n\xff\n{}",
        ] {
            assert_eq!(Lines.open(0, Role::Response, data), Err(Error::Malformed));
        }
        assert_eq!(Lines.open(0, Role::Request, b"lines/1\n1\na.b\nan error\n"), Err(Error::Malformed));
    }
}
