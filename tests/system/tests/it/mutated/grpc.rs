//! gRPC over HTTP/2, frame by frame: bytes changed anywhere behind the preface.

use super::{ask, connect, mutate};
use crate::matrix::messages::matrix::{Answer, Ask};
use crate::world::SOON;
use fastrand::Rng;
use micro::{Format, Payload};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The end of the path; what stands before it is anybody's.
const METHOD: &str = "Matrix/Echo";
/// Types of frames (RFC 9113 §6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// Flags of frames.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as RFC 7541 §6.2.2 has them: literal, with new names, not indexed.
fn fields() -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/go.micro.srv.matrix.Matrix/Echo"),
        (":authority", "x"),
        ("content-type", "application/grpc+proto"),
        ("te", "trailers"),
        ("grpc-timeout", "30S"),
    ];
    let text = |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

fn message(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("small").to_be_bytes();
    [&[0], &length[..], body].concat()
}

/// Whether these bytes are one message.
fn is_message(bytes: &[u8]) -> bool {
    let message = bytes.split_first_chunk();
    message.is_some_and(|(&[flag, a, b, c, d], rest)| {
        flag == 0 && u32::from_be_bytes([a, b, c, d]) as usize == rest.len()
    })
}

/// What came so far on the first stream: its data, and whether that is all.
fn said(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let (mut data, mut ended) = (Vec::new(), false);
    while let Some((&[a, b, c, kind, flags, d, e, f, g], rest)) = bytes.split_first_chunk() {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        let ours = u32::from_be_bytes([d, e, f, g]) == 1;
        if kind == DATA && ours {
            data.extend(payload);
        }
        ended |= kind == GOAWAY || ours && (kind == RST_STREAM || flags & END_STREAM != 0);
        bytes = rest;
    }
    (data, ended)
}

/// Sends frames, and reads until the call has ended. The connection is open all the while, because a server need not
/// answer one who has left.
async fn call(address: SocketAddr, caller: u64, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address, caller).await;
    let mut heard = Vec::new();
    let talk = async {
        stream.write_all(bytes).await.expect("the server reads");
        while !said(&heard).1 {
            let more = stream.read_buf(&mut heard).await.expect("the server writes");
            assert!(more > 0, "closed: {}", bytes.escape_ascii());
        }
    };
    let ended = timeout(SOON, talk).await;
    assert!(ended.is_ok(), "left waiting: {}", bytes.escape_ascii());
    heard
}

/// Messages with something changed in their bodies, and frames with something changed before them.
pub(super) async fn frames(address: SocketAddr, caller: u64, rng: &mut Rng, count: u64) {
    let mut outcomes = [0, 0];
    for number in 0..count {
        let asked = Ask { name: format!("n{}", rng.u32(..)), count: rng.i64(..) };
        let mut body = asked.to_bytes(Format::Protobuf).expect("encodes").to_vec();
        let mut before = [frame(SETTINGS, 0, 0, &[]), frame(HEADERS, END_HEADERS, 1, &fields())].concat();
        let in_body = number % 2 == 0;
        mutate(rng, if in_body { &mut body } else { &mut before });
        let expected = Ask::from_bytes(Format::Protobuf, &body).ok();
        let bytes = [PREFACE, &before, &frame(DATA, END_STREAM, 1, &message(&body))].concat();
        let heard =
            if in_body { call(address, caller, &bytes).await } else { ask(address, caller, &bytes).await };
        let (said, _) = said(&heard);
        if !is_message(&said) {
            // An error has no message, and a refusal of what is no gRPC has a text. What is good, in frames that are,
            // has to be answered.
            assert!(!in_body || expected.is_none(), "no answer: {}", bytes.escape_ascii());
            outcomes[0] += 1;
            continue;
        }
        outcomes[1] += 1;
        let called = before.windows(METHOD.len()).any(|bytes| bytes == METHOD.as_bytes());
        assert!(called, "answered, and nobody called it: {}", bytes.escape_ascii());
        let answer = expected.map(|ask| Answer { msg: ask.name, number: ask.count });
        let answer = answer.map(|answer| message(&answer.to_bytes(Format::Protobuf).expect("encodes")));
        assert_eq!(Some(said), answer, "answered wrongly: {}", bytes.escape_ascii());
    }
    assert!(outcomes.iter().all(|&count| count > 0), "refused and answered: {outcomes:?}");
}
