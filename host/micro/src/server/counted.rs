//! What a server counts while a handler's messages flow.

use super::Stats;
use crate::stream::Messages;
use bytes::Bytes;
use futures::stream::{Stream, StreamExt};
use micro_core::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Counts `messages` as one request when they end.
pub(super) fn counted(messages: Messages, stats: Arc<Stats>) -> Messages {
    Counted { messages: Some(messages), stats }.boxed()
}

struct Counted {
    /// None: they have ended, and were counted.
    messages: Option<Messages>,
    stats: Arc<Stats>,
}

impl Stream for Counted {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(messages) = &mut self.messages else { return Poll::Ready(None) };
        let item = ready!(messages.poll_next_unpin(cx));
        if !matches!(item, Some(Ok(_))) {
            self.messages = None;
            self.stats.count(item.is_none());
        }
        Poll::Ready(item)
    }
}

impl Drop for Counted {
    /// A caller that went away is no error of the handler.
    fn drop(&mut self) {
        if self.messages.is_some() {
            self.stats.count(true);
        }
    }
}
