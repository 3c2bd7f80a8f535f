//! What callers read instead of the registry: the last snapshot of each service, from memory.
//!
//! One background task follows [`Registry::changes`] (one per name where the registry can only watch names) and puts what
//! it hears into a table; readers see an immutable copy. So a registry that is slow, hung or gone costs a call
//! nothing: the last snapshot is served, marked stale, until the registry is back.
//!
//! Three things are kept apart, because they look alike on the wire:
//! - *Somebody left*: an event says that a name has no nodes any more. It is believed at once.
//! - *The registry forgot*: a full snapshot lacks a name that was there. Its nodes are probably alive and about to
//!   register again, so the entry is kept, as stale, for a grace period.
//! - *The registry does not answer*: everything is kept for as long as it takes.

mod feed;
mod table;

use arc_swap::ArcSwap;
use feed::Link;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use micro_core::{Registry, RegistryError, Service, WatchScope};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use table::{Published, Table};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Periods of a [`Cache`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// A name in use is fetched anew after this long even if no event came. Default 60 s.
    pub refresh: Duration,
    /// How long a name is kept that vanished without a word. Default 60 s: two register intervals.
    pub grace: Duration,
    /// How long a name is watched that nobody asks for, where names are watched one by one. Default 60 s.
    pub idle: Duration,
    /// How long it is remembered that a name is unknown. Default 1 s.
    pub negative: Duration,
    /// How long the registry may take for a name that is not known yet. Default 5 s.
    pub fetch_timeout: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(60),
            grace: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            negative: Duration::from_secs(1),
            fetch_timeout: Duration::from_secs(5),
        }
    }
}

/// What is known about one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedService {
    /// All versions with their nodes. Empty: the registry says that there is no such service.
    pub services: Arc<[Service]>,
    /// Differs whenever `services` differs, also from those of a name that was gone in between.
    pub generation: u64,
    /// The registry cannot be asked at the moment, or has forgotten the name; it may be served no more.
    pub stale: bool,
}

/// A cache in front of a registry. Its tasks start with the first [`Cache::get`] and end when it is dropped.
#[derive(Debug)]
pub struct Cache {
    inner: Arc<Inner>,
    started: AtomicBool,
    _stop: DropGuard,
}

/// A fetch that all who ask for the same name wait for.
type Fetch = Shared<BoxFuture<'static, Result<Arc<CachedService>, RegistryError>>>;

struct Inner {
    registry: Arc<dyn Registry>,
    options: CacheOptions,
    /// What readers see; replaced as a whole.
    published: ArcSwap<Published>,
    table: Mutex<Table>,
    fetching: Mutex<HashMap<String, Fetch>>,
    link: Link,
    stop: CancellationToken,
}

impl Cache {
    /// A cache with the default periods.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self::with_options(registry, CacheOptions::default())
    }

    /// A cache with the given periods.
    pub fn with_options(registry: Arc<dyn Registry>, options: CacheOptions) -> Self {
        let stop = CancellationToken::new();
        let inner = Inner {
            table: Mutex::new(Table::new(options, registry.watch_scope())),
            published: ArcSwap::default(),
            fetching: Mutex::default(),
            link: Link::default(),
            stop: stop.clone(),
            registry,
            options,
        };
        Self { inner: Arc::new(inner), started: AtomicBool::new(false), _stop: stop.drop_guard() }
    }

    /// Stops following the registry, for a process that is about to end: what is in memory is still answered, and nobody
    /// is told that the registry went away.
    pub fn stop(&self) {
        self.inner.stop.cancel();
    }

    /// What is behind the cache.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.inner.registry
    }

    /// What is in memory, without asking anybody: a map lookup, no lock. None: [`Cache::get`] has to ask.
    pub fn cached(&self, name: &str) -> Option<Arc<CachedService>> {
        self.inner.cached(name)
    }

    /// How long ago the registry last said what is in memory about `name`, or confirmed it; none for what is not there.
    pub fn age(&self, name: &str) -> Option<Duration> {
        self.inner.table.lock().age(name)
    }

    /// What is known about `name`, from memory if possible. An unknown name is an empty answer. All who ask for the same
    /// name at the same time share one question to the registry.
    ///
    /// Cancel safe: the question is asked to its end and the answer kept.
    ///
    /// # Errors
    /// The registry does not answer, and the name is not known yet. Nothing of that is remembered.
    pub async fn get(&self, name: &str) -> Result<Arc<CachedService>, RegistryError> {
        if let Some(hit) = self.inner.cached(name) {
            return Ok(hit);
        }
        if !self.started.swap(true, Relaxed) {
            feed::start(&self.inner);
        }
        let fetched = Inner::fetch(&self.inner, name).await;
        // What is in memory now counts as used; and the watch may have been faster than an answer that failed.
        self.inner.cached(name).map_or(fetched, Ok)
    }
}

impl Inner {
    fn cached(&self, name: &str) -> Option<Arc<CachedService>> {
        let published = self.published.load();
        let slot = published.get(name)?;
        if slot.forget_at.is_some_and(|end| end <= Instant::now()) {
            return None;
        }
        slot.mark_used();
        Some(slot.value.clone())
    }

    /// Changes the table and shows the result to the readers.
    fn update<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.table.lock();
        let result = change(&mut table);
        if let Some(published) = table.take_changes() {
            self.published.store(Arc::new(published));
        }
        result
    }

    /// The running fetch of `name`, or a new one.
    fn fetch(self: &Arc<Self>, name: &str) -> Fetch {
        let mut fetching = self.fetching.lock();
        if let Some(running) = fetching.get(name).filter(|running| running.peek().is_none()) {
            return running.clone();
        }
        let (inner, owned) = (self.clone(), name.to_owned());
        let task = tokio::spawn(async move {
            let result = inner.stop.run_until_cancelled(inner.ask(&owned)).await;
            inner.fetching.lock().remove(&owned);
            result
        });
        let registry = self.registry.name().to_owned();
        let stopped = move || RegistryError::Other { registry, reason: "the cache was stopped".to_owned() };
        let fetch =
            async move { task.await.ok().flatten().unwrap_or_else(|| Err(stopped())) }.boxed().shared();
        fetching.insert(name.to_owned(), fetch.clone());
        fetch
    }

    async fn ask(self: &Arc<Self>, name: &str) -> Result<Arc<CachedService>, RegistryError> {
        let asked = self.table.lock().now();
        let limit = self.options.fetch_timeout;
        let answer = tokio::time::timeout(limit, self.registry.get_service(name)).await;
        let timeout = |_| RegistryError::Timeout { registry: self.registry.name().to_owned(), after: limit };
        match answer.map_err(timeout).flatten() {
            Ok(snapshot) => {
                let fetched = self.update(|table| table.fetched(name, snapshot.services, asked));
                if fetched.watch {
                    feed::watch_name(self, name, snapshot.cursor);
                }
                Ok(fetched.value)
            }
            Err(error) => {
                tracing::debug!(service = name, %error, "the registry did not answer");
                self.update(|table| table.fetch_failed(name));
                Err(error)
            }
        }
    }

    fn scope(&self) -> WatchScope {
        self.registry.watch_scope()
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.published.load().len();
        f.debug_struct("Inner")
            .field("registry", &self.registry)
            .field("names", &names)
            .finish_non_exhaustive()
    }
}
