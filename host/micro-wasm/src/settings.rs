//! How patient the host is with plugins.

use std::time::Duration;

/// Times and counts of supervision. The default is right for production; tests are less patient.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The wait before a second restart; doubled, with jitter, for each one after that.
    pub restart_first: Duration,
    /// No wait is longer.
    pub restart_max: Duration,
    /// So many restarts within [`Settings::restart_window`] are tolerated; one more is quarantine.
    pub restart_budget: usize,
    /// See [`Settings::restart_budget`].
    pub restart_window: Duration,
    /// How often a quarantined plugin gets another chance.
    pub probe_every: Duration,
    /// How often `health` is asked while the backend answers.
    pub health_every: Duration,
    /// How often at most `health` is asked while it does not.
    pub health_retry: Duration,
    /// How long one `health` may take.
    pub health_timeout: Duration,
    /// How long a retired instance may go on with the calls that it has.
    pub grace: Duration,
    /// So many instances of a plugin that runs per request are replaced within a second after faults, over all
    /// threads; beyond that its native twin serves until the second is over.
    pub hot_rebuilds_per_second: u32,
    /// So many faults of a plugin that runs per request are tolerated within [`Settings::hot_fault_window`]; one more is
    /// quarantine. Requests can cause faults, so this is a rate, not a count.
    pub hot_fault_budget: u32,
    /// See [`Settings::hot_fault_budget`].
    pub hot_fault_window: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            restart_first: Duration::from_millis(100),
            restart_max: Duration::from_secs(5),
            restart_budget: 5,
            restart_window: Duration::from_secs(60),
            probe_every: Duration::from_secs(30),
            health_every: Duration::from_secs(10),
            health_retry: Duration::from_secs(1),
            health_timeout: Duration::from_secs(2),
            grace: Duration::from_secs(2),
            hot_rebuilds_per_second: 200,
            hot_fault_budget: 1000,
            hot_fault_window: Duration::from_secs(10),
        }
    }
}
