//! Bytes to words.

use crate::layout::{EXPECT_CONTINUE, FIELDS, Framing, KEEP_ALIVE, Method, Role, UPGRADE, range};
use crate::names::{self, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use crate::{Error, MAX_FIELDS, MAX_HEAD};
use httparse::{Header, ParserConfig, Request, Response, Status};
use std::mem::MaybeUninit;

/// Decodes the head at the start of `data` into the words of [`layout`](crate::layout). Returns its length; 0 when
/// more bytes are needed. What follows the head is not looked at.
///
/// `method` is that of the request which a response answers, since it decides whether there is a body (RFC 9112 §6.3).
///
/// # Errors
/// See [`Error`]; `words` is then empty.
pub fn decode(role: Role, method: Method, data: &[u8], words: &mut Vec<u32>) -> Result<usize, Error> {
    words.clear();
    let data = &data[..data.len().min(MAX_HEAD)];
    let decoded = match role {
        Role::Request => request(data, words),
        Role::Response => response(method, data, words),
    };
    match decoded {
        Ok(0) if data.len() == MAX_HEAD => Err(Error::TooLarge),
        Ok(consumed) => Ok(consumed),
        Err(error) => {
            words.clear();
            Err(error)
        }
    }
}

type Fields<'a> = [MaybeUninit<Header<'a>>; MAX_FIELDS];

fn request(data: &[u8], words: &mut Vec<u32>) -> Result<usize, Error> {
    let mut fields: Fields<'_> = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = Request::new(&mut []);
    let Status::Complete(consumed) = request.parse_with_uninit_headers(data, &mut fields).map_err(error)?
    else {
        return Ok(0);
    };
    let (Some(name), Some(path), Some(version)) = (request.method, request.path, request.version) else {
        return Err(Error::Malformed);
    };
    let lines = Lines { data, consumed };
    lines.check_start(name.as_bytes(), path.as_bytes())?;
    lines.check_fields(request.headers)?;
    lines.push(request.headers, words);
    let facts = Facts::collect(version, request.headers, &words[FIELDS..])?;
    let method = Method::from_name(name);
    let method = if method == Method::NONE { lines.range(name.as_bytes()) } else { method.word() };
    let framing = facts.declared.unwrap_or(Framing::None);
    let [kind, low, high] = framing.words();
    let path = lines.range(path.as_bytes());
    let flags = facts.flags(version);
    let fixed = [consumed as u32, u32::from(version), method, path, 0, 0, kind, low, high, flags];
    words[..FIELDS].copy_from_slice(&fixed);
    Ok(consumed)
}

fn response(method: Method, data: &[u8], words: &mut Vec<u32>) -> Result<usize, Error> {
    let mut fields: Fields<'_> = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, data, &mut fields);
    let Status::Complete(consumed) = parsed.map_err(error)? else { return Ok(0) };
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(Error::Malformed);
    };
    if status < 100 {
        return Err(Error::Malformed);
    }
    let reason = response.reason.unwrap_or_default().as_bytes();
    let lines = Lines { data, consumed };
    lines.check_start(b"", reason)?;
    lines.check_fields(response.headers)?;
    lines.push(response.headers, words);
    let facts = Facts::collect(version, response.headers, &words[FIELDS..])?;
    let bodiless = matches!(status, 100..200 | 204 | 304)
        || method == Method::HEAD
        || (method == Method::CONNECT && (200..300).contains(&status));
    let framing = if bodiless { Framing::None } else { facts.declared.unwrap_or(Framing::UntilClose) };
    let [kind, low, high] = framing.words();
    let mut flags = facts.flags(version) & !EXPECT_CONTINUE;
    if framing == Framing::UntilClose {
        flags &= !KEEP_ALIVE;
    }
    let (status, reason) = (u32::from(status), lines.range(reason));
    let fixed = [consumed as u32, u32::from(version), 0, 0, status, reason, kind, low, high, flags];
    words[..FIELDS].copy_from_slice(&fixed);
    Ok(consumed)
}

fn error(error: httparse::Error) -> Error {
    match error {
        httparse::Error::Version => Error::Version,
        httparse::Error::TooManyHeaders => Error::TooLarge,
        _ => Error::Malformed,
    }
}

/// The bytes of a head, to find out where parts of it lie.
struct Lines<'a> {
    data: &'a [u8],
    consumed: usize,
}

