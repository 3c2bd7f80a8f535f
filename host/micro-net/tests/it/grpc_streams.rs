//! Streams over gRPC, client and server.

use crate::support::{PATIENCE, Server, soon};
use bytes::Bytes;
use futures::future::join_all;
use micro_core::Headers;
use micro_net::grpc::{CallError, ChannelConfig, Channels, Code, Codec, Opening, Receiving, Sending, Unsent};
use micro_net::wire::Limits;
use std::time::Duration;

/// Windows of a stream on both sides, what is on its way to them, and what buffers between them hold: what a sender can
/// be ahead of a reader that does not read.
const AHEAD: usize = 2 << 20;

fn channels() -> Channels {
    Channels::new(ChannelConfig::default())
}

async fn open(channels: &Channels, server: &Server, what: &str) -> (Sending, Receiving) {
    let metadata: Headers = [("do", what), ("x-text", "a b")].into_iter().collect();
    let opening = Opening { path: "/a.B/C", codec: Codec::Proto, metadata: &metadata, timeout: None };
    let opened = soon(channels.open_stream(&server.address(), &opening, PATIENCE)).await;
    opened.expect("opens")
}

async fn next(receiving: &mut Receiving) -> Result<Option<Bytes>, CallError> {
    soon(receiving.next()).await
}

fn status(outcome: Result<Option<Bytes>, CallError>) -> (Code, String) {
    match outcome {
        Err(CallError::Status(status)) => (status.code, status.message),
        other => panic!("no status: {other:?}"),
    }
}

#[tokio::test]
async fn messages_go_both_ways_until_the_caller_ends() {
    let (server, channels) = (Server::start().await, channels());
    let (mut sending, mut receiving) = open(&channels, &server, "stream-echo").await;
    // Before anything was sent there is a head, which some clients wait for.
    soon(receiving.head()).await;
    assert_eq!(receiving.metadata().iter_str().collect::<Vec<_>>(), [("x-text", "a b")]);
    assert_eq!(receiving.content_type(), "application/grpc+proto");
    for message in ["one", "", &"long ".repeat(100_000)] {
        soon(sending.send(message.as_bytes())).await.expect("taken");
        assert_eq!(next(&mut receiving).await.expect("a message").expect("not the end"), message);
    }
    sending.end();
    assert_eq!(next(&mut receiving).await.expect("a good end"), None);
    assert_eq!(receiving.metadata().get("x-end"), Some("over"));
    assert_eq!(next(&mut receiving).await.expect("ended once"), None);
    assert_eq!(channels.open(), 1);
}

#[tokio::test]
async fn streams_end_with_a_status() {
    let (server, channels) = (Server::start().await, channels());
    let (mut sending, mut receiving) = open(&channels, &server, "stream-fail").await;
    for expected in ["1", "2"] {
        assert_eq!(next(&mut receiving).await.expect("a message").expect("not the end"), expected);
    }
    assert_eq!(status(next(&mut receiving).await), (Code::ABORTED, "after two".to_owned()));
    assert_eq!(next(&mut receiving).await.expect("told once"), None);
    // Who still sends hears that nobody listens.
    soon(sending.closed()).await;
    assert_eq!(soon(sending.send(&[0; 1 << 20])).await, Err(Unsent::Ended));
    let (_sending, mut receiving) = open(&channels, &server, "stream-refuse").await;
    assert_eq!(status(next(&mut receiving).await), (Code::NOT_FOUND, "before any".to_owned()));
    let (sending, mut receiving) = open(&channels, &server, "stream-none").await;
    sending.end();
    assert_eq!(next(&mut receiving).await.expect("a good end"), None);
    assert_eq!(channels.open(), 1, "none of that costs the connection");
}

#[tokio::test]
async fn who_does_not_read_holds_up_the_sender_and_nobody_else() {
    let (server, channels) = (Server::start().await, channels());
    // As many as are not read would fill a connection that had no room for all of its streams.
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(open(&channels, &server, "stream-flood").await);
    }
    let state = &server.echo.state;
    state.started.reach(100 * (64 << 10 >> 10)).await;
    // Another stream on the same connection has all the room it needs.
    let (_sending, mut reading) = open(&channels, &server, "stream-flood").await;
    for _ in 0..(4 * AHEAD) >> 10 {
        assert_eq!(next(&mut reading).await.expect("a message").expect("no end").len(), 1 << 10);
    }
    let made = state.started.get() << 10;
    assert!(made < 4 * AHEAD + 101 * AHEAD, "{made} bytes were made");
    assert_eq!(channels.open(), 1);
    // The other way round.
    let (mut sending, _receiving) = open(&channels, &server, "stream-wait").await;
    let mut sent = 0;
    let stuck = async {
        while sent < 4 * AHEAD {
            sending.send(&[0; 16 << 10]).await.expect("taken");
            sent += 16 << 10;
        }
    };
    let still = async {
        let (mut sending, mut receiving) = open(&channels, &server, "stream-echo").await;
        for _ in 0..200 {
            sending.send(b"x").await.expect("taken");
            assert_eq!(next(&mut receiving).await.expect("a message").expect("no end"), "x");
        }
    };
    tokio::select! {
        () = stuck => panic!("nobody read that"),
        () = still => {}
    }
    assert!(sent <= AHEAD, "{sent} bytes were sent");
    let dropped = state.dropped.get();
    drop((idle, sending, _receiving));
    state.dropped.reach(dropped + 101).await;
}

