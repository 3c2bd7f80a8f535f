//! What comes on a stream, told to a trace.

use super::{Stage, Step, Trace};
use crate::stream::Messages;
use bytes::Bytes;
use futures::stream::{Stream, StreamExt};
use micro_core::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The messages, of which the trace is told: the first, and how they end.
pub(in crate::client) fn follow(messages: Messages, trace: &Trace) -> Messages {
    Followed { messages, trace: trace.clone(), count: 0, bytes: 0, ended: false }.boxed()
}

struct Followed {
    messages: Messages,
    trace: Trace,
    count: u64,
    bytes: u64,
    ended: bool,
}

impl Followed {
    fn end(&mut self, by: &'static str) {
        if !std::mem::replace(&mut self.ended, true) {
            self.trace.tell(Step::Ended { by, messages: self.count, bytes: self.bytes });
        }
    }

    fn fail(&mut self, error: &Error) {
        // Errors of the client and of the connection are no answers.
        let own = error.id.starts_with("go.micro.client");
        self.end(if own { "failure" } else { "service" });
        let (stage, executed) = match (own, self.count) {
            (false, _) => (Stage::Decode, "yes"),
            (true, 0) => (Stage::Exchange, "perhaps"),
            (true, _) => (Stage::Exchange, "yes"),
        };
        self.trace.tell(Step::Failed { stage, error: error.clone(), executed });
    }
}

impl Stream for Followed {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let next = ready!(this.messages.poll_next_unpin(cx));
        match &next {
            Some(Ok(message)) => {
                this.count += 1;
                this.bytes += message.len() as u64;
                if this.count == 1 {
                    this.trace.tell(Step::Message { bytes: message.len() });
                }
            }
            Some(Err(error)) => this.fail(error),
            None => this.end("service"),
        }
        Poll::Ready(next)
    }
}

/// Whoever drops it has had enough.
impl Drop for Followed {
    fn drop(&mut self) {
        self.end("caller");
    }
}
