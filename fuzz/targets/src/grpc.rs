//! What gRPC writes around messages: their frames, metadata, timeouts, outcomes.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use micro_core::Headers;
use micro_net::grpc::fuzzing::{
    Deframed, deframe, frame, read_metadata, read_status, read_timeout, write_metadata, write_status,
    write_timeout,
};
use micro_net::grpc::{Code, Status};
use std::time::Duration;

use crate::parts;

/// Flag and length.
const FRAME_HEAD: usize = 5;

/// The longest message and the longest details that a status travels with whole.
const WHOLE_MESSAGE: usize = 2 << 10;
const WHOLE_DETAILS: usize = 3 << 10;

/// A stream of messages behind three bytes: the limit, and two lengths of pieces. However it is cut, the same comes out,
/// no more is held than one message and a piece, and what came out is what comes out of the same messages sent again.
pub(crate) fn messages(data: &[u8]) {
    let [limit, first, second, input @ ..] = data else { return };
    let limit = usize::from(*limit) * 4;
    let pieces = [usize::from(*first).max(1), usize::from(*second).max(1)];
    let longest = pieces[0].max(pieces[1]);
    let whole = deframe([Bytes::copy_from_slice(input)], limit);
    let bytewise = deframe(cut(input, [1, 1]), limit);
    let piecewise = deframe(cut(input, pieces), limit);
    for (deframed, piece) in [(&whole, input.len()), (&bytewise, 1), (&piecewise, longest)] {
        assert_eq!(
            (&deframed.messages, &deframed.error),
            (&whole.messages, &whole.error),
            "pieces of {piece}"
        );
        assert!(deframed.most_held < FRAME_HEAD + limit + piece, "more than a message is held");
    }
    assert!(whole.messages.iter().all(|message| message.len() <= limit));

    let again: Vec<u8> =
        whole.messages.iter().flat_map(|message| frame(message).expect("a short message")).collect();
    assert!(input.starts_with(&again), "the messages are not those that were sent");
    let second = deframe(cut(&again, pieces), limit);
    assert_eq!((&second.messages, second.error), (&whole.messages, None));
    if whole.error.is_none() {
        assert_eq!(again.len(), input.len(), "bytes are lost");
        if let Some(short) = input.len().checked_sub(1) {
            let Deframed { messages, error, .. } = deframe(cut(&input[..short], pieces), limit);
            assert!(error.is_some() && messages.len() + 1 == whole.messages.len(), "a cut message is one");
        }
    }
}

/// The input in pieces whose lengths take turns.
fn cut(input: &[u8], pieces: [usize; 2]) -> impl Iterator<Item = Bytes> {
    let mut rest = input;
    let mut turn = 0;
    std::iter::from_fn(move || {
        let (now, later) = rest.split_at(pieces[turn % 2].min(rest.len()));
        (rest, turn) = (later, turn + 1);
        (!now.is_empty()).then(|| Bytes::copy_from_slice(now))
    })
}

/// Names and values by turns. As metadata that is sent it arrives as it was, names of the protocol excepted; as header
/// fields that arrive it is read, and what was read can be sent on.
pub(crate) fn metadata(data: &[u8]) {
    let (head, _) = parts(data);
    let pairs: Vec<(&[u8], &[u8])> = head.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();

    let named = pairs.iter().filter_map(|(name, value)| Some((std::str::from_utf8(name).ok()?, *value)));
    let sent: Headers = named.collect();
    match write_metadata(&sent) {
        Ok(fields) => {
            let received = read_metadata(&fields);
            let kept: Vec<_> = sent.iter().filter(|(name, _)| !is_reserved(name)).collect();
            assert_eq!(fields.len(), kept.len(), "a name of the protocol is sent, or another is not");
            same_fields(&received, &kept);
        }
        Err(name) => {
            let sendable = HeaderName::from_bytes(name.as_bytes()).is_ok();
            assert!(sent.contains(&name) && !(sendable && is_reserved(&name)), "{name:?} cannot be sent");
        }
    }

    let mut fields = HeaderMap::new();
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            fields.append(name, value);
        }
    }
    let received = read_metadata(&fields);
    assert!(received.iter().all(|(name, _)| !is_reserved(name)), "a name of the protocol is metadata");
    let text = fields.iter().filter(|(name, _)| !is_reserved(name.as_str()) && !is_binary(name.as_str()));
    assert_eq!(received.iter().filter(|(name, _)| !is_binary(name)).count(), text.count());
    let on = write_metadata(&received).expect("what was read can be sent on");
    same_fields(&read_metadata(&on), &received.iter().collect::<Vec<_>>());
}

