//! What the RPC port makes of the bytes that it gets.

use crate::support::{PATIENCE, Server, message, soon};
use micro_net::wire::{Limits, Pool, PoolConfig};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const SHORT: Duration = Duration::from_millis(100);

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn request(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    for body in ["one", "", "three"] {
        raw.send(request(body)).await;
        assert_eq!(raw.until(&answer(body)).await, answer(body));
    }
    server.stopped().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send((0..50).map(|n| request(&n.to_string())).collect::<String>()).await;
    let expected: String = (0..50).map(|n| answer(&n.to_string())).collect();
    assert_eq!(raw.until(&answer("49")).await, expected);
}

#[tokio::test]
async fn requests_may_arrive_byte_by_byte() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    let chunked =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n";
    for text in [request("hello"), chunked.to_owned()] {
        for byte in text.bytes() {
            raw.send([byte]).await;
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(raw.until(&answer("abc")).await, answer("hello") + &answer("abc"));
}

#[tokio::test]
async fn any_method_and_path_is_a_message() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send("BREW /pot?x=%20 HTTP/1.1\r\nDo: method\r\nMicro-Id: 7\r\n\r\n").await;
    let body = "BREW /pot?x=%20";
    let expected = format!("HTTP/1.1 200 OK\r\nMicro-Id: 7\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(raw.until(body).await, expected);
}

#[tokio::test]
async fn empty_chunked_bodies_are_what_go_sends() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").await;
    assert_eq!(raw.until(&answer("")).await, answer(""));
}

#[tokio::test]
async fn connection_close_and_http_1_0_end_the_connection() {
    let server = Server::start().await;
    let closing = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for (head, expected) in [
        ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", closing.to_owned()),
        ("GET / HTTP/1.0\r\n\r\n", closing.to_owned()),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n", answer("") + closing),
    ] {
        let mut raw = server.connect().await;
        raw.send(head).await;
        assert_eq!(raw.rest().await, expected, "{head:?}");
    }
}

#[tokio::test]
async fn a_client_that_waits_for_continue_gets_it() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
    assert_eq!(raw.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    raw.send("hi").await;
    assert_eq!(raw.until(&answer("hi")).await, answer("hi"));
    // Nor does one that did not wait.
    raw.send("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nyo").await;
    assert_eq!(raw.until(&answer("yo")).await, answer("yo"));
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() {
    let limits = Limits { max_body: 1000, ..Limits::default() };
    let server = Server::with(limits, PATIENCE, |listener| listener).await;
    let huge = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(129));
    let chunk = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n{}", "x".repeat(1001));
    for (bytes, status) in [
        ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03", "400 Bad Request"),
        (
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400 Bad Request",
        ),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", "501 Not Implemented"),
        ("POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", "413 Request Entity Too Large"),
        ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", "413 Request Entity Too Large"),
        (&chunk, "413 Request Entity Too Large"),
        (&huge, "431 Request Header Fields Too Large"),
        (&many, "431 Request Header Fields Too Large"),
        ("GET / HTTP/1.7\r\n\r\n", "505 HTTP Version Not Supported"),
    ] {
        let mut raw = server.connect().await;
        raw.send(bytes).await;
        raw.tcp.shutdown().await.expect("half closed");
        let got = raw.rest().await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{bytes:.80?}: {got:?}");
        assert!(got.contains("Connection: close\r\n") && got.ends_with('\n'), "{got:?}");
        assert_eq!(got.matches("HTTP/1.1").count(), 1, "nothing behind it is a request: {got:?}");
    }
    assert_eq!(server.echo.state.started.get(), 0, "no handler saw any of it");
    let mut raw = server.connect().await;
    raw.send(request("still here")).await;
    raw.until(&answer("still here")).await;
}

#[tokio::test]
async fn a_refusal_arrives_although_the_client_is_still_sending() {
    let limits = Limits { max_body: 1000, ..Limits::default() };
    let server = Server::with(limits, PATIENCE, |listener| listener).await;
    let pool = Pool::new(PoolConfig::default());
    let big = message(&[], vec![b'x'; 2 << 20]);
    let error = soon(pool.exchange(&server.address(), &big, PATIENCE)).await.expect_err("too large");
    assert!(error.to_string().starts_with("413 Request Entity Too Large: "), "{error:?}");
}

#[tokio::test]
async fn truncated_requests_are_nobodys_business() {
    let server = Server::start().await;
    let whole = request("hello");
    for cut in 1..whole.len() {
        let mut raw = server.connect().await;
        raw.send(&whole[..cut]).await;
        raw.tcp.shutdown().await.expect("half closed");
        assert_eq!(raw.rest().await, "", "cut at {cut}");
    }
    assert_eq!(server.echo.state.started.get(), 0);
}

