//! The HTTP client and the HTTP servers, against each other.

use crate::support::{Counter, PATIENCE, Raw, soon};
use crate::tls::Authority;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use micro_net::http_server::{HttpLimits, Peer, serve_http, serve_unix};
use micro_net::tls::{ClientTls, ServerTls, client_config, server_config};
use micro_net::{
    Dialer, EgressPolicy, HttpClient, HttpClientOptions, HttpErrorKind, Listener, StaticResolver, Stop,
};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

#[derive(Clone, Default)]
struct Pages {
    started: Arc<Counter>,
    release: Arc<Notify>,
}

impl Pages {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        self.started.add();
        let text = match request.uri().path() {
            "/wait" => {
                self.release.notified().await;
                "waited".to_owned()
            }
            "/peer" => match request.extensions().get::<Peer>() {
                Some(peer) => format!("{} {}", peer.local, peer.secure),
                None => "no peer".to_owned(),
            },
            "/redirect" => {
                let response = Response::builder().status(302).header("location", "/peer");
                return Ok(response.body(Full::default()).expect("a response"));
            }
            path => path.to_owned(),
        };
        Ok(Response::new(Full::from(text)))
    }
}

struct Site {
    addr: SocketAddr,
    stop: Stop,
    task: JoinHandle<()>,
    pages: Pages,
}

impl Site {
    async fn start(limits: HttpLimits) -> Self {
        Self::with(limits, |listener| listener).await
    }

    async fn with(limits: HttpLimits, tune: impl FnOnce(Listener) -> Listener) -> Self {
        let listener = tune(Listener::bind("127.0.0.1:0").await.expect("a free port"));
        let (addr, stop, pages) = (listener.local_addr(), Stop::new(), Pages::default());
        let answering = pages.clone();
        let service = tower::service_fn(move |request| answering.clone().answer(request));
        let task = tokio::spawn(serve_http(listener, service, limits, stop.clone(), PATIENCE));
        Self { addr, stop, task, pages }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

type Client = HttpClient<Empty<Bytes>>;

fn client(rules: &[String]) -> Client {
    let policy = EgressPolicy::new(rules.iter().map(|rule| rule.parse().expect("a rule")));
    HttpClient::new(HttpClientOptions::new(Dialer::new(policy)))
}

async fn get(client: &Client, url: &str) -> Result<(u16, String), HttpErrorKind> {
    let request = Request::get(url).body(Empty::new()).expect("a request");
    let response = soon(client.request(request)).await.map_err(|error| error.kind())?;
    let status = response.status().as_u16();
    let body = soon(response.into_body().collect()).await.expect("a body").to_bytes();
    Ok((status, String::from_utf8(body.to_vec()).expect("text")))
}

#[tokio::test]
async fn pages_are_served_and_redirects_are_not_followed() {
    let site = Site::start(HttpLimits::default()).await;
    let client = client(&["127.0.0.1:*".to_owned()]);
    assert_eq!(get(&client, &site.url("/x")).await, Ok((200, "/x".to_owned())));
    assert_eq!(get(&client, &site.url("/peer")).await, Ok((200, format!("{} false", site.addr))));
    assert_eq!(get(&client, &site.url("/redirect")).await, Ok((302, String::new())));
}

#[tokio::test]
async fn https_is_http_with_the_given_trust() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let identity = authority.identity("site.test");
    let config =
        server_config(&ServerTls { identity, client_roots: None }, &["http/1.1"]).expect("good files");
    let site = Site::with(HttpLimits::default(), |listener| listener.with_tls(config)).await;
    for (roots, expected) in [
        (authority.roots(), Ok((200, format!("{} true", site.addr)))),
        (stranger.roots(), Err(HttpErrorKind::Tls)),
    ] {
        let names = StaticResolver::new().with("site.test", [site.addr.ip()]);
        let dialer = Dialer::new(EgressPolicy::unrestricted()).with_resolver(Arc::new(names));
        let tls = ClientTls { roots: Some(roots), ..ClientTls::default() };
        let tls = client_config(&tls, &["h2", "http/1.1"]).expect("good files");
        let client = Client::new(HttpClientOptions { tls: Some(tls), ..HttpClientOptions::new(dialer) });
        let url = format!("https://site.test:{}/peer", site.addr.port());
        assert_eq!(get(&client, &url).await, expected);
    }
}

#[tokio::test]
async fn failures_of_the_client_are_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let refused = closed.local_addr().expect("bound");
    drop(closed);
    let broken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let breaking = broken.local_addr().expect("bound");
    tokio::spawn(async move {
        loop {
            let (tcp, _) = broken.accept().await.expect("accepted");
            Raw { tcp }.until("\r\n\r\n").await;
        }
    });
    let names = StaticResolver::new().with("rebound.test", ["169.254.169.254".parse().expect("an address")]);
    let rules = ["127.0.0.1:*", "rebound.test:*", "gone.test:*"];
    let policy = EgressPolicy::new(rules.iter().map(|rule| rule.parse().expect("a rule")));
    let dialer = Dialer::new(policy).with_resolver(Arc::new(names)).with_timeout(Duration::from_secs(2));
    let client = Client::new(HttpClientOptions::new(dialer));
    for (url, expected) in [
        (format!("http://{refused}/"), HttpErrorKind::Refused),
        (format!("http://{breaking}/"), HttpErrorKind::Broken),
        ("http://rebound.test/".to_owned(), HttpErrorKind::Denied),
        ("http://169.254.169.254/latest".to_owned(), HttpErrorKind::Denied),
        ("http://[::ffff:169.254.169.254]/latest".to_owned(), HttpErrorKind::Denied),
        ("http://other.test/".to_owned(), HttpErrorKind::Denied),
        ("http://gone.test/".to_owned(), HttpErrorKind::Dns),
        (format!("https://{refused}/"), HttpErrorKind::Tls),
        ("ftp://127.0.0.1/".to_owned(), HttpErrorKind::InvalidUri),
        ("/relative".to_owned(), HttpErrorKind::InvalidUri),
    ] {
        assert_eq!(get(&client, &url).await, Err(expected), "{url}");
    }
    let request = Request::get("http://rebound.test/").body(Empty::new()).expect("a request");
    let error = client.request(request).await.expect_err("denied");
    assert_eq!(
        error.reason(),
        "no answer from rebound.test:80: not allowed to reach rebound.test:80, which resolves to 169.254.169.254 \
         (grant net:169.254.169.254:80 would allow it)"
    );
    assert!(error.dial_error().is_some());
}

