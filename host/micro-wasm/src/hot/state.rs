//! What a hot instance sees of the world: the data of its store, its deadline, and its log.

use crate::limits::{Limiter, Usage};
use crate::log::{GuestLog, Stderr};
use micro_bindings::hot::micro::hot::log::{Host, Level};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Engine, Store, UpdateDeadline};

/// How much processor time one call may take.
pub(super) const BUDGET: Duration = Duration::from_millis(10);
/// Ticks until a call is looked at for the first time. One would strike calls that merely began just before it.
const FIRST_LOOK: u64 = 2;
/// Handles that an instance may hold: those of its standard error, and a few more.
const HANDLES: usize = 64;

pub(crate) struct State {
    limiter: Limiter,
    pub(super) log: Arc<GuestLog>,
    pub(super) stderr: Stderr,
    /// The thread's processor time when the running call was first looked at.
    struck: Option<Duration>,
    budget: Duration,
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
    let state = State { limiter, log, stderr, struck: None, budget: BUDGET };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(copied);
    store.set_max_component_handles(HANDLES);
    store.epoch_deadline_callback(|mut store| Ok(store.data_mut().look()));
    arm(&mut store, BUDGET);
    (store, usage)
}

/// Starts the clock of a call that may take `budget` of processor time.
#[inline]
pub(super) fn arm(store: &mut Store<State>, budget: Duration) {
    let state = store.data_mut();
    state.struck = None;
    state.budget = budget;
    store.set_epoch_deadline(FIRST_LOOK);
}

impl State {
    /// Ticks are wall time, and a busy neighbour may have had the processor: only the thread's own time counts.
    fn look(&mut self) -> UpdateDeadline {
        let now = thread_time();
        let since = *self.struck.get_or_insert(now);
        if now.saturating_sub(since) >= self.budget {
            return UpdateDeadline::Interrupt;
        }
        UpdateDeadline::Continue(1)
    }
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
