//! gRPC clients that say too much, too little, or go away. Afterwards the port serves others as before.

use crate::h2_frames::*;
use crate::support::{PATIENCE, Raw, Server, soon};
use bytes::Bytes;
use micro_net::grpc::{ChannelConfig, Channels};
use micro_net::wire::Limits;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const SHORT: Duration = Duration::from_millis(100);

async fn still_serves(server: &Server) {
    let channels = Channels::new(ChannelConfig::default());
    let reply = soon(call(&channels, &server.address(), &[], "x")).await;
    assert_eq!(reply.expect("an answer").message, "x");
}

/// Writes over and over until the server hangs up; false if it never does.
async fn flood(raw: &mut Raw, block: &[u8]) -> bool {
    const PLENTY: usize = 64 << 20;
    let mut sent = 0;
    soon(async {
        while sent < PLENTY {
            if raw.tcp.write_all(block).await.is_err() {
                return true;
            }
            sent += block.len();
        }
        false
    })
    .await
}

#[tokio::test]
async fn bytes_that_are_no_http_2() {
    let server = Server::start().await;
    for bytes in [
        frame(SETTINGS, 0, 1, &[]),
        frame(SETTINGS, 0, 0, &[1, 2, 3]),
        frame(HEADERS, END_HEADERS, 0, &call_fields()),
        frame(HEADERS, END_HEADERS, 2, &call_fields()),
        frame(HEADERS, END_HEADERS, 1, &[0xff; 40]),
        frame(DATA, END_STREAM, 1, b"x"),
        frame(CONTINUATION, END_HEADERS, 1, &call_fields()),
        frame(PING, 0, 0, b"short"),
        vec![0xff; 200],
    ] {
        let mut raw = server.connect().await;
        raw.greet(&[]).await;
        raw.send(&bytes).await;
        assert!(raw.frame_of(GOAWAY).await.is_some() || raw.frame().await.is_none(), "{bytes:?}");
        raw.rest().await;
    }
    still_serves(&server).await;
}

#[tokio::test]
async fn header_fields_without_end() {
    let server = Server::start().await;
    for block in [fields(&[("x-more", "and more")]), Vec::new()] {
        let mut raw = server.connect().await;
        raw.greet(&[]).await;
        raw.send(frame(HEADERS, 0, 1, &call_fields())).await;
        let more = frame(CONTINUATION, 0, 1, &block).repeat(1000);
        assert!(flood(&mut raw, &more).await, "{} bytes a frame", block.len());
    }
    assert_eq!(server.echo.state.started.get(), 0);
    still_serves(&server).await;
}

#[tokio::test]
async fn calls_that_are_reset_as_fast_as_they_are_made() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.greet(&[]).await;
    let calls: Vec<u8> = (0..20_000u32)
        .flat_map(|n| {
            let stream = 2 * n + 1;
            let reset = frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
            [frame(HEADERS, END_HEADERS, stream, &call_fields()), reset].concat()
        })
        .collect();
    // The server may hang up before all is written.
    _ = soon(raw.tcp.write_all(&calls)).await;
    // What the client still writes may make the kernel throw that away.
    if let Some((_, _, _, goaway)) = raw.frame_of(GOAWAY).await {
        const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];
        assert_eq!(goaway[4..8], ENHANCE_YOUR_CALM);
    }
    raw.rest().await;
    assert_eq!(server.echo.state.started.get(), 0);
    still_serves(&server).await;
}

/// A client of a library, whose calls say what no library for gRPC would.
async fn client(server: &Server, window: u32) -> h2::client::SendRequest<Bytes> {
    let tcp = crate::support::connect(server.addr).await;
    let mut builder = h2::client::Builder::new();
    let (requests, connection) =
        builder.initial_window_size(window).handshake(tcp).await.expect("HTTP/2 settings");
    // Ends with the client.
    tokio::spawn(connection);
    requests.ready().await.expect("room")
}

fn request() -> http::Request<()> {
    let request = http::Request::post("http://a/a.B/C").header("content-type", "application/grpc");
    request.body(()).expect("a request")
}

#[tokio::test]
async fn messages_that_lie_about_their_length() {
    let limits = Limits { max_body: 1 << 20, body_timeout: Some(SHORT), ..Limits::default() };
    let server = Server::with(limits, PATIENCE, |listener| listener).await;
    // Answered long before anything of that size has arrived.
    for (message, end, code) in [
        (prefixed(0, 1 << 30, b"x"), false, "8"),
        (prefixed(0, u32::MAX, b""), false, "8"),
        (prefixed(1, 1, b"x"), true, "12"),
        (prefixed(0, 5, b"x"), true, "13"),
        (prefixed(0, 5, b"x"), false, "4"),
        (prefixed(0, 0, b"").repeat(2), true, "12"),
        (Vec::new(), true, "12"),
        (Vec::new(), false, "4"),
    ] {
        let mut requests = client(&server, 1 << 16).await;
        let (answer, mut stream) = requests.send_request(request(), false).expect("sent");
        stream.send_data(message.clone().into(), end).expect("sent");
        let answer = soon(answer).await.expect("an answer");
        assert_eq!(answer.headers()["grpc-status"], code, "{message:?}");
    }
    assert_eq!(server.echo.state.finished.get(), 0);
    still_serves(&server).await;
}

