//! Calls over gRPC, client and server.

use crate::h2_frames::call;
use crate::support::{PATIENCE, Server, soon};
use bytes::Bytes;
use futures::future::join_all;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use micro_core::Headers;
use micro_net::grpc::{Call, CallError, ChannelConfig, Channels, Code, Codec};
use micro_net::tls::{ClientTls, ServerTls, client_config, server_config};
use micro_net::wire::{Limits, Pool, PoolConfig};
use micro_net::{Dialer, EgressPolicy, StaticResolver};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

fn channels() -> Channels {
    Channels::new(ChannelConfig::default())
}

fn status_of(error: CallError) -> Code {
    match error {
        CallError::Status(status) => status.code,
        other => panic!("no status: {other}"),
    }
}

#[tokio::test]
async fn many_calls_share_a_connection() {
    let (server, channels) = (Server::start().await, channels());
    let address = server.address();
    for _ in 0..2 {
        let calls = (0..100).map(|n| call(&channels, &address, &[], format!("message {n}")));
        for (n, reply) in soon(join_all(calls)).await.into_iter().enumerate() {
            let reply = reply.expect("an answer");
            assert_eq!(reply.message, format!("message {n}"));
            assert_eq!(reply.content_type, "application/grpc+proto");
        }
    }
    assert_eq!(channels.open(), 1);
    // Messages over HTTP/1.1 are answered on the same port.
    let pool = Pool::new(PoolConfig::default());
    let answer = pool.exchange(&address, &crate::support::message(&[], "x"), PATIENCE).await;
    assert_eq!(answer.expect("an answer").body, "x");
    drop((channels, pool));
    server.stopped().await;
}

#[tokio::test]
async fn a_second_connection_where_the_first_is_full() {
    let (server, channels) = (Server::start().await, channels());
    let address = server.address();
    let waiting: Vec<_> =
        (0..300).map(|_| Box::pin(call(&channels, &address, &[("do", "wait")], "x"))).collect();
    let waiting = join_all(waiting);
    let watching = async {
        server.echo.state.started.reach(300).await;
        let open = channels.open();
        server.echo.state.release.notify_waiters();
        open
    };
    let (replies, open) = soon(async { tokio::join!(waiting, watching) }).await;
    assert!(replies.iter().all(Result::is_ok));
    assert!((2..=4).contains(&open), "{open}");
}

#[tokio::test]
async fn metadata_and_statuses_arrive_as_they_were_sent() {
    let (server, channels) = (Server::start().await, channels());
    let address = server.address();
    let metadata = [("X-Text", "a b"), ("x-text", "c"), ("x-data-bin", "\0\u{1}ä"), ("other", "y")];
    let reply = call(&channels, &address, &metadata, "").await.expect("an answer");
    let echoed: Vec<_> = reply.metadata.iter_str().collect();
    assert_eq!(echoed, [("x-text", "a b"), ("x-text", "c"), ("x-data-bin", "\0\u{1}ä")]);
    let Err(CallError::Status(status)) = call(&channels, &address, &[("do", "fail")], "x").await else {
        panic!("no status")
    };
    assert_eq!((status.code, &*status.message), (Code::NOT_FOUND, "größer\nas asked"));
    let error = call(&channels, &address, &[("do", "inject")], "x").await.expect_err("unsendable");
    assert_eq!(status_of(error), Code::INTERNAL);
    let error = call(&channels, &address, &[("bad name", "x")], "x").await.expect_err("unsendable");
    assert!(error.is_unsendable() && error.to_string().contains("bad name"), "{error}");
    let path = call(&channels, &address, &[("do", "path")], "x").await.expect("an answer");
    assert_eq!(path.message, "/a.B/C");
    assert_eq!(channels.open(), 1, "none of that costs the connection");
}

#[tokio::test]
async fn the_callee_knows_the_deadline() {
    let (server, channels) = (Server::start().await, channels());
    let metadata: Headers = [("do", "deadline")].into_iter().collect();
    let message = Bytes::from_static(b"x");
    for (timeout, expected) in [(None, "false"), (Some(Duration::from_secs(3)), "true")] {
        let call =
            Call { path: "/a.B/C", codec: Codec::Json, metadata: &metadata, timeout, message: &message };
        let reply = channels.call(&server.address(), &call, PATIENCE).await.expect("an answer");
        assert_eq!((&*reply.message, &*reply.content_type), (expected.as_bytes(), "application/grpc+json"));
    }
    for path in ["", "a.B/C", "/a b", "/a?b", "http://x/y"] {
        let call = Call { path, codec: Codec::Proto, metadata: &metadata, timeout: None, message: &message };
        let error = channels.call(&server.address(), &call, PATIENCE).await.expect_err("no path");
        assert!(error.is_unsendable(), "{path}: {error}");
    }
}

#[tokio::test]
async fn a_dropped_call_is_dropped_there_too() {
    let (server, channels) = (Server::start().await, channels());
    let address = server.address();
    let mut waiting = Box::pin(call(&channels, &address, &[("do", "wait")], "x"));
    tokio::select! {
        _ = &mut waiting => panic!("it was to wait"),
        () = server.echo.state.started.reach(1) => {}
    }
    drop(waiting);
    server.echo.state.dropped.reach(1).await;
    assert_eq!(call(&channels, &address, &[], "y").await.expect("an answer").message, "y");
    // A panic costs its call, and nothing else.
    let error = call(&channels, &address, &[("do", "panic")], "x").await.expect_err("no answer");
    assert!(!error.nothing_executed(), "{error}");
    assert_eq!(call(&channels, &address, &[], "z").await.expect("an answer").message, "z");
}

