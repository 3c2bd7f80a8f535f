//! Envelopes in.

use crate::fields::{Fields, Value};
use crate::{Error, MAX_ENDPOINT, MAX_MESSAGE, Opened, Part, Role};
use std::ops::Range;

/// Finds the parts of an envelope. The sequence number becomes decimal digits in `extra`, in place of what it holds.
///
/// Fields that are missing are empty, or 0; unknown ones are skipped; of one given twice the last one counts, as
/// protobuf has it.
///
/// # Errors
/// [`Error::Malformed`] for what is not two blocks of the lengths that they claim and nothing else, for an envelope
/// that is no protobuf, for texts that are not UTF-8, and beyond [`MAX_ENDPOINT`]; [`Error::TooLarge`] beyond
/// [`MAX_MESSAGE`].
pub fn open(role: Role, data: &[u8], extra: &mut Vec<u8>) -> Result<Opened, Error> {
    extra.clear();
    if data.len() > MAX_MESSAGE {
        return Err(Error::TooLarge);
    }
    let envelope = block(data, 0)?;
    let value = block(data, envelope.end)?;
    if value.end != data.len() {
        return Err(Error::Malformed);
    }
    let (mut endpoint, mut error, mut seq) = (0..0, 0..0, 0);
    let mut fields = Fields::new(&data[envelope.clone()]);
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Value::Bytes(text)) => endpoint = text,
            (2, Value::Fixed64(number)) => seq = number,
            (3, Value::Bytes(text)) if role == Role::Response => error = text,
            _ => {}
        }
    }
    let text = |range: Range<usize>| {
        let range = envelope.start + range.start..envelope.start + range.end;
        match std::str::from_utf8(&data[range.clone()]) {
            Ok(_) => Ok(part(range)),
            Err(_) => Err(Error::Malformed),
        }
    };
    if endpoint.len() > MAX_ENDPOINT {
        return Err(Error::Malformed);
    }
    let opened =
        Opened { id: Part::default(), endpoint: text(endpoint)?, error: text(error)?, value: part(value) };
    put_decimal(seq, extra);
    Ok(Opened { id: part(data.len()..data.len() + extra.len()), ..opened })
}

/// The block whose length stands at `at`.
fn block(data: &[u8], at: usize) -> Result<Range<usize>, Error> {
    let (length, rest) = data[at..].split_first_chunk::<4>().ok_or(Error::Malformed)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > rest.len() {
        return Err(Error::Malformed);
    }
    Ok(at + 4..at + 4 + length)
}

fn put_decimal(mut number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[start..].reverse();
}

/// Messages have at most [`MAX_MESSAGE`] bytes, and there are no more than twenty digits behind one.
fn part(range: Range<usize>) -> Part {
    if range.is_empty() {
        return Part::default();
    }
    Part { offset: range.start as u32, length: range.len() as u32 }
}
