//! Waiting for a condition instead of sleeping.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(10);

/// The first value that `attempt` gives, or none if it gives none `within` the time. It is asked at least once, and once
/// more at the end.
pub async fn wait_until<T>(within: Duration, mut attempt: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + within;
    loop {
        let last = Instant::now() >= end;
        let value = attempt().await;
        if value.is_some() || last {
            return value;
        }
        sleep(PAUSE).await;
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// It does not `within` the time; the message says `what` was waited for.
pub async fn eventually(what: &str, within: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let held = wait_until(within, async || condition().await.then_some(())).await;
    assert!(held.is_some(), "{what}: not within {within:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        eventually("three looks", Duration::from_secs(1), async || {
            looks += 1;
            looks == 3
        })
        .await;
        assert_eq!(wait_until(Duration::ZERO, async || None::<()>).await, None);
    }
}
