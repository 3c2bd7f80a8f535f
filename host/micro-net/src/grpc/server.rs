//! Answering calls: what becomes of an HTTP/2 connection on an RPC port.

use super::frame::frame;
use super::messages::{Budget, Messages};
use super::send::send_all;
use super::status::{Code, Status};
use super::{Codec, metadata, timeout};
use crate::stop::Stop;
use crate::wire::{Handler, Limits};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Ping, PingPong, Reason, SendStream};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use micro_core::Headers;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;

/// Calls of one connection at a time. More are refused, which tells clients to wait.
const MAX_STREAMS: u32 = 256;
/// Header fields of a call, all together, in bytes.
const MAX_HEADERS: u32 = 64 << 10;
/// Windows of a stream and of a connection: how much the client may send before it is read.
const WINDOWS: (u32, u32) = (1 << 20, 4 << 20);
/// Streams that a client may have reset before they were looked at. One that opens and resets as fast as it can gets
/// no further (CVE-2023-44487).
const MAX_RESETS: usize = 64;
/// Streams that may be reset because of what the client did wrong on them (CVE-2025-8671).
const MAX_ERRORS: usize = 256;
/// Unfinished messages of a connection, in largest messages.
const UNFINISHED: usize = 2;
/// How often the client is asked whether it is still there, and how long it may take to answer.
const PING: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));
/// How long a client may take to agree to the end of a connection without calls.
const GOODBYE: Duration = Duration::from_secs(1);

/// A call that has begun to arrive.
#[derive(Debug)]
pub struct Incoming {
    /// `/pkg.Service/Method`.
    pub path: String,
    /// How messages are encoded.
    pub codec: Codec,
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
}

/// An answer with one message.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// Goes into the head of the answer.
    pub metadata: Headers,
    /// The encoded message, in the codec of the call.
    pub message: Bytes,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// Answers the calls of a connection until `stop.soon` or until nobody has called for long; then no new ones are
/// accepted, and those that run are finished. Dropping the future ends them.
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
    let mut connection = match greeting.await {
        Some(Ok(connection)) => connection,
        Some(Err(error)) => return tracing::debug!(%error, "no HTTP/2 connection"),
        None => return tracing::debug!("no HTTP/2 connection in time"),
    };
    let mut alive = pin!(keep_alive(connection.ping_pong()));
    let budget = Budget::new(limits.max_body.saturating_mul(UNFINISHED));
    let mut calls = JoinSet::new();
    let mut stopping = pin!(stop.soon.cancelled());
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
            () = &mut stopping, if !leaving => {
                leaving = true;
                quiet_since = Instant::now();
                connection.graceful_shutdown();
            }
            Some(_) = calls.join_next() => quiet_since = Instant::now(),
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let call = Accepted { origin, handler: handler.clone(), limits, budget: budget.clone() };
                    calls.spawn(call.answer(request, respond).in_current_span());
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

async fn within<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

/// What one call needs.
struct Accepted<H> {
    origin: Origin,
    handler: H,
    limits: Limits,
    budget: Arc<Budget>,
}

impl<H: Handler> Accepted<H> {
    async fn answer(self, request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>) {
        let (head, body) = request.into_parts();
        if let Some(refusal) = refusal(&head) {
            // A client that is gone needs no refusal.
            _ = respond.send_response(refusal, true);
            return;
        }
        let content_type = head.headers.get(CONTENT_TYPE).cloned();
        let content_type = content_type.unwrap_or(HeaderValue::from_static(super::CONTENT_TYPE));
        let messages = Messages::new(body, self.limits.max_body, self.budget, self.limits.body_timeout);
        let outcome = match incoming(&head, self.origin, messages) {
            Err(status) => Err(status),
            Ok(call) => {
                let mut handling = pin!(self.handler.call(call));
                tokio::select! {
                    biased;
                    outcome = &mut handling => outcome,
                    _reset = poll_fn(|cx| respond.poll_reset(cx)) => {
                        return tracing::debug!("client gone before the answer");
                    }
                }
            }
        };
        match within(self.limits.write_timeout, send(&mut respond, content_type, outcome)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(error = crate::error_chain(&error), "answer not sent"),
            None => {
                tracing::debug!("the client takes nothing of the answer");
                respond.send_reset(Reason::CANCEL);
            }
        }
    }
}

/// The answer to a request that is no call.
fn refusal(head: &http::request::Parts) -> Option<Response<()>> {
    let mut response = Response::new(());
    if codec(head).is_none() {
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    } else if head.method != Method::POST {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    } else {
        return None;
    }
    Some(response)
}

fn codec(head: &http::request::Parts) -> Option<Codec> {
    Codec::of(head.headers.get(CONTENT_TYPE)?.to_str().ok()?)
}

fn incoming(head: &http::request::Parts, origin: Origin, messages: Messages) -> Result<Incoming, Status> {
    let text = |name: &str| head.headers.get(name).map(HeaderValue::to_str);
    if let Some(coding) = text("grpc-encoding")
        && !coding.as_ref().is_ok_and(|coding| coding.eq_ignore_ascii_case("identity"))
    {
        let detail =
            format!("messages in {:?} are not understood, only in identity", coding.unwrap_or_default());
        return Err(Status::new(Code::UNIMPLEMENTED, detail));
    }
    let deadline = match text("grpc-timeout") {
        None => None,
        Some(timeout) => {
            let timeout = timeout.ok().and_then(timeout::parse);
            let timeout =
                timeout.ok_or_else(|| Status::new(Code::INVALID_ARGUMENT, "malformed grpc-timeout"))?;
            Instant::now().checked_add(timeout)
        }
    };
    let mut metadata = Headers::new();
    metadata::read(&head.headers, &mut metadata);
    Ok(Incoming {
        path: head.uri.path().to_owned(),
        codec: codec(head).unwrap_or_default(),
        metadata,
        deadline,
        peer: origin.peer,
        local: origin.local,
        messages,
    })
}

/// Sends head, message and trailers; an error is a head alone.
async fn send(
    respond: &mut SendResponse<Bytes>,
    content_type: HeaderValue,
    outcome: Result<Outgoing, Status>,
) -> Result<(), h2::Error> {
    let mut head = Response::new(());
    head.headers_mut().insert(CONTENT_TYPE, content_type);
    let ready = outcome.and_then(|answer| {
        let unsendable = |what: String| Status::new(Code::INTERNAL, format!("unsendable answer: {what}"));
        let message = frame(&answer.message).map_err(|error| unsendable(error.to_string()))?;
        metadata::write(&answer.metadata, head.headers_mut())
            .map_err(|name| unsendable(format!("the metadata {name:?} is no header field")))?;
        Ok(message)
    });
    let message = match ready {
        Ok(message) => message,
        Err(status) => {
            Status::write(Err(&status), head.headers_mut());
            if status.code == Code::UNIMPLEMENTED {
                head.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
            }
            return respond.send_response(head, true).map(drop);
        }
    };
    let mut stream: SendStream<Bytes> = respond.send_response(head, false)?;
    send_all(&mut stream, message, false).await?;
    let mut trailers = HeaderMap::new();
    Status::write(Ok(()), &mut trailers);
    stream.send_trailers(trailers)
}