#[tokio::test]
async fn large_messages_pass_and_larger_ones_are_refused() {
    let limits = Limits { max_body: 8 << 20, ..Limits::default() };
    let server = Server::with(limits, PATIENCE, |listener| listener).await;
    let address = server.address();
    let channels = Channels::new(ChannelConfig { max_message: 4 << 20, ..ChannelConfig::default() });
    let message = |mib: usize| Bytes::from(vec![b'x'; mib << 20]);
    for mib in [0, 1, 4] {
        let reply = soon(call(&channels, &address, &[], message(mib))).await.expect("an answer");
        assert_eq!(reply.message, message(mib), "{mib} MiB");
    }
    let error = soon(call(&channels, &address, &[], message(5))).await.expect_err("too large an answer");
    assert!(matches!(error, CallError::Malformed(_)), "{error}");
    let error = soon(call(&channels, &address, &[], message(9))).await.expect_err("too large a request");
    assert_eq!(status_of(error), Code::RESOURCE_EXHAUSTED);
    assert_eq!(call(&channels, &address, &[], "x").await.expect("still there").message, "x");
}

#[tokio::test]
async fn calls_in_flight_are_finished_when_the_server_stops() {
    let (server, channels) = (Server::start().await, channels());
    let address = server.address();
    // Callers that are idle do not keep it.
    let idle = self::channels();
    call(&idle, &address, &[], "x").await.expect("an answer");
    let waiting = call(&channels, &address, &[("do", "wait")], "x");
    let stopping = async {
        server.echo.state.started.reach(2).await;
        server.stop.soon.cancel();
        // The port is free as soon as no new connection is taken.
        while TcpStream::connect(server.addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
        let late = call(&channels, &address, &[], "late").await.expect_err("nobody there");
        assert!(late.nothing_executed(), "{late}");
        server.echo.state.release.notify_waiters();
    };
    let (reply, ()) = soon(async { tokio::join!(waiting, stopping) }).await;
    assert_eq!(reply.expect("an answer").message, "x");
    soon(server.task).await.expect("ends long before the grace period");
}

#[tokio::test]
async fn callers_that_wait_for_one_connection_fail_together() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let channels = channels();
    let errors = soon(join_all((0..50).map(|_| call(&channels, &address, &[], "x")))).await;
    for error in errors {
        assert!(error.expect_err("nobody there").nothing_executed());
    }
    let error = call(&channels, "nowhere", &[], "x").await.expect_err("no address");
    assert!(error.nothing_executed() && error.to_string().contains("host:port"), "{error}");
}

#[tokio::test]
async fn tls_settles_on_http_2() {
    let authority = crate::tls::Authority::new("authority");
    let tls = ServerTls { identity: authority.identity("server.test"), client_roots: None };
    let config = server_config(&tls, &["h2", "http/1.1"]).expect("good files");
    let server = Server::with(Limits::default(), PATIENCE, |listener| listener.with_tls(config)).await;
    let names = StaticResolver::new().with("server.test", [server.addr.ip()]);
    let dialer = Dialer::new(EgressPolicy::unrestricted()).with_resolver(Arc::new(names));
    let tls = ClientTls { roots: Some(authority.roots()), ..ClientTls::default() };
    let tls = Some(client_config(&tls, &[]).expect("good files"));
    let channels = Channels::new(ChannelConfig { dialer, tls, ..ChannelConfig::default() });
    let address = format!("server.test:{}", server.addr.port());
    let reply = soon(call(&channels, &address, &[], "secret")).await.expect("an answer");
    assert_eq!(reply.message, "secret");
    let plain = self::channels();
    let error = soon(call(&plain, &server.address(), &[], "x")).await.expect_err("no TLS");
    assert!(matches!(error, CallError::Mute(_) | CallError::NotTaken(_)), "{error}");
}

#[tokio::test]
async fn what_is_no_call_is_refused_in_its_own_language() {
    let server = Server::start().await;
    let tcp = TcpStream::connect(server.addr).await.expect("connects");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp));
    let (mut sender, connection) = handshake.await.expect("HTTP/2 settings");
    tokio::spawn(connection);
    for (method, content_type, status) in [
        ("POST", "application/json", 415),
        ("POST", "application/grpc-web", 415),
        ("POST", "", 415),
        ("GET", "application/grpc", 405),
    ] {
        let request = http::Request::builder().method(method).uri("http://a/a.B/C");
        let request = request.header("content-type", content_type).body(Empty::<Bytes>::new());
        let response = soon(sender.send_request(request.expect("a request"))).await.expect("an answer");
        assert_eq!(response.status(), status, "{method} {content_type}");
    }
    for (codec, name, value, status) in [
        ("", "grpc-encoding", "gzip", "12"),
        ("", "grpc-timeout", "1 second", "3"),
        ("", "te", "trailers", "12"),
        ("+bytes", "te", "trailers", "12"),
        ("+", "te", "trailers", "12"),
    ] {
        let content_type = format!("application/grpc{codec}");
        let request = http::Request::post("http://a/a.B/C").header("content-type", &content_type);
        let request = request.header(name, value).body(Empty::<Bytes>::new());
        let response = soon(sender.send_request(request.expect("a request"))).await.expect("an answer");
        assert_eq!(response.status(), 200, "{content_type} {name}");
        assert_eq!(response.headers()["grpc-status"], status, "{content_type} {name}");
        if !codec.is_empty() {
            let text = response.headers()["grpc-message"].to_str().expect("a text");
            assert!(text.contains(&content_type) && text.contains("application/grpc+proto"), "{text}");
        }
    }
    drop(sender);
    server.stopped().await;
}
