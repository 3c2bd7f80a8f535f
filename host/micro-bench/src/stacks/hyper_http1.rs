//! hyper's http1 server and client, one connection per loop: the yardstick.

use super::{BODY, ClosedLoop, ENDPOINT, InProcess, Latencies, SERVICE, Stack};
use crate::Failed;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::time::Instant;
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone)]
struct Hyper {
    address: SocketAddr,
}

pub(crate) async fn start() -> Result<Box<dyn Stack>, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            let server = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service_fn(echo));
            tokio::spawn(server);
        }
    });
    Ok(Box::new(InProcess(Hyper { address })))
}

/// Looks at what a service has to look at, and answers the body.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let header = |name: &str| request.headers().get(name);
    let known = header("micro-service").is_some_and(|it| it == SERVICE)
        && header("micro-endpoint").is_some_and(|it| it == ENDPOINT);
    let (id, content_type) = (header("micro-id").cloned(), header("content-type").cloned());
    let body = request.into_body().collect().await?.to_bytes();
    let mut response = Response::new(Full::new(body));
    if !known {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    for (name, value) in [("micro-id", id), ("content-type", content_type)] {
        if let Some(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

impl ClosedLoop for Hyper {
    async fn closed_loop(self, from: Instant, until: Instant) -> Result<Vec<u32>, Failed> {
        let mut latencies = Latencies::new(from, until);
        let mut sender = self.connect().await?;
        let body = Bytes::from_static(BODY);
        let host = self.address.to_string();
        let mut id = 0u64;
        while let Some(started) = latencies.start() {
            id += 1;
            let request = Request::post("/")
                .header("host", &host)
                .header("user-agent", "bench")
                .header("content-type", "application/protobuf")
                .header("micro-service", SERVICE)
                .header("micro-endpoint", ENDPOINT)
                .header("micro-method", ENDPOINT)
                .header("micro-id", id)
                .header("timeout", "5000000000")
                .header("micro-from-service", "go.micro.cli.bench")
                .body(Full::new(body.clone()))?;
            sender.ready().await?;
            let response = sender.send_request(request).await?;
            if response.status() != StatusCode::OK {
                return Err("the server refused".into());
            }
            if response.into_body().collect().await?.to_bytes() != body {
                return Err("the echo is not what was sent".into());
            }
            latencies.end(started);
        }
        Ok(latencies.done())
    }
}

impl Hyper {
    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failed> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}
