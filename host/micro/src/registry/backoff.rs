//! How long to wait before a registry that failed is asked again.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubling delays from 100 ms to 5 s, each shortened at random by up to half so that the processes that lost a
/// registry together do not come back together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The delay after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        let full = SHORTEST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(1.0 - fastrand::f64() / 2.0)
    }

    /// After a success.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_limit_and_start_over() {
        let mut backoff = Backoff::default();
        for round in 0..100_u32 {
            let full = Duration::from_millis(100 * (1 << round.min(6))).min(LONGEST);
            let delay = backoff.next();
            assert!(delay <= full && delay >= full / 2, "round {round}: {delay:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= SHORTEST);
    }
}
