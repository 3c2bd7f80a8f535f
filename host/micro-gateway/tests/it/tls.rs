//! Nodes that are called over TLS, by requests that are passed on as they are.

use crate::support::{Gateway, World, soon};
use crate::websocket;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::any;
use futures::SinkExt;
use micro::Client;
use micro::client::{Security, SecurityRules};
use micro_core::{Node, Registry, Service};
use micro_gateway::{AccessLog, Api, HandlerKind};
use micro_net::http_server::{HttpLimits, serve_http};
use micro_net::tls::{ClientTls, Identity, ServerTls, self_signed_config, server_config};
use micro_net::{Listener, Stop};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;

/// As servers of Go offer them.
const ALPN: [&str; 2] = ["h2", "http/1.1"];

/// An authority with a certificate for 127.0.0.1, in files.
struct Authority(TempDir);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &issuer).expect("signed");
        let folder = tempfile::tempdir().expect("a folder");
        for (name, pem) in
            [("ca.pem", issuer.pem()), ("node.pem", certificate.pem()), ("node.key", key.serialize_pem())]
        {
            std::fs::write(folder.path().join(name), pem).expect("written");
        }
        Self(folder)
    }

    fn client(&self) -> ClientTls {
        ClientTls { roots: Some(self.0.path().join("ca.pem")), ..ClientTls::default() }
    }

    fn server(&self) -> Arc<rustls::ServerConfig> {
        let file = |name: &str| self.0.path().join(name);
        let identity = Identity { certificate: file("node.pem"), key: file("node.key") };
        server_config(&ServerTls { identity, client_roots: None }, &ALPN).expect("good files")
    }
}

/// A server over TLS that sends back what it gets, and counts.
struct Echo {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    stop: Stop,
    serving: JoinHandle<()>,
}

impl Echo {
    async fn start(tls: Arc<rustls::ServerConfig>) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let count = requests.clone();
        let router = Router::new().fallback(any(async move |request: Request| {
            count.fetch_add(1, Ordering::Relaxed);
            Body::new(request.into_body())
        }));
        let listener = Listener::bind("127.0.0.1:0").await.expect("a free port").with_tls(tls);
        let (address, stop) = (listener.local_addr(), Stop::new());
        let grace = Duration::from_secs(1);
        let serving = tokio::spawn(serve_http(listener, router, HttpLimits::default(), stop.clone(), grace));
        Self { address, requests, stop, serving }
    }

    async fn stopped(self) {
        self.stop.soon.cancel();
        soon(self.serving).await.expect("no panic");
    }
}

/// A gateway in front of one node of `go.micro.api.shop`.
async fn gateway(
    kind: HandlerKind,
    node: SocketAddr,
    secure: bool,
    rule: Option<Security>,
    tls: ClientTls,
) -> Gateway {
    let world = World::new();
    let metadata = if secure { vec![("secure".to_owned(), "true".to_owned())] } else { Vec::new() };
    let node = Node {
        id: "shop-1".to_owned(),
        address: node.to_string(),
        metadata: metadata.into_iter().collect(),
        ..Node::default()
    };
    let service = Service { name: "go.micro.api.shop".to_owned(), nodes: vec![node], ..Service::default() };
    world.registry.register(&service, Duration::ZERO).await.expect("memory");
    let rules = rule.map(|rule| SecurityRules::default().with("go.micro.api.*", rule)).unwrap_or_default();
    let client = Client::builder(Arc::new(world.registry.clone())).tls(tls).expect("good files");
    let api = Api::builder(client.security(rules).build()).access_log(AccessLog::Off).handler(kind);
    Gateway::start(api).await
}

const HELLO: &str = "POST /shop/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

#[tokio::test]
async fn records_and_rules_say_what_is_called_over_tls() {
    let authority = Authority::new();
    let echo = Echo::start(authority.server()).await;
    for (kind, secure, rule) in [
        (HandlerKind::Http, true, None),
        (HandlerKind::Proxy, true, None),
        (HandlerKind::Web, true, None),
        (HandlerKind::Http, false, Some(Security::Tls)),
    ] {
        let gateway = gateway(kind, echo.address, secure, rule, authority.client()).await;
        // The second one goes over the connection of the first.
        for _ in 0..2 {
            let answer = gateway.exchange(HELLO).await;
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{kind}: {answer}");
        }
        gateway.stopped().await;
    }
    assert_eq!(echo.requests.load(Ordering::Relaxed), 8);
    // Nothing but TLS is spoken there.
    let plain =
        gateway(HandlerKind::Http, echo.address, true, Some(Security::Plain), authority.client()).await;
    let answer = plain.exchange(HELLO).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    plain.stopped().await;
    echo.stopped().await;
}

#[tokio::test]
async fn certificates_are_checked_unless_a_rule_says_otherwise() {
    let authority = Authority::new();
    let names = ["127.0.0.1".to_owned()];
    let echo = Echo::start(self_signed_config(&names, &ALPN).expect("a name")).await;
    let checking = gateway(HandlerKind::Proxy, echo.address, true, None, authority.client()).await;
    let answer = checking.exchange(HELLO).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("cannot be reached"), "{answer}");
    assert_eq!(echo.requests.load(Ordering::Relaxed), 0, "nothing goes to a stranger");
    checking.stopped().await;
    let anybody = Some(Security::TlsUnverified);
    let lenient = gateway(HandlerKind::Proxy, echo.address, true, anybody, authority.client()).await;
    let answer = lenient.exchange(HELLO).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{answer}");
    lenient.stopped().await;
    echo.stopped().await;
}

#[tokio::test]
async fn websockets_go_over_tls_too() {
    let authority = Authority::new();
    let acceptor = TlsAcceptor::from(authority.server());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(tcp).await {
                    websocket::serve(stream).await;
                }
            });
        }
    });
    let gateway = gateway(HandlerKind::Web, address, true, None, authority.client()).await;
    let mut socket = websocket::open(&gateway, "/shop/room").await.expect("agreed");
    assert_eq!(websocket::next(&mut socket).await, Message::text("/shop/room 127.0.0.1 -"));
    for message in [Message::text("hello"), Message::binary(vec![7; 300_000])] {
        soon(socket.send(message.clone())).await.expect("sent");
        assert_eq!(websocket::next(&mut socket).await, message);
    }
    soon(socket.close(None)).await.expect("closed");
    drop(socket);
    gateway.stopped().await;
}
