//! gRPC servers that are none, say too much, or go away.

use crate::h2_frames::*;
use crate::support::{Raw, soon};
use micro_net::grpc::{CallError, ChannelConfig, Channels, Reply};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const MAX_MESSAGE: usize = 1 << 20;

struct Peer {
    listener: TcpListener,
    address: String,
    channels: Channels,
}

impl Peer {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let channels = Channels::new(ChannelConfig { max_message: MAX_MESSAGE, ..ChannelConfig::default() });
        Self { listener, address, channels }
    }

    async fn accept(&self) -> Raw {
        Raw { tcp: soon(self.listener.accept()).await.expect("accepted").0 }
    }

    /// A connection on which a call has arrived, and its stream.
    async fn called(&self) -> (Raw, u32) {
        let mut raw = self.accept().await;
        raw.take_preface().await;
        let stream = raw.take_call().await.expect("a call");
        (raw, stream)
    }

    async fn call(&self) -> Result<Reply, CallError> {
        call(&self.channels, &self.address, &[], "request").await
    }
}

/// A good answer on a stream.
fn good(stream: u32) -> Vec<u8> {
    let trailers = fields(&[("grpc-status", "0")]);
    [
        frame(HEADERS, END_HEADERS, stream, &answer_fields()),
        frame(DATA, 0, stream, &prefixed(0, 2, b"ok")),
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &trailers),
    ]
    .concat()
}

#[tokio::test]
async fn answers_that_are_none() {
    let head = |stream| frame(HEADERS, END_HEADERS, stream, &answer_fields());
    let ok = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields(&[("grpc-status", "0")]));
    let data = |stream, flags, bytes: &[u8]| frame(DATA, flags, stream, bytes);
    let other = |status: &str, kind: &str| fields(&[(":status", status), ("content-type", kind)]);
    type Answer<'a> = Box<dyn Fn(u32) -> Vec<u8> + 'a>;
    let answers: [(&str, Answer<'_>); 11] = [
        (
            "without a grpc-status",
            Box::new(|s| [head(s), data(s, END_STREAM, &prefixed(0, 1, b"x"))].concat()),
        ),
        ("1073741824 bytes", Box::new(|s| [head(s), data(s, 0, &prefixed(0, 1 << 30, b"x"))].concat())),
        ("compressed", Box::new(|s| [head(s), data(s, 0, &prefixed(1, 1, b"x")), ok(s)].concat())),
        ("middle of a message", Box::new(|s| [head(s), data(s, 0, &prefixed(0, 9, b"x")), ok(s)].concat())),
        (
            "more than one message",
            Box::new(|s| [head(s), data(s, 0, &prefixed(0, 0, b"").repeat(2)), ok(s)].concat()),
        ),
        ("without a message", Box::new(|s| [head(s), ok(s)].concat())),
        (
            "without a message",
            Box::new(|s| {
                let block = [answer_fields(), fields(&[("grpc-status", "0")])].concat();
                frame(HEADERS, END_HEADERS | END_STREAM, s, &block)
            }),
        ),
        ("text/html", Box::new(|s| frame(HEADERS, END_HEADERS | END_STREAM, s, &other("200", "text/html")))),
        (
            "UNIMPLEMENTED: HTTP status 404",
            Box::new(|s| frame(HEADERS, END_HEADERS | END_STREAM, s, &other("404", "text/html"))),
        ),
        (
            "UNAVAILABLE: HTTP status 503 busy",
            Box::new(|s| {
                [frame(HEADERS, END_HEADERS, s, &other("503", "text/plain")), data(s, END_STREAM, b"busy")]
                    .concat()
            }),
        ),
        (
            "UNKNOWN",
            Box::new(|s| {
                let block = [answer_fields(), fields(&[("grpc-status", "many")])].concat();
                frame(HEADERS, END_HEADERS | END_STREAM, s, &block)
            }),
        ),
    ];
    for (expected, answer) in &answers {
        let peer = Peer::new().await;
        let serving = async {
            let (mut raw, stream) = peer.called().await;
            raw.send(answer(stream)).await;
            // The connection is as good as before.
            let stream = raw.take_call().await.expect("another call");
            raw.send(good(stream)).await;
            raw
        };
        let calling = async {
            let error = peer.call().await.expect_err(expected);
            assert!(error.to_string().contains(expected), "{expected}: {error}");
            assert!(!error.nothing_executed());
            assert_eq!(peer.call().await.expect("a good answer").message, "ok");
        };
        soon(async { tokio::join!(calling, serving) }).await;
    }
}

#[tokio::test]
async fn servers_of_other_kinds() {
    for greeting in [
        &b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\0\0\0\0\0\0\0\0\0",
        &[0xff; 64],
        b"",
    ] {
        let peer = Peer::new().await;
        let serving = async {
            loop {
                let mut raw = peer.accept().await;
                raw.send(greeting).await;
                // The client may be gone already.
                _ = raw.tcp.shutdown().await;
                raw.rest().await;
            }
        };
        let error = tokio::select! {
            outcome = soon(peer.call()) => outcome.expect_err("no gRPC"),
            () = serving => unreachable!("it goes on for ever"),
        };
        assert!(matches!(error, CallError::Mute(_) | CallError::NotTaken(_)), "{greeting:?}: {error}");
    }
}

