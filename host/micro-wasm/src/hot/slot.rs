//! The way into a hot plugin: the thread's own instance, its generation, its deadline and its costs.

use super::faults::{Admission, Faults, Outcome};
use super::generation::{Generation, HotKind, Lineage, StartError};
use super::state::{BUDGET, State, arm, budget};
use crate::error::{LoadError, Step};
use crate::factory::Factory;
use crate::fault::Fault;
use crate::health::Health;
use crate::limits::Usage;
use crate::log::GuestLog;
use crate::request::PluginRequest;
use crate::stats::Stats;
use crate::status::{LastError, PluginState, PluginStatus};
use crate::swap::Swappable;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use micro_core::Code;
use micro_plugin::Kind;
use parking_lot::Mutex;
use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use wasmtime::Store;

/// One of so many calls is timed: two looks at the clock cost as much as a small call.
const SAMPLED: u32 = 64;

/// The number of no generation: whoever compares with it takes the long way.
const NOBODY: u64 = 0;

thread_local! {
    /// This thread's instances, by the index of their slot. A call takes its instance out and puts it back, so that
    /// nothing is borrowed while a guest runs, and an instance that panics the host is not seen again.
    static INSTANCES: RefCell<Vec<Option<Box<dyn Any>>>> = const { RefCell::new(Vec::new()) };
}

/// A hot plugin in service. Generations come and go in it.
pub(crate) struct Slot<K: HotKind> {
    index: usize,
    /// What the operator asked for; a swap asks for the same of another file.
    request: Mutex<PluginRequest>,
    factory: Arc<Factory>,
    current: ArcSwap<Generation<K>>,
    /// The current generation's id; [`NOBODY`] while it is quarantined. Stored after `current`.
    id: AtomicU64,
    /// What served before, in case that the current one does not stand the test.
    previous: Mutex<Option<Arc<Generation<K>>>>,
    pub(crate) lineage: Lineage,
    faults: Faults,
    stats: Arc<Stats>,
}

/// An instance, in the hands of its thread.
pub(crate) struct Hot<K: HotKind> {
    generation: u64,
    number: u64,
    calls: u32,
    pub(super) store: Store<State>,
    pub(super) exports: K::Exports,
    /// What the host remembers of what it told this instance.
    pub(super) memory: K::Memory,
    usage: Arc<Usage>,
    log: Arc<GuestLog>,
}

/// A call that brought no answer. Its text is for operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The guest failed in this call.
    #[error("it failed: {0}")]
    Fault(String),
    /// There is no instance for this thread now.
    #[error("it failed too often: {0}")]
    Absent(String),
}

impl<K: HotKind> Hot<K> {
    pub(super) fn new(
        generation: u64,
        number: u64,
        store: Store<State>,
        exports: K::Exports,
        usage: Arc<Usage>,
        log: Arc<GuestLog>,
    ) -> Self {
        Self { generation, number, calls: 0, store, exports, memory: K::Memory::default(), usage, log }
    }

    /// What an error of a call means.
    pub(super) fn fault(&self, error: &wasmtime::Error) -> Fault {
        Fault::hot(error, &self.usage, &self.log)
    }

    /// Gives the running call, which has more to do than usual, more time.
    pub(super) fn allow(&mut self, budget: Duration) {
        arm(&mut self.store, budget);
    }

    /// Gives the running call the time for so many bytes.
    #[inline]
    pub(super) fn allow_for(&mut self, bytes: usize) {
        if bytes >= 1 << 10 {
            self.allow(budget(bytes));
        }
    }
}

