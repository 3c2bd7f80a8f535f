//! Answering one call.

use super::frame::Framed;
use super::messages::{Budget, Messages};
use super::send::send_all;
use super::server::{Answer, Incoming, Origin, Outgoing, within};
use super::status::{Code, Status};
use super::{Codec, is_grpc, metadata, timeout};
use crate::stop::Stop;
use crate::wire::{Handler, Limits};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use micro_core::Headers;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How much of a request that is no call is read before it is refused, and for how long it is waited for.
const REFUSED: (usize, Duration) = (64 << 10, Duration::from_secs(1));

/// What one call needs.
pub(super) struct Accepted<H> {
    pub(super) origin: Origin,
    pub(super) handler: H,
    pub(super) limits: Limits,
    pub(super) budget: Arc<Budget>,
    /// What runs should end soon, or has to.
    pub(super) stop: Stop,
}

impl<H: Handler> Accepted<H> {
    pub(super) async fn answer(self, request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>) {
        let (head, mut body) = request.into_parts();
        if let Some((refusal, text)) = refusal(&head) {
            // What is wrong with the rest of it is HTTP/2's business, and has been answered then.
            if let Some(Err(error)) = within(Some(REFUSED.1), read_off(&mut body)).await {
                return tracing::debug!(error = crate::error_chain(&error), "broken request");
            }
            let bodiless = head.method == Method::HEAD;
            // A client that is gone needs no refusal.
            if let Ok(mut stream) = respond.send_response(refusal, bodiless)
                && !bodiless
            {
                _ = stream.send_data(Bytes::from_static(text.as_bytes()), true);
            }
            return;
        }
        let content_type = head.headers.get(CONTENT_TYPE).cloned();
        let content_type = content_type.unwrap_or(HeaderValue::from_static(super::CONTENT_TYPE));
        let messages = Messages::new(body, self.limits.max_body, self.budget, self.limits.body_timeout);
        let outcome = match incoming(&head, self.origin, messages, self.stop.soon) {
            Err(status) => Err(status),
            Ok(call) => {
                let mut handling = pin!(self.handler.call(call));
                tokio::select! {
                    biased;
                    outcome = &mut handling => outcome,
                    _reset = poll_fn(|cx| respond.poll_reset(cx)) => {
                        return tracing::debug!("client gone before the answer");
                    }
                    () = self.stop.now.cancelled() => Err(stopping()),
                }
            }
        };
        let sent = match outcome {
            Ok(Outgoing { metadata, answer: Answer::Many(messages), trailers }) => {
                let ending = Ending { trailers, stall: self.limits.idle_timeout, now: self.stop.now };
                send_many(&mut respond, content_type, &metadata, messages, ending).await
            }
            outcome => {
                let sending = send(&mut respond, content_type, outcome);
                within(self.limits.write_timeout, sending).await.unwrap_or(Err(Unsent::Stalled))
            }
        };
        match sent {
            Ok(()) => {}
            Err(Unsent::Stalled) => {
                tracing::debug!("the client takes nothing of the answer");
                respond.send_reset(Reason::CANCEL);
            }
            Err(Unsent::Gone(error)) => {
                tracing::debug!(error = crate::error_chain(&error), "answer not sent");
            }
        }
    }
}

/// Reads a body that nobody wants, up to its end or a limit.
async fn read_off(body: &mut h2::RecvStream) -> Result<(), h2::Error> {
    let mut read = 0;
    while read < REFUSED.0 {
        let Some(bytes) = body.data().await else { return Ok(()) };
        let bytes = bytes?;
        read += bytes.len();
        body.flow_control().release_capacity(bytes.len())?;
    }
    Ok(())
}

/// What the callers of calls hear that have to end.
fn stopping() -> Status {
    Status::new(Code::UNAVAILABLE, "the server stops, and its grace period is over")
}

/// Why an answer was not sent.
#[derive(Debug)]
enum Unsent {
    /// The client takes none of it.
    Stalled,
    /// The stream or its connection ended.
    Gone(h2::Error),
}

impl From<h2::Error> for Unsent {
    fn from(error: h2::Error) -> Self {
        Self::Gone(error)
    }
}

/// The answer to a request that is no call, and what it says.
fn refusal(head: &http::request::Parts) -> Option<(Response<()>, &'static str)> {
    let mut response = Response::new(());
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let text = if !content_type.is_some_and(is_grpc) {
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        "over HTTP/2 this port takes gRPC: application/grpc, application/grpc+proto or application/grpc+json\n"
    } else if head.method != Method::POST {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        "gRPC calls are sent with POST\n"
    } else {
        return None;
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Some((response, text))
}

fn incoming(
    head: &http::request::Parts,
    origin: Origin,
    messages: Messages,
    stopping: CancellationToken,
) -> Result<Incoming, Status> {
    let text = |name: &str| head.headers.get(name).map(HeaderValue::to_str);
    let content_type = text(CONTENT_TYPE.as_str()).and_then(Result::ok).unwrap_or_default();
    if Codec::of(content_type).is_none() {
        // The family is right, so the answer is gRPC's own.
        let detail = format!(
            "messages in {content_type:?} are not understood, only in application/grpc, application/grpc+proto and \
             application/grpc+json"
        );
        return Err(Status::new(Code::UNIMPLEMENTED, detail));
    }
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
        codec: Codec::named(content_type),
        metadata,
        deadline,
        peer: origin.peer,
        local: origin.local,
        messages,
        stopping,
    })
}

