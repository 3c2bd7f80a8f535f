//! How long calls take.

use parking_lot::RwLock;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Two buckets per doubling, from 1 ns to over an hour.
const BUCKETS: usize = 84;

/// Times of calls, by export.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    exports: RwLock<BTreeMap<&'static str, Histogram>>,
}

/// How long calls to one export took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Times {
    /// Calls that were answered. Of plugins that run per request only one in 64 is counted, for all of them.
    pub calls: u64,
    /// Half of the calls were faster, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 calls were faster, in milliseconds.
    pub p99_ms: f64,
}

#[derive(Debug)]
struct Histogram([AtomicU64; BUCKETS]);

impl Stats {
    pub(crate) fn record(&self, export: &'static str, took: Duration) {
        self.record_many(export, took, 1);
    }

    /// Records a call that stands for `calls` of them.
    pub(crate) fn record_many(&self, export: &'static str, took: Duration, calls: u64) {
        let known = self.exports.read();
        if let Some(histogram) = known.get(export) {
            return histogram.record(took, calls);
        }
        drop(known);
        self.exports.write().entry(export).or_insert_with(Histogram::new).record(took, calls);
    }

    pub(crate) fn times(&self) -> BTreeMap<String, Times> {
        self.exports
            .read()
            .iter()
            .map(|(export, histogram)| ((*export).to_owned(), histogram.times()))
            .collect()
    }
}

impl Histogram {
    fn new() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }

    fn record(&self, took: Duration, calls: u64) {
        let nanos = took.as_nanos().max(1) as f64;
        let bucket = (nanos.log2() * 2.0).ceil() as usize;
        self.0[bucket.min(BUCKETS - 1)].fetch_add(calls, Ordering::Relaxed);
    }

    fn times(&self) -> Times {
        let counts: Vec<u64> = self.0.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let calls = counts.iter().sum();
        let quantile = |share: f64| {
            let mut left = ((calls as f64 * share).ceil() as u64).max(1);
            let bucket = counts.iter().position(|count| {
                left = left.saturating_sub(*count);
                left == 0
            });
            bucket.map_or(0.0, |bucket| (bucket as f64 / 2.0).exp2() / 1e6)
        };
        Times { calls, p50_ms: quantile(0.5), p99_ms: quantile(0.99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_bucket() {
        let stats = Stats::default();
        for _ in 0..98 {
            stats.record("a", Duration::from_millis(1));
        }
        for _ in 0..2 {
            stats.record("a", Duration::from_secs(1));
        }
        stats.record("b", Duration::ZERO);
        stats.record("b", Duration::MAX);
        let times = stats.times()["a"];
        assert_eq!(times.calls, 100);
        assert!((1.0..1.5).contains(&times.p50_ms), "{times:?}");
        assert!((1000.0..1500.0).contains(&times.p99_ms), "{times:?}");
    }

    #[test]
    fn nothing_measured_is_zero() {
        assert_eq!(Histogram::new().times(), Times { calls: 0, p50_ms: 0.0, p99_ms: 0.0 });
    }
}
