//! A hot component that can be instantiated, with everything that its instances are made from.

use super::slot::Hot;
use super::state::{State, new_store};
use crate::error::{LoadError, Step};
use crate::fault::Fault;
use crate::limits::Usage;
use crate::loader::Checked;
use crate::log::{GuestLog, Rate};
use crate::request::PluginRequest;
use micro_bindings::hot::exports::micro::hot::lifecycle;
use micro_plugin::{Digest, Kind, Manifest, Resolved};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use wasmtime::component::{Component, Instance, InstancePre};
use wasmtime::{Engine, Store};

/// Linear memory of one instance when neither the manifest nor the operator says otherwise. There is one per thread.
pub(super) const MEMORY: usize = 32 << 20;

/// What differs between the hot kinds.
pub(crate) trait HotKind: Sized + 'static {
    const KIND: Kind;
    /// How many bytes one call may hand to the host.
    const COPIED: usize;
    /// Where the exports are.
    type Indices: Send + Sync + 'static;
    /// The exports of one instance.
    type Exports: 'static;
    /// What the host remembers of what one instance was told.
    type Memory: Default + 'static;

    /// Finds the exports.
    ///
    /// # Errors
    /// An interface or a function is missing.
    fn find(pre: &InstancePre<State>) -> wasmtime::Result<Self::Indices>;

    /// Loads the exports of one instance.
    ///
    /// # Errors
    /// A function has another type than the contract says.
    fn load(
        indices: &Self::Indices,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Exports>;

    /// Tries the usual calls once, before anybody depends on them. The inner error says what was wrong with an answer.
    ///
    /// # Errors
    /// The instance trapped.
    fn smoke(hot: &mut Hot<Self>) -> wasmtime::Result<Result<(), String>>;

    /// Whether `next` can take the place of `current`.
    ///
    /// # Errors
    /// What callers rely on and it does not do.
    fn succeeds(next: &Generation<Self>, current: &Generation<Self>) -> Result<(), String> {
        let _ = (next, current);
        Ok(())
    }
}

/// Where the exports of a component are: its lifecycle and those of its kind.
pub(crate) struct Found<K: HotKind> {
    lifecycle: lifecycle::GuestIndices,
    kind: K::Indices,
}

/// One version of a plugin in service.
pub(crate) struct Generation<K: HotKind> {
    /// Unique in the process, never 0: threads compare it with that of their instance.
    pub(super) id: u64,
    /// Counts the versions of this plugin, from 1.
    pub(super) number: u64,
    pub(super) manifest: Manifest,
    pub(super) options: Resolved,
    pub(super) file: PathBuf,
    pub(super) digest: Digest,
    config_json: String,
    pre: InstancePre<State>,
    found: Found<K>,
    memory_limit: usize,
    rate: Arc<Rate>,
    host_version: String,
    /// Instances of the plugin so far, over all generations.
    started: Arc<AtomicU64>,
    living: parking_lot::Mutex<Vec<Weak<Usage>>>,
}

/// What all generations of a plugin have in common.
#[derive(Clone, Debug)]
pub(crate) struct Lineage {
    pub(super) host_version: String,
    pub(super) started: Arc<AtomicU64>,
    /// Lines of the plugin.
    pub(super) rate: Arc<Rate>,
    /// Lines of the host about it, which a flood of the plugin's own must not drown.
    pub(super) remarks: Arc<Rate>,
}

impl Lineage {
    pub(crate) fn new(host_version: &str) -> Self {
        Self {
            host_version: host_version.to_owned(),
            started: Arc::default(),
            rate: Rate::new(),
            remarks: Rate::new(),
        }
    }
}

/// An instance that did not come about.
#[derive(Debug)]
pub(crate) enum StartError {
    /// The plugin does not accept its options.
    Invalid(String),
    /// The plugin failed.
    Fault(Fault),
}

