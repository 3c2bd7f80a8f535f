//! What a measurement gives, and what becomes of several.

use crate::Failed;
use serde::Serialize;
use std::time::Duration;

/// One row of one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Requests per second.
    pub(crate) rate: f64,
    /// CPU microseconds per request, of the processes that the row is about.
    pub(crate) cpu_us: f64,
    /// Median latency in microseconds.
    pub(crate) p50_us: f64,
    /// 99th percentile of the latency in microseconds.
    pub(crate) p99_us: f64,
    /// Resident memory afterwards, where the row is about a process of its own.
    pub(crate) rss_mib: Option<f64>,
}

impl Sample {
    /// From latencies in nanoseconds, which are sorted by this.
    ///
    /// # Errors
    /// No request was answered.
    pub(crate) fn of(latencies: &mut [u32], time: Duration, cpu: Duration) -> Result<Self, Failed> {
        latencies.sort_unstable();
        let percentile = |share: f64| {
            let at = (latencies.len().saturating_sub(1) as f64 * share) as usize;
            latencies.get(at).map(|nanoseconds| f64::from(*nanoseconds) / 1e3)
        };
        let none = || Failed::from("no request was answered in the time that counts");
        let requests = latencies.len() as f64;
        Ok(Self {
            p50_us: percentile(0.50).ok_or_else(none)?,
            p99_us: percentile(0.99).ok_or_else(none)?,
            rate: requests / time.as_secs_f64(),
            cpu_us: cpu.as_secs_f64() * 1e6 / requests,
            rss_mib: None,
        })
    }
}

/// The median over the rounds, and how far they were apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// None of no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Self { median, min, max })
    }
}

/// A row over all rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) rate: Spread,
    pub(crate) cpu_us: Spread,
    pub(crate) p50_us: Spread,
    pub(crate) p99_us: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rss_mib: Option<Spread>,
}

impl Figures {
    /// None of no samples.
    pub(crate) fn of(samples: &[Sample]) -> Option<Self> {
        let spread = |figure: fn(&Sample) -> f64| Spread::of(samples.iter().map(figure));
        Some(Self {
            rate: spread(|sample| sample.rate)?,
            cpu_us: spread(|sample| sample.cpu_us)?,
            p50_us: spread(|sample| sample.p50_us)?,
            p99_us: spread(|sample| sample.p99_us)?,
            rss_mib: Spread::of(samples.iter().filter_map(|sample| sample.rss_mib)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_sample_of_a_hundred_calls() {
        let mut latencies: Vec<u32> = (1..=101).rev().map(|it| it * 1000).collect();
        let sample = Sample::of(&mut latencies, Duration::from_secs(2), Duration::from_micros(202));
        let sample = sample.expect("answered");
        assert_eq!((sample.rate, sample.cpu_us), (50.5, 2.0));
        assert_eq!((sample.p50_us, sample.p99_us), (51.0, 100.0));
        assert!(Sample::of(&mut [], Duration::from_secs(1), Duration::ZERO).is_err());
    }
}
