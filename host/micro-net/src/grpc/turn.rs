//! Letting others go first.

use std::task::{Context, Poll};

/// Polls something when everybody who was ready has had a turn, each time that its task is woken.
///
/// Whoever sends on a connection wakes the task that writes, which would run next and write that alone. At the end of the
/// queue it finds what all the others have to send as well, and one call of the kernel does for everybody.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// The others had theirs.
    come: bool,
}

impl Turn {
    /// Polls `work`, or has the task woken again.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        work: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if !std::mem::replace(&mut self.come, true) {
            // A task that wakes itself goes to the end of the queue.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let outcome = work(cx);
        // There may be more behind what was ready.
        self.come = outcome.is_ready();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::future::poll_fn;
    use std::sync::Arc;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn what_others_have_to_say_is_found_in_one_go() {
        let (said, ring) = (Arc::new(Mutex::new(0)), Arc::new(Notify::new()));
        let heard = tokio::spawn({
            let (said, ring) = (said.clone(), ring.clone());
            async move {
                let mut turn = Turn::default();
                ring.notified().await;
                poll_fn(|cx| turn.poll(cx, |_| Poll::Ready(*said.lock()))).await
            }
        });
        tokio::task::yield_now().await;
        for _ in 0..3 {
            let (said, ring) = (said.clone(), ring.clone());
            tokio::spawn(async move {
                *said.lock() += 1;
                ring.notify_one();
            });
        }
        assert_eq!(heard.await.expect("no panic"), 3);
    }

    #[test]
    fn what_is_ready_is_asked_again_at_once() {
        let mut turn = Turn::default();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut poll = |ready: bool| {
            turn.poll(&mut cx, |_| if ready { Poll::Ready(()) } else { Poll::Pending }).is_ready()
        };
        let seen: Vec<_> = [true, true, true, false, true, true].into_iter().map(&mut poll).collect();
        assert_eq!(seen, [false, true, true, false, false, true]);
    }
}
