//! The sdk's trait over the logic.

use http1_core::{End, Method};
use micro_sdk::hot::{Context, Invalid, NoOptions, Role};
use micro_sdk::wire::{Error, Framing, Head, Wire};

/// The most that start line, framing and punctuation add to the packed parts of an ordinary head. One that needs more
/// costs a second allocation.
const ADDED: usize = 160;

/// HTTP/1.1.
#[derive(Debug)]
pub(crate) struct HttpTransport;

impl Wire for HttpTransport {
    type Options = NoOptions;

    fn configure(_: &Context, _: NoOptions) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn decode(&self, role: Role, method: u32, data: &[u8]) -> Result<Vec<u32>, Error> {
        let mut words = Vec::new();
        match http1_core::decode(role_out(role), Method::from_word(method), data, &mut words) {
            Ok(0) => Ok(vec![0]),
            Ok(_) => Ok(words),
            Err(error) => Err(error_out(error)),
        }
    }

    fn encode(&self, head: Head<'_>) -> Result<Vec<u8>, Error> {
        let end = End { framing: framing_out(head.framing), close: head.close };
        // A field loses its id and lengths and gets a name and punctuation: names are longer than what goes.
        let mut out = Vec::with_capacity(2 * head.packed.len() + ADDED);
        http1_core::encode_packed(role_out(head.role), head.status, head.packed, end, &mut out)
            .map_err(error_out)?;
        Ok(out)
    }
}

fn role_out(role: Role) -> http1_core::Role {
    match role {
        Role::Request => http1_core::Role::Request,
        Role::Response => http1_core::Role::Response,
    }
}

fn framing_out(framing: Framing) -> http1_core::Framing {
    match framing {
        Framing::None => http1_core::Framing::None,
        Framing::Length(length) => http1_core::Framing::Length(length),
        Framing::Chunked => http1_core::Framing::Chunked,
        Framing::UntilClose => http1_core::Framing::UntilClose,
    }
}

fn error_out(error: http1_core::Error) -> Error {
    match error {
        http1_core::Error::Malformed => Error::Malformed,
        http1_core::Error::Version => Error::Version,
        http1_core::Error::TooLarge => Error::TooLarge,
        http1_core::Error::Unsupported => Error::Unsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1_core::Start;

    #[test]
    fn what_is_encoded_is_decoded() {
        let wire = HttpTransport;
        let fields = [(&b"Micro-Endpoint"[..], &b"Say.Hello"[..]), (b"X-Own", b"1")];
        let start = Start::Request { method: "POST", path: b"/x", host: b"here" };
        let mut packed = Vec::new();
        http1_core::pack(start, fields, &mut packed).expect("short");
        let head = Head {
            role: Role::Request,
            status: 0,
            framing: Framing::Length(3),
            close: false,
            packed: &packed,
        };
        let bytes = wire.encode(head).expect("sound");
        let words = wire.decode(Role::Request, 0, &[&bytes[..], b"abc"].concat()).expect("sound");
        let decoded = http1_core::Head::new(&words, &bytes).expect("offsets within the head");
        assert_eq!((decoded.consumed(), decoded.framing()), (bytes.len(), http1_core::Framing::Length(3)));
        assert!(decoded.fields().any(|(id, name, value)| (id, name, value) == (0, "X-Own", b"1")));

        assert_eq!(wire.decode(Role::Request, 0, &bytes[..20]), Ok(vec![0]), "more is needed");
        assert_eq!(wire.decode(Role::Request, 0, b"\0"), Err(Error::Malformed));
        assert_eq!(wire.encode(Head { packed: b"\xff", ..head }), Err(Error::Malformed));
    }
}
