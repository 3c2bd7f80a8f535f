//! Streams with a last moment.

use super::Messages;
use bytes::Bytes;
use futures::stream::{Stream, StreamExt};
use micro_core::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// `messages` until `deadline`; then the error `late`, and nothing more.
pub(crate) fn until(messages: Messages, deadline: Option<Instant>, late: Error) -> Messages {
    match deadline {
        None => messages,
        Some(deadline) => {
            Until { open: Some((messages, late)), clock: Box::pin(sleep_until(deadline)) }.boxed()
        }
    }
}

struct Until {
    /// None: it has ended.
    open: Option<(Messages, Error)>,
    clock: Pin<Box<Sleep>>,
}

impl Stream for Until {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some((messages, _)) = &mut this.open else { return Poll::Ready(None) };
        // First the clock: a sender that always has something would never let it be looked at.
        if this.clock.as_mut().poll(cx).is_ready() {
            return Poll::Ready(this.open.take().map(|(_, late)| Err(late)));
        }
        let item = messages.poll_next_unpin(cx);
        if matches!(item, Poll::Ready(None | Some(Err(_)))) {
            this.open = None;
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_deadline_is_the_last_item_whatever_else_there_is() {
        let deadline = Some(Instant::now() + Duration::from_secs(1));
        let late = || Error::timeout("x", "late");
        let mut silent = until(stream::pending().boxed(), deadline, late());
        assert_eq!(silent.next().await, Some(Err(late())));
        assert_eq!(silent.next().await, None);
        let mut endless = until(stream::repeat(Ok(Bytes::new())).boxed(), deadline, late());
        assert_eq!(endless.next().await, Some(Err(late())), "the time has passed already");
        let mut short = until(stream::iter([Ok(Bytes::new())]).boxed(), None, late());
        assert!(short.next().await.is_some_and(|item| item.is_ok()));
        assert_eq!(short.next().await, None);
    }
}
