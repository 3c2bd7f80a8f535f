//! Envelopes out.

use crate::fields::put_varint;
use crate::{Error, Head, MAX_ENDPOINT, MAX_MESSAGE, Role};

/// Writes what stands before and after a value of `value_length` bytes, in place of what the buffers hold. Every field
/// is written, even an empty one: readers of all versions take that.
///
/// # Errors
/// [`Error::Unsupported`] for an id that is no decimal number of 64 bits, [`Error::TooLarge`] beyond [`MAX_MESSAGE`] or
/// [`MAX_ENDPOINT`]. The buffers are empty then.
pub fn seal(
    role: Role,
    head: Head<'_>,
    value_length: usize,
    prefix: &mut Vec<u8>,
    suffix: &mut Vec<u8>,
) -> Result<(), Error> {
    prefix.clear();
    suffix.clear();
    let Head { id, endpoint, error } = head;
    if endpoint.len() > MAX_ENDPOINT || error.len() > MAX_MESSAGE || value_length > MAX_MESSAGE {
        return Err(Error::TooLarge);
    }
    let seq = number(id).ok_or(Error::Unsupported)?;
    prefix.extend_from_slice(&[0; 4]);
    put_string(0x0a, endpoint, prefix);
    prefix.push(0x11);
    prefix.extend_from_slice(&seq.to_le_bytes());
    if role == Role::Response {
        put_string(0x1a, error, prefix);
    }
    // The texts are capped above, so both lengths fit.
    let length = (prefix.len() - 4) as u32;
    prefix[..4].copy_from_slice(&length.to_be_bytes());
    prefix.extend_from_slice(&(value_length as u32).to_be_bytes());
    Ok(())
}

/// Digits only: `parse` would take a sign.
fn number(id: &[u8]) -> Option<u64> {
    if id.is_empty() {
        return Some(0);
    }
    id.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn put_string(key: u8, text: &str, out: &mut Vec<u8>) {
    out.push(key);
    put_varint(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}