impl<K: HotKind> Slot<K> {
    pub(crate) fn new(
        request: PluginRequest,
        first: Generation<K>,
        lineage: Lineage,
        factory: Arc<Factory>,
    ) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self {
            index: NEXT.fetch_add(1, Ordering::Relaxed),
            request: Mutex::new(request),
            id: AtomicU64::new(first.id),
            current: ArcSwap::from_pointee(first),
            previous: Mutex::new(None),
            lineage,
            faults: Faults::new(&factory.settings),
            stats: Arc::default(),
            factory,
        }
    }

    /// Runs one call on this thread's instance. `Err` from `work` is a trap, and the end of the instance.
    ///
    /// # Errors
    /// See [`Refusal`].
    #[inline]
    pub(super) fn call<R>(
        &self,
        export: &'static str,
        work: impl FnOnce(&mut Hot<K>) -> wasmtime::Result<R>,
    ) -> Result<R, Refusal> {
        let wanted = self.id.load(Ordering::Acquire);
        let mut hot = match take::<K>(self.index) {
            Some(hot) if hot.generation == wanted => hot,
            stale => self.renew(stale)?,
        };
        arm(&mut hot.store, BUDGET);
        hot.calls = hot.calls.wrapping_add(1);
        let timed = hot.calls.is_multiple_of(SAMPLED).then(Instant::now);
        match work(&mut hot) {
            Ok(answer) => {
                if let Some(since) = timed {
                    self.stats.record_many(export, since.elapsed(), u64::from(SAMPLED));
                }
                put(self.index, hot);
                Ok(answer)
            }
            Err(error) => Err(self.failed(&hot, &error)),
        }
    }

    /// Notes that an answer was nonsense. The instance goes, as after a trap.
    #[cold]
    pub(super) fn nonsense(&self, what: String) -> Refusal {
        let number = take::<K>(self.index).map_or(0, |hot| hot.number);
        self.note(number, Fault::answer(what))
    }

    #[cold]
    #[inline(never)]
    fn renew(&self, stale: Option<Box<Hot<K>>>) -> Result<Box<Hot<K>>, Refusal> {
        drop(stale);
        match self.faults.admit() {
            Admission::Yes => {}
            Admission::Later => return Err(Refusal::Absent("too many faults within a second".to_owned())),
            Admission::Quarantined(why) => return Err(Refusal::Absent(why)),
        }
        let generation = self.current.load();
        // The end of a quarantine. Where there is none, the id is there already.
        let _ = self.id.compare_exchange(NOBODY, generation.id, Ordering::AcqRel, Ordering::Acquire);
        match generation.start() {
            Ok(hot) => Ok(Box::new(hot)),
            Err(StartError::Fault(fault)) => Err(self.note(0, fault)),
            Err(StartError::Invalid(why)) => {
                Err(self.note(0, Fault::answer(format!("it does not accept its options any more: {why}"))))
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn failed(&self, hot: &Hot<K>, error: &wasmtime::Error) -> Refusal {
        self.note(hot.number, hot.fault(error))
    }

    fn note(&self, instance: u64, fault: Fault) -> Refusal {
        let summary = fault.summary();
        let generation = self.current.load();
        let name = generation.manifest.name.as_str();
        if self.lineage.remarks.may_speak() {
            tracing::warn!(
                plugin.name = name, plugin.instance = instance, kind = ?fault.kind, reason = summary,
                "plugin failed in a call; a fresh instance takes over"
            );
        }
        if self.faults.note(instance, &fault) == Outcome::Quarantine {
            self.quarantine(&generation, &summary);
        }
        Refusal::Fault(summary)
    }

    /// The previous generation takes over where there is one; else whoever calls has to do without.
    fn quarantine(&self, failed: &Arc<Generation<K>>, reason: &str) {
        let name = failed.manifest.name.as_str();
        match self.previous.lock().take() {
            Some(previous) => {
                tracing::error!(
                    plugin.name = name, digest = %failed.digest, reason, back_to = %previous.digest,
                    code = %Code::PLUGIN_QUARANTINED,
                    "plugin fails too often: the generation before it serves again"
                );
                self.faults.forgive();
                let id = previous.id;
                self.current.store(previous);
                self.id.store(id, Ordering::Release);
            }
            None => {
                tracing::error!(
                    plugin.name = name, digest = %failed.digest, reason, code = %Code::PLUGIN_QUARANTINED,
                    "plugin fails too often: quarantined"
                );
                self.id.store(NOBODY, Ordering::Release);
            }
        }
    }

    /// Puts another generation into service. Each thread changes over at its next call; calls that run finish on the
    /// old one.
    fn publish(&self, next: Generation<K>) {
        let id = next.id;
        let old = self.current.swap(Arc::new(next));
        self.id.store(id, Ordering::Release);
        *self.previous.lock() = Some(old);
        self.faults.forgive();
    }

    pub(crate) fn current(&self) -> Arc<Generation<K>> {
        self.current.load_full()
    }

    /// Looks at the current generation without keeping it.
    #[inline]
    pub(super) fn with_current<R>(&self, look: impl FnOnce(&Generation<K>) -> R) -> R {
        look(&self.current.load())
    }
}

#[async_trait]
impl<K: HotKind> Swappable for Slot<K> {
    fn kind(&self) -> Kind {
        K::KIND
    }

    fn name(&self) -> String {
        self.current.load().manifest.name.clone()
    }

    fn request(&self) -> PluginRequest {
        self.request.lock().clone()
    }

    async fn swap(&self, request: PluginRequest) -> Result<(), LoadError> {
        let current = self.current.load_full();
        let number = current.number + 1;
        let next: Generation<K> = self.factory.strict.load_hot(&request, &self.lineage, number).await?;
        K::succeeds(&next, &current).map_err(|reason| {
            LoadError::new(&request.locator, Step::Smoke, reason, "restart the process with it instead")
        })?;
        self.publish(next);
        *self.request.lock() = request;
        Ok(())
    }

    /// Nothing stands behind it that could be down.
    async fn health(&self, _: Duration) -> Health {
        match self.faults.quarantined() {
            Some(why) => Health::Bad(why),
            None => Health::Good,
        }
    }

    /// There is nothing to say goodbye to: instances end with their threads.
    async fn shutdown(&self, _: tokio::time::Instant) {}

    fn status(&self) -> PluginStatus {
        let generation = self.current.load();
        let request = self.request.lock();
        let (instances, memory_bytes) = generation.living();
        let (faults, last) = self.faults.report();
        let state = match self.faults.quarantined() {
            Some(why) => PluginState::Quarantined(why),
            None => PluginState::Ready,
        };
        PluginStatus {
            name: generation.manifest.name.clone(),
            version: generation.manifest.version.clone(),
            kind: K::KIND,
            flag: request.flag.clone(),
            locator: request.locator.to_string(),
            configured: String::new(),
            digest: generation.digest.to_string(),
            file: generation.file.clone(),
            state,
            generation: generation.number,
            instance: self.lineage.started.load(Ordering::Relaxed),
            instances,
            restarts: faults,
            last_error: last.map(|(at, instance, fault)| LastError::new(at, instance, &fault)),
            in_flight: 0,
            queued: 0,
            memory_bytes,
            calls: self.stats.times(),
            denied: std::collections::BTreeMap::new(),
            options: generation.options.display().into_iter().collect(),
            draining: 0,
            last_swap: None,
        }
    }
}

impl<K: HotKind> fmt::Debug for Slot<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("generation", &*self.current.load()).finish_non_exhaustive()
    }
}

#[inline]
fn take<K: HotKind>(index: usize) -> Option<Box<Hot<K>>> {
    let taken = INSTANCES.try_with(|all| all.borrow_mut().get_mut(index)?.take());
    // A thread that is ending has no instances any more.
    taken.ok().flatten()?.downcast().ok()
}

#[inline]
fn put<K: HotKind>(index: usize, hot: Box<Hot<K>>) {
    // On a thread that is ending the instance ends here.
    let _ = INSTANCES.try_with(|all| {
        let mut all = all.borrow_mut();
        if all.len() <= index {
            all.resize_with(index + 1, || None);
        }
        all[index] = Some(hot);
    });
}
