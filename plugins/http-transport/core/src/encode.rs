//! Heads to bytes.

use crate::layout::{Framing, Role};
use crate::{Error, MAX_FIELDS, MAX_HEAD, names};

/// The first line of a head.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// Of a request.
    Request {
        /// A token, such as `POST`.
        method: &'a str,
        /// The target: UTF-8 without spaces and control characters.
        path: &'a [u8],
        /// Whom it is for, as `host:port`; every request needs one.
        host: &'a [u8],
    },
    /// Of a response.
    Response {
        /// 100 to 999.
        status: u16,
        /// The phrase; it may be empty.
        reason: &'a [u8],
    },
}

/// Where the message and the connection end.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the sender closes the connection afterwards.
    pub close: bool,
}

/// Appends a head to `out`: the start line, `fields` in their order, then the fields that `end` needs.
///
/// `fields` that speak about the connection or the framing are left out: they are not the message's to choose.
///
/// # Errors
/// [`Error::Malformed`] for a name that is no token, a value with control characters, or a bad start line;
/// [`Error::TooLarge`] for a head that [`decode`](crate::decode()) would refuse. `out` is then as it was.
pub fn encode<'f>(
    start: Start<'_>,
    fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
    end: End,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    encode_known(start, fields.into_iter().map(|(name, value)| (names::id(name), name, value)), end, out)
}

/// [`encode`] for fields whose names' ids are known.
fn encode_known<'f>(
    start: Start<'_>,
    fields: impl Iterator<Item = (u32, &'f [u8], &'f [u8])>,
    end: End,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let begin = out.len();
    let written = encode_into(start, fields, end, out);
    let written =
        written.and_then(|()| if out.len() - begin > MAX_HEAD { Err(Error::TooLarge) } else { Ok(()) });
    if written.is_err() {
        out.truncate(begin);
    }
    written
}

fn encode_into<'f>(
    start: Start<'_>,
    fields: impl Iterator<Item = (u32, &'f [u8], &'f [u8])>,
    end: End,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    start_line(start, out)?;
    // Host, the framing and Connection.
    let mut count = 3;
    for (id, name, value) in fields {
        if names::is_connection_field(id) {
            continue;
        }
        if id == 0 && !is_token(name) || !is_value(value) {
            return Err(Error::Malformed);
        }
        count += 1;
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    match end.framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            decimal(length, out);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    if end.close {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    if count > MAX_FIELDS { Err(Error::TooLarge) } else { Ok(()) }
}

fn start_line(start: Start<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    match start {
        Start::Request { method, path, host } => {
            // Beyond ASCII, readers take UTF-8 at best.
            let good_path = !path.is_empty()
                && path.iter().all(|byte| *byte > b' ' && *byte != 0x7f)
                && std::str::from_utf8(path).is_ok();
            if !is_token(method.as_bytes()) || !good_path || !is_value(host) {
                return Err(Error::Malformed);
            }
            for part in [method.as_bytes(), b" ", path, b" HTTP/1.1\r\nHost: ", host, b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
        Start::Response { status: 200, reason: b"OK" } => out.extend_from_slice(b"HTTP/1.1 200 OK\r\n"),
        Start::Response { status, reason } => {
            if !(100..1000).contains(&status) || !is_value(reason) {
                return Err(Error::Malformed);
            }
            out.extend_from_slice(b"HTTP/1.1 ");
            decimal(u64::from(status), out);
            for part in [b" ", reason, b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }
    Ok(())
}

/// Packs a head for [`encode_packed`], which is how it crosses a component boundary (`micro:wire`): the parts of the start
/// line, then per field a `u16` id, for id 0 the name, and the value. A part, name or value is a `u16` length and so many
/// bytes. All numbers are little-endian.
///
/// # Errors
/// [`Error::TooLarge`] for a part, name or value of 64 KiB or more. `out` is then unusable.
pub fn pack<'f>(
    start: Start<'_>,
    fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let bytes = |part: &[u8], out: &mut Vec<u8>| {
        let length = u16::try_from(part.len()).map_err(|_| Error::TooLarge)?;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(part);
        Ok(())
    };
    match start {
        Start::Request { method, path, host } => {
            bytes(method.as_bytes(), out)?;
            bytes(path, out)?;
            bytes(host, out)?;
        }
        Start::Response { reason, .. } => bytes(reason, out)?,
    }
    for (name, value) in fields {
        let id = names::id(name);
        out.extend_from_slice(&(id as u16).to_le_bytes());
        if id == 0 {
            bytes(name, out)?;
        }
        bytes(value, out)?;
    }
    Ok(())
}

/// [`encode`] for a packed head; `status` is that of a response.
///
/// # Errors
/// As [`encode`]; also [`Error::Malformed`] if `packed` is not what [`pack`] writes.
pub fn encode_packed(
    role: Role,
    status: u16,
    packed: &[u8],
    end: End,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let (start, mut fields) = unpack(role, status, packed).ok_or(Error::Malformed)?;
    let begin = out.len();
    encode_known(start, &mut fields, end, out)?;
    if fields.broken {
        out.truncate(begin);
        return Err(Error::Malformed);
    }
    Ok(())
}

/// The start line and the fields of a packed head; `None` if its parts are not what [`pack`] writes. The fields end at
/// the first that is broken: see [`PackedFields::is_broken`].
pub fn unpack(role: Role, status: u16, packed: &[u8]) -> Option<(Start<'_>, PackedFields<'_>)> {
    let mut fields = PackedFields { rest: packed, broken: false };
    let start = match role {
        Role::Request => Start::Request {
            method: std::str::from_utf8(fields.bytes()?).ok()?,
            path: fields.bytes()?,
            host: fields.bytes()?,
        },
        Role::Response => Start::Response { status, reason: fields.bytes()? },
    };
    Some((start, fields))
}

/// The fields of a packed head: id (0 if it is not well known), name, value.
#[derive(Clone, Debug)]
pub struct PackedFields<'a> {
    rest: &'a [u8],
    broken: bool,
}

impl<'a> PackedFields<'a> {
    /// Whether the fields ended because of bytes that are none.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    fn number(&mut self) -> Option<u16> {
        let (number, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u16::from_le_bytes(*number))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let (bytes, rest) = self.rest.split_at_checked(usize::from(length))?;
        self.rest = rest;
        Some(bytes)
    }

    fn field(&mut self) -> Option<(u32, &'a [u8], &'a [u8])> {
        let id = self.number()?;
        let name = match id {
            0 => self.bytes()?,
            id => names::NAMES.get(usize::from(id))?.as_bytes(),
        };
        Some((u32::from(id), name, self.bytes()?))
    }
}

impl<'a> Iterator for PackedFields<'a> {
    type Item = (u32, &'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() || self.broken {
            return None;
        }
        let field = self.field();
        self.broken = field.is_none();
        field
    }
}

fn is_token(name: &[u8]) -> bool {
    const OTHERS: &[u8] = b"!#$%&'*+-.^_`|~";
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || OTHERS.contains(byte))
}

/// Anything but control characters; a tab is none here (RFC 9110 §5.5).
fn is_value(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte >= b' ' && *byte != 0x7f || *byte == b'\t')
}

fn decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests;
