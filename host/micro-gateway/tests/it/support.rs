//! A gateway on a port, servers behind it, and raw connections to it.

use micro::Client;
use micro::registry::MemoryRegistry;
use micro_core::{Endpoint, Node, Registry, Service};
use micro_gateway::{AccessLog, Api, ApiBuilder};
use micro_net::http_server::{HttpLimits, serve_http};
use micro_net::{Listener, Stop};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Longer than anything here takes: a test that gets here hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Awaits something that must come soon.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("took too long")
}

/// A registry and what was started around it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) registry: MemoryRegistry,
}

/// A gateway that listens.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) stop: Stop,
    pub(crate) serving: JoinHandle<()>,
    pub(crate) websockets: JoinHandle<()>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { registry: MemoryRegistry::new() }
    }

    /// Registers `go.micro.api.NAME` with a node at each address.
    pub(crate) async fn service(&self, name: &str, addresses: &[SocketAddr]) {
        self.service_with(name, addresses, Vec::new()).await;
    }

    pub(crate) async fn service_with(&self, name: &str, addresses: &[SocketAddr], endpoints: Vec<Endpoint>) {
        let node = |(at, address): (usize, &SocketAddr)| Node {
            id: format!("{name}-{at}"),
            address: address.to_string(),
            ..Node::default()
        };
        let service = Service {
            name: format!("go.micro.api.{name}"),
            nodes: addresses.iter().enumerate().map(node).collect(),
            endpoints,
            ..Service::default()
        };
        self.registry.register(&service, Duration::ZERO).await.expect("memory");
    }

    pub(crate) fn api(&self) -> ApiBuilder {
        Api::builder(Client::builder(Arc::new(self.registry.clone())).build()).access_log(AccessLog::Off)
    }
}

impl Gateway {
    pub(crate) async fn start(api: ApiBuilder) -> Self {
        Self::with(api, HttpLimits::default(), PATIENCE, |listener| listener).await
    }

    pub(crate) async fn with(
        api: ApiBuilder,
        limits: HttpLimits,
        grace: Duration,
        tune: impl FnOnce(Listener) -> Listener,
    ) -> Self {
        let api = api.build();
        let listener = tune(Listener::bind("127.0.0.1:0").await.expect("a free port"));
        let (address, stop) = (listener.local_addr(), Stop::new());
        let serving = tokio::spawn(serve_http(listener, api.router(), limits, stop.clone(), grace));
        let closing = stop.clone();
        let websockets = tokio::spawn(async move {
            tokio::select! {
                () = api.follow_routes() => {}
                () = api.close_websockets(closing, grace) => {}
            }
        });
        Self { address, stop, serving, websockets }
    }

    pub(crate) async fn connect(&self) -> Raw {
        Raw { tcp: TcpStream::connect(self.address).await.expect("connects") }
    }

    /// Sends bytes and reads all that comes back until the gateway closes.
    pub(crate) async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut raw = self.connect().await;
        raw.send(bytes).await;
        raw.rest().await
    }

    pub(crate) async fn stopped(self) {
        self.stop.soon.cancel();
        soon(self.serving).await.expect("no panic");
        soon(self.websockets).await.expect("no panic");
    }
}

/// A connection for bytes that no client of ours would send.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) tcp: TcpStream,
}

impl Raw {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.tcp.write_all(bytes.as_ref())).await.expect("written");
    }

    /// All that comes until the gateway closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset ends it as well.
        let _ = soon(self.tcp.read_to_end(&mut bytes)).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What comes until it ends with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        soon(async {
            while !bytes.ends_with(end.as_bytes()) {
                let byte = self.tcp.read_u8().await;
                bytes.push(
                    byte.unwrap_or_else(|_| panic!("closed after {:?}", String::from_utf8_lossy(&bytes))),
                );
            }
        })
        .await;
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// An HTTP server that is not ours: it says what it is told to, and keeps what it got.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    /// Heads and bodies as they arrived.
    pub(crate) got: Arc<Mutex<Vec<String>>>,
}

impl Backend {
    /// Answers each request with `answer`, and closes the connection if that is empty.
    pub(crate) async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = got.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(Self::serve(tcp, kept.clone(), answer));
            }
        });
        Self { address, got }
    }

    async fn serve(mut tcp: TcpStream, got: Arc<Mutex<Vec<String>>>, answer: &'static str) {
        let mut request = Vec::new();
        while let Ok(byte) = tcp.read_u8().await {
            request.push(byte);
            if !is_whole(&request) {
                continue;
            }
            got.lock().push(String::from_utf8_lossy(&std::mem::take(&mut request)).into_owned());
            if answer.is_empty() || tcp.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.got.lock().clone()
    }
}

/// Whether a request has arrived with its body.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => body.len() >= length,
        None => !head.contains("transfer-encoding: chunked") || body.ends_with("0\r\n\r\n"),
    }
}

/// An address where nothing listens.
pub(crate) async fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound")
}
