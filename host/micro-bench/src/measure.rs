//! Closed loops over a stack, and the figures that come out.

use crate::stacks::{Failed, Stack};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Not counted: connections are opened and buffers grow.
const WARM_UP: Duration = Duration::from_millis(200);

/// One row of one round.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    rate: f64,
    cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
}

/// Medians over the rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// Requests per second.
    pub(crate) rate: f64,
    /// The slowest round.
    pub(crate) rate_min: f64,
    /// The fastest round.
    pub(crate) rate_max: f64,
    /// CPU microseconds of the process per request.
    pub(crate) cpu_us: f64,
    /// Median latency in microseconds.
    pub(crate) p50_us: f64,
    /// 99th percentile of the latency in microseconds.
    pub(crate) p99_us: f64,
}

impl Figures {
    pub(crate) fn of(samples: &[Sample]) -> Self {
        let sorted = |figure: fn(&Sample) -> f64| {
            let mut values: Vec<f64> = samples.iter().map(figure).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let median = |figure| {
            let values = sorted(figure);
            values[values.len() / 2]
        };
        let rates = sorted(|sample| sample.rate);
        Self {
            rate: median(|sample| sample.rate),
            rate_min: rates[0],
            rate_max: rates[rates.len() - 1],
            cpu_us: median(|sample| sample.cpu_us),
            p50_us: median(|sample| sample.p50_us),
            p99_us: median(|sample| sample.p99_us),
        }
    }
}

/// Runs `connections` closed loops for `time`. A failed call ends the run with an error: a row that drops requests has
/// no figure.
pub(crate) async fn run(stack: &Stack, connections: usize, time: Duration) -> Result<Sample, Failed> {
    let from = Instant::now() + WARM_UP;
    let until = from + time;
    let loops: Vec<_> =
        (0..connections).map(|_| tokio::spawn(stack.clone().closed_loop(from, until))).collect();
    tokio::time::sleep_until(from.into()).await;
    let cpu_before = process_cpu();
    tokio::time::sleep_until(until.into()).await;
    let cpu = process_cpu() - cpu_before;
    let mut latencies = Vec::new();
    for one in loops {
        latencies.extend(one.await??);
    }
    latencies.sort_unstable();
    let percentile = |share: f64| {
        let at = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(at).map_or(0.0, |nanoseconds| f64::from(*nanoseconds) / 1e3)
    };
    let requests = latencies.len() as f64;
    Ok(Sample {
        rate: requests / time.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / requests,
        p50_us: percentile(0.50),
        p99_us: percentile(0.99),
    })
}

fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
