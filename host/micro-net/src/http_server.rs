//! HTTP servers for gateways and for the admin pages, around any tower service.

mod guard;

use crate::backoff::Backoff;
use crate::client_addr::TrustedProxies;
use crate::listen::{Accepted, Listener, Slot};
use crate::stop::{Stop, drain};
use bytes::Bytes;
use guard::Guard;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};
use tracing::Instrument;

/// What one connection may use. The number of connections is the listener's to limit; bodies are the service's.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// The longest head in bytes, from 8192 to 65536. A longer one is answered with 431.
    pub max_head: usize,
    /// How long a client may take to send a head, counted from the end of the last exchange: also the time that an
    /// idle connection is kept.
    pub head_timeout: Duration,
    /// How long a TLS handshake may take, and before it the header of the PROXY protocol.
    pub handshake_timeout: Duration,
    /// How long a client may take nothing of an answer that waits for it.
    pub write_timeout: Duration,
}

impl Default for HttpLimits {
    /// 64 KiB, 30 s, 10 s, 30 s.
    fn default() -> Self {
        Self {
            max_head: 64 << 10,
            head_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// In the extensions of every request that came over TCP: who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other side's address; a proxy's, if there is one in front that does not speak the PROXY protocol. See
    /// [`ClientAddr`](crate::client_addr::ClientAddr) for who that proxy speaks for.
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
///
/// Requests have a [`Peer`] and a [`ClientAddr`](crate::client_addr::ClientAddr) in their extensions. Heads and bodies
/// whose end two readers could see in different places are answered with 400, and so are requests without `Host`.
pub async fn serve_http<S: HttpService>(
    listener: Listener,
    service: S,
    limits: HttpLimits,
    stop: Stop,
    grace: Duration,
) {
    let proxies = listener.trusted_proxies().clone();
    let connection = |accepted: Accepted, stop| {
        let (service, proxies) = (service.clone(), proxies.clone());
        async move {
            let accepted = match accepted.announced(limits.handshake_timeout).await {
                Ok(accepted) => accepted,
                Err(error) => {
                    return tracing::debug!(error = crate::error_chain(&error), "no PROXY header");
                }
            };
            let (addr, local) = (accepted.peer, accepted.local);
            match accepted.establish(limits.handshake_timeout).await {
                Ok((stream, slot)) => {
                    let secure = stream.is_secure();
                    let origin = Origin { peer: Peer { addr, local, secure }, proxies };
                    serve_connection(stream, service, Some(origin), Some(slot), limits, stop).await;
                }
                Err(error) => tracing::debug!(%error, "TLS handshake failed"),
            }
        }
    };
    crate::serve::serve(listener, stop, grace, connection).await;
}

/// Where the requests of a TCP connection come from.
#[derive(Clone, Debug)]
struct Origin {
    peer: Peer,
    proxies: TrustedProxies,
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
                let connection = serve_connection(stream, service.clone(), None, None, limits, stop.clone());
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

async fn serve_connection<I, S>(
    io: I,
    service: S,
    origin: Option<Origin>,
    slot: Option<Slot>,
    limits: HttpLimits,
    stop: Stop,
) where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: HttpService,
{
    let io = Guard::new(io, limits.write_timeout, slot);
    let upgraded = io.upgraded();
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(Origin { peer, proxies }) = &origin {
            proxies.apply(&mut request, peer.addr);
            request.extensions_mut().insert(*peer);
        }
        let (service, upgraded) = (service.clone(), upgraded.clone());
        async move {
            let response = service.oneshot(request).await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                upgraded.store(true, Relaxed);
            }
            Ok::<_, S::Error>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // A client that has finished sending still gets its answer.
        .half_close(true)
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.max_head.clamp(8192, http1_core::MAX_HEAD));
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
