//! A pooled HTTP client over the dialer.
//!
//! One client belongs to one policy and one TLS profile: its idle connections are never shared with anybody who may
//! reach other places. It follows no redirects, sets no read timeout (a watch may be silent for hours; callers put
//! their own deadline around a request), and speaks HTTP/2 where ALPN settles on it.

use crate::dial::{DialError, Dialer, Target};
use crate::stream::Stream;
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client, Error as LegacyError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

type BoxError = Box<dyn StdError + Send + Sync>;

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct HttpClientOptions {
    /// Makes the connections; its timeout is the connect timeout.
    pub dialer: Dialer,
    /// For `https`; without it, `https` is refused.
    pub tls: Option<Arc<ClientConfig>>,
    /// How many connections may be open at a time, over all hosts. The next request waits for one, at most as long as
    /// a connection may take.
    pub max_connections: usize,
    /// How many idle connections are kept per host.
    pub max_idle_per_host: usize,
    /// How long an idle connection is kept. A connection with a request on it is not idle.
    pub idle_timeout: Duration,
}

impl HttpClientOptions {
    /// 64 connections, 8 idle ones per host for 30 s, no TLS.
    pub fn new(dialer: Dialer) -> Self {
        Self {
            dialer,
            tls: None,
            max_connections: 64,
            max_idle_per_host: 8,
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// A pooled client for request bodies of type `B`. Clones share the pool.
pub struct HttpClient<B> {
    client: Client<Connector, B>,
}

impl<B> HttpClient<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// A client with an empty pool.
    pub fn new(options: HttpClientOptions) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            // Without a timer of its own the pool would never close an idle connection.
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_timeout)
            .pool_max_idle_per_host(options.max_idle_per_host);
        let connector = Connector {
            dialer: options.dialer,
            tls: options.tls,
            slots: Arc::new(Semaphore::new(options.max_connections.min(Semaphore::MAX_PERMITS))),
        };
        Self { client: builder.build(connector) }
    }

    /// Sends a request to its absolute URI. Any status is a success; a redirect is an answer like others.
    ///
    /// Dropping the future abandons the request.
    ///
    /// # Errors
    /// There was no answer; [`HttpError::kind`] says why.
    pub async fn request(&self, request: Request<B>) -> Result<Response<Incoming>, HttpError> {
        let target = target_of(request.uri())
            .map_or_else(|_| request.uri().to_string(), |(target, _)| target.to_string());
        self.client.request(request).await.map_err(|error| HttpError::classify(target, error))
    }
}

impl<B> Clone for HttpClient<B> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone() }
    }
}

impl<B> fmt::Debug for HttpClient<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpErrorKind {
    /// The egress policy forbids it.
    Denied,
    /// The URI cannot be requested: no host, or neither `http` nor `https`.
    InvalidUri,
    /// The name has no address.
    Dns,
    /// Nothing took the connection.
    Refused,
    /// No connection in time, or all connections of the client were busy for that long.
    Timeout,
    /// No agreement on TLS.
    Tls,
    /// The connection broke after it was made. The server may have seen the request.
    Broken,
}

/// A request without an answer.
#[derive(Debug)]
pub struct HttpError {
    kind: HttpErrorKind,
    target: String,
    source: LegacyError,
}

impl HttpError {
    /// What the caller may base a decision on.
    pub fn kind(&self) -> HttpErrorKind {
        self.kind
    }

    /// The whole story on one line, for logs and for guests.
    pub fn reason(&self) -> String {
        crate::error_chain(self)
    }

    /// The dialer's error, if it was the dialer that failed.
    pub fn dial_error(&self) -> Option<&DialError> {
        match connect_error(&self.source) {
            Some(ConnectError::Dial(error)) => Some(error),
            _ => None,
        }
    }

    fn classify(target: String, source: LegacyError) -> Self {
        let kind = match connect_error(&source) {
            Some(ConnectError::Dial(error)) => match error {
                DialError::Denied(_) => HttpErrorKind::Denied,
                DialError::Resolve { .. } => HttpErrorKind::Dns,
                DialError::Tls { .. } => HttpErrorKind::Tls,
                error if error.is_timeout() => HttpErrorKind::Timeout,
                DialError::Connect { .. } | DialError::Timeout { .. } => HttpErrorKind::Refused,
            },
            Some(ConnectError::Busy(_)) => HttpErrorKind::Timeout,
            Some(ConnectError::NoTls) => HttpErrorKind::Tls,
            Some(ConnectError::Uri(..)) => HttpErrorKind::InvalidUri,
            // hyper-util refuses a relative URI before it asks the connector, and says so in its text only.
            None if source.source().is_none() && !source.is_connect() => HttpErrorKind::InvalidUri,
            None => HttpErrorKind::Broken,
        };
        Self { kind, target, source }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer from {}", self.target)
    }
}

impl StdError for HttpError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // hyper-util's own level only says "client error (Connect)".
        self.source.source().or(Some(&self.source))
    }
}

fn connect_error(error: &LegacyError) -> Option<&ConnectError> {
    error.source()?.downcast_ref()
}

/// Why the connector gave up before dialling.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("all connections were busy for {0:?}")]
    Busy(Duration),
    #[error("https needs TLS settings")]
    NoTls,
    #[error("cannot request {0:?}: {1}")]
    Uri(String, &'static str),
}

/// Host and port, and whether TLS is wanted.
fn target_of(uri: &Uri) -> Result<(Target, bool), ConnectError> {
    let error = |problem| ConnectError::Uri(uri.to_string(), problem);
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(error("the scheme is neither http nor https")),
    };
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| error("no host"))?;
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    Ok((Target::new(host, port), tls))
}

/// Dials for the pool.
#[derive(Clone, Debug)]
struct Connector {
    dialer: Dialer,
    tls: Option<Arc<ClientConfig>>,
    slots: Arc<Semaphore>,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<Pooled, ConnectError> {
        let (target, wants_tls) = target_of(&uri)?;
        // Before it waits for a slot: a refusal should not depend on how busy the client is.
        self.dialer.policy().check_host(&target.host, target.port).map_err(DialError::from)?;
        let tls = match &self.tls {
            Some(config) if wants_tls => Some(config),
            None if wants_tls => return Err(ConnectError::NoTls),
            _ => None,
        };
        let patience = self.dialer.timeout();
        let slot = tokio::time::timeout(patience, Arc::clone(&self.slots).acquire_owned())
            .await
            .map_err(|_| ConnectError::Busy(patience))?
            .expect("the semaphore is never closed");
        let stream = self.dialer.dial(&target, tls).await?;
        Ok(Pooled { io: TokioIo::new(stream), _slot: slot })
    }
}

impl Service<Uri> for Connector {
    type Response = Pooled;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Pooled, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection that counts against the client's cap until it is closed.
#[derive(Debug)]
struct Pooled {
    io: TokioIo<Stream>,
    _slot: OwnedSemaphorePermit,
}

impl Connection for Pooled {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.io.inner().alpn() == Some(b"h2") { connected.negotiated_h2() } else { connected }
    }
}

impl hyper::rt::Read for Pooled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Pooled {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        hyper::rt::Write::is_write_vectored(&self.io)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