/// What a client makes of a server that answers a call with `start`, then `more` over and over.
async fn endless(start: impl Fn(u32) -> Vec<u8>, more: impl Fn(u32) -> Vec<u8>) -> CallError {
    /// More than any limit, and still an end: a client without one fails the test instead of filling the memory.
    const PLENTY: usize = 8 << 20;
    let peer = Peer::new().await;
    let serving = async {
        let (mut raw, stream) = peer.called().await;
        raw.send(start(stream)).await;
        let more = more(stream);
        let block = more.repeat((64 << 10) / more.len() + 1);
        let mut sent = 0;
        // Ends when the client hangs up, or resets the stream and reads on.
        while sent < PLENTY && raw.tcp.write_all(&block).await.is_ok() {
            sent += block.len();
        }
        drop(raw);
        sent
    };
    let (error, sent) =
        soon(async { tokio::join!(async { peer.call().await.expect_err("no end") }, serving) }).await;
    assert!(sent <= PLENTY + (128 << 10));
    error
}

#[tokio::test]
async fn nothing_goes_on_for_ever() {
    let head = |stream| frame(HEADERS, END_HEADERS, stream, &answer_fields());
    let begun = |stream| frame(HEADERS, 0, stream, &answer_fields());
    let field = fields(&[("x-more", "and more")]);
    endless(begun, |stream| frame(CONTINUATION, 0, stream, &field)).await;
    endless(begun, |stream| frame(CONTINUATION, 0, stream, &[])).await;
    endless(head, |stream| frame(DATA, 0, stream, &prefixed(0, 0, b""))).await;
}

#[tokio::test]
async fn what_was_not_looked_at_is_sent_again() {
    let goaway = |last: u32| frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat());
    let refuse = |stream| frame(RST_STREAM, 0, stream, &REFUSED_STREAM.to_be_bytes());
    for refusal in [Box::new(move |_| goaway(0)) as Box<dyn Fn(u32) -> Vec<u8>>, Box::new(refuse)] {
        let peer = Peer::new().await;
        let serving = async {
            let (mut first, stream) = peer.called().await;
            first.send(refusal(stream)).await;
            // On this connection if it may stay, else on another.
            let again = async { (None, first.take_call().await) };
            let (new, stream) = tokio::select! {
                (new, Some(stream)) = again => (new, stream),
                (raw, stream) = peer.called() => (Some(raw), stream),
            };
            let mut raw = new.unwrap_or(first);
            raw.send(good(stream)).await;
            raw
        };
        let (reply, _raw) = soon(async { tokio::join!(peer.call(), serving) }).await;
        assert_eq!(reply.expect("an answer").message, "ok");
    }
    // Not for ever.
    let Peer { listener, address, channels } = Peer::new().await;
    let serving = async {
        let mut raw = Raw { tcp: listener.accept().await.expect("accepted").0 };
        raw.take_preface().await;
        let mut calls = 0;
        while let Some(stream) = raw.take_call().await {
            calls += 1;
            raw.send(refuse(stream)).await;
        }
        calls
    };
    let calling = async {
        let error = call(&channels, &address, &[], "request").await.expect_err("refused");
        assert!(error.nothing_executed(), "{error}");
        drop(channels);
    };
    let (calls, ()) = soon(async { tokio::join!(serving, calling) }).await;
    assert_eq!(calls, 3);
}

#[tokio::test]
async fn what_may_have_been_executed_is_not_sent_again() {
    let cancel = |stream| frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
    let goaway = |last: u32| frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat());
    for ending in
        [Box::new(cancel) as Box<dyn Fn(u32) -> Vec<u8>>, Box::new(goaway), Box::new(|_| Vec::new())]
    {
        let peer = Peer::new().await;
        let serving = async {
            let (mut raw, stream) = peer.called().await;
            raw.send(ending(stream)).await;
            _ = raw.tcp.shutdown().await;
            raw.rest().await;
        };
        let calling = async { peer.call().await.expect_err("no answer") };
        let (error, ()) = soon(async { tokio::join!(calling, serving) }).await;
        assert!(matches!(error, CallError::Broken(_) | CallError::Mute(_)), "{error}");
        assert!(!error.nothing_executed());
    }
}

#[tokio::test]
async fn a_connection_that_leads_nowhere_gets_no_second_call() {
    let peer = Peer::new().await;
    let serving = async {
        // Takes the call, and never says anything again.
        let (silent, _) = peer.called().await;
        let (mut raw, stream) = peer.called().await;
        raw.send(good(stream)).await;
        (silent, raw)
    };
    let calling = async {
        // Giving up at once says nothing of the connection.
        for patience in [50, 1100] {
            let waited = tokio::time::timeout(Duration::from_millis(patience), peer.call()).await;
            assert!(waited.is_err(), "nobody answers");
        }
        peer.call().await
    };
    let (reply, _raw) = soon(async { tokio::join!(calling, serving) }).await;
    assert_eq!(reply.expect("an answer").message, "ok");
}
