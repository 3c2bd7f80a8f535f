//! gRPC over HTTP/2: calls with one message each way, and streams, on connections that many of them share.
//!
//! | part | does |
//! |---|---|
//! | [`Channels`] | sends calls, over a few connections for each address |
//! | [`Sending`], [`Receiving`] | the two directions of a stream, for its caller |
//! | [`wire::serve_rpc`](crate::wire::serve_rpc) | answers calls with [`Handler::call`](crate::wire::Handler::call), on the port of all messages |
//! | [`Status`] | how a call ended |
//! | [`Messages`] | the messages of one direction, one after the other |
//!
//! The protocol is that of `PROTOCOL-HTTP2.md` of gRPC: five bytes before each message, deadlines as `grpc-timeout`, the
//! outcome in trailers. Compression is not offered, and compressed messages are refused. HTTP/2 itself is the `h2`
//! crate's, which hyper also uses: what may be sent again depends on its errors, which say whether the peer has looked
//! at a call, and writing has a limit in time, which needs its flow control.
//!
//! What a message means, and what Go Micro makes of paths and errors, is not known here.

mod answer;
mod call;
mod client;
mod error;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod messages;
mod metadata;
mod pool;
mod send;
mod server;
mod status;
mod stream;
mod timeout;
mod turn;

pub use call::{Call, Opening, Reply};
pub use error::CallError;
pub use messages::Messages;
pub use pool::{ChannelConfig, Channels};
pub use server::{Answer, Incoming, Outgoing};
pub(crate) use server::{Origin, serve};
pub use status::{Code, Status};
pub use stream::{Receiving, Sending, Unsent};

/// What every content type of gRPC begins with.
pub const CONTENT_TYPE: &str = "application/grpc";

/// Whether a content type is gRPC's, alone or with the name of a codec: `application/grpc+proto`. Other types may begin
/// with the same letters, such as that of gRPC-Web.
pub fn is_grpc(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    match media_type.get(..CONTENT_TYPE.len()) {
        Some(start) if start.eq_ignore_ascii_case(CONTENT_TYPE) => {
            matches!(media_type.as_bytes().get(CONTENT_TYPE.len()), None | Some(b'+'))
        }
        _ => false,
    }
}

/// How messages are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// `application/grpc+proto`; also meant by `application/grpc`.
    #[default]
    Proto,
    /// `application/grpc+json`.
    Json,
}

impl Codec {
    /// The codec of a content type; none for others.
    pub fn of(content_type: &str) -> Option<Self> {
        if !is_grpc(content_type) {
            return None;
        }
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        match media_type.split_once('+').map(|(_, name)| name) {
            None => Some(Self::Proto),
            Some(name) if name.eq_ignore_ascii_case("proto") => Some(Self::Proto),
            Some(name) if name.eq_ignore_ascii_case("json") => Some(Self::Json),
            Some(_) => None,
        }
    }

    /// The codec that a content type names. None for `application/grpc`, which leaves it open.
    pub fn named(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default();
        if media_type.contains('+') { Self::of(media_type) } else { None }
    }

    /// The content type that calls are sent with.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Proto => "application/grpc+proto",
            Self::Json => "application/grpc+json",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_of_grpc_are_told_from_those_that_look_alike() {
        for ours in ["application/grpc", "application/grpc+proto", "Application/GRPC+json; charset=utf-8"] {
            assert!(is_grpc(ours), "{ours}");
        }
        for other in ["", "application/json", "application/grpc-web", "application/grpcx", "application/grp"]
        {
            assert!(!is_grpc(other), "{other}");
        }
        for (content_type, codec) in [
            ("application/grpc", Some(Codec::Proto)),
            ("application/grpc+PROTO", Some(Codec::Proto)),
            ("application/grpc+json;charset=utf-8", Some(Codec::Json)),
            ("application/grpc+bytes", None),
            ("application/grpc+", None),
            ("application/json", None),
        ] {
            assert_eq!(Codec::of(content_type), codec, "{content_type}");
        }
        for (content_type, codec) in [
            ("application/grpc+json", Some(Codec::Json)),
            ("application/grpc", None),
            ("application/grpc; a=b+json", None),
        ] {
            assert_eq!(Codec::named(content_type), codec, "{content_type}");
        }
    }
}
