//! The sdk's trait over the logic.

use micro_sdk::codec::{Codec, Enclosure, Error, Format, Head, Opened, Range};
use micro_sdk::hot::{Context, Invalid, NoOptions, Role};
use protorpc_core as core;

/// The most that an envelope adds to its texts, so that writing one allocates once.
const ADDED: usize = 64;

/// Its one format.
#[derive(Debug)]
pub(crate) struct ProtoRpc;

impl Codec for ProtoRpc {
    type Options = NoOptions;

    fn configure(_: &Context, _: NoOptions) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn formats(&self) -> Vec<Format> {
        core::formats().iter().map(|format| Format::new(format.content_type, format.value)).collect()
    }

    fn seal(&self, format: usize, role: Role, head: Head<'_>, value_length: u32) -> Result<Enclosure, Error> {
        check(format)?;
        let Head { id, endpoint, error } = head;
        let mut prefix = Vec::with_capacity(ADDED + id.len() + endpoint.len() + error.len());
        let mut suffix = Vec::with_capacity(ADDED + id.len() + error.len());
        let head = core::Head { id, endpoint, error };
        core::seal(role_out(role), head, value_length as usize, &mut prefix, &mut suffix)
            .map_err(error_out)?;
        Ok(Enclosure { prefix, suffix })
    }

    fn open(&self, format: usize, role: Role, data: &[u8]) -> Result<Opened, Error> {
        check(format)?;
        let mut extra = Vec::new();
        let opened = core::open(role_out(role), data, &mut extra).map_err(error_out)?;
        let core::Opened { id, endpoint, error, value } = opened;
        let range = |part: core::Part| Range { offset: part.offset, length: part.length };
        let (id, endpoint, error, value) = (range(id), range(endpoint), range(error), range(value));
        Ok(Opened { id, endpoint, error, value, extra })
    }
}

/// There is one format.
fn check(format: usize) -> Result<(), Error> {
    if format < core::formats().len() { Ok(()) } else { Err(Error::Unsupported) }
}

fn role_out(role: Role) -> core::Role {
    match role {
        Role::Request => core::Role::Request,
        Role::Response => core::Role::Response,
    }
}

fn error_out(error: core::Error) -> Error {
    match error {
        core::Error::Malformed => Error::Malformed,
        core::Error::Unsupported => Error::Unsupported,
        core::Error::TooLarge => Error::TooLarge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened() {
        let value = b"\x0a\x04John";
        for role in [Role::Request, Role::Response] {
            let head = Head { id: b"7", endpoint: "Say.Hello", error: "" };
            let sealed = ProtoRpc.seal(0, role, head, value.len() as u32).expect("sound");
            let message = [&sealed.prefix[..], value, &sealed.suffix].concat();
            let opened = ProtoRpc.open(0, role, &message).expect("sound");
            let all = [&message[..], &opened.extra].concat();
            let of = |range: Range| &all[range.offset as usize..][..range.length as usize];
            assert_eq!(
                (of(opened.id), of(opened.value), of(opened.error)),
                (&b"7"[..], &value[..], &b""[..])
            );
            assert!(role == Role::Response || of(opened.endpoint) == b"Say.Hello");
        }
        assert_eq!(ProtoRpc.formats(), [Format::new("application/proto-rpc", core::formats()[0].value)]);
        assert_eq!(ProtoRpc.open(0, Role::Request, b"?"), Err(Error::Malformed));
        assert_eq!(ProtoRpc.open(1, Role::Request, b"?"), Err(Error::Unsupported), "there is one format");
    }
}
