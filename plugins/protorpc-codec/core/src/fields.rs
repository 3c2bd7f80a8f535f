//! Fields of a protobuf message, without a schema.

use crate::Error;
use std::ops::Range;

/// The most bytes of a varint.
const MAX_VARINT: usize = 10;

/// A field's value, as far as envelopes have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Where the bytes of a string, message or list are.
    Bytes(Range<usize>),
    Fixed64(u64),
    /// Of a type that no field of an envelope has.
    Other,
}

/// Walks over the fields of `data`. Groups, which no version of the envelope has, are refused.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// The next field's number and value; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Value)>, Error> {
        if self.at == self.data.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = key >> 3;
        if number == 0 || number >= 1 << 29 {
            return Err(Error::Malformed);
        }
        let value = match key & 7 {
            0 => {
                self.varint()?;
                Value::Other
            }
            1 => {
                let bytes = self.take(8)?;
                let mut number = [0; 8];
                number.copy_from_slice(&self.data[bytes]);
                Value::Fixed64(u64::from_le_bytes(number))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Error::Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Value::Other
            }
            _ => return Err(Error::Malformed),
        };
        Ok(Some((number, value)))
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>, Error> {
        if length > self.data.len() - self.at {
            return Err(Error::Malformed);
        }
        let start = self.at;
        self.at += length;
        Ok(start..self.at)
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut number = 0u64;
        for (at, &byte) in self.data[self.at..].iter().take(MAX_VARINT).enumerate() {
            // The tenth byte has room for one bit.
            if at == MAX_VARINT - 1 && byte > 1 {
                return Err(Error::Malformed);
            }
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.at += at + 1;
                return Ok(number);
            }
        }
        Err(Error::Malformed)
    }
}

/// Appends a varint.
pub(crate) fn put_varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(data: &[u8]) -> Result<Vec<(u64, Value)>, Error> {
        let mut fields = Fields::new(data);
        std::iter::from_fn(|| fields.next().transpose()).collect()
    }

    #[test]
    fn every_type_but_groups_is_stepped_over() {
        let data = b"\x0a\x01x\x11\x05\0\0\0\0\0\0\0\x18\xff\x01\x25\0\0\0\0\xfa\xff\xff\xff\x0f\0";
        let expected = [
            (1, Value::Bytes(2..3)),
            (2, Value::Fixed64(5)),
            (3, Value::Other),
            (4, Value::Other),
            ((1 << 29) - 1, Value::Bytes(26..26)),
        ];
        assert_eq!(all(data).as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn what_runs_over_the_end_is_refused() {
        for data in [
            &b"\x0a"[..],
            b"\x0a\x02x",
            b"\x11\0\0",
            b"\x25\0",
            b"\x80",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x02\0",
            b"\x0b\x0c",
            b"\x0e",
        ] {
            assert_eq!(all(data), Err(Error::Malformed), "{data:x?}");
        }
    }

    #[test]
    fn varints_come_back() {
        for number in [0, 1, 127, 128, 300, 1 << 20, u32::MAX as usize] {
            let mut out = Vec::new();
            put_varint(number, &mut out);
            assert_eq!(Fields::new(&out).varint(), Ok(number as u64));
        }
    }
}