#[tokio::test]
async fn a_client_that_only_finished_sending_gets_its_answer() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send("POST / HTTP/1.1\r\nDo: wait\r\nContent-Length: 2\r\n\r\nhi").await;
    raw.tcp.shutdown().await.expect("half closed");
    server.echo.state.started.reach(1).await;
    server.echo.state.release.notify_one();
    assert_eq!(raw.rest().await, answer("hi"));
}

#[tokio::test]
async fn a_reset_drops_the_handler() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send("POST / HTTP/1.1\r\nDo: wait\r\nContent-Length: 0\r\n\r\n").await;
    server.echo.state.started.reach(1).await;
    socket2::SockRef::from(&raw.tcp).set_linger(Some(Duration::ZERO)).expect("linger");
    drop(raw);
    server.echo.state.dropped.reach(1).await;
    assert_eq!(server.echo.state.finished.get(), 0);
}

#[tokio::test]
async fn requests_that_come_while_a_handler_runs_are_kept() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send("POST / HTTP/1.1\r\nDo: wait\r\nContent-Length: 5\r\n\r\nfirst").await;
    server.echo.state.started.reach(1).await;
    // More than is read ahead.
    let large = "y".repeat(200_000);
    raw.send(request("second") + &request(&large)).await;
    server.echo.state.release.notify_one();
    let expected = answer("first") + &answer("second") + &answer(&large);
    assert_eq!(raw.until(&answer(&large)).await, expected);
}

#[tokio::test]
async fn a_panic_costs_one_connection() {
    let server = Server::start().await;
    let (mut victim, mut other) = (server.connect().await, server.connect().await);
    victim.send("POST / HTTP/1.1\r\nDo: panic\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(victim.rest().await, "");
    other.send(request("fine")).await;
    other.until(&answer("fine")).await;
    server.stopped().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_sent_is_an_error_not_an_injection() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send("POST / HTTP/1.1\r\nDo: inject\r\nContent-Length: 0\r\n\r\n").await;
    raw.tcp.shutdown().await.expect("half closed");
    let got = raw.rest().await;
    assert!(
        got.starts_with("HTTP/1.1 500 Internal Server Error\r\n") && !got.contains("Injected"),
        "{got:?}"
    );
}

#[tokio::test]
async fn slow_heads_and_bodies_time_out_and_idle_connections_just_close() {
    let limits = Limits {
        head_timeout: Some(SHORT),
        body_timeout: Some(SHORT),
        idle_timeout: Some(SHORT),
        ..Limits::default()
    };
    let server = Server::with(limits, PATIENCE, |listener| listener).await;
    for (bytes, expected) in [
        ("", ""),
        ("POST / HTTP/1.1\r\nA", "HTTP/1.1 408 Request Timeout\r\n"),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell", "HTTP/1.1 408 Request Timeout\r\n"),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
            "HTTP/1.1 408 Request Timeout\r\n",
        ),
    ] {
        let mut raw = server.connect().await;
        raw.send(bytes).await;
        let got = raw.rest().await;
        assert!(got.starts_with(expected) && got.is_empty() == expected.is_empty(), "{bytes:?}: {got:?}");
    }
    let mut raw = server.connect().await;
    raw.send(request("x")).await;
    assert_eq!(raw.rest().await, answer("x"), "closed without a word after the answer");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let limits = Limits { write_timeout: Some(SHORT), ..Limits::default() };
    let server = Server::with(limits, PATIENCE, |listener| listener).await;
    let mut raw = server.connect().await;
    let body = "x".repeat(32 << 20);
    raw.send(request(&body)).await;
    server.echo.state.finished.reach(1).await;
    server.stop.soon.cancel();
    soon(server.task).await.expect("ends long before the grace period");
    let got = raw.rest().await;
    assert!(got.len() < body.len(), "not all of it fits into the kernel's buffers");
}

#[tokio::test]
async fn an_http_2_preface_may_arrive_in_pieces() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    for piece in ["P", "RI * HT", "TP/2.0\r\n", "\r\nSM\r\n\r\n"] {
        raw.send(piece).await;
        tokio::task::yield_now().await;
    }
    raw.send([0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    // The server's SETTINGS frame: type 4 on stream 0.
    let mut frame = [0; 9];
    soon(tokio::io::AsyncReadExt::read_exact(&mut raw.tcp, &mut frame)).await.expect("a frame");
    assert_eq!((frame[3], &frame[5..]), (4, &[0; 4][..]));
}

#[tokio::test]
async fn at_the_cap_connections_wait_their_turn() {
    let server = Server::with(Limits::default(), PATIENCE, |listener| listener.with_max_connections(2)).await;
    let (mut first, mut second, mut third) =
        (server.connect().await, server.connect().await, server.connect().await);
    for raw in [&mut first, &mut second, &mut third] {
        raw.send(request("x")).await;
    }
    first.until(&answer("x")).await;
    second.until(&answer("x")).await;
    let early = tokio::time::timeout(SHORT, third.tcp.readable()).await;
    assert!(early.is_err(), "the third is not served yet");
    drop(first);
    third.until(&answer("x")).await;
}