#[tokio::test]
async fn a_thousand_streams_at_a_time() {
    let (server, channels) = (Server::start().await, channels());
    let mut opened = join_all((0..1000).map(|_| open(&channels, &server, "stream-echo"))).await;
    for round in ["first", "second"] {
        let talk = opened.iter_mut().map(async |(sending, receiving)| {
            sending.send(round.as_bytes()).await.expect("taken");
            assert_eq!(next(receiving).await.expect("a message").expect("no end"), round);
        });
        soon(join_all(talk)).await;
    }
    // Calls have room beside them.
    let reply = soon(crate::h2_frames::call(&channels, &server.address(), &[], "x")).await;
    assert_eq!(reply.expect("an answer").message, "x");
    assert!((4..=16).contains(&channels.open()), "{}", channels.open());
    for (sending, receiving) in &mut opened {
        let ending = std::mem::replace(sending, open(&channels, &server, "stream-none").await.0);
        ending.end();
        assert_eq!(next(receiving).await.expect("a good end"), None);
    }
}

#[tokio::test]
async fn where_all_is_full_streams_wait_for_their_turn() {
    let server = Server::start().await;
    let channels = Channels::new(ChannelConfig { max_per_address: 1, ..ChannelConfig::default() });
    let mut opened = Vec::new();
    for _ in 0..256 {
        let (mut sending, mut receiving) = open(&channels, &server, "stream-echo").await;
        sending.send(b"x").await.expect("taken");
        next(&mut receiving).await.expect("a message");
        opened.push((sending, receiving));
    }
    let waiting = open(&channels, &server, "stream-echo");
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(early.is_err(), "one too many");
    opened.pop();
    let (sending, mut receiving) = waiting.await;
    sending.end();
    assert_eq!(next(&mut receiving).await.expect("a good end"), None);
}

#[tokio::test]
async fn a_dropped_stream_is_dropped_there_too() {
    let (server, channels) = (Server::start().await, channels());
    for what in ["stream-wait", "stream-echo", "stream-flood"] {
        let before = server.echo.state.dropped.get();
        let opened = open(&channels, &server, what).await;
        if what != "stream-echo" {
            let started = server.echo.state.started.get();
            server.echo.state.started.reach(started.max(1)).await;
        }
        drop(opened);
        server.echo.state.dropped.reach(before + 1).await;
        let (sending, mut receiving) = open(&channels, &server, what).await;
        sending.cancel();
        server.echo.state.dropped.reach(before + 2).await;
        let ended = async {
            while next(&mut receiving).await?.is_some() {}
            Ok(())
        };
        let error: CallError = soon(ended).await.expect_err("cancelled");
        assert!(matches!(error, CallError::Broken(_)), "{what}: {error}");
    }
    assert_eq!(channels.open(), 1);
}

#[tokio::test]
async fn streams_are_finished_when_the_server_stops_or_told_why_not() {
    let server = Server::with(Limits::default(), Duration::from_millis(300), |listener| listener).await;
    let channels = channels();
    let (mut finishing, mut finished) = open(&channels, &server, "stream-echo").await;
    let (_sending, mut left) = open(&channels, &server, "stream-wait").await;
    let (_other, mut unread) = open(&channels, &server, "stream-flood").await;
    finishing.send(b"x").await.expect("taken");
    next(&mut finished).await.expect("a message");
    server.echo.state.started.reach(3).await;
    server.stop.soon.cancel();
    finishing.send(b"late").await.expect("taken");
    assert_eq!(next(&mut finished).await.expect("a message").expect("no end"), "late");
    finishing.end();
    assert_eq!(next(&mut finished).await.expect("a good end"), None);
    assert_eq!(status(next(&mut left).await).0, Code::UNAVAILABLE);
    let ended = async {
        while next(&mut unread).await?.is_some() {}
        Ok::<_, CallError>(())
    };
    soon(ended).await.expect_err("not a good end");
    soon(server.task).await.expect("no panic");
}
