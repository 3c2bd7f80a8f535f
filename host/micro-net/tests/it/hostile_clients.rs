//! Clients that are slow, rude or confused. Each is gone soon after its time is up, and others are served meanwhile.

use crate::support::{PATIENCE, Server, message, soon};
use crate::tls::Authority;
use micro_net::tls::{ClientTls, ServerTls, client_config, server_config};
use micro_net::wire::{Limits, Pool, PoolConfig};
use micro_net::{Dialer, EgressPolicy, StaticResolver};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SHORT: Duration = Duration::from_millis(200);

/// How much longer than its limit anything may take here.
const SLACK: Duration = Duration::from_secs(1);

/// Between two bytes of a slow client: far less than any limit, so that only one for the whole ends it.
const DRIP: Duration = Duration::from_millis(5);

/// A server that gives nobody more than [`SHORT`].
async fn impatient() -> Server {
    let limits = Limits {
        max_body: 1 << 20,
        head_timeout: Some(SHORT),
        body_timeout: Some(SHORT),
        idle_timeout: Some(SHORT),
        write_timeout: Some(SHORT),
    };
    Server::with(limits, PATIENCE, |listener| listener).await
}

/// Sends `start`, then `more` over and over, byte by byte; what the server says, and after how long it has ended.
async fn drip(server: &Server, start: &str, more: &str) -> (String, Duration) {
    let (mut read, mut write) = server.connect().await.tcp.into_split();
    let begun = Instant::now();
    write.write_all(start.as_bytes()).await.expect("written");
    let mut ticks = tokio::time::interval(DRIP);
    let dripping = async {
        for byte in more.bytes().cycle() {
            ticks.tick().await;
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        // Reading finds out how it ended.
        std::future::pending().await
    };
    let mut answer = Vec::new();
    tokio::select! {
        // A reset ends it as well.
        _ = soon(read.read_to_end(&mut answer)) => {}
        () = dripping => {}
    }
    (String::from_utf8_lossy(&answer).into_owned(), begun.elapsed())
}

/// Asks over and over until the future is done; every answer must be right.
async fn served_meanwhile<T>(server: &Server, doing: impl Future<Output = T>) -> T {
    let pool = Pool::new(PoolConfig::default());
    let address = server.address();
    let asking = async {
        loop {
            let answer = soon(pool.exchange(&address, &message(&[], "good"), PATIENCE)).await;
            assert_eq!(answer.expect("an answer").body, "good");
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        done = doing => done,
        () = asking => unreachable!("it asks for ever"),
    }
}

#[tokio::test]
async fn dripping_does_not_buy_time() {
    let server = impatient().await;
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        ("", "POST "),
        ("", "\r\n"),
        ("POST / HTTP/1.1\r\n", "A: b\r\n"),
        ("POST / HTTP/1.1\r\nA: ", "x"),
        ("POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n", "x"),
        (chunked, "1\r\nx\r\n"),
        (&format!("{chunked}ffff\r\n"), "x"),
        (&format!("{chunked}1;"), "x"),
        (&format!("{chunked}0\r\n"), "T: u\r\n"),
    ];
    let all = futures::future::join_all(cases.map(|(start, more)| drip(&server, start, more)));
    let ended = served_meanwhile(&server, all).await;
    for ((start, more), (answer, took)) in cases.into_iter().zip(ended) {
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{start:?} {more:?}: {answer:?}");
        // A head may begin at the end of the time that a connection has to begin.
        assert!(took >= SHORT && took < 2 * SHORT + SLACK, "{start:?} {more:?} took {took:?}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn silence_is_not_waited_for() {
    let server = impatient().await;
    let answered = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let begun = Instant::now();
    for (start, expected) in [("", ""), ("GET / HTTP/1.1\r\n\r\n", answered)] {
        let mut raw = server.connect().await;
        raw.send(start).await;
        assert_eq!(served_meanwhile(&server, raw.rest()).await, expected, "{start:?}");
    }
    assert!(begun.elapsed() < 2 * (SHORT + SLACK), "took {:?}", begun.elapsed());
    server.stopped().await;
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send(
        "HEAD / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloPOST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi",
    )
    .await;
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let next = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(raw.until("hi").await, format!("{head}{next}"), "a body would be taken for the next answer");
    server.stopped().await;
}

#[tokio::test]
async fn connect_does_not_open_a_tunnel() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send("CONNECT other:80 HTTP/1.1\r\nHost: other:80\r\n\r\nGET /through HTTP/1.1\r\n\r\n").await;
    raw.tcp.shutdown().await.expect("half closed");
    let got = raw.rest().await;
    assert!(got.starts_with("HTTP/1.1 501 Not Implemented\r\n"), "{got:?}");
    assert_eq!((got.matches("HTTP/1.1").count(), server.echo.state.started.get()), (1, 0), "{got:?}");
    server.stopped().await;
}

#[tokio::test]
async fn the_last_answer_arrives_although_more_is_sent() {
    let server = Server::start().await;
    for _ in 0..20 {
        let (mut read, mut write) = server.connect().await.tcp.into_split();
        let body = vec![b'x'; 100_000];
        let head = format!("POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        let sending = async {
            write.write_all(head.as_bytes()).await?;
            write.write_all(&body).await?;
            // Nobody will read this.
            write.write_all(&vec![b'y'; 1 << 20]).await
        };
        let mut answer = Vec::new();
        let (_, read) = soon(async { tokio::join!(sending, read.read_to_end(&mut answer)) }).await;
        read.expect("an end, not a reset");
        assert!(answer.ends_with(&body), "{} bytes of the answer", answer.len());
    }
    server.stopped().await;
}

/// A server with one place, for TLS, and a client that trusts it.
async fn single_tls(limits: Limits) -> (Server, Dialer, Arc<rustls::ClientConfig>) {
    let authority = Authority::new("ours");
    let identity = authority.identity("server.test");
    let config =
        server_config(&ServerTls { identity, client_roots: None }, &["http/1.1"]).expect("good files");
    let server =
        Server::with(limits, PATIENCE, |listener| listener.with_tls(config).with_max_connections(1)).await;
    let names = StaticResolver::new().with("server.test", [server.addr.ip()]);
    let dialer = Dialer::new(EgressPolicy::unrestricted()).with_resolver(Arc::new(names));
    let trusting = ClientTls { roots: Some(authority.roots()), ..ClientTls::default() };
    let tls = client_config(&trusting, &["http/1.1"]).expect("good files");
    (server, dialer, tls)
}

async fn served_over_tls(server: &Server, dialer: &Dialer, tls: &Arc<rustls::ClientConfig>) {
    let config = PoolConfig { dialer: dialer.clone(), tls: Some(Arc::clone(tls)), ..PoolConfig::default() };
    let address = format!("server.test:{}", server.addr.port());
    let answer = soon(Pool::new(config).exchange(&address, &message(&[], "good"), PATIENCE)).await;
    assert_eq!(answer.expect("an answer").body, "good");
}

#[tokio::test]
async fn tls_garbage_gives_its_place_back() {
    let (server, dialer, tls) = single_tls(Limits::default()).await;
    for garbage in [
        &b""[..],
        b"\0",
        b"GET / HTTP/1.1\r\n\r\n",
        // A record of a ClientHello that does not follow, one that is too long, one of an unknown kind.
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        b"\x16\x03\x01\xff\xff\x01",
        b"\x99\x03\x03\0\x01\0",
        // An alert, and application data before any handshake.
        b"\x15\x03\x03\0\x02\x02\x28",
        b"\x17\x03\x03\0\x05hello",
        &[0xff; 70_000],
    ] {
        let mut raw = server.connect().await;
        // The server may have had enough before all of it is written.
        let _ = raw.tcp.write_all(garbage).await;
        let _ = raw.tcp.shutdown().await;
        let got = raw.rest().await;
        assert!(!got.contains("HTTP/1.1"), "answered in plain text: {got:?}");
        served_over_tls(&server, &dialer, &tls).await;
    }
    assert_eq!(server.echo.state.started.get(), 9, "only the good client was heard");
    server.stopped().await;
}

#[tokio::test]
async fn a_tls_client_that_does_not_read_gives_its_place_back() {
    let limits = Limits { write_timeout: Some(SHORT), ..Limits::default() };
    let (server, dialer, tls) = single_tls(limits).await;
    let target = format!("server.test:{}", server.addr.port()).parse().expect("an address");
    let mut deaf = soon(dialer.dial(&target, Some(&tls))).await.expect("connects");
    // More than the buffers of both kernels take, so that not even the end of the session can be said.
    let body = vec![b'x'; 32 << 20];
    deaf.write_all(format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes())
        .await
        .expect("sent");
    deaf.write_all(&body).await.expect("sent");
    deaf.flush().await.expect("sent");
    server.echo.state.finished.reach(1).await;
    served_over_tls(&server, &dialer, &tls).await;
    drop(deaf);
    server.stopped().await;
}