impl Lines<'_> {
    /// Where a part of `data` starts. A part that does not lie in `data` (an empty one may be static) starts at the
    /// end of the head.
    fn offset(&self, part: &[u8]) -> usize {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.data.as_ptr() as usize);
        offset.min(self.consumed)
    }

    fn range(&self, part: &[u8]) -> u32 {
        range(self.offset(part), part.len())
    }

    /// Every line must end in CRLF: the parser takes a lone LF too, and other readers of the connection may not.
    fn check_fields(&self, fields: &[Header<'_>]) -> Result<(), Error> {
        for field in fields {
            // An empty value has no position of its own, so start behind the name and its colon.
            let after = if field.value.is_empty() {
                self.offset(field.name.as_bytes()) + field.name.len() + 1
            } else {
                self.offset(field.value) + field.value.len()
            };
            self.check_line_end(after)?;
        }
        if self.data[..self.consumed].ends_with(b"\r\n") { Ok(()) } else { Err(Error::Malformed) }
    }

    /// Only whitespace may stand between `after` and CRLF.
    fn check_line_end(&self, after: usize) -> Result<(), Error> {
        let rest = self.data.get(after..self.consumed).unwrap_or_default();
        let end = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(rest.len());
        if rest[end..].starts_with(b"\r\n") { Ok(()) } else { Err(Error::Malformed) }
    }

    /// The start line must end in CRLF, and so must the empty lines that may stand before it (RFC 9112 §2.2).
    fn check_start(&self, first: &[u8], last: &[u8]) -> Result<(), Error> {
        let head = &self.data[..self.consumed];
        let before = if first.is_empty() {
            head.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
        } else {
            self.offset(first)
        };
        let pairs = head[..before].chunks(2).all(|pair| pair == b"\r\n");
        // Neither the target nor a reason phrase contains a line feed, so the next one ends the line.
        let from = if last.is_empty() { before } else { self.offset(last) };
        let line = head[from..].iter().position(|byte| *byte == b'\n').map(|end| &head[from..from + end]);
        let ends_well = line.is_some_and(|line| line.ends_with(b"\r"));
        if pairs && ends_well { Ok(()) } else { Err(Error::Malformed) }
    }

    /// Writes the words of the fields, behind room for the fixed ones.
    fn push(&self, fields: &[Header<'_>], words: &mut Vec<u32>) {
        words.reserve(FIELDS + 2 * fields.len());
        words.extend([0; FIELDS]);
        for field in fields {
            let name = field.name.as_bytes();
            let id = names::id(name);
            words.extend([if id == 0 { self.range(name) } else { id }, self.range(field.value)]);
        }
    }
}

/// What the fields say about the connection and the body.
#[derive(Default)]
struct Facts {
    /// The framing, if a field declares one.
    declared: Option<Framing>,
    close: bool,
    keep_alive: bool,
    upgrade_option: bool,
    upgrade_field: bool,
    expects_continue: bool,
}

impl Facts {
    /// Reads `fields`, whose words are `words`.
    fn collect(version: u8, fields: &[Header<'_>], words: &[u32]) -> Result<Self, Error> {
        let mut facts = Self::default();
        let (mut length, mut coding, mut host) = (None, false, None);
        for (field, words) in fields.iter().zip(words.chunks_exact(2)) {
            let value = field.value;
            match words[0] {
                CONTENT_LENGTH => {
                    let value = content_length(value)?;
                    if length.is_some_and(|length| length != value) {
                        return Err(Error::Malformed);
                    }
                    length = Some(value);
                }
                // One field with one coding: lists, repetitions and other codings are where readers disagree.
                TRANSFER_ENCODING if coding || !value.eq_ignore_ascii_case(b"chunked") => {
                    return Err(Error::Unsupported);
                }
                TRANSFER_ENCODING => coding = true,
                HOST if host.is_some_and(|host| host != value) => return Err(Error::Malformed),
                HOST => host = Some(value),
                CONNECTION => facts.connection(value),
                EXPECT => facts.expects_continue |= value.eq_ignore_ascii_case(b"100-continue"),
                names::UPGRADE => facts.upgrade_field = true,
                _ => {}
            }
        }
        // HTTP/1.0 has no transfer codings, so an old hop would have read another body (RFC 9112 §6.1).
        if coding && (length.is_some() || version == 0) {
            return Err(Error::Malformed);
        }
        facts.declared = if coding { Some(Framing::Chunked) } else { length.map(Framing::Length) };
        Ok(facts)
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade_option |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    fn flags(&self, version: u8) -> u32 {
        let keep_alive = !self.close && (version == 1 || self.keep_alive);
        let mut flags = 0;
        for (set, flag) in [
            (keep_alive, KEEP_ALIVE),
            (self.expects_continue && version == 1, EXPECT_CONTINUE),
            (self.upgrade_field && self.upgrade_option, UPGRADE),
        ] {
            flags |= if set { flag } else { 0 };
        }
        flags
    }
}

/// Digits and nothing else, below 2^64.
fn content_length(value: &[u8]) -> Result<u64, Error> {
    if value.is_empty() {
        return Err(Error::Malformed);
    }
    value.iter().try_fold(0u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
        digit.and_then(|digit| length.checked_mul(10)?.checked_add(digit)).ok_or(Error::Malformed)
    })
}

#[cfg(test)]
mod tests;