#[tokio::test]
async fn a_client_has_only_so_many_connections() {
    let site = Site::start(HttpLimits::default()).await;
    let dialer = Dialer::new(EgressPolicy::unrestricted()).with_timeout(Duration::from_millis(100));
    let client = Client::new(HttpClientOptions { max_connections: 1, ..HttpClientOptions::new(dialer) });
    let url = site.url("/wait");
    let first = tokio::spawn({
        let (client, url) = (client.clone(), url.clone());
        async move { get(&client, &url).await }
    });
    site.pages.started.reach(1).await;
    assert_eq!(get(&client, &site.url("/x")).await, Err(HttpErrorKind::Timeout));
    site.pages.release.notify_one();
    assert_eq!(first.await.expect("no panic"), Ok((200, "waited".to_owned())));
    assert_eq!(get(&client, &site.url("/x")).await, Ok((200, "/x".to_owned())), "the connection is reused");
}

#[tokio::test]
async fn requests_in_flight_finish_during_a_shutdown() {
    let site = Site::start(HttpLimits::default()).await;
    let (mut idle, mut busy) = (raw(site.addr).await, raw(site.addr).await);
    idle.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    idle.until("\r\n\r\n/").await;
    busy.send("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await;
    site.pages.started.reach(2).await;
    site.stop.soon.cancel();
    assert_eq!(idle.rest().await, "");
    assert!(!site.task.is_finished());
    site.pages.release.notify_one();
    let answer = busy.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("waited"), "{answer:?}");
    soon(site.task).await.expect("no panic");
}

#[tokio::test]
async fn slow_and_large_heads_end() {
    let limits = HttpLimits { head_timeout: Duration::from_millis(100), ..HttpLimits::default() };
    let site = Site::start(limits).await;
    let mut slow = raw(site.addr).await;
    slow.send("GET / HTTP/1.1\r\nho").await;
    let answer = slow.rest().await;
    assert_eq!(answer, "");
    let mut large = raw(site.addr).await;
    large.send(format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "y".repeat(70_000))).await;
    let answer = large.rest().await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    assert_eq!(site.pages.started.get(), 0);
}

async fn raw(addr: SocketAddr) -> Raw {
    Raw { tcp: TcpStream::connect(addr).await.expect("connects") }
}

#[tokio::test]
async fn a_unix_socket_serves_and_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("admin.sock");
    let listener = UnixListener::bind(&path).expect("bound");
    let (stop, pages) = (Stop::new(), Pages::default());
    let service = tower::service_fn(move |request| pages.clone().answer(request));
    let task = tokio::spawn(serve_unix(listener, service, HttpLimits::default(), stop.clone(), PATIENCE));
    let stream = UnixStream::connect(&path).await.expect("connects");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let request =
        Request::get("/peer").header("host", "localhost").body(Empty::<Bytes>::new()).expect("a request");
    let response = soon(sender.send_request(request)).await.expect("an answer");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    assert_eq!(body, "no peer");
    stop.soon.cancel();
    soon(task).await.expect("no panic");
}
