//! Envelopes out.

use crate::scan::is_value;
use crate::text::escape;
use crate::{Error, Head, MAX_ENDPOINT, MAX_ID, MAX_MESSAGE, Role};

/// Writes what stands before and after a value of `value_length` bytes, in place of what the buffers hold. Without a
/// value there is an empty object, and `null` beside an error. Messages end with a line break, as Go's do.
///
/// # Errors
/// [`Error::Unsupported`] for an id that is no JSON, [`Error::TooLarge`] beyond [`MAX_MESSAGE`], [`MAX_ID`] or
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
    if id.len() > MAX_ID
        || endpoint.len() > MAX_ENDPOINT
        || value_length > MAX_MESSAGE
        || error.len() > MAX_MESSAGE
    {
        return Err(Error::TooLarge);
    }
    // An id comes from a peer, and goes out between other members.
    let plain = !id.is_empty() && id.iter().all(u8::is_ascii_digit) && (id.len() == 1 || id[0] != b'0');
    if !id.is_empty() && !plain && !is_value(id) {
        return Err(Error::Unsupported);
    }
    match role {
        Role::Request => {
            prefix.extend_from_slice(b"{\"method\":\"");
            escape(endpoint, prefix);
            prefix.extend_from_slice(b"\",\"params\":[");
            suffix.extend_from_slice(b"],\"id\":");
            // Calls that want an answer have an id; the first one of every Go client is this.
            suffix.extend_from_slice(if id.is_empty() { b"0" } else { id });
            suffix.extend_from_slice(b"}\n");
        }
        Role::Response => {
            prefix.extend_from_slice(b"{\"id\":");
            prefix.extend_from_slice(if id.is_empty() { b"null" } else { id });
            prefix.extend_from_slice(b",\"result\":");
            if error.is_empty() {
                suffix.extend_from_slice(b",\"error\":null}\n");
            } else {
                suffix.extend_from_slice(b",\"error\":\"");
                escape(error, suffix);
                suffix.extend_from_slice(b"\"}\n");
            }
        }
    }
    if value_length == 0 {
        prefix.extend_from_slice(if error.is_empty() || role == Role::Request { b"{}" } else { b"null" });
    }
    Ok(())
}
