//! Waiting longer after every failure.

use std::time::Duration;

/// Exponential backoff with full jitter: each wait is random between nothing and a ceiling that doubles. Randomness
/// over the whole range is what spreads clients that failed together. Where a wait of nearly nothing would do harm, it is
/// at least [half](Backoff::at_least_half) of the ceiling.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
    /// The part of each ceiling that is waited for in any case.
    floor: f64,
}

impl Backoff {
    /// The first wait is below `first`, and none is above `max`.
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, failures: 0, floor: 0.0 }
    }

    /// Waits for at least half of the ceiling: for those who ask somebody again whom quick questions would hurt.
    #[must_use]
    pub const fn at_least_half(mut self) -> Self {
        self.floor = 0.5;
        self
    }

    /// Counts a failure; the time to wait before the next attempt.
    pub fn next_wait(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(self.floor + (1.0 - self.floor) * fastrand::f64())
    }

    /// Counts a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn ceiling(&self) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_the_maximum_and_start_over_after_a_success() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut backoff = Backoff::new(first, max);
        for expected in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            assert_eq!(backoff.ceiling(), Duration::from_millis(expected));
            assert!(backoff.next_wait() <= Duration::from_millis(expected));
        }
        for _ in 0..100 {
            assert!(backoff.next_wait() <= max, "no overflow after many failures");
        }
        backoff.reset();
        assert_eq!(backoff.ceiling(), first);
    }

    #[test]
    fn half_of_the_ceiling_is_waited_for_where_that_is_wanted() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5)).at_least_half();
        for _ in 0..100 {
            let ceiling = backoff.ceiling();
            let wait = backoff.next_wait();
            assert!(ceiling / 2 <= wait && wait <= ceiling, "{wait:?} of {ceiling:?}");
        }
    }
}
