//! Envelopes in.

use crate::scan::{Quoted, Scanner};
use crate::text::unescape;
use crate::{Error, MAX_ENDPOINT, MAX_ID, MAX_MESSAGE, Opened, Part, Role};
use std::ops::Range;

/// What an answer with an empty error text says, as Go's client puts it.
const UNSPECIFIED: &str = "unspecified error";

/// Finds the parts of an envelope. What has to be unescaped goes to `extra`, in place of what it holds.
///
/// Members come in any order and, as Go reads them, in any letter case; unknown ones are skipped. A request without a
/// method has an empty endpoint. `params` is an array of at most one value, or a bare value. A response has a `result`
/// or an `error`; the latter may be any JSON, whose text is the error then.
///
/// # Errors
/// [`Error::Malformed`] for what is not one JSON object and nothing else, for members of other types or given twice,
/// and beyond [`MAX_DEPTH`](crate::MAX_DEPTH), [`MAX_ID`] or [`MAX_ENDPOINT`]; [`Error::TooLarge`] beyond
/// [`MAX_MESSAGE`].
pub fn open(role: Role, data: &[u8], extra: &mut Vec<u8>) -> Result<Opened, Error> {
    extra.clear();
    if data.len() > MAX_MESSAGE {
        return Err(Error::TooLarge);
    }
    std::str::from_utf8(data).map_err(|_| Error::Malformed)?;
    let members = Members::read(role, data)?;
    let mut opened = Opened::default();
    if let Some(id) = members.id.filter(|id| &data[id.clone()] != b"null") {
        if id.len() > MAX_ID {
            return Err(Error::Malformed);
        }
        opened.id = part(id);
    }
    match role {
        Role::Request => {
            if let Some(method) = members.name.filter(|name| &data[name.clone()] != b"null") {
                opened.endpoint = text(method, data, extra).ok_or(Error::Malformed)?;
                if opened.endpoint.length as usize > MAX_ENDPOINT {
                    return Err(Error::Malformed);
                }
            }
            if let Some(params) = members.value {
                opened.value = only_parameter(&data[params.clone()], params.start)?;
            }
        }
        Role::Response => {
            let error = members.name.clone().filter(|name| &data[name.clone()] != b"null");
            match error {
                None if members.value.is_none() => return Err(Error::Malformed),
                None => {}
                Some(error) => {
                    let json = part(error.clone());
                    opened.error = text(error, data, extra).unwrap_or(json);
                    if opened.error.length == 0 {
                        opened.error =
                            appended(data, extra, |extra| extra.extend_from_slice(UNSPECIFIED.as_bytes()));
                    }
                }
            }
            opened.value = members.value.map(part).unwrap_or_default();
        }
    }
    Ok(opened)
}

/// The members of an envelope, as they stand in it.
#[derive(Debug, Default)]
struct Members {
    id: Option<Range<usize>>,
    /// `method` or `error`.
    name: Option<Range<usize>>,
    /// `params` or `result`.
    value: Option<Range<usize>>,
}

impl Members {
    fn read(role: Role, data: &[u8]) -> Result<Self, Error> {
        let (name, value) = match role {
            Role::Request => ("method", "params"),
            Role::Response => ("error", "result"),
        };
        let mut members = Self::default();
        let mut scanner = Scanner::new(data);
        scanner.expect(b'{')?;
        let mut more = !scanner.take(b'}');
        while more {
            let key = scanner.key()?;
            let found = scanner.value()?;
            let slot = match () {
                () if is(&key, data, "id") => Some(&mut members.id),
                () if is(&key, data, name) => Some(&mut members.name),
                () if is(&key, data, value) => Some(&mut members.value),
                () => None,
            };
            // Readers differ in which of two they take, and one of them may have been checked.
            if let Some(slot) = slot
                && slot.replace(found).is_some()
            {
                return Err(Error::Malformed);
            }
            more = scanner.take(b',');
            if !more {
                scanner.expect(b'}')?;
            }
        }
        if scanner.at_end() { Ok(members) } else { Err(Error::Malformed) }
    }
}

fn is(key: &Quoted, data: &[u8], name: &str) -> bool {
    let spelled = &data[key.inside.clone()];
    if !key.escaped {
        return spelled.eq_ignore_ascii_case(name.as_bytes());
    }
    // Six letters, each at most `\uXXXX`; what is longer is none of ours.
    if spelled.len() > 6 * name.len() {
        return false;
    }
    let mut plain = Vec::with_capacity(spelled.len());
    unescape(spelled, &mut plain);
    plain.eq_ignore_ascii_case(name.as_bytes())
}

/// The value of `params`, which begins at `start`.
fn only_parameter(params: &[u8], start: usize) -> Result<Part, Error> {
    let mut scanner = Scanner::new(params);
    match scanner.peek() {
        Some(b'[') => {
            scanner.expect(b'[')?;
            if scanner.take(b']') {
                return Ok(Part::default());
            }
            let value = scanner.value()?;
            scanner.expect(b']')?;
            Ok(part(start + value.start..start + value.end))
        }
        Some(b'n') => Ok(Part::default()),
        _ => Ok(part(start..start + params.len())),
    }
}

/// The text of a JSON string; none for JSON of another kind.
fn text(json: Range<usize>, data: &[u8], extra: &mut Vec<u8>) -> Option<Part> {
    let inside = data[json.clone()].strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if !inside.contains(&b'\\') {
        return Some(part(json.start + 1..json.end - 1));
    }
    Some(appended(data, extra, |extra| unescape(inside, extra)))
}

fn appended(data: &[u8], extra: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>)) -> Part {
    let start = extra.len();
    append(extra);
    part(data.len() + start..data.len() + extra.len())
}

/// Messages have at most [`MAX_MESSAGE`] bytes, and unescaping makes nothing longer.
fn part(range: Range<usize>) -> Part {
    Part { offset: range.start as u32, length: range.len() as u32 }
}
