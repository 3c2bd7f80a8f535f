//! What a hot instance sees of the world: the data of its store, its deadline, and its log.

use crate::engine::TICK;
use crate::limits::{Limiter, Usage};
use crate::log::{GuestLog, Stderr};
use micro_bindings::hot::micro::hot::log::{Host, Level};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Engine, Store, UpdateDeadline};

/// How much processor time one call may take.
pub(super) const BUDGET: Duration = Duration::from_millis(10);
/// How much an instance may take until it is configured, once in its life: interpreters have a lot to set up.
pub(super) const STARTING: Duration = Duration::from_millis(100);
/// How much more a call gets for each KiB of what it is given. Interpreted guests take up to half of this.
const PER_KIBIBYTE: Duration = Duration::from_micros(500);
/// The largest input that counts in full. From here on each MiB adds [`PER_MEBIBYTE`]: the thread that runs the call serves
/// others as well.
const LARGE: usize = 1 << 20;
const PER_MEBIBYTE: Duration = Duration::from_millis(20);
/// What is charged between two looks. A running guest is looked at on every tick, so a longer time is one in which the
/// ticks, or the whole virtual machine, stood still; a machine's stolen time counts as its threads' own.
const LONGEST_CHARGE: Duration = Duration::from_micros(TICK.as_micros() as u64 * 3 / 2);
/// Ticks until a call is looked at for the first time. One would strike calls that merely began just before it.
const FIRST_LOOK: u64 = 2;
/// Handles that an instance may hold: those of its standard error, and a few more.
const HANDLES: usize = 64;

pub(crate) struct State {
    limiter: Limiter,
    pub(super) log: Arc<GuestLog>,
    pub(super) stderr: Stderr,
    clock: Clock,
}

/// The processor time of the running call.
#[derive(Debug)]
struct Clock {
    /// That of the thread when the call was last looked at.
    seen: Option<Duration>,
    /// What it may still take.
    left: Duration,
}

/// A fresh store. One instance per store, because a trap makes the whole store unusable. `copied` is how many bytes one
/// call may hand to the host.
pub(super) fn new_store(
    engine: &Engine,
    log: Arc<GuestLog>,
    memory_limit: usize,
    copied: usize,
) -> (Store<State>, Arc<Usage>) {
    let limiter = Limiter::new(memory_limit);
    let usage = limiter.usage();
    let stderr = log.stderr();
    let state = State { limiter, log, stderr, clock: Clock::new(STARTING) };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(copied);
    store.set_max_component_handles(HANDLES);
    store.epoch_deadline_callback(|mut store| Ok(store.data_mut().look()));
    arm(&mut store, STARTING);
    (store, usage)
}

/// Starts the clock of a call that may take `budget` of processor time.
#[inline]
pub(super) fn arm(store: &mut Store<State>, budget: Duration) {
    store.data_mut().clock = Clock::new(budget);
    store.set_epoch_deadline(FIRST_LOOK);
}

impl State {
    /// Ticks are wall time, and a busy neighbour may have had the processor: only the thread's own time counts.
    fn look(&mut self) -> UpdateDeadline {
        if self.clock.is_over(thread_time()) {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Continue(1)
        }
    }
}

impl Clock {
    const fn new(budget: Duration) -> Self {
        Self { seen: None, left: budget }
    }

    /// Charges what the thread took since the last look.
    fn is_over(&mut self, now: Duration) -> bool {
        let taken = self.seen.replace(now).map_or(Duration::ZERO, |seen| now.saturating_sub(seen));
        self.left = self.left.saturating_sub(taken.min(LONGEST_CHARGE));
        self.left.is_zero()
    }
}

/// How much processor time a call may take that is given so many bytes.
pub(super) fn budget(bytes: usize) -> Duration {
    let (counted, more) = (bytes.min(LARGE), bytes.saturating_sub(LARGE));
    BUDGET + PER_KIBIBYTE * (counted >> 10) as u32 + PER_MEBIBYTE * (more >> 20) as u32
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

impl Host for State {
    fn write(&mut self, level: Level, message: String, fields: Vec<(String, String)>) {
        let level = match level {
            Level::Trace => tracing::Level::TRACE,
            Level::Debug => tracing::Level::DEBUG,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error => tracing::Level::ERROR,
        };
        self.log.line(level, &message, &fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn large_inputs_get_more_time() {
        assert_eq!(budget(0), 10 * MS);
        assert_eq!(budget(40 << 10), 30 * MS);
        assert_eq!(budget(1 << 20), 522 * MS);
        assert_eq!(budget(9 << 20), (522 + 160) * MS);
    }

    #[test]
    fn a_call_pays_for_its_own_time_only() {
        let mut clock = Clock::new(10 * MS);
        assert!(!clock.is_over(1000 * MS), "what was before the first look");
        assert!(!clock.is_over(1005 * MS));
        assert!(clock.is_over(1010 * MS));
        let mut clock = Clock::new(10 * MS);
        assert!(!clock.is_over(1000 * MS));
        assert!(!clock.is_over(1200 * MS), "the machine stood still");
        assert!(clock.is_over(1203 * MS));
    }
}
