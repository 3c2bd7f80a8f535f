//! A registry plugin as the rest of the program sees it: one more [`Registry`], whose plugin can be replaced under it.

use crate::convert;
use crate::error::LoadError;
use crate::factory::Factory;
use crate::fault::Failure;
use crate::generation::{Generation, Outcome};
use crate::health::Health;
use crate::plugin::Plugin;
use crate::registrations::{Registration, Registrations};
use crate::request::PluginRequest;
use crate::status::PluginStatus;
use crate::swap::Swappable;
use async_trait::async_trait;
use futures::stream::{StreamExt, TryStreamExt, iter};
use micro_bindings::micro::plugin::types::Error;
use micro_core::{Batch, Registry, RegistryError, Service, Snapshot, WatchScope};
use micro_plugin::Kind;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{RwLock, Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

/// No poll waits longer; the contract says so.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Generations that may still be finishing calls; the next swap waits for one of them.
const DRAINING: usize = 4;
/// Registrations that the next generation is told at the same time.
const SEEDED_AT_ONCE: usize = 4;

/// A registry behind a plugin.
#[derive(Debug)]
pub(crate) struct PluginRegistry {
    factory: Arc<Factory>,
    /// That of the first generation: what is registered under it does not change its registry with a swap.
    name: String,
    /// That of the first generation as well: whoever watches chose how to do it by this.
    scope: WatchScope,
    current: watch::Sender<Arc<Generation>>,
    registrations: Registrations,
    /// Held for reading by calls that write, for writing while the next generation is told what was written.
    writing: RwLock<()>,
    draining: Arc<Semaphore>,
    /// Generations that end.
    tasks: TaskTracker,
    /// No generation is published any more.
    closed: Mutex<bool>,
}

impl PluginRegistry {
    pub(crate) fn new(factory: Arc<Factory>, plugin: Arc<Plugin>, request: PluginRequest) -> Self {
        let full = &plugin.launcher().manifest.name;
        let name = full.strip_suffix("-registry").unwrap_or(full).to_owned();
        let first = Generation::first(plugin, request);
        Self {
            factory,
            name,
            scope: first.watch_scope(),
            current: watch::Sender::new(Arc::new(first)),
            registrations: Registrations::default(),
            writing: RwLock::default(),
            draining: Arc::new(Semaphore::new(DRAINING)),
            tasks: TaskTracker::new(),
            closed: Mutex::new(false),
        }
    }

    fn current(&self) -> Arc<Generation> {
        self.current.borrow().clone()
    }

    fn is_current(&self, generation: &Arc<Generation>) -> bool {
        Arc::ptr_eq(&self.current.borrow(), generation)
    }

    /// Runs a call in the current generation. Every function of the contract may be repeated: a call that came too late
    /// for a generation goes to the next one, and one whose instance ended perhaps through no fault of its own gets a
    /// second chance, in what is left of its time.
    async fn ask<T, F>(
        &self,
        limit: Duration,
        call: impl Fn(Arc<Generation>, Duration) -> F,
    ) -> Result<T, RegistryError>
    where
        F: Future<Output = Outcome<T>>,
    {
        let (asked, mut lost) = (Instant::now(), false);
        loop {
            let generation = self.current();
            let held = generation.hold();
            let outcome = call(generation.clone(), limit.saturating_sub(asked.elapsed())).await;
            drop(held);
            if !self.is_lost(&generation, &outcome, &mut lost) || asked.elapsed() >= limit {
                return self.settle(&generation, limit, outcome);
            }
        }
    }

    /// Whether the call should be made again.
    fn is_lost<T>(&self, generation: &Arc<Generation>, outcome: &Outcome<T>, before: &mut bool) -> bool {
        match outcome {
            Err(Failure::Stopped) => !self.is_current(generation),
            Err(Failure::InstanceLost(_)) => !self.is_current(generation) || !std::mem::replace(before, true),
            _ => false,
        }
    }

    /// What to tell the caller, and whether the monitor should have a look.
    fn settle<T>(
        &self,
        generation: &Generation,
        limit: Duration,
        outcome: Outcome<T>,
    ) -> Result<T, RegistryError> {
        match outcome {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                if matches!(error, Error::Unavailable(_) | Error::Timeout) {
                    generation.plugin.suspect();
                }
                Err(convert::error(&self.name, limit, error))
            }
            Err(Failure::Deadline(after)) => {
                Err(RegistryError::Timeout { registry: self.name.clone(), after })
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    fn failed(&self, failure: impl ToString) -> RegistryError {
        RegistryError::Plugin { registry: self.name.clone(), reason: failure.to_string() }
    }

    /// The time for a call that does not wait on purpose.
    fn timeout(&self) -> Duration {
        self.current.borrow().request.timeout
    }

    /// Proves `next`, tells it what is registered, and publishes it.
    async fn publish(&self, old: &Generation, next: &Arc<Generation>) -> Result<(), LoadError> {
        let health = next.prove(old, self.scope).await?;
        // From here to the end no registration comes or goes, so none can fall between the generations.
        let _writing = self.writing.write().await;
        iter(self.registrations.living())
            .map(|registration| seed(next, &health, registration))
            .buffer_unordered(SEEDED_AT_ONCE)
            .try_collect::<()>()
            .await?;
        let closed = self.closed.lock();
        if *closed {
            return Err(self.factory.stopping(&next.request));
        }
        self.current.send_replace(next.clone());
        Ok(())
    }
}

/// Registers a node with the next generation as well. Where its backend is away, the heartbeat will do it.
async fn seed(next: &Generation, health: &Health, registration: Registration) -> Result<(), LoadError> {
    let (service, ttl) = (convert::to_wit(&registration.service), to_ms(registration.ttl));
    let outcome = next.register(service, ttl, next.request.timeout).await;
    next.answered("register", health, outcome).map(drop)
}

/// Zero means for ever, so a time to live below a millisecond must not become that.
fn to_ms(ttl: Duration) -> u64 {
    if ttl.is_zero() { 0 } else { convert::millis(ttl).max(1) }
}

#[async_trait]
impl Registry for PluginRegistry {
    fn name(&self) -> &str {
        &self.name
    }

    fn watch_scope(&self) -> WatchScope {
        self.scope
    }

    fn location(&self) -> String {
        let generation = self.current();
        match generation.plugin.launcher().options.addresses().as_slice() {
            [] => generation.name().to_owned(),
            some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        }
    }

    async fn register(&self, service: &Service, ttl: Duration) -> Result<(), RegistryError> {
        let _writing = self.writing.read().await;
        let wanted = convert::to_wit(service);
        let register = |generation: Arc<Generation>, limit| {
            let service = wanted.clone();
            async move { generation.register(service, to_ms(ttl), limit).await }
        };
        self.ask(self.timeout(), register).await?;
        self.registrations.add(service, ttl);
        Ok(())
    }

    async fn deregister(&self, service: &Service) -> Result<(), RegistryError> {
        let _writing = self.writing.read().await;
        // Whatever comes of it: the next generation shall not bring back what nobody wants.
        self.registrations.remove(service);
        let unwanted = convert::to_wit(service);
        let deregister = |generation: Arc<Generation>, limit| {
            let service = unwanted.clone();
            async move { generation.deregister(service, limit).await }
        };
        self.ask(self.timeout(), deregister).await
    }

    async fn get_service(&self, name: &str) -> Result<Snapshot, RegistryError> {
        let get = |generation: Arc<Generation>, limit| {
            let name = name.to_owned();
            async move {
                let found = generation.get_service(name, limit).await?;
                Ok(found.map(|found| (generation, found)))
            }
        };
        let (generation, found) = self.ask(self.timeout(), get).await?;
        let mut found = convert::snapshot(name, found).map_err(|violation| self.failed(violation))?;
        found.cursor = found.cursor.map(|cursor| generation.tagged(&cursor));
        Ok(found)
    }

    async fn list_services(&self) -> Result<Vec<String>, RegistryError> {
        let list = |generation: Arc<Generation>, limit| async move { generation.list_services(limit).await };
        let names = self.ask(self.timeout(), list).await?;
        convert::names(names).map_err(|violation| self.failed(violation))
    }

    async fn changes(
        &self,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, RegistryError> {
        if name.is_none() && self.scope == WatchScope::Name {
            let reason = "it can only watch one service at a time".to_owned();
            return Err(RegistryError::Invalid { registry: self.name.clone(), reason });
        }
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        let (mut current, mut lost) = (self.current.subscribe(), false);
        loop {
            let generation = current.borrow_and_update().clone();
            let left = until.saturating_duration_since(Instant::now());
            let outcome = tokio::select! {
                biased;
                outcome = generation.changes(name.map(str::to_owned), after, left) => outcome,
                // The next generation goes on from the same cursor.
                Ok(()) = current.changed() => continue,
            };
            if self.is_lost(&generation, &outcome, &mut lost) {
                continue;
            }
            let batch = self.settle(&generation, left + generation.request.timeout, outcome)?;
            let mut batch = convert::batch(batch).map_err(|violation| self.failed(violation))?;
            batch.cursor = generation.tagged(&batch.cursor);
            return Ok(batch);
        }
    }

    async fn health(&self) -> Result<(), RegistryError> {
        let limit = self.current.borrow().plugin.launcher().settings.health_timeout;
        let health = |generation: Arc<Generation>, limit| async move { generation.health(limit).await };
        self.ask(limit, health).await
    }
}

#[async_trait]
impl Swappable for PluginRegistry {
    fn kind(&self) -> Kind {
        Kind::Registry
    }

    fn name(&self) -> String {
        self.current().name().to_owned()
    }

    fn request(&self) -> PluginRequest {
        let generation = self.current();
        // With what was granted on a question, which is not asked a second time.
        PluginRequest { allow: generation.plugin.launcher().grants.clone(), ..generation.request.clone() }
    }

    async fn swap(&self, request: PluginRequest) -> Result<(), LoadError> {
        let slot = self.draining.clone().acquire_owned().await;
        let old = self.current();
        let plugin = self.factory.next(&request, &old.plugin).await?;
        let next = Arc::new(old.successor(plugin, request));
        let published = self.publish(&old, &next).await;
        let over = if published.is_ok() { old } else { next };
        self.tasks.spawn(async move {
            over.drain().await;
            drop(slot);
        });
        published
    }

    fn status(&self) -> PluginStatus {
        let generation = self.current();
        PluginStatus {
            locator: generation.request.locator.to_string(),
            draining: self.tasks.len(),
            ..generation.plugin.status()
        }
    }

    fn restart(&self) {
        self.current().plugin.restart();
    }

    async fn health(&self, limit: Duration) -> Health {
        crate::health::ask(self.current().plugin.calls(), limit).await
    }

    async fn shutdown(&self, deadline: Instant) {
        *self.closed.lock() = true;
        self.tasks.close();
        self.current().plugin.end("shutdown", deadline).await;
        // Those that were replaced have nothing left to do that matters.
        let _ = timeout_at(deadline, self.tasks.wait()).await;
    }
}
