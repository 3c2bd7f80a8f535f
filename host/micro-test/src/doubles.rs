//! A registry whose faults the test decides.

use async_trait::async_trait;
use micro::registry::MemoryRegistry;
use micro_core::{Batch, Registry, RegistryError, Service, Snapshot, WatchScope};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::watch;

/// How the double behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// As a registry should.
    #[default]
    None,
    /// Every call fails as unavailable, running ones too.
    Unavailable,
    /// No call ends, running ones neither.
    Hang,
}

/// A registry in memory that fails, hangs and forgets on demand, and counts what it is asked.
#[derive(Debug)]
pub struct FaultyRegistry {
    inner: Mutex<MemoryRegistry>,
    fault: watch::Sender<Fault>,
    scope: WatchScope,
    lookups: AtomicUsize,
    watches: AtomicUsize,
}

impl FaultyRegistry {
    /// An empty one without faults that can be watched as a whole.
    pub fn new() -> Self {
        Self::with_scope(WatchScope::All)
    }

    /// An empty one without faults that can be watched as `scope` says.
    pub fn with_scope(scope: WatchScope) -> Self {
        Self {
            inner: Mutex::default(),
            fault: watch::Sender::new(Fault::None),
            scope,
            lookups: AtomicUsize::new(0),
            watches: AtomicUsize::new(0),
        }
    }

    /// Behaves so from now on. Calls that hang go on once it is not [`Fault::Hang`].
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Like a server that comes back without its data: running watches fail, cursors are no good, nothing is known.
    pub fn restart_empty(&self) {
        *self.inner.lock() = MemoryRegistry::new();
        let before = self.fault.send_replace(Fault::Unavailable);
        self.fault.send_replace(before);
    }

    /// How often `get_service` was called.
    pub fn lookups(&self) -> usize {
        self.lookups.load(SeqCst)
    }

    /// How often `changes` was called.
    pub fn watches(&self) -> usize {
        self.watches.load(SeqCst)
    }

    /// Runs a call, subject to the fault of the moment.
    async fn subject<T>(
        &self,
        call: impl AsyncFnOnce(MemoryRegistry) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut fault = self.fault.subscribe();
        let _ = fault.wait_for(|fault| *fault != Fault::Hang).await;
        if *fault.borrow_and_update() == Fault::Unavailable {
            return Err(unavailable());
        }
        let inner = self.inner.lock().clone();
        tokio::select! {
            biased;
            _ = fault.changed() => {
                let _ = fault.wait_for(|fault| *fault != Fault::Hang).await;
                Err(unavailable())
            }
            result = call(inner) => result,
        }
    }
}

impl Default for FaultyRegistry {
    fn default() -> Self {
        Self::new()
    }
}

fn unavailable() -> RegistryError {
    let reason = "the test says so".to_owned();
    RegistryError::Unavailable { registry: "faulty".to_owned(), reason, retry_after: Duration::ZERO }
}

#[async_trait]
impl Registry for FaultyRegistry {
    fn name(&self) -> &str {
        "faulty"
    }

    fn watch_scope(&self) -> WatchScope {
        self.scope
    }

    async fn register(&self, service: &Service, ttl: Duration) -> Result<(), RegistryError> {
        self.subject(async |inner| inner.register(service, ttl).await).await
    }

    async fn deregister(&self, service: &Service) -> Result<(), RegistryError> {
        self.subject(async |inner| inner.deregister(service).await).await
    }

    async fn get_service(&self, name: &str) -> Result<Snapshot, RegistryError> {
        self.lookups.fetch_add(1, SeqCst);
        self.subject(async |inner| inner.get_service(name).await).await
    }

    async fn list_services(&self) -> Result<Vec<String>, RegistryError> {
        self.subject(async |inner| inner.list_services().await).await
    }

    async fn changes(
        &self,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, RegistryError> {
        self.watches.fetch_add(1, SeqCst);
        self.subject(async |inner| inner.changes(name, after, wait).await).await
    }

    async fn health(&self) -> Result<(), RegistryError> {
        self.subject(async |inner| inner.health().await).await
    }
}
