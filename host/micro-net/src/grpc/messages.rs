//! Receiving messages.

use super::frame::{Deframer, FrameError};
use super::status::{Code, Status};
use bytes::Bytes;
use futures::Stream;
use http::HeaderMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// Bytes of incomplete messages on all streams of one connection.
#[derive(Debug)]
pub(super) struct Budget {
    held: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { held: AtomicUsize::new(0), limit })
    }
}

/// The messages of one direction of a call, one after the other.
pub struct Messages {
    body: h2::RecvStream,
    deframer: Deframer,
    budget: Arc<Budget>,
    /// What this stream has taken of the budget.
    taken: usize,
    /// For each message, from its first byte to its last.
    timeout: Option<Duration>,
    /// Runs while a message is incomplete and the peer is waited for.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the connection holds {0} bytes of unfinished messages already")]
    Full(usize),
    #[error("the stream is broken")]
    Stream(#[from] h2::Error),
    #[error("the message did not arrive within {0:?}")]
    Timeout(Duration),
}

impl From<ReceiveError> for Status {
    /// What a server's handler hears, and tells its caller.
    fn from(error: ReceiveError) -> Self {
        // As with gRPC for Go, whose clients may close the connection together with the stream: however callers leave.
        if let ReceiveError::Stream(broken) = &error {
            if broken.is_remote() && broken.reason() == Some(h2::Reason::CANCEL) {
                return Self::new(Code::CANCELLED, "the caller has cancelled the call");
            }
            if broken.is_io() || broken.is_remote() && broken.is_go_away() {
                return Self::new(Code::CANCELLED, format!("the caller is gone: {broken}"));
            }
        }
        let code = match &error {
            ReceiveError::Frame(FrameError::Compressed) => Code::UNIMPLEMENTED,
            ReceiveError::Frame(FrameError::TooLarge { .. }) | ReceiveError::Full(_) => {
                Code::RESOURCE_EXHAUSTED
            }
            ReceiveError::Frame(FrameError::Truncated) => Code::INTERNAL,
            ReceiveError::Stream(_) => Code::CANCELLED,
            ReceiveError::Timeout(_) => Code::DEADLINE_EXCEEDED,
        };
        Self::new(code, crate::error_chain(&error))
    }
}

impl Messages {
    pub(super) fn new(
        body: h2::RecvStream,
        limit: usize,
        budget: Arc<Budget>,
        timeout: Option<Duration>,
    ) -> Self {
        Self { body, deframer: Deframer::new(limit), budget, taken: 0, timeout, alarm: None }
    }

    /// The next message; none when the other side has sent its last. One may be as long in coming as it likes; once it
    /// has begun to arrive, it has a limit. What the other side may send grows as messages are taken.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// What the caller is told: `RESOURCE_EXHAUSTED` for a message that is too large, `UNIMPLEMENTED` for one that is
    /// compressed, `DEADLINE_EXCEEDED` for one that does not come to its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        Ok(self.receive().await?)
    }

    /// The only message of the stream.
    ///
    /// # Errors
    /// As [`Messages::next`]; `UNIMPLEMENTED` for any other number of messages, as gRPC's documents have it.
    pub async fn only(&mut self) -> Result<Bytes, Status> {
        let wrong =
            |what| Status::new(Code::UNIMPLEMENTED, format!("the method takes one message, not {what}"));
        let timeout = self.timeout;
        let receiving = async {
            let message = self.receive().await?.ok_or_else(|| wrong("none"))?;
            match self.receive().await? {
                None => Ok(message),
                Some(_) => Err(wrong("several")),
            }
        };
        match timeout {
            None => receiving.await,
            Some(limit) => match tokio::time::timeout(limit, receiving).await {
                Ok(received) => received,
                Err(_elapsed) => Err(ReceiveError::Timeout(limit).into()),
            },
        }
    }

    pub(super) async fn receive(&mut self) -> Result<Option<Bytes>, ReceiveError> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ReceiveError>> {
        loop {
            if let Some(message) = self.deframer.next()? {
                self.alarm = None;
                self.account()?;
                return Poll::Ready(Ok(Some(message)));
            }
            let Poll::Ready(received) = self.body.poll_data(cx) else {
                ready!(self.poll_overdue(cx));
                return Poll::Ready(Err(ReceiveError::Timeout(self.timeout.unwrap_or_default())));
            };
            let Some(bytes) = received else {
                self.deframer.finish()?;
                return Poll::Ready(Ok(None));
            };
            let bytes = bytes?;
            // The peer may send on: what it has sent is held here, and counted.
            self.body.flow_control().release_capacity(bytes.len())?;
            self.deframer.push(bytes);
            self.account()?;
        }
    }

    /// Ready when a message has begun and took too long.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.timeout {
            Some(limit) if self.deframer.held() > 0 => {
                let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                alarm.as_mut().poll(cx)
            }
            _ => Poll::Pending,
        }
    }

    /// Tells the budget what is held.
    fn account(&mut self) -> Result<(), ReceiveError> {
        let held = self.deframer.held();
        if held < self.taken {
            self.budget.held.fetch_sub(self.taken - held, Relaxed);
            self.taken = held;
            return Ok(());
        }
        let before = self.budget.held.fetch_add(held - self.taken, Relaxed);
        let grown = held - self.taken;
        self.taken = held;
        match before + grown > self.budget.limit {
            true => Err(ReceiveError::Full(before)),
            false => Ok(()),
        }
    }

    /// The trailers, behind the last message.
    pub(super) fn poll_trailers(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<HeaderMap>, h2::Error>> {
        self.body.poll_trailers(cx)
    }

    pub(super) async fn trailers(&mut self) -> Result<Option<HeaderMap>, h2::Error> {
        poll_fn(|cx| self.poll_trailers(cx)).await
    }
}

/// As [`Messages::next`].
impl Stream for Messages {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_receive(cx).map(|received| received.map_err(Status::from).transpose())
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.taken, Relaxed);
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("held", &self.deframer.held()).finish_non_exhaustive()
    }
}
