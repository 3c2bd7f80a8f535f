//! Requests that are passed on as they are.

use crate::support::{Backend, Gateway, PATIENCE, World, nowhere, soon};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::any;
use micro_core::Endpoint;
use micro_gateway::HandlerKind;
use micro_net::http_server::{HttpLimits, serve_http};
use micro_net::{Listener, Stop, TrustedProxies};
use micro_test::eventually;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Answer: yes\r\nKeep-Alive: 7\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\r\nhello";

/// A gateway of the kind `http` in front of a service `shop` at these addresses.
async fn shop(addresses: &[SocketAddr]) -> Gateway {
    let world = World::new();
    world.service("shop", addresses).await;
    Gateway::start(world.api().handler(HandlerKind::Http)).await
}

/// Lines of a head, lower case.
fn lines(text: &str) -> Vec<String> {
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    head.split("\r\n").map(str::to_ascii_lowercase).collect()
}

#[tokio::test]
async fn requests_arrive_as_they_were_sent_without_what_belongs_to_the_connection() {
    let backend = Backend::start(HELLO).await;
    let gateway = shop(&[backend.address]).await;
    let answer = gateway
        .exchange(
            "PUT /shop/a%20b/c%2Fd?x=1&y HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\nX-Own: 1\r\n\
             Connection: close, X-Secret\r\nX-Secret: 1\r\nMicro-Endpoint: Admin.Drop\r\nX-Micro-Topic: a\r\n\
             Timeout: 1\r\nLocal: a\r\nRemote: a\r\nTE: trailers\r\nUpgrade: websocket\r\n\
             X-Forwarded-Proto: https\r\nX-Forwarded-For: 6.6.6.6\r\n\r\nabc",
        )
        .await;
    let head = lines(&answer);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"), "{answer}");
    assert!(head.contains(&"x-answer: yes".to_owned()), "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("x-hop") && !answer.contains("eep-alive: 7"), "{answer}");

    let got = backend.requests();
    assert_eq!(got.len(), 1, "{got:?}");
    let head = lines(&got[0]);
    assert_eq!(head[0], "put /shop/a%20b/c%2fd?x=1&y http/1.1");
    for line in [
        "host: example.org",
        "content-length: 3",
        "x-own: 1",
        "x-forwarded-for: 6.6.6.6, 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: example.org",
    ] {
        assert!(head.contains(&line.to_owned()), "{line}: {got:?}");
    }
    for part in ["micro", "timeout", "local:", "remote:", "x-secret", "te:", "upgrade", "connection"] {
        assert!(!head.iter().any(|line| line.starts_with(part)), "{part}: {got:?}");
    }
    assert!(got[0].ends_with("\r\n\r\nabc"), "{got:?}");
    gateway.stopped().await;
}

#[tokio::test]
async fn trusted_proxies_are_believed_and_the_proxy_protocol_is_read() {
    let backend = Backend::start(HELLO).await;
    let world = World::new();
    world.service("shop", &[backend.address]).await;
    let trusted = TrustedProxies::parse(["127.0.0.0/8", "10.0.0.0/8"]).expect("networks");
    let api = world.api().handler(HandlerKind::Http).front(|router| {
        // Whatever stands in front of everything knows the client.
        router.layer(axum::middleware::map_request(async |mut request: Request| {
            let client = request.extensions().get::<micro_net::ClientAddr>().expect("known").0;
            let client = client.to_string().parse().expect("a value");
            request.headers_mut().insert("x-client", client);
            request
        }))
    });
    let tune = |listener: Listener| listener.with_trusted_proxies(trusted).with_proxy_protocol();
    let gateway = Gateway::with(api, HttpLimits::default(), Duration::from_secs(1), tune).await;
    let get = |fields: &str| format!("GET /shop HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
    for (announced, fields, client, list) in [
        ("PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n", "", "203.0.113.9", "203.0.113.9"),
        // A client that was announced is no proxy.
        (
            "PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n",
            "X-Forwarded-For: 6.6.6.6\r\n",
            "203.0.113.9",
            "203.0.113.9",
        ),
        (
            "PROXY TCP4 10.0.0.7 10.0.0.1 4711 80\r\n",
            "X-Forwarded-For: 6.6.6.6, 198.51.100.1\r\n",
            "198.51.100.1",
            "6.6.6.6, 198.51.100.1, 10.0.0.7",
        ),
        ("PROXY UNKNOWN\r\n", "", "127.0.0.1", "127.0.0.1"),
    ] {
        let answer = gateway.exchange(format!("{announced}{}", get(fields))).await;
        assert!(answer.ends_with("hello"), "{answer}");
        let head = lines(backend.requests().last().expect("one"));
        assert!(head.contains(&format!("x-client: {client}")), "{head:?}");
        assert!(head.contains(&format!("x-forwarded-for: {list}")), "{head:?}");
    }
    assert_eq!(gateway.exchange(get("")).await, "", "the header is required");
    gateway.stopped().await;
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    // Echoes chunk by chunk.
    let echo = Router::new().fallback(any(async |request: Request| Body::new(request.into_body())));
    let listener = Listener::bind("127.0.0.1:0").await.expect("a free port");
    let (address, stop) = (listener.local_addr(), Stop::new());
    let serving =
        tokio::spawn(serve_http(listener, echo, HttpLimits::default(), stop.clone(), Duration::from_secs(1)));
    let gateway = shop(&[address]).await;
    let mut raw = gateway.connect().await;
    raw.send("POST /shop HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for part in ["one", "two", "three"] {
        raw.send(format!("{:x}\r\n{part}\r\n", part.len())).await;
        // It comes back before the request has ended.
        raw.until(part).await;
    }
    raw.send("0\r\n\r\n").await;
    raw.until("0\r\n\r\n").await;
    // And the connection goes on.
    raw.send("POST /shop HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
    let answer = raw.until("hi").await;
    assert!(lines(&answer).contains(&"content-length: 2".to_owned()), "{answer}");
    drop(raw);
    gateway.stopped().await;
    stop.soon.cancel();
    soon(serving).await.expect("no panic");
}

#[tokio::test]
async fn answers_without_a_body_stay_without_one() {
    for (method, answer, expected, length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", "200", Some("content-length: 1234")),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", "204", None),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 7\r\n\r\n", "304", None),
        ("GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "204", None),
    ] {
        let backend = Backend::start(answer).await;
        let gateway = shop(&[backend.address]).await;
        let mut raw = gateway.connect().await;
        // Twice on one connection: the second shows that the first ended where it should.
        for _ in 0..2 {
            raw.send(format!("{method} /shop HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            let head = lines(&raw.until("\r\n\r\n").await);
            assert!(head[0].contains(expected), "{head:?}");
            let found = head.iter().find(|line| line.starts_with("content-length"));
            assert_eq!(found.map(String::as_str), length, "{method} {answer}");
            assert!(!head.iter().any(|line| line.starts_with("transfer-encoding")), "{head:?}");
        }
        drop(raw);
        gateway.stopped().await;
    }
}

#[tokio::test]
async fn failures_are_answered_with_an_error_object() {
    let (breaking, odd) = (Backend::start("").await, Backend::start("nonsense\r\n\r\n").await);
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let world = World::new();
    world.service("gone", &[nowhere().await]).await;
    world.service("breaking", &[breaking.address]).await;
    world.service("odd", &[odd.address]).await;
    world.service("silent", &[silent.local_addr().expect("bound")]).await;
    world
        .service("upgrading", &[Backend::start("HTTP/1.1 101 Switching Protocols\r\n\r\n").await.address])
        .await;
    let api = world.api().handler(HandlerKind::Proxy).proxy_timeout(Duration::from_millis(300));
    let gateway = Gateway::start(api).await;
    for (path, status) in [
        ("gone", 502),
        ("breaking", 502),
        ("odd", 502),
        ("silent", 504),
        ("nobody", 404),
        ("", 200),
        ("a.b", 404),
    ] {
        let start = Instant::now();
        let answer =
            gateway.exchange(format!("GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(lines(&answer).contains(&"content-type: application/json".to_owned()), "{answer}");
        assert!(status == 200 || answer.contains(&format!("\"code\":{status},")), "{answer}");
        assert!(!answer.contains("127.0.0.1"), "addresses are nobody's business: {answer}");
        assert!(start.elapsed() < Duration::from_secs(5), "{path}");
    }
    assert_eq!(breaking.requests().len(), 1);
    let answer = gateway.exchange("GET /upgrading HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    gateway.stopped().await;
}

#[tokio::test]
async fn another_node_is_tried_only_when_nothing_was_sent() {
    let good = Backend::start(HELLO).await;
    let gateway = shop(&[nowhere().await, good.address, nowhere().await]).await;
    let post = "POST /shop HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    for _ in 0..10 {
        let answer = gateway.exchange(post).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert!(good.requests().len() == 10 && good.requests().iter().all(|it| it.ends_with("hi")));
    gateway.stopped().await;

    let (first, second) = (Backend::start("").await, Backend::start("").await);
    let gateway = shop(&[first.address, second.address]).await;
    let answer = gateway.exchange(post).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(first.requests().len() + second.requests().len(), 1, "it may have been executed");
    gateway.stopped().await;
}

#[tokio::test]
async fn endpoints_can_ask_for_requests_as_they_are() {
    let backend = Backend::start(HELLO).await;
    let world = World::new();
    let metadata =
        [("handler", "proxy"), ("path", "/pages/{page=**}:show, ^/old/[0-9]{1,3}$"), ("method", "GET")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let endpoint =
        Endpoint { name: "Shop.Page".to_owned(), metadata: metadata.into(), ..Endpoint::default() };
    world.service_with("shop", &[backend.address], vec![endpoint]).await;
    let gateway = Gateway::start(world.api()).await;
    let ask = async |method: &str, path: &str| {
        let fields = "Host: a\r\nContent-Length: 0\r\nConnection: close";
        gateway.exchange(format!("{method} {path} HTTP/1.1\r\n{fields}\r\n\r\n")).await
    };
    eventually("the route is known", PATIENCE, async || ask("GET", "/old/7").await.ends_with("hello")).await;
    let answer = ask("GET", "/pages/a/b%20c:show?x=1").await;
    assert!(answer.ends_with("hello"), "{answer}");
    let got = backend.requests();
    assert!(
        got.last().is_some_and(|it| it.starts_with("GET /pages/a/b%20c:show?x=1 HTTP/1.1\r\n")),
        "{got:?}"
    );
    for (method, path) in [("POST", "/old/7"), ("GET", "/old/1234"), ("GET", "/pages/a")] {
        let answer = ask(method, path).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{method} {path}: {answer}");
    }
    gateway.stopped().await;
}

#[tokio::test]
async fn bodies_are_limited_in_size_and_time() {
    let backend = Backend::start(HELLO).await;
    let world = World::new();
    world.service("shop", &[backend.address]).await;
    let api = world.api().handler(HandlerKind::Web).body_limit(1000).body_timeout(Duration::from_millis(300));
    let gateway = Gateway::start(api).await;
    let large = "x".repeat(100_000);
    for (request, status) in [
        (format!("Content-Length: 100000\r\n\r\n{large}"), "413 Payload Too Large"),
        (format!("Transfer-Encoding: chunked\r\n\r\n186a0\r\n{large}\r\n0\r\n\r\n"), "413 Payload Too Large"),
        ("Content-Length: 10\r\n\r\nabc".to_owned(), "408 Request Timeout"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nabc".to_owned(), "408 Request Timeout"),
    ] {
        let answer = gateway.exchange(format!("POST /shop HTTP/1.1\r\nHost: a\r\n{request}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    assert!(backend.requests().is_empty(), "none was whole");
    gateway.stopped().await;
}
