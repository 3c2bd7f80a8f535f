//! Certificates that change while they are served, and the PROXY protocol in front of them.

use crate::support::{PATIENCE, soon};
use crate::tls::Authority;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use micro_net::http_server::{HttpLimits, Peer, serve_http};
use micro_net::tls::{ClientTls, ServerTls, client_config};
use micro_net::{
    ClientAddr, Dialer, EgressPolicy, Listener, ReloadingTls, StaticResolver, Stop, Stream, Target,
    TrustedProxies,
};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Says who asks.
async fn who(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.addr.to_string());
    let client = request.extensions().get::<ClientAddr>().map(|client| client.0.to_string());
    let text = format!("<{} {}>", peer.unwrap_or_default(), client.unwrap_or_default());
    Ok(Response::new(Full::from(text)))
}

struct Site {
    addr: SocketAddr,
    stop: Stop,
    task: tokio::task::JoinHandle<()>,
}

impl Site {
    async fn start(tune: impl FnOnce(Listener) -> Listener) -> Self {
        let listener = tune(Listener::bind("127.0.0.1:0").await.expect("a free port"));
        let (addr, stop) = (listener.local_addr(), Stop::new());
        let limits = HttpLimits { handshake_timeout: Duration::from_millis(300), ..HttpLimits::default() };
        let task = tokio::spawn(serve_http(listener, tower::service_fn(who), limits, stop.clone(), PATIENCE));
        Self { addr, stop, task }
    }

    async fn stopped(self) {
        self.stop.soon.cancel();
        soon(self.task).await.expect("no panic");
    }

    async fn connect(&self, roots: PathBuf) -> Stream {
        let names = StaticResolver::new().with("site.test", [self.addr.ip()]);
        let dialer = Dialer::new(EgressPolicy::unrestricted()).with_resolver(Arc::new(names));
        let tls = ClientTls { roots: Some(roots), ..ClientTls::default() };
        let tls = client_config(&tls, &["http/1.1"]).expect("good files");
        soon(dialer.dial(&Target::new("site.test", self.addr.port()), Some(&tls))).await.expect("trusted")
    }
}

/// The certificate that the server presented.
fn certificate(stream: &Stream) -> Vec<u8> {
    let Stream::Client(tls) = stream else { panic!("no TLS") };
    tls.get_ref().1.peer_certificates().expect("presented")[0].to_vec()
}

/// One request on a connection that stays open.
async fn ask<S: AsyncReadExt + AsyncWriteExt + Unpin>(stream: &mut S, before: &str) -> String {
    let request = format!("{before}GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    soon(stream.write_all(request.as_bytes())).await.expect("written");
    let mut answer = Vec::new();
    soon(async {
        while !answer.ends_with(b">") {
            match stream.read_u8().await {
                Ok(byte) => answer.push(byte),
                Err(_) => return,
            }
        }
    })
    .await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_new_certificate_is_served_and_old_connections_go_on() {
    let authority = Authority::new("ours");
    let settings = ServerTls { identity: authority.identity("site.test"), client_roots: None };
    let tls = ReloadingTls::load(settings, &["http/1.1"]).expect("good files");
    let site = Site::start(|listener| listener.with_reloading_tls(&tls)).await;
    let following = tokio::spawn(tls.follow(site.stop.clone()));
    let mut old = site.connect(authority.roots()).await;
    assert!(ask(&mut old, "").await.starts_with("HTTP/1.1 200 "));
    let first = certificate(&old);

    // The same files with another serial and another key.
    authority.identity("site.test");
    let start = Instant::now();
    let mut renewed = site.connect(authority.roots()).await;
    while certificate(&renewed) == first {
        assert!(start.elapsed() < PATIENCE, "the old certificate is still served");
        renewed = site.connect(authority.roots()).await;
    }
    assert!(ask(&mut renewed, "").await.starts_with("HTTP/1.1 200 "));
    assert!(ask(&mut old, "").await.starts_with("HTTP/1.1 200 "), "it was not dropped");
    drop((old, renewed));
    site.stopped().await;
    soon(following).await.expect("no panic");
}

#[tokio::test]
async fn the_proxy_protocol_stands_before_tls() {
    let authority = Authority::new("ours");
    let settings = ServerTls { identity: authority.identity("site.test"), client_roots: None };
    let tls = ReloadingTls::load(settings, &[]).expect("good files");
    let trusted = TrustedProxies::parse(["127.0.0.1"]).expect("an address");
    let site = Site::start(|listener| {
        listener.with_reloading_tls(&tls).with_trusted_proxies(trusted).with_proxy_protocol()
    })
    .await;
    let mut tcp = TcpStream::connect(site.addr).await.expect("connects");
    tcp.write_all(b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n").await.expect("written");
    let config = client_config(&ClientTls { roots: Some(authority.roots()), ..ClientTls::default() }, &[])
        .expect("good");
    let name = "site.test".to_owned().try_into().expect("a name");
    let connecting = tokio_rustls::TlsConnector::from(config).connect(name, tcp);
    let mut stream = soon(connecting).await.expect("trusted");
    let answer = ask(&mut stream, "").await;
    assert!(answer.ends_with("<203.0.113.9:4711 203.0.113.9>"), "{answer}");
    drop(stream);
    site.stopped().await;
}

#[tokio::test]
async fn announcements_come_from_trusted_proxies_in_time_or_not_at_all() {
    let trusted = |networks: &str| TrustedProxies::parse([networks]).expect("networks");
    let site =
        Site::start(|listener| listener.with_trusted_proxies(trusted("127.0.0.1")).with_proxy_protocol())
            .await;
    for start in ["", "PROXY TCP4 203.0.113.9 10.0"] {
        let mut tcp = TcpStream::connect(site.addr).await.expect("connects");
        tcp.write_all(start.as_bytes()).await.expect("written");
        let begun = Instant::now();
        let mut rest = Vec::new();
        // A reset ends it as well.
        let _ = soon(tcp.read_to_end(&mut rest)).await;
        assert!(rest.is_empty() && begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    site.stopped().await;

    let site =
        Site::start(|listener| listener.with_trusted_proxies(trusted("10.0.0.0/8")).with_proxy_protocol())
            .await;
    let mut tcp = TcpStream::connect(site.addr).await.expect("connects");
    let answer = ask(&mut tcp, "PROXY TCP4 10.0.0.7 10.0.0.1 4711 80\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "a stranger announces nothing: {answer}");
    drop(tcp);
    let mut tcp = TcpStream::connect(site.addr).await.expect("connects");
    let local = tcp.local_addr().expect("connected");
    let answer = ask(&mut tcp, "").await;
    assert!(answer.ends_with(&format!("<{local} 127.0.0.1>")), "{answer}");
    drop(tcp);
    site.stopped().await;
}
