//! Answering calls: what becomes of an HTTP/2 connection on an RPC port.

use super::Codec;
use super::answer::Accepted;
use super::messages::{Budget, Messages};
use super::status::Status;
use super::turn::Turn;
use crate::stop::Stop;
use crate::wire::{Handler, Limits};
use bytes::Bytes;
use futures::stream::BoxStream;
use h2::{Ping, PingPong};
use micro_core::Headers;
use std::fmt;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Calls of one connection at a time. More are refused, which tells clients to wait.
const MAX_STREAMS: u32 = 256;
/// Header fields of a call, all together, in bytes.
const MAX_HEADERS: u32 = 64 << 10;
/// Windows of a stream and of a connection: how much the client may send before it is read. The connection has room for
/// all its streams, or those that no handler reads would hold up the others.
const WINDOWS: (u32, u32) = (64 << 10, (64 << 10) * MAX_STREAMS);
/// Streams that a client may have reset before they were looked at. One that opens and resets as fast as it can gets
/// no further (CVE-2023-44487).
const MAX_RESETS: usize = 64;
/// Streams that may be reset because of what the client did wrong on them (CVE-2025-8671).
const MAX_ERRORS: usize = 256;
/// Unfinished messages of a connection, in largest messages.
const UNFINISHED: usize = 2;
/// How often the client is asked whether it is still there, and how long it may take to answer.
const PING: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));
/// How long a client may take to agree to the end of a connection without calls, or to hear how its calls were ended.
const GOODBYE: Duration = Duration::from_secs(1);

/// A call that has begun to arrive.
#[derive(Debug)]
pub struct Incoming {
    /// `/pkg.Service/Method`.
    pub path: String,
    /// How messages are encoded; none where the caller's content type, `application/grpc`, leaves that open. By gRPC's
    /// documents it then is protobuf, unless something else says otherwise.
    pub codec: Option<Codec>,
    /// What the caller said beyond the protocol.
    pub metadata: Headers,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// Who called.
    pub peer: SocketAddr,
    /// The address of ours that was called.
    pub local: SocketAddr,
    /// The caller's messages.
    pub messages: Messages,
    /// Cancelled when the server is about to stop: a call without an end of its own should come to one.
    pub stopping: CancellationToken,
}

/// An answer.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Goes into the head of the answer.
    pub metadata: Headers,
    /// The encoded messages, in the codec of the call.
    pub answer: Answer,
    /// Goes behind the last message of a call that succeeds.
    pub trailers: Headers,
}

/// The messages of an answer.
pub enum Answer {
    /// Exactly one.
    One(Bytes),
    /// Any number; an error is the last. The next one is asked for when the one before is on its way, so a caller that
    /// does not read holds it up.
    Many(BoxStream<'static, Result<Bytes, Status>>),
}

impl Default for Answer {
    fn default() -> Self {
        Self::One(Bytes::new())
    }
}

impl From<Bytes> for Answer {
    fn from(message: Bytes) -> Self {
        Self::One(message)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(message) => write!(f, "One({} bytes)", message.len()),
            Self::Many(_) => f.write_str("Many"),
        }
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// Answers the calls of a connection until `stop.soon` or until nobody has called for long; then no new ones are
/// accepted, and those that run are finished. What still runs at `stop.now` is told `UNAVAILABLE`.
pub(crate) async fn serve<H, S>(io: S, origin: Origin, handler: H, limits: Limits, stop: &Stop)
where
    H: Handler,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(Some(MAX_ERRORS))
        .max_concurrent_reset_streams(MAX_RESETS)
        .max_send_buffer_size(64 << 10);
    let greeting = within(limits.head_timeout, builder.handshake(io));
    let greeting = tokio::select! {
        greeting = greeting => greeting,
        () = stop.now.cancelled() => return,
    };
    let mut connection = match greeting {
        Some(Ok(connection)) => connection,
        Some(Err(error)) => return tracing::debug!(%error, "no HTTP/2 connection"),
        None => return tracing::debug!("no HTTP/2 connection in time"),
    };
    let mut alive = pin!(keep_alive(connection.ping_pong()));
    let budget = Budget::new(limits.max_body.saturating_mul(UNFINISHED));
    let mut calls = JoinSet::new();
    let mut turn = Turn::default();
    let mut stopping = pin!(stop.soon.cancelled());
    let mut ending = pin!(stop.now.cancelled());
    let mut ended = None;
    let mut leaving = false;
    let mut quiet_since = Instant::now();
    loop {
        let patience = match leaving {
            // What was answered may still be on its way.
            true => Some(GOODBYE).filter(|_| !connection.has_streams()),
            false => limits.idle_timeout,
        };
        let quiet = patience.filter(|_| calls.is_empty()).map(|patience| quiet_since + patience);
        tokio::select! {
            biased;
            // Calls hear it, too, and answer.
            () = &mut ending, if ended.is_none() => {
                connection.graceful_shutdown();
                leaving = true;
                ended = Some(Instant::now() + GOODBYE);
            }
            () = until(ended) => return tracing::debug!("the client does not take the end of its calls"),
            () = &mut stopping, if !leaving => {
                leaving = true;
                quiet_since = Instant::now();
                connection.graceful_shutdown();
            }
            Some(_) = calls.join_next() => {
                // Those that ended meanwhile need no round of their own.
                while calls.try_join_next().is_some() {}
                quiet_since = Instant::now();
            }
            accepted = poll_fn(|cx| turn.poll(cx, |cx| pin!(connection.accept()).poll(cx))) => match accepted {
                Some(Ok((request, respond))) => {
                    let (handler, budget, stop) = (handler.clone(), budget.clone(), stop.clone());
                    let call = Accepted { origin, handler, limits, budget, stop };
                    // Boxed where it runs: a task is moved several times before.
                    let answering = async move { Box::pin(call.answer(request, respond)).await };
                    calls.spawn(answering.in_current_span());
                }
                Some(Err(error)) => return tracing::debug!(error = crate::error_chain(&error), "connection broken"),
                None => return,
            },
            () = &mut alive => return tracing::debug!("the client does not answer pings"),
            () = until(quiet) => match leaving {
                true => return,
                false => {
                    leaving = true;
                    quiet_since = Instant::now();
                    connection.graceful_shutdown();
                }
            },
        }
    }
}

/// Ends when the client has not answered a ping.
async fn keep_alive(pings: Option<PingPong>) {
    let Some(mut pings) = pings else {
        return pending().await;
    };
    loop {
        tokio::time::sleep(PING.0).await;
        match tokio::time::timeout(PING.1, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            // The connection is ending, which it says itself.
            Ok(Err(_)) => return pending().await,
            Err(_elapsed) => return,
        }
    }
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}

pub(super) async fn within<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}
