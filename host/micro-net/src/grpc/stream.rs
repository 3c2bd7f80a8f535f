//! Calls with any number of messages, as their caller sees them: one half sends, the other receives.
//!
//! What a side may send grows as the other takes messages, so a slow reader holds up its sender, and only that one.

use super::client::{Entered, of_answer, refused};
use super::error::CallError;
use super::frame::Framed;
use super::is_grpc;
use super::messages::Messages;
use super::metadata;
use super::send::send_all;
use super::status::Status;
use bytes::Bytes;
use futures::Stream;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use micro_core::Headers;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The caller's messages. Dropping it without [`Sending::end`] cancels the call as soon as [`Receiving`] is dropped, too.
pub struct Sending {
    stream: SendStream<Bytes>,
}

/// No message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// The callee takes no more. Its answer says why.
    #[error("the call takes no more messages")]
    Ended,
    /// The message is too large for the protocol, which takes 4 GiB less one byte. The call is cancelled.
    #[error("the message is too large")]
    TooLarge,
}

impl Sending {
    pub(super) fn new(stream: SendStream<Bytes>) -> Self {
        Self { stream }
    }

    /// Sends a message. Waits until the callee has room for it.
    ///
    /// Not cancel safe: drop this half as well, or what follows is read as the rest of this message.
    ///
    /// # Errors
    /// See [`Unsent`].
    pub async fn send(&mut self, message: &[u8]) -> Result<(), Unsent> {
        let Ok(message) = Framed::copied(message) else {
            self.stream.send_reset(Reason::CANCEL);
            return Err(Unsent::TooLarge);
        };
        match send_all(&mut self.stream, message, false).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Unsent::Ended),
        }
    }

    /// Waits until the callee takes no more messages, by resetting the call or because the connection ended.
    pub async fn closed(&mut self) {
        // What the reason is, the answer says.
        _ = poll_fn(|cx| self.stream.poll_reset(cx)).await;
    }

    /// Says that no more messages will come. The callee may go on.
    pub fn end(mut self) {
        // A call that is over needs no end.
        _ = self.stream.send_data(Bytes::new(), true);
    }

    /// Ends the call, which tells the callee.
    pub fn cancel(mut self) {
        self.stream.send_reset(Reason::CANCEL);
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("stream", &self.stream.stream_id()).finish_non_exhaustive()
    }
}

/// The callee's messages, and how the call ended.
pub struct Receiving {
    state: State,
    metadata: Headers,
    content_type: String,
    entered: Entered,
}

/// What comes next.
enum State {
    Head(ResponseFuture),
    Messages(Messages),
    /// The answer of something that is no gRPC server.
    Refusal(StatusCode, RecvStream),
    /// With what is still to be told of how it ended.
    Over(Option<Result<(), CallError>>),
}

impl Receiving {
    pub(super) fn new(entered: Entered, answer: ResponseFuture) -> Self {
        let (metadata, content_type) = (Headers::new(), String::new());
        Self { state: State::Head(answer), metadata, content_type, entered }
    }

    /// The next message; none when the call has ended well. A callee may send nothing before it was sent something.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// How the call ended. After that there are no messages.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// Waits for the head of the answer, which has the [metadata](Self::metadata) and comes with the first message at the
    /// latest. Cancel safe. An answer that is an error has none; [`Receiving::next`] gives it.
    pub async fn head(&mut self) {
        let head = poll_fn(|cx| match &mut self.state {
            State::Head(answer) => Pin::new(answer).poll(cx).map(Some),
            _ => Poll::Ready(None),
        });
        if let Some(head) = head.await {
            self.read_head(head);
        }
    }

    /// What the callee said beyond the protocol: of its answer's head once that is here, and of the end.
    pub fn metadata(&self) -> &Headers {
        &self.metadata
    }

    /// As the callee wrote it; empty before the head of its answer is here.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, CallError>> {
        loop {
            let outcome = match &mut self.state {
                State::Over(outcome) => outcome.take().unwrap_or(Ok(())),
                State::Head(answer) => {
                    let head = ready!(Pin::new(answer).poll(cx));
                    self.read_head(head);
                    continue;
                }
                State::Messages(messages) => match ready!(messages.poll_receive(cx)) {
                    Ok(Some(message)) => return Poll::Ready(Ok(Some(message))),
                    Ok(None) => match ready!(messages.poll_trailers(cx)) {
                        Ok(trailers) => {
                            let trailers = trailers.unwrap_or_default();
                            metadata::read(&trailers, &mut self.metadata);
                            match Status::read(&trailers) {
                                Some(outcome) => outcome.map_err(CallError::Status),
                                None => Err(CallError::Malformed("it ends without a grpc-status".to_owned())),
                            }
                        }
                        Err(error) => Err(CallError::of_stream(error)),
                    },
                    Err(error) => Err(of_answer(error)),
                },
                State::Refusal(status, body) => match ready!(body.poll_data(cx)) {
                    Some(Ok(text)) => Err(refused(*status, &self.content_type, &text)),
                    _ => Err(refused(*status, &self.content_type, b"")),
                },
            };
            self.state = State::Over(None);
            let concluded = outcome.map_err(|error| self.entered.channel().conclude(error));
            return Poll::Ready(concluded.map(|()| None));
        }
    }

    fn read_head(&mut self, head: Result<Response<RecvStream>, h2::Error>) {
        let (head, body) = match head {
            Ok(response) => response.into_parts(),
            Err(error) => {
                self.state = State::Over(Some(Err(CallError::of_stream(error))));
                return;
            }
        };
        let channel = self.entered.channel();
        channel.heard();
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        self.content_type = content_type.unwrap_or_default().to_owned();
        self.state = match Status::read(&head.headers) {
            // A head with a status is the whole answer.
            Some(outcome) => State::Over(Some(outcome.map_err(CallError::Status))),
            None if head.status != StatusCode::OK || !is_grpc(&self.content_type) => {
                State::Refusal(head.status, body)
            }
            None => State::Messages(channel.messages(body)),
        };
        if !matches!(self.state, State::Refusal(..)) {
            metadata::read(&head.headers, &mut self.metadata);
        }
    }
}

/// As [`Receiving::next`].
impl Stream for Receiving {
    type Item = Result<Bytes, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_message(cx).map(Result::transpose)
    }
}

impl fmt::Debug for Receiving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}
