//! Clients that break the rules, or take their time.

use crate::support::{Backend, Gateway, PATIENCE, Raw, World, soon};
use axum::Router;
use axum::routing::any;
use micro_gateway::{ApiBuilder, HandlerKind};
use micro_net::http_server::{HttpLimits, serve_http};
use micro_net::{Listener, Stop};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// What a client gets for each step.
const LIMIT: Duration = Duration::from_millis(400);
/// How much later than that it may end.
const SLACK: Duration = Duration::from_secs(1);

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

async fn strict(api: ApiBuilder, tune: impl FnOnce(Listener) -> Listener) -> Gateway {
    let limits = HttpLimits { head_timeout: LIMIT, write_timeout: LIMIT, ..HttpLimits::default() };
    Gateway::with(api.body_timeout(LIMIT), limits, PATIENCE, tune).await
}

/// The gateway with a service `shop` behind it.
async fn shop() -> (Gateway, Backend) {
    let backend = Backend::start(HELLO).await;
    let world = World::new();
    world.service("shop", &[backend.address]).await;
    (strict(world.api().handler(HandlerKind::Web), |listener| listener).await, backend)
}

/// Sends a byte now and then until the gateway closes; how long that took, and what it said.
async fn drip(mut raw: Raw, start: &str, drop: &'static str) -> (Duration, String) {
    raw.send(start).await;
    let begun = Instant::now();
    let (mut read, mut write) = raw.tcp.into_split();
    let dripping = tokio::spawn(async move {
        while write.write_all(drop.as_bytes()).await.is_ok() {
            tokio::time::sleep(LIMIT / 8).await;
        }
        write
    });
    let mut answer = Vec::new();
    let _ = soon(tokio::io::AsyncReadExt::read_to_end(&mut read, &mut answer)).await;
    let took = begun.elapsed();
    dripping.abort();
    (took, String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn slow_heads_and_bodies_end_in_time() {
    let (gateway, backend) = shop().await;
    let post = |path: &str, framing: &str| format!("POST {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
    for (start, drop, status) in [
        ("".to_owned(), "", ""),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: ".to_owned(), "x", ""),
        ("GET / HTTP/1.1\r\n".to_owned(), "X: x\r\n", ""),
        ("\r\n\r\n".to_owned(), "\r\n", ""),
        (post("/shop", "Content-Length: 100"), "", "408"),
        (post("/shop", "Transfer-Encoding: chunked"), "", "408"),
    ] {
        let (took, answer) = drip(gateway.connect().await, &start, drop).await;
        assert!(took < LIMIT + SLACK, "{start:?}: {took:?}");
        assert_eq!(answer.split(' ').nth(1).unwrap_or_default(), status, "{start:?}: {answer}");
    }
    assert!(backend.requests().is_empty());
    gateway.stopped().await;

    // A body that is read as a whole has to come at some speed.
    let world = World::new();
    let gateway = strict(world.api().handler(HandlerKind::Rpc), |listener| listener).await;
    for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let (took, answer) = drip(gateway.connect().await, &post("/shop/a", framing), "1\r\nx\r\n").await;
        assert!(took < LIMIT + SLACK && answer.starts_with("HTTP/1.1 408 "), "{framing}: {took:?} {answer}");
    }
    gateway.stopped().await;
}

#[tokio::test]
async fn clients_that_take_nothing_are_dropped() {
    let large = Router::new().fallback(any(async || vec![b'x'; 64 << 20]));
    let listener = Listener::bind("127.0.0.1:0").await.expect("a free port");
    let (address, stop) = (listener.local_addr(), Stop::new());
    let serving = tokio::spawn(serve_http(listener, large, HttpLimits::default(), stop.clone(), PATIENCE));
    let world = World::new();
    world.service("shop", &[address]).await;
    let one = |listener: Listener| listener.with_max_connections(1);
    let gateway = strict(world.api().handler(HandlerKind::Web), one).await;
    let mut greedy = gateway.connect().await;
    greedy.send("GET /shop HTTP/1.1\r\nHost: a\r\n\r\n").await;
    greedy.until("\r\n\r\n").await;
    let start = Instant::now();
    // The only place is free again when it has been given up.
    let answer = gateway.exchange("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(start.elapsed() < LIMIT + SLACK + SLACK, "{:?}", start.elapsed());
    drop(greedy);
    gateway.stopped().await;
    stop.soon.cancel();
    soon(serving).await.expect("no panic");
}

#[tokio::test]
async fn huge_heads_are_refused() {
    let (gateway, backend) = shop().await;
    for head in [
        format!("GET /shop HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(200_000)),
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(200_000)),
        format!("GET /shop HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(10_000)),
        format!("GET /shop HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(200)),
    ] {
        let answer = gateway.exchange(&head).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "431" | "414"), "{}: {answer}", &head[..30]);
    }
    assert!(backend.requests().is_empty());
    gateway.stopped().await;
}

#[tokio::test]
async fn nothing_is_smuggled() {
    let (gateway, backend) = shop().await;
    let hidden = "GET /shop/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-encoding: x",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding : chunked",
        " Transfer-Encoding: chunked",
        "X: x\nTransfer-Encoding: chunked",
        "X: x\rTransfer-Encoding: chunked",
        "X: a\r\n b",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: -1",
        "Content-Length: 5a",
        "Content-Length: 0x5",
        "Content-Length: 18446744073709551617",
        "Content-Length : 5",
        "Content-Length\t: 5",
        "Host: b",
    ] {
        let request = format!("POST /shop HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n{hidden}");
        let answer = gateway.exchange(&request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{fields:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{fields:?}: {answer}");
    }
    for request in [
        format!("GET /shop HTTP/1.1\r\n\r\n{hidden}"),
        format!("GET /shop HTTP/1.1\nHost: a\n\n{hidden}"),
        format!("POST /shop HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("GET /shop\0 HTTP/1.1\r\nHost: a\r\n\r\n{hidden}"),
        format!("GET  /shop HTTP/1.1\r\nHost: a\r\n\r\n{hidden}"),
        format!("GET /shop HTTP/1.1 x\r\nHost: a\r\n\r\n{hidden}"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03".to_owned(),
    ] {
        let answer = gateway.exchange(&request).await;
        let refused = answer.starts_with("HTTP/1.1 400 ") || answer.is_empty();
        assert!(refused && answer.matches("HTTP/1.").count() <= 1, "{request:?}: {answer}");
    }
    assert!(backend.requests().is_empty(), "{:?}", backend.requests());
    gateway.stopped().await;
}

#[tokio::test]
async fn bad_chunks_end_the_connection() {
    let (gateway, backend) = shop().await;
    for chunks in [
        "x\r\n",
        "-5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "5\nhello\r\n",
        "5\r\nhello!\r\n",
        "ffffffffffffffff1\r\n",
        "5 5\nhello\r\n",
        "5\r\nhello\r\n0\r\nX: y\n\r\n",
    ] {
        let hidden = "GET /shop/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let request = format!(
            "POST /shop HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n{hidden}"
        );
        let answer = gateway.exchange(&request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunks:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{chunks:?}: {answer}");
    }
    assert!(backend.requests().is_empty(), "none was whole: {:?}", backend.requests());
    gateway.stopped().await;
}

#[tokio::test]
async fn pipelines_are_answered_in_order() {
    let (gateway, _backend) = shop().await;
    let answer = gateway
        .exchange(
            "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nHEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n\
             POST /shop HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
             POST /shop HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n\
             TRACE / HTTP/1.1\r\nHost: a\r\n\r\nGET /a/b/../c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
        .await;
    let statuses: Vec<&str> =
        answer.split("HTTP/1.1 ").skip(1).map(|it| it.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(statuses, ["200", "200", "200", "200", "200", "301"], "{answer}");
    gateway.stopped().await;
}

#[tokio::test]
async fn half_closed_clients_get_their_answer() {
    let (gateway, _backend) = shop().await;
    let mut raw = gateway.connect().await;
    raw.send("GET /shop HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.tcp.shutdown().await.expect("half closed");
    let answer = raw.rest().await;
    assert!(answer.ends_with("hello"), "{answer}");
    let mut raw = gateway.connect().await;
    raw.send("POST /shop HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").await;
    raw.tcp.shutdown().await.expect("half closed");
    let answer = raw.rest().await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    gateway.stopped().await;
}

#[tokio::test]
async fn refusals_reach_clients_that_are_still_sending() {
    let world = World::new();
    let gateway = strict(world.api().handler(HandlerKind::Rpc).body_limit(1000), |listener| listener).await;
    for framing in ["Content-Length: 2000000", "Transfer-Encoding: chunked"] {
        let raw = gateway.connect().await;
        let (mut read, mut write) = raw.tcp.into_split();
        let head = format!("POST /shop/a HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n1e8480\r\n");
        let sending = tokio::spawn(async move {
            let _ = write.write_all(head.as_bytes()).await;
            for _ in 0..200 {
                if write.write_all(&[b'x'; 10_000]).await.is_err() {
                    break;
                }
            }
            write
        });
        let mut answer = String::new();
        let read = soon(tokio::io::AsyncReadExt::read_to_string(&mut read, &mut answer)).await;
        assert!(read.is_ok() && answer.starts_with("HTTP/1.1 413 "), "{framing}: {read:?} {answer}");
        assert!(answer.contains("\"code\":413"), "{answer}");
        soon(sending).await.expect("no panic");
    }
    gateway.stopped().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let world = World::new();
    let gateway = strict(world.api(), |listener| listener.with_max_connections(4)).await;
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(gateway.connect().await);
    }
    let start = Instant::now();
    // All are silent, so each round of four is closed after the time for a head.
    let answer = gateway.exchange("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(start.elapsed() < 13 * LIMIT + 3 * SLACK, "{:?}", start.elapsed());
    drop(idle);
    gateway.stopped().await;
}
