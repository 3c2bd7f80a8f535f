//! HTTP servers for gateways and for the admin pages, around any tower service.

use crate::backoff::Backoff;
use crate::listen::Listener;
use crate::stop::{Stop, drain};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};
use tracing::Instrument;

/// What one connection may use. The number of connections is the listener's to limit; bodies are the service's.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// The longest head in bytes, at least 8192. A longer one is answered with 431.
    pub max_head: usize,
    /// How long a client may take to send a head, counted from the end of the last exchange: also the time that an
    /// idle connection is kept.
    pub head_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
}

impl Default for HttpLimits {
    /// 64 KiB, 30 s, 10 s.
    fn default() -> Self {
        Self {
            max_head: 64 << 10,
            head_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// In the extensions of every request that came over TCP: who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other side's address; a proxy's, if there is one in front.
    pub addr: SocketAddr,
    /// The address of ours that was called.
    pub local: SocketAddr,
    /// Whether the connection is TLS.
    pub secure: bool,
}

/// A service that can answer HTTP requests, such as an axum router.
pub trait HttpService:
    Service<Request<Incoming>, Response = Response<Self::Body>, Error: Into<BoxError>, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
    /// The body of its responses.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

type BoxError = Box<dyn StdError + Send + Sync>;

impl<S, B> HttpService for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
}

/// Serves a port until `stop.soon`, then in this order: frees the port, closes idle connections, gives requests in
/// flight `grace` to finish, cancels the rest. Returns when the last connection is closed. Upgrades (WebSocket) are
/// possible; an upgraded connection is its handler's.
pub async fn serve_http<S: HttpService>(
    listener: Listener,
    service: S,
    limits: HttpLimits,
    stop: Stop,
    grace: Duration,
) {
    let connection = |accepted: crate::listen::Accepted, stop| {
        let service = service.clone();
        async move {
            let (addr, local) = (accepted.peer, accepted.local);
            match accepted.establish(limits.handshake_timeout).await {
                Ok((stream, _slot)) => {
                    let secure = !matches!(stream, crate::stream::Stream::Tcp(_));
                    serve_connection(stream, service, Some(Peer { addr, local, secure }), limits, stop).await;
                }
                Err(error) => tracing::debug!(%error, "TLS handshake failed"),
            }
        }
    };
    crate::serve::serve(listener, stop, grace, connection).await;
}

/// [`serve_http`] on a Unix socket, for whoever may open it. Its requests have no [`Peer`].
pub async fn serve_unix<S: HttpService>(
    listener: UnixListener,
    service: S,
    limits: HttpLimits,
    stop: Stop,
    grace: Duration,
) {
    let stop = stop.child();
    let tasks = TaskTracker::new();
    let mut backoff = Backoff::new(Duration::from_millis(5), Duration::from_secs(1));
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.soon.cancelled() => break,
            () = stop.now.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                backoff.reset();
                let connection = serve_connection(stream, service.clone(), None, limits, stop.clone());
                tasks.spawn(connection.instrument(tracing::debug_span!("admin connection")));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept on the Unix socket, trying on");
                tokio::time::sleep(backoff.next_wait()).await;
            }
        }
    }
    // 1. Nobody new. 2. Requests in flight get their time. 3. What is left is cancelled.
    drop(listener);
    drain(&tasks, &stop, grace).await;
}

async fn serve_connection<I, S>(io: I, service: S, peer: Option<Peer>, limits: HttpLimits, stop: Stop)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: HttpService,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        service.clone().oneshot(request)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.max_head.max(8192));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service).with_upgrades());
    let served = tokio::select! {
        served = &mut connection => served,
        () = stop.now.cancelled() => return,
        () = stop.soon.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                served = connection => served,
                () = stop.now.cancelled() => return,
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(error = crate::error_chain(&error), "connection broken");
    }
}