/// Links a component of a hot kind.
///
/// # Errors
/// An import has another type than the host offers, or an export is missing.
pub(crate) fn find<K: HotKind>(
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<(InstancePre<State>, Found<K>)> {
    let pre = super::shim::linker(engine, component)?.instantiate_pre(component)?;
    let found = Found { lifecycle: lifecycle::GuestIndices::new(&pre)?, kind: K::find(&pre)? };
    Ok((pre, found))
}

impl<K: HotKind> Generation<K> {
    /// The next version of a plugin: not in service yet, but its first instance took the options and the usual calls.
    ///
    /// # Errors
    /// At the steps from `start` on.
    pub(crate) fn new(
        request: &PluginRequest,
        checked: Checked,
        (pre, found): (InstancePre<State>, Found<K>),
        lineage: &Lineage,
        number: u64,
    ) -> Result<Self, LoadError> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let Checked { manifest, file, digest, options, .. } = checked;
        let memory_limit = request.memory(&manifest, MEMORY);
        let generation = Self {
            id: NEXT.fetch_add(1, Relaxed),
            number,
            config_json: options.config_json(),
            manifest,
            options,
            file,
            digest,
            pre,
            found,
            memory_limit,
            rate: lineage.rate.clone(),
            host_version: lineage.host_version.clone(),
            started: lineage.started.clone(),
            living: parking_lot::Mutex::default(),
        };
        generation.try_out(request)?;
        Ok(generation)
    }

    fn try_out(&self, request: &PluginRequest) -> Result<(), LoadError> {
        let faulty = "report this to its author; --log_level=debug shows its own messages";
        let fail =
            |step, reason: String, remedy: &str| LoadError::new(&request.locator, step, reason, remedy);
        let mut hot = self.start().map_err(|error| match error {
            StartError::Invalid(why) => {
                fail(Step::Configure, why, &format!("correct {}", request.flag_for("opt")))
            }
            StartError::Fault(fault) => fail(Step::Start, fault.summary(), faulty),
        })?;
        match K::smoke(&mut hot) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(wrong)) => Err(fail(Step::Smoke, wrong, faulty)),
            Err(error) => Err(fail(Step::Smoke, hot.fault(&error).summary(), faulty)),
        }
    }

    /// A fresh instance for this thread.
    pub(super) fn start(&self) -> Result<Hot<K>, StartError> {
        let instance = self.started.fetch_add(1, Relaxed) + 1;
        let log = GuestLog::new(&self.manifest.name, instance, self.rate.clone());
        let (mut store, usage) = new_store(self.pre.engine(), log.clone(), self.memory_limit, K::COPIED);
        let trapped = |error: wasmtime::Error| StartError::Fault(Fault::hot(&error, &usage, &log));
        let started = self.pre.instantiate(&mut store).map_err(trapped)?;
        let lifecycle = self.found.lifecycle.load(&mut store, &started).map_err(trapped)?;
        let exports = K::load(&self.found.kind, &mut store, &started).map_err(trapped)?;
        let context = lifecycle::Context {
            plugin: &self.manifest.name,
            instance,
            generation: self.number,
            host_version: &self.host_version,
            names: &http1_core::names::NAMES,
        };
        super::state::arm(&mut store, super::state::STARTING);
        let configured = lifecycle.call_configure(&mut store, context, &self.config_json);
        configured.map_err(trapped)?.map_err(StartError::Invalid)?;
        let mut living = self.living.lock();
        living.retain(|usage| usage.strong_count() > 0);
        living.push(Arc::downgrade(&usage));
        drop(living);
        Ok(Hot::new(self.id, instance, store, exports, usage, log))
    }

    /// Where the exports of its kind are.
    pub(super) fn indices(&self) -> &K::Indices {
        &self.found.kind
    }

    /// Living instances, and their memory in bytes.
    pub(super) fn living(&self) -> (usize, usize) {
        let living = self.living.lock();
        let usages = living.iter().filter_map(Weak::upgrade);
        usages.fold((0, 0), |(count, bytes), usage| (count + 1, bytes + usage.memory()))
    }
}

impl<K: HotKind> std::fmt::Debug for Generation<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation")
            .field("plugin", &self.manifest.name)
            .field("number", &self.number)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}
