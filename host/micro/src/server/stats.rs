//! Counters of a server, and figures of its process.

use crate::server::debug::StatsResponse;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Counters of a server.
#[derive(Debug)]
pub struct Stats {
    started: Instant,
    started_at: SystemTime,
    requests: AtomicU64,
    errors: AtomicU64,
}

impl Stats {
    pub(crate) fn new() -> Self {
        let (requests, errors) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { started: Instant::now(), started_at: SystemTime::now(), requests, errors }
    }

    pub(crate) fn count(&self, ok: bool) {
        self.requests.fetch_add(1, Relaxed);
        if !ok {
            self.errors.fetch_add(1, Relaxed);
        }
    }

    /// Requests answered so far, and those of them that were answered with an error.
    pub fn requests_and_errors(&self) -> (u64, u64) {
        (self.requests.load(Relaxed), self.errors.load(Relaxed))
    }

    /// All figures, as `Debug.Stats` answers.
    pub fn snapshot(&self) -> StatsResponse {
        let unix = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (memory, threads) = process_figures();
        let (requests, errors) = self.requests_and_errors();
        StatsResponse {
            timestamp: unix(SystemTime::now()),
            started: unix(self.started_at),
            uptime: self.started.elapsed().as_secs(),
            memory,
            threads,
            gc: 0,
            requests,
            errors,
        }
    }
}

/// Resident bytes and threads of this process; zeros where the system has no `/proc`.
fn process_figures() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    (figure("VmRSS:").unwrap_or(0) * 1024, figure("Threads:").unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_this_process() {
        let stats = Stats::new();
        stats.count(true);
        stats.count(false);
        let snapshot = stats.snapshot();
        assert_eq!((snapshot.requests, snapshot.errors), (2, 1));
        assert!(snapshot.timestamp >= snapshot.started && snapshot.started > 1_600_000_000);
        if cfg!(target_os = "linux") {
            assert!(snapshot.memory > 100_000 && snapshot.threads >= 1);
        }
    }
}