#[tokio::test]
async fn a_connection_full_of_unfinished_messages() {
    let limits = Limits { max_body: 1 << 20, ..Limits::default() };
    let server = Server::with(limits, PATIENCE, |listener| listener).await;
    let mut requests = client(&server, 1 << 16).await;
    let mut begun = Vec::new();
    for _ in 0..4 {
        let (answer, mut stream) = requests.send_request(request(), false).expect("sent");
        stream.send_data(prefixed(0, 1 << 20, &vec![b'x'; 900 << 10]).into(), false).expect("queued");
        begun.push((answer, stream));
        requests = requests.ready().await.expect("room");
    }
    let answers = begun.into_iter().map(|(answer, stream)| {
        Box::pin(async move {
            let code = answer.await.expect("an answer").headers()["grpc-status"].clone();
            drop(stream);
            code
        })
    });
    // Two fit; the first of the others is told so.
    let (code, _, _) = soon(futures::future::select_all(answers)).await;
    assert_eq!(code, "8");
    still_serves(&server).await;
}

#[tokio::test]
async fn answers_that_are_not_taken() {
    let limits = Limits { write_timeout: Some(SHORT), ..Limits::default() };
    let server = Server::with(limits, PATIENCE, |listener| listener).await;
    let mut requests = client(&server, 1).await;
    let (answer, mut stream) = requests.send_request(request(), false).expect("sent");
    stream.send_data(prefixed(0, 64 << 10, &vec![b'x'; 64 << 10]).into(), true).expect("sent");
    let mut body = soon(answer).await.expect("a head").into_body();
    let ending = async {
        loop {
            match body.data().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
                None => panic!("all of it was taken"),
            }
        }
    };
    let error = soon(ending).await;
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{error}");
    still_serves(&server).await;
}

#[tokio::test]
async fn connections_on_which_nothing_happens() {
    let limits = Limits { head_timeout: Some(SHORT), idle_timeout: Some(SHORT), ..Limits::default() };
    let server = Server::with(limits, PATIENCE, |listener| listener).await;
    let mut raw = server.connect().await;
    raw.greet(&[]).await;
    assert!(raw.frame_of(GOAWAY).await.is_some(), "idle connections are closed");
    raw.rest().await;
    // A call that does not begin is no call.
    let mut raw = server.connect().await;
    raw.greet(&[]).await;
    raw.send(frame(HEADERS, 0, 1, &call_fields())).await;
    assert!(raw.frame_of(GOAWAY).await.is_some());
    raw.rest().await;
    let mut raw = server.connect().await;
    raw.send(&PREFACE[..20]).await;
    raw.rest().await;
    still_serves(&server).await;
}

#[tokio::test]
async fn pings_without_end_hold_up_nobody_else() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.greet(&[]).await;
    let pings = frame(PING, 0, 0, b"01234567").repeat(1000);
    // The answers are not read, so at some point no more pings are either.
    let stuck = async { while raw.tcp.write_all(&pings).await.is_ok() {} };
    tokio::select! {
        () = stuck => {}
        () = still_serves(&server) => {}
    }
    still_serves(&server).await;
}

fn stream_request(what: &str) -> http::Request<()> {
    let request = http::Request::post("http://a/a.B/C").header("content-type", "application/grpc");
    request.header("do", what).body(()).expect("a request")
}

#[tokio::test]
async fn streams_that_are_not_read_end_when_patience_does() {
    let limits = Limits { idle_timeout: Some(SHORT), ..Limits::default() };
    let server = Server::with(limits, PATIENCE, |listener| listener).await;
    let mut requests = client(&server, 1).await;
    let (answer, stream) = requests.send_request(stream_request("stream-flood"), false).expect("sent");
    let mut body = soon(answer).await.expect("a head").into_body();
    // One byte is taken, and no more.
    server.echo.state.dropped.reach(1).await;
    let ending = async {
        loop {
            match body.data().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
                None => panic!("it ended well"),
            }
        }
    };
    assert_eq!(soon(ending).await.reason(), Some(h2::Reason::CANCEL));
    assert!(server.echo.state.started.get() < 1024, "{} messages were made", server.echo.state.started.get());
    drop(stream);
    still_serves(&server).await;
}

#[tokio::test]
async fn streams_that_go_wrong_in_the_middle() {
    let limits = Limits { max_body: 1 << 20, body_timeout: Some(SHORT), ..Limits::default() };
    let server = Server::with(limits, PATIENCE, |listener| listener).await;
    for (message, end, code) in [
        (prefixed(1, 1, b"x"), false, "12"),
        (prefixed(0, 1 << 30, b"x"), false, "8"),
        (prefixed(0, 5, b"x"), true, "13"),
        (prefixed(0, 5, b"x"), false, "4"),
    ] {
        let mut requests = client(&server, 1 << 16).await;
        let (answer, mut stream) = requests.send_request(stream_request("stream-echo"), false).expect("sent");
        stream.send_data(prefixed(0, 2, b"ok").into(), false).expect("sent");
        let mut body = soon(answer).await.expect("a head").into_body();
        assert_eq!(soon(body.data()).await.expect("a message").expect("whole"), prefixed(0, 2, b"ok"));
        stream.send_data(message.clone().into(), end).expect("sent");
        assert!(soon(body.data()).await.is_none(), "{message:?}");
        let trailers = soon(body.trailers()).await.expect("an end").expect("trailers");
        assert_eq!(trailers["grpc-status"], code, "{message:?}");
    }
    server.echo.state.dropped.reach(4).await;
    still_serves(&server).await;
}

#[tokio::test]
async fn frames_that_are_smaller_than_what_they_cost() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.greet(&[]).await;
    let mut head = call_fields();
    head.extend(fields(&[("do", "stream-wait")]));
    // Each stream may hold some, until all together are too many.
    let frames = |stream| frame(DATA, 0, stream, b"x").repeat(60 << 10);
    let flooding = async {
        for stream in (1..512).step_by(2) {
            let opened = frame(HEADERS, END_HEADERS, stream, &head);
            if raw.tcp.write_all(&[opened, frames(stream)].concat()).await.is_err() {
                return;
            }
        }
        panic!("all of it was taken");
    };
    soon(flooding).await;
    still_serves(&server).await;
}
