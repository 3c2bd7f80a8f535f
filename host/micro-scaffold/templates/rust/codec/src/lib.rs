//! @name@: JSON behind three lines that say whose call it is, as `application/x-lines`.
//!
//! Id, endpoint and error have a line each, then comes the value:
//!
//! ```text
//! 17
//! Say.Hello
//!
//! {"name": "John"}
//! ```

use micro_sdk::codec::{Codec, Enclosure, Error, Format, Head, Opened, Range};
use micro_sdk::hot::{Context, Invalid, NoOptions, Role};

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

    fn seal(&self, _: usize, _: Role, head: Head<'_>, _: u32) -> Result<Enclosure, Error> {
        if head.id.contains(&b'\n') || head.endpoint.contains('\n') {
            return Err(Error::Unsupported);
        }
        let error = head.error.replace('\n', " ");
        let rest = format!("\n{}\n{error}\n", head.endpoint);
        Ok(Enclosure { prefix: [head.id, rest.as_bytes()].concat(), suffix: Vec::new() })
    }

    fn open(&self, _: usize, _: Role, data: &[u8]) -> Result<Opened, Error> {
        let mut start = 0;
        let mut line = || {
            let length = data[start..].iter().position(|byte| *byte == b'\n').ok_or(Error::Malformed)?;
            let range = Range::new(start, length).ok_or(Error::TooLarge)?;
            std::str::from_utf8(&data[start..start + length]).map_err(|_| Error::Malformed)?;
            start += length + 1;
            Ok(range)
        };
        let (id, endpoint, error) = (line()?, line()?, line()?);
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
        for (id, endpoint, error) in [("", "", ""), ("17", "Say.Hello", ""), ("", "Say.Hello", "no\nname")] {
            let head = Head { id: id.as_bytes(), endpoint, error };
            let Enclosure { prefix, suffix } = Lines.seal(0, Role::Response, head, 0).expect("it has a place");
            let data = [prefix.as_slice(), value, &suffix].concat();
            let opened = Lines.open(0, Role::Response, &data).expect("sealed");
            let parts = [opened.id, opened.endpoint, opened.error, opened.value].map(|range| part(&data, range));
            let error = error.replace('\n', " ");
            assert_eq!(parts, [id.as_bytes(), endpoint.as_bytes(), error.as_bytes(), value]);
        }
    }

    #[test]
    fn what_has_no_place_is_refused() {
        for (id, endpoint) in [("1\n", ""), ("", "a\nb")] {
            let head = Head { id: id.as_bytes(), endpoint, error: "" };
            assert_eq!(Lines.seal(0, Role::Request, head, 0), Err(Error::Unsupported));
        }
    }

    #[test]
    fn other_bytes_are_malformed() {
        for data in [&b""[..], b"1", b"1\n2\n3", b"1\n\xff\n\n{}", b"1\n2\n\xff\n{}"] {
            assert_eq!(Lines.open(0, Role::Request, data), Err(Error::Malformed));
        }
    }
}
