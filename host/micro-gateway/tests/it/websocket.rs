//! Websockets through the gateway.

use crate::support::{Gateway, PATIENCE, World, soon};
use futures::{SinkExt, StreamExt};
use micro_gateway::{ApiBuilder, HandlerKind};
use micro_net::http_server::HttpLimits;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

/// Sends back what it gets, and first what the request said about where it comes from. Refuses the path `/chat/no`.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp));
        }
    });
    address
}

/// One connection of such a server.
pub(crate) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut origin = String::new();
    #[allow(clippy::result_large_err, reason = "the signature is the library's")]
    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        if request.uri().path() == "/chat/no" {
            let mut refusal = ErrorResponse::new(Some("not you".to_owned()));
            *refusal.status_mut() = http::StatusCode::FORBIDDEN;
            return Err(refusal);
        }
        let field =
            |name: &str| request.headers().get(name).map_or("-", |value| value.to_str().unwrap_or("?"));
        origin = format!("{} {} {}", request.uri(), field("x-forwarded-for"), field("micro-endpoint"));
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, look).await else { return };
    if socket.send(Message::text(origin)).await.is_err() {
        return;
    }
    while let Some(Ok(message)) = socket.next().await {
        // A farewell is answered by the library.
        if !message.is_close() && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn gateway(kind: HandlerKind, tune: impl FnOnce(ApiBuilder) -> ApiBuilder, grace: Duration) -> Gateway {
    let world = World::new();
    world.service("chat", &[echo().await]).await;
    Gateway::with(tune(world.api().handler(kind)), HttpLimits::default(), grace, |listener| listener).await
}

pub(crate) async fn open(gateway: &Gateway, path: &str) -> Result<WebSocketStream<TcpStream>, Error> {
    let tcp = TcpStream::connect(gateway.address).await.expect("connects");
    let url = format!("ws://{}{path}", gateway.address);
    soon(client_async(url, tcp)).await.map(|(socket, _)| socket)
}

pub(crate) async fn next(socket: &mut WebSocketStream<TcpStream>) -> Message {
    soon(socket.next()).await.expect("a message").expect("no error")
}

#[tokio::test]
async fn messages_go_both_ways_until_one_side_closes() {
    for kind in [HandlerKind::Web, HandlerKind::Proxy] {
        let gateway = gateway(kind, |api| api, PATIENCE).await;
        let mut socket = open(&gateway, "/chat/room?a=b").await.expect("agreed");
        assert_eq!(next(&mut socket).await, Message::text("/chat/room?a=b 127.0.0.1 -"));
        for message in [Message::text("hello"), Message::binary(vec![7; 300_000]), Message::text("again")] {
            soon(socket.send(message.clone())).await.expect("sent");
            assert_eq!(next(&mut socket).await, message);
        }
        soon(socket.close(None)).await.expect("closed");
        while let Some(message) = soon(socket.next()).await {
            assert!(message.is_ok_and(|message| message.is_close()));
        }
        drop(socket);
        let start = Instant::now();
        gateway.stopped().await;
        assert!(start.elapsed() < Duration::from_secs(10), "nothing was left to wait for");
    }
}

#[tokio::test]
async fn a_refusal_is_passed_on_and_http_is_only_http() {
    let refusing = gateway(HandlerKind::Web, |api| api, Duration::from_secs(1)).await;
    match open(&refusing, "/chat/no").await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
    refusing.stopped().await;
    let plain = gateway(HandlerKind::Http, |api| api, Duration::from_secs(1)).await;
    assert!(matches!(open(&plain, "/chat/room").await, Err(Error::Http(_))));
    plain.stopped().await;
}

#[tokio::test]
async fn a_shutdown_lets_them_go_on_and_then_cuts_them() {
    let gateway = gateway(HandlerKind::Web, |api| api, Duration::from_millis(500)).await;
    let mut socket = open(&gateway, "/chat/room").await.expect("agreed");
    next(&mut socket).await;
    let start = Instant::now();
    gateway.stop.soon.cancel();
    soon(socket.send(Message::text("still here"))).await.expect("sent");
    assert_eq!(next(&mut socket).await, Message::text("still here"));
    let end = soon(socket.next()).await;
    assert!(matches!(end, None | Some(Err(_))), "{end:?}");
    assert!(start.elapsed() >= Duration::from_millis(500));
    gateway.stopped().await;
}

#[tokio::test]
async fn silent_ones_are_cut_and_count_as_connections_until_then() {
    let world = World::new();
    world.service("chat", &[echo().await]).await;
    let api = world.api().handler(HandlerKind::Web).websocket_timeout(Duration::from_millis(300));
    let one = |listener: micro_net::Listener| listener.with_max_connections(1);
    let gateway = Gateway::with(api, HttpLimits::default(), Duration::from_secs(1), one).await;
    let mut socket = open(&gateway, "/chat/room").await.expect("agreed");
    next(&mut socket).await;
    let start = Instant::now();
    // It waits for its turn.
    let answer = gateway.exchange("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?}", start.elapsed());
    let end = soon(socket.next()).await;
    assert!(matches!(end, None | Some(Err(_))), "{end:?}");
    gateway.stopped().await;
}

#[tokio::test]
async fn half_a_connection_is_still_one() {
    // Any protocol may follow the handshake: this server reads to the end before it answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let world = World::new();
    world.service("chat", &[listener.local_addr().expect("bound")]).await;
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.expect("accepted");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tcp.read_u8().await.expect("a head"));
        }
        let agreed =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst ";
        tcp.write_all(agreed.as_bytes()).await.expect("written");
        let mut all = String::new();
        tcp.read_to_string(&mut all).await.expect("to the end");
        tcp.write_all(format!("got {all}").as_bytes()).await.expect("written");
    });
    let gateway = Gateway::start(world.api().handler(HandlerKind::Web)).await;
    let mut raw = gateway.connect().await;
    raw.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    let head = raw.until("first ").await;
    assert!(
        head.starts_with("HTTP/1.1 101 ") && head.to_ascii_lowercase().contains("upgrade: websocket"),
        "{head}"
    );
    // These bytes are no HTTP.
    raw.send("\0\x01 no head\r\n\r\n").await;
    raw.tcp.shutdown().await.expect("half closed");
    assert_eq!(raw.rest().await, "got \0\x01 no head\r\n\r\n");
    gateway.stopped().await;
}
