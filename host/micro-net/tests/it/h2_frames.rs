//! HTTP/2 by hand, for peers that no library would be.

use crate::support::{Raw, soon};
use bytes::Bytes;
use micro_core::Headers;
use micro_net::grpc::{Call, CallError, Channels, Codec, Reply};
use tokio::io::AsyncReadExt;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields as HPACK writes them without a table.
pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).ok().filter(|&length| length < 127).expect("short"));
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A message as gRPC writes it, or something that looks like one.
pub(crate) fn prefixed(flag: u8, announced: u32, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![flag];
    message.extend(announced.to_be_bytes());
    message.extend(bytes);
    message
}

/// The fields of a call.
pub(crate) fn call_fields() -> Vec<u8> {
    fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/a.B/C"),
        (":authority", "a"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ])
}

/// The head of an answer.
pub(crate) fn answer_fields() -> Vec<u8> {
    fields(&[(":status", "200"), ("content-type", "application/grpc")])
}

/// A frame that arrived: kind, flags, stream, payload.
pub(crate) type Frame = (u8, u8, u32, Vec<u8>);

impl Raw {
    /// The next frame; none when the other side has closed.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        soon(self.tcp.read_exact(&mut head)).await.ok()?;
        let [a, b, c, kind, flags, s, t, u, v] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        soon(self.tcp.read_exact(&mut payload)).await.ok()?;
        Some((kind, flags, u32::from_be_bytes([s, t, u, v]), payload))
    }

    /// The next frame of a kind; none when the other side closes before.
    pub(crate) async fn frame_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.frame().await?;
            if frame.0 == kind {
                return Some(frame);
            }
        }
    }

    /// Starts as a client does.
    pub(crate) async fn greet(&mut self, settings: &[u8]) {
        self.send(PREFACE).await;
        self.send(frame(SETTINGS, 0, 0, settings)).await;
    }

    /// Starts as a server does, and waits for the end of the client's next call.
    pub(crate) async fn take_preface(&mut self) {
        let mut preface = [0; PREFACE.len()];
        soon(self.tcp.read_exact(&mut preface)).await.expect("a preface");
        assert_eq!(preface, PREFACE);
        self.send(frame(SETTINGS, 0, 0, &[])).await;
    }

    /// The stream of the next call, when its last byte is here.
    pub(crate) async fn take_call(&mut self) -> Option<u32> {
        loop {
            let (kind, flags, stream, _) = self.frame().await?;
            if kind == DATA && flags & END_STREAM != 0 {
                return Some(stream);
            }
        }
    }
}

/// A call of `/a.B/C` with these metadata.
pub(crate) async fn call(
    channels: &Channels,
    address: &str,
    metadata: &[(&str, &str)],
    message: impl Into<Bytes>,
) -> Result<Reply, CallError> {
    let metadata: Headers = metadata.iter().copied().collect();
    let (message, path) = (message.into(), "/a.B/C");
    let call = Call { path, codec: Codec::Proto, metadata: &metadata, timeout: None, message: &message };
    channels.call(address, &call, crate::support::PATIENCE).await
}
