//! A deadline that is moved often and met rarely.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer for one connection. Moving the deadline costs a look at the clock; the runtime's timer is only touched when
/// it fires, or when the deadline moves before the moment for which it was set.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Goes off after `wait` from now; never for `None`.
    pub(crate) fn set(&mut self, wait: Option<Duration>) {
        self.deadline = wait.and_then(|wait| Instant::now().checked_add(wait));
    }

    /// Ready once the deadline has passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn it_goes_off_at_the_last_deadline_set() {
        let start = Instant::now();
        let mut alarm = Alarm::default();
        for (set, expected) in [(10, 10), (5, 15), (20, 35)] {
            alarm.set(Some(Duration::from_secs(set)));
            poll_fn(|cx| alarm.poll(cx)).await;
            assert_eq!(start.elapsed().as_secs(), expected);
        }
        // Moved while it waits: first later, then earlier.
        alarm.set(Some(Duration::from_secs(10)));
        assert!(futures::poll!(poll_fn(|cx| alarm.poll(cx))).is_pending());
        alarm.set(Some(Duration::from_secs(100)));
        tokio::time::advance(Duration::from_secs(50)).await;
        assert!(futures::poll!(poll_fn(|cx| alarm.poll(cx))).is_pending());
        alarm.set(Some(Duration::from_secs(1)));
        poll_fn(|cx| alarm.poll(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 86);
        alarm.set(None);
        tokio::time::advance(Duration::from_secs(500)).await;
        assert!(futures::poll!(poll_fn(|cx| alarm.poll(cx))).is_pending());
    }
}
