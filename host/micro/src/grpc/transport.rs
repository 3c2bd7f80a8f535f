//! Go Micro's gRPC *transport*: messages of mucp as the messages of one gRPC method (`go-micro-wire` §1.8). Not to be
//! taken for its gRPC client and server, where gRPC itself is the protocol.

use bytes::Bytes;
use micro_core::{Headers, Message};
use prost::Message as _;
use std::collections::HashMap;

/// The method, as v2.9 and later name it, and as versions before did.
pub(crate) const PATHS: [&str; 2] =
    ["/go.micro.transport.grpc.Transport/Stream", "/go.micro.grpc.transport.Transport/Stream"];

/// Header fields of one message, and their bytes, names and values together: as much as a connection over HTTP takes.
const MOST_FIELDS: usize = 256;
const MOST_BYTES: usize = 64 << 10;

/// `Message` of the transport.
#[derive(Clone, PartialEq, prost::Message)]
struct Packet {
    #[prost(map = "string, string", tag = "1")]
    header: HashMap<String, String>,
    #[prost(bytes = "bytes", tag = "2")]
    body: Bytes,
}

/// Bytes that are no message of the transport.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PacketError {
    #[error("malformed message of the gRPC transport")]
    Malformed(#[from] prost::DecodeError),
    #[error(
        "a message with {fields} header fields of {bytes} bytes, more than {MOST_FIELDS} or {MOST_BYTES}"
    )]
    TooLarge { fields: usize, bytes: usize },
}

/// The message in a packet.
pub(crate) fn unpack(packet: Bytes) -> Result<Message, PacketError> {
    let Packet { header, body } = Packet::decode(packet)?;
    let (fields, bytes) = (header.len(), header.iter().map(|(name, value)| name.len() + value.len()).sum());
    if fields > MOST_FIELDS || bytes > MOST_BYTES {
        return Err(PacketError::TooLarge { fields, bytes });
    }
    Ok(Message { headers: header.into_iter().collect(), body })
}

/// A message as a packet. Of several fields with one name the first counts.
pub(crate) fn pack(message: Message) -> Bytes {
    let mut header = HashMap::with_capacity(message.headers.len());
    for (name, value) in message.headers.iter() {
        let value = String::from_utf8_lossy(value);
        header.entry(name.to_owned()).or_insert_with(|| value.into_owned());
    }
    Packet { header, body: message.body }.encode_to_vec().into()
}

/// The fields of an answer in the spelling of the question, where that has them: peers compare names with case here
/// (`go-micro-wire` §1.3).
pub(crate) fn spelled_as(asked: &Headers, headers: &Headers) -> Headers {
    let spelled = headers.iter().map(|(name, value)| {
        let mut known = asked.iter().map(|(known, _)| known);
        (known.find(|known| known.eq_ignore_ascii_case(name)).unwrap_or(name), value)
    });
    spelled.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_in_the_spelling_of_the_question() {
        let asked: Headers = [("Micro-ID", "7")].into_iter().collect();
        let headers = [("Micro-Id", "7"), ("micro-id", "8"), ("Content-Type", "application/json")];
        let message = Message { headers: headers.into_iter().collect(), body: Bytes::from_static(b"{}") };
        let message = Message { headers: spelled_as(&asked, &message.headers), ..message };
        let packet = Packet::decode(pack(message)).expect("a packet");
        assert_eq!(packet.header.get("Micro-ID").map(String::as_str), Some("7"));
        assert_eq!(packet.header.len(), 2);
        let back = unpack(packet.encode_to_vec().into()).expect("a message");
        assert_eq!((back.headers.get("content-type"), &*back.body), (Some("application/json"), &b"{}"[..]));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert!(matches!(unpack(Bytes::from_static(b"\xff")), Err(PacketError::Malformed(_))));
        let header = (0..1000).map(|n| (n.to_string(), String::new())).collect();
        let many = Packet { header, body: Bytes::new() };
        assert!(matches!(unpack(many.encode_to_vec().into()), Err(PacketError::TooLarge { .. })));
        let header = [("x".to_owned(), "y".repeat(MOST_BYTES))].into_iter().collect();
        let large = Packet { header, body: Bytes::new() };
        assert!(matches!(unpack(large.encode_to_vec().into()), Err(PacketError::TooLarge { .. })));
    }
}