/// The values of each name, in their order: fields of different names may change places.
fn same_fields(received: &Headers, sent: &[(&str, &[u8])]) {
    assert_eq!(received.len(), sent.len());
    for (name, _) in received.iter() {
        let got = received.iter().filter(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let given = sent.iter().filter(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
        assert!(got.eq(given), "{name:?} has other values");
    }
}

fn is_binary(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("-bin")
}

/// The names that gRPC's documents and HTTP/2 keep for themselves.
fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    let name = name.to_ascii_lowercase();
    name.starts_with("grpc-") || name.starts_with(':') || NAMES.contains(&&*name)
}

/// An outcome that is sent: a code, its details up to the first 0xff, its message behind. It arrives as it was, if it is
/// not too long. And the same as trailers that somebody else wrote: what is read of them can be sent on.
pub(crate) fn status(data: &[u8]) {
    let Some((code, rest)) = data.split_first() else { return };
    let (details, text) = rest.split_at(rest.iter().position(|&it| it == 0xff).unwrap_or(rest.len()));
    let text = text.get(1..).unwrap_or_default();
    let message = String::from_utf8_lossy(text).into_owned();
    let status = Status {
        details: Bytes::copy_from_slice(details),
        ..Status::new(Code(u32::from(*code).max(1)), message)
    };
    there_and_back(&status);
    assert_eq!(read_status(&write_status(Ok(()))), Some(Ok(())));

    let mut fields = HeaderMap::new();
    for (name, value) in
        [("grpc-status", &data[..1]), ("grpc-message", text), ("grpc-status-details-bin", details)]
    {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            fields.insert(HeaderName::from_static(name), value);
        }
    }
    match read_status(&fields) {
        None => assert!(!fields.contains_key("grpc-status")),
        Some(Ok(())) => assert_eq!(&data[..1], b"0"),
        Some(Err(status)) => {
            assert!(status.code != Code::OK, "success that failed");
            // Each byte that is not UTF-8 becomes a letter of three.
            assert!(status.message.len() <= 3 * text.len() && status.details.len() <= details.len());
            there_and_back(&status);
        }
    }
}

fn there_and_back(status: &Status) {
    let received = match read_status(&write_status(Err(status))) {
        Some(Err(received)) => received,
        other => panic!("a failure arrives as {other:?}"),
    };
    assert_eq!(received.code, status.code);
    assert!(status.message.starts_with(&received.message));
    assert!(status.message.len() > WHOLE_MESSAGE || received.message == status.message, "the message is cut");
    let whole = status.details.len() <= WHOLE_DETAILS;
    assert_eq!(received.details, if whole { status.details.clone() } else { Bytes::new() });
}

/// A timeout in nanoseconds, and a text that may be one. None arrives shorter than it was, or much longer.
pub(crate) fn timeout(data: &[u8]) {
    if let Some((nanoseconds, _)) = data.split_first_chunk() {
        let given = Duration::from_nanos(u64::from_le_bytes(*nanoseconds));
        let text = write_timeout(given);
        assert!((2..=9).contains(&text.len()), "{text}");
        let read = read_timeout(&text).expect("our own timeout");
        // Six digits, of which a coarser unit leaves enough for a thousandth; more than 64 bits of nanoseconds is as much.
        let slack = given / 1000 + Duration::from_nanos(1);
        assert!(given <= read && read - given <= slack, "{text}");
        assert_eq!(write_timeout(read), text, "it grows on the way");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(read) = read_timeout(text) else { return };
    assert!(text.is_ascii() && (2..=9).contains(&text.len()), "{text} is no timeout");
    let again = read_timeout(&write_timeout(read)).expect("our own timeout");
    assert!(read <= again, "{text} gets shorter on the way");
}
