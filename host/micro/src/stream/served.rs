//! The ends of a stream that a handler holds.

use super::{AHEAD, Decoder};
use crate::payload::{Format, Payload};
use crate::rpc::Body;
use bytes::Bytes;
use futures::future::FutureExt;
use futures::stream::{Stream, StreamExt};
use micro_core::Error;
use std::fmt;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument;

/// The id of errors that arise here.
const ID: &str = "go.micro.server";

/// The caller's messages, for a handler. A [`Stream`] too.
pub struct Requests<T> {
    decoder: Decoder<T>,
}

impl<T: Payload> Requests<T> {
    pub(crate) fn new(body: Body, format: Format) -> Self {
        Self { decoder: Decoder::new(body, format, (ID, None)) }
    }

    /// The next message; none when the caller has ended its side. Cancel safe.
    ///
    /// After an error there is nothing more: code 400 for a message that is not a `T`, otherwise the connection to the
    /// caller was lost.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        std::future::poll_fn(|cx| self.decoder.poll_next(cx)).await
    }
}

impl<T: Payload> Stream for Requests<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.decoder.poll_next(cx)
    }
}

impl<T> fmt::Debug for Requests<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("ended", &self.decoder.ended).finish_non_exhaustive()
    }
}

/// Where a handler's messages go. The stream ends when the handler returns, not when this is dropped.
pub struct Responses<T> {
    messages: mpsc::Sender<Bytes>,
    format: Format,
    value: PhantomData<fn(T)>,
}

impl<T: Payload> Responses<T> {
    /// What the caller wants messages in.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Sends a message, once there is room: when the caller does not read, this waits.
    ///
    /// Cancel safe: a dropped future has sent the message or not.
    ///
    /// # Errors
    /// Id `go.micro.server`, code 500: the value cannot be encoded, or nobody waits for it any more.
    pub async fn send(&self, message: T) -> Result<(), Error> {
        let own = |error: Error| Error { id: ID.to_owned(), ..error };
        let message = message.to_bytes(self.format).map_err(own)?;
        let sent = self.messages.send(message).await;
        sent.map_err(|_| Error::internal(ID, "the stream has ended: nobody waits for its messages"))
    }
}

impl<T> fmt::Debug for Responses<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responses").field("open", &!self.messages.is_closed()).finish_non_exhaustive()
    }
}

/// Runs a handler in a task of its own, so that it can read while its caller does not take what it writes. The body
/// owns the task: without it the handler is dropped.
pub(crate) fn respond<T, F, Fut>(format: Format, run: F) -> Body
where
    T: Payload,
    F: FnOnce(Responses<T>) -> Fut,
    Fut: Future<Output = Result<(), Error>> + Send + 'static,
{
    let (sender, messages) = mpsc::channel(AHEAD);
    let running = run(Responses { messages: sender, format, value: PhantomData });
    let running = AssertUnwindSafe(running).catch_unwind().map(|outcome| match outcome {
        Ok(outcome) => outcome,
        Err(panic) => Err(crate::server::panicked(&*panic)),
    });
    let task = tokio::spawn(running.in_current_span());
    Body::Stream(Answering { messages, state: State::Running(task) }.boxed())
}

/// The messages of a handler that runs, then its outcome.
struct Answering {
    messages: mpsc::Receiver<Bytes>,
    state: State,
}

enum State {
    Running(JoinHandle<Result<(), Error>>),
    Returned(Result<(), Error>),
}

impl Stream for Answering {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let State::Running(task) = &mut this.state
            && let Poll::Ready(outcome) = task.poll_unpin(cx)
        {
            let gone = |_| Err(Error::internal(ID, "the handler was cancelled"));
            this.state = State::Returned(outcome.unwrap_or_else(gone));
            // Whoever still holds the responses is too late.
            this.messages.close();
        }
        match (this.messages.poll_recv(cx), &mut this.state) {
            (Poll::Ready(Some(message)), _) => Poll::Ready(Some(Ok(message))),
            // Without responses to send, there is still an outcome to wait for.
            (Poll::Pending, _) | (Poll::Ready(None), State::Running(_)) => Poll::Pending,
            (Poll::Ready(None), State::Returned(outcome)) => {
                Poll::Ready(std::mem::replace(outcome, Ok(())).err().map(Err))
            }
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let State::Running(task) = &self.state {
            task.abort();
        }
    }
}
