//! How a call ended: `grpc-status`, `grpc-message`, `grpc-status-details-bin`.

use super::metadata::BASE64;
use base64::Engine as _;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use std::fmt;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Longest message that is sent, in bytes before it is encoded; more is cut off. Clients take 8 KiB of header fields at
/// least; with more than that, some of them would lose the whole answer.
const LONGEST: usize = 2 << 10;
/// Longest details that are sent, in bytes before they are encoded; longer ones are left out.
const LONGEST_DETAILS: usize = 3 << 10;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

impl Code {
    /// The call succeeded.
    pub const OK: Self = Self(0);
    /// The caller gave up.
    pub const CANCELLED: Self = Self(1);
    /// Nobody knows what happened.
    pub const UNKNOWN: Self = Self(2);
    /// The request is wrong.
    pub const INVALID_ARGUMENT: Self = Self(3);
    /// Time was over.
    pub const DEADLINE_EXCEEDED: Self = Self(4);
    /// What was asked for does not exist.
    pub const NOT_FOUND: Self = Self(5);
    /// What should be made exists.
    pub const ALREADY_EXISTS: Self = Self(6);
    /// This caller may not.
    pub const PERMISSION_DENIED: Self = Self(7);
    /// Too much, or too many.
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    /// The state of things does not allow it.
    pub const FAILED_PRECONDITION: Self = Self(9);
    /// Somebody else was faster.
    pub const ABORTED: Self = Self(10);
    /// Beyond the end.
    pub const OUT_OF_RANGE: Self = Self(11);
    /// There is no such method.
    pub const UNIMPLEMENTED: Self = Self(12);
    /// The callee, or something in between, is broken.
    pub const INTERNAL: Self = Self(13);
    /// Not at the moment.
    pub const UNAVAILABLE: Self = Self(14);
    /// Something is lost.
    pub const DATA_LOSS: Self = Self(15);
    /// Nobody knows who the caller is.
    pub const UNAUTHENTICATED: Self = Self(16);

    /// The name in gRPC's documents; empty for a number that they do not know.
    pub fn name(self) -> &'static str {
        const NAMES: [&str; 17] = [
            "OK",
            "CANCELLED",
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "DEADLINE_EXCEEDED",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
            "UNAUTHENTICATED",
        ];
        NAMES.get(self.0 as usize).copied().unwrap_or_default()
    }

    /// What an HTTP status without a gRPC one means, by gRPC's `http-grpc-status-mapping.md`.
    pub(super) fn of_http(status: u16) -> Self {
        match status {
            400 => Self::INTERNAL,
            401 => Self::UNAUTHENTICATED,
            403 => Self::PERMISSION_DENIED,
            404 => Self::UNIMPLEMENTED,
            429 | 502..=504 => Self::UNAVAILABLE,
            _ => Self::UNKNOWN,
        }
    }
}

/// How a call ended that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Status {
    /// What became of it.
    pub code: Code,
    /// For people.
    pub message: String,
    /// An encoded `google.rpc.Status`; empty where there is none.
    pub details: Bytes,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "" => write!(f, "status {}", self.0),
            name => f.write_str(name),
        }
    }
}

impl Status {
    /// A status without details.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Bytes::new() }
    }

    /// The status in trailers; none without `grpc-status`. One that is no number is `UNKNOWN`.
    pub(super) fn read(fields: &HeaderMap) -> Option<Result<(), Self>> {
        let code = fields.get(STATUS)?.to_str().ok().and_then(|text| text.parse().ok());
        let code = code.map_or(Code::UNKNOWN, Code);
        if code == Code::OK {
            return Some(Ok(()));
        }
        let message = fields.get(MESSAGE).map(|value| decode(value.as_bytes())).unwrap_or_default();
        let details = fields.get(DETAILS).and_then(|value| BASE64.decode(value).ok()).unwrap_or_default();
        Some(Err(Self { code, message, details: details.into() }))
    }

    /// Adds the outcome to trailers.
    pub(super) fn write(outcome: Result<(), &Self>, fields: &mut HeaderMap) {
        let status = match outcome {
            Ok(()) => {
                fields.insert(STATUS, HeaderValue::from_static("0"));
                return;
            }
            Err(status) => status,
        };
        fields.insert(STATUS, HeaderValue::from(status.code.0));
        let text = status.message.get(..status.message.floor_char_boundary(LONGEST)).unwrap_or_default();
        // What is encoded has only visible letters.
        if let Ok(message) = HeaderValue::from_str(&encode(text)) {
            fields.insert(MESSAGE, message);
        }
        if !status.details.is_empty()
            && status.details.len() <= LONGEST_DETAILS
            && let Ok(details) = HeaderValue::from_str(&BASE64.encode(&status.details))
        {
            fields.insert(DETAILS, details);
        }
    }
}

/// Percent-encodes everything but visible ASCII and the space.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | ..b' ' | 0x7f.. => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                encoded.push('%');
                encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
                encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
            _ => encoded.push(char::from(byte)),
        }
    }
    encoded
}

/// What is badly encoded stays as it is: a message should be shown in any case.
fn decode(text: &[u8]) -> String {
    let digit = |at: usize| text.get(at).and_then(|&it| char::from(it).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(status: &Status) -> HeaderMap {
        let mut fields = HeaderMap::new();
        Status::write(Err(status), &mut fields);
        fields
    }

    #[test]
    fn a_status_comes_back_as_it_was() {
        for message in ["", "boom", "100 %", "größer\r\nx: y", "%41", "😀"] {
            let details = Bytes::from_static(b"\x08\x05");
            let status = Status { details, ..Status::new(Code::NOT_FOUND, message) };
            let fields = sent(&status);
            assert!(fields[MESSAGE].to_str().is_ok(), "{message:?}");
            assert_eq!(Status::read(&fields), Some(Err(status)));
        }
        let mut fields = HeaderMap::new();
        assert_eq!(Status::read(&fields), None);
        Status::write(Ok(()), &mut fields);
        assert_eq!(Status::read(&fields), Some(Ok(())));
    }

    #[test]
    fn nonsense_is_shown_and_long_texts_are_cut() {
        let read = |code: &'static str, message: &'static [u8]| {
            let message = HeaderValue::from_bytes(message).expect("a value");
            let fields = [(STATUS, HeaderValue::from_static(code)), (MESSAGE, message)];
            let status = Status::read(&HeaderMap::from_iter(fields)).expect("there");
            status.expect_err("not ok")
        };
        assert_eq!(read("x", b"%zz%4").to_string(), "UNKNOWN: %zz%4");
        assert_eq!(read("99", b"\xff").to_string(), "status 99: \u{fffd}");
        assert_eq!(read("-1", b"%ff%C3%A4").message, "\u{fffd}ä");
        let long =
            Status { details: vec![0; 9 << 10].into(), ..Status::new(Code::INTERNAL, "ä".repeat(5 << 10)) };
        let fields = sent(&long);
        assert!(fields[MESSAGE].len() <= 3 * LONGEST && !fields.contains_key(DETAILS));
        assert!(
            long.message.starts_with(&Status::read(&fields).expect("there").expect_err("not ok").message)
        );
    }
}