/// The head of an answer with this metadata.
fn head(content_type: HeaderValue, metadata: &Headers) -> Result<Response<()>, Status> {
    let mut head = bare_head(content_type);
    metadata::write(metadata, head.headers_mut()).map_err(unsendable_metadata)?;
    Ok(head)
}

fn bare_head(content_type: HeaderValue) -> Response<()> {
    let mut head = Response::new(());
    head.headers_mut().insert(CONTENT_TYPE, content_type);
    head
}

fn unsendable_metadata(name: String) -> Status {
    unsendable(&format!("the metadata {name:?} is no header field"))
}

fn unsendable(what: &str) -> Status {
    Status::new(Code::INTERNAL, format!("unsendable answer: {what}"))
}

/// An answer that is an error and nothing else: a head alone.
fn refuse(
    respond: &mut SendResponse<Bytes>,
    content_type: HeaderValue,
    status: &Status,
) -> Result<(), Unsent> {
    let mut head = bare_head(content_type);
    Status::write(Err(status), head.headers_mut());
    if status.code == Code::UNIMPLEMENTED {
        head.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
    }
    respond.send_response(head, true)?;
    Ok(())
}

/// What ends an answer. Trailers that are no header fields make an error of it.
fn trailers(outcome: Result<&Headers, &Status>) -> HeaderMap {
    let mut fields = HeaderMap::new();
    let written = outcome.map(|trailers| metadata::write(trailers, &mut fields).map_err(unsendable_metadata));
    match written {
        Ok(Ok(())) => Status::write(Ok(()), &mut fields),
        Ok(Err(status)) => Status::write(Err(&status), &mut fields),
        Err(status) => Status::write(Err(status), &mut fields),
    }
    fields
}

/// Sends head, message and trailers; an error is a head alone.
async fn send(
    respond: &mut SendResponse<Bytes>,
    content_type: HeaderValue,
    outcome: Result<Outgoing, Status>,
) -> Result<(), Unsent> {
    let ready = outcome.and_then(|Outgoing { metadata, answer, trailers }| {
        let Answer::One(message) = answer else {
            return Err(unsendable("a stream where one message was expected"));
        };
        let message = Framed::new(&message).map_err(|error| unsendable(&error.to_string()))?;
        Ok((head(content_type.clone(), &metadata)?, message, trailers))
    });
    let (head, message, trailing) = match ready {
        Ok(ready) => ready,
        Err(status) => return refuse(respond, content_type, &status),
    };
    let mut stream = respond.send_response(head, false)?;
    send_all(&mut stream, message, false).await?;
    stream.send_trailers(trailers(Ok(&trailing)))?;
    Ok(())
}

/// How a stream of messages ends.
struct Ending {
    trailers: Headers,
    /// How long the client may take nothing of a message that is there for it.
    stall: Option<Duration>,
    now: CancellationToken,
}

/// Sends head, messages as they come and trailers. Nothing is asked of the handler while the client does not take what
/// is there.
async fn send_many(
    respond: &mut SendResponse<Bytes>,
    content_type: HeaderValue,
    metadata: &Headers,
    mut messages: BoxStream<'static, Result<Bytes, Status>>,
    ending: Ending,
) -> Result<(), Unsent> {
    // An error that is there at once needs no head of its own, and some clients wait for a head before they send.
    let mut first = match messages.next().now_or_never() {
        Some(Some(Err(status))) => return refuse(respond, content_type, &status),
        first => first,
    };
    let head = match head(content_type.clone(), metadata) {
        Ok(head) => head,
        Err(status) => return refuse(respond, content_type, &status),
    };
    let mut stream: SendStream<Bytes> = respond.send_response(head, false)?;
    let outcome = loop {
        let next = match first.take() {
            Some(next) => next,
            None => tokio::select! {
                biased;
                next = messages.next() => next,
                reset = poll_fn(|cx| stream.poll_reset(cx)) => {
                    tracing::debug!(?reset, "client gone in the middle of the answer");
                    return Ok(());
                }
                () = ending.now.cancelled() => Some(Err(stopping())),
            },
        };
        let message = match next {
            None => break Ok(&ending.trailers),
            Some(message) => message
                .and_then(|message| Framed::new(&message).map_err(|error| unsendable(&error.to_string()))),
        };
        let message = match message {
            Ok(message) => message,
            Err(status) => break Err(status),
        };
        let sending = within(ending.stall, send_all(&mut stream, message, false));
        tokio::select! {
            biased;
            sent = sending => match sent {
                Some(Ok(true)) => {}
                // It reset the call, and its handler is dropped with the messages.
                Some(Ok(false)) => return Ok(()),
                Some(Err(error)) => return Err(error.into()),
                None => return Err(Unsent::Stalled),
            },
            () = ending.now.cancelled() => return Err(Unsent::Stalled),
        }
    };
    stream.send_trailers(trailers(outcome.as_ref().map(|trailers| *trailers)))?;
    Ok(())
}
