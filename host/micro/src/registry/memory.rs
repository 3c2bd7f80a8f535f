//! A registry in this process's memory.

use super::view::{View, says_nothing};
use async_trait::async_trait;
use micro_core::registry::merge;
use micro_core::{Batch, Registry, RegistryError, Service, Snapshot};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A map in this process. Clones share it, so servers and clients of one process or test find each other.
#[derive(Clone, Debug)]
pub struct MemoryRegistry {
    state: Arc<Mutex<State>>,
    /// The view's revision, for those who wait.
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// By service name and node id.
    records: BTreeMap<(String, String), Record>,
    view: View,
}

#[derive(Debug)]
struct Record {
    /// With exactly one node.
    service: Service,
    /// None: until it is deregistered.
    expires: Option<Instant>,
}

impl MemoryRegistry {
    /// An empty registry.
    pub fn new() -> Self {
        let state = State { records: BTreeMap::new(), view: View::new() };
        Self { state: Arc::new(Mutex::new(state)), changed: watch::Sender::new(0) }
    }

    /// Runs `work` on what has not expired by now, and wakes the watchers if something changed.
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        state.expire(Instant::now());
        let result = work(&mut state);
        let revision = state.view.revision();
        self.changed.send_if_modified(|known| std::mem::replace(known, revision) != revision);
        result
    }
}

impl Default for MemoryRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn expire(&mut self, now: Instant) {
        let old = |record: &Record| record.expires.is_some_and(|end| end <= now);
        let gone: Vec<_> =
            self.records.iter().filter(|(_, record)| old(record)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.records.remove(&key);
            self.refresh(&key.0);
        }
    }

    /// When a watcher that waits until `deadline` has to look again.
    fn wake_at(&self, deadline: Option<Instant>) -> Option<Instant> {
        self.records.values().filter_map(|record| record.expires).chain(deadline).min()
    }

    /// Brings the view of `name` in line with its records.
    fn refresh(&mut self, name: &str) {
        let of_name = self.records.range((name.to_owned(), String::new())..);
        let records = of_name.take_while(|(key, _)| key.0 == name).map(|(_, record)| record.service.clone());
        let merged = merge(records);
        self.view.set(name, merged);
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    fn name(&self) -> &str {
        "memory"
    }

    async fn register(&self, service: &Service, ttl: Duration) -> Result<(), RegistryError> {
        super::check("memory", service)?;
        // A deadline beyond what the clock can tell is no deadline.
        let expires = (!ttl.is_zero()).then(|| Instant::now().checked_add(ttl)).flatten();
        self.with(|state| {
            for node in &service.nodes {
                let record = Service { nodes: vec![node.clone()], ..service.without_nodes() };
                let key = (service.name.clone(), node.id.clone());
                state.records.insert(key, Record { service: record, expires });
            }
            state.refresh(&service.name);
        });
        Ok(())
    }

    async fn deregister(&self, service: &Service) -> Result<(), RegistryError> {
        self.with(|state| {
            for node in &service.nodes {
                state.records.remove(&(service.name.clone(), node.id.clone()));
            }
            state.refresh(&service.name);
        });
        Ok(())
    }

    async fn get_service(&self, name: &str) -> Result<Snapshot, RegistryError> {
        Ok(self.with(|state| state.view.snapshot(name)))
    }

    async fn list_services(&self) -> Result<Vec<String>, RegistryError> {
        Ok(self.with(|state| state.view.names()))
    }

    async fn changes(
        &self,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, RegistryError> {
        let mut changed = self.changed.subscribe();
        let deadline = Instant::now().checked_add(wait);
        loop {
            // Marks the revision as seen first, so that a change after the look below wakes.
            changed.borrow_and_update();
            let (batch, wake_at) =
                self.with(|state| (state.view.since(name, after), state.wake_at(deadline)));
            if !says_nothing(&batch) || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(batch);
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = sleep_until(wake_at) => {}
            }
        }
    }

    async fn health(&self) -> Result<(), RegistryError> {
        Ok(())
    }
}

async fn sleep_until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro_core::Node;

    const TTL: Duration = Duration::from_secs(30);

    fn service(node: &str) -> Service {
        let node = Node { id: node.into(), address: "127.0.0.1:1".into(), ..Node::default() };
        Service { name: "a".into(), version: "1".into(), nodes: vec![node], ..Service::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watcher_sees_an_expiry_when_it_happens() {
        let registry = MemoryRegistry::new();
        registry.register(&service("n"), TTL).await.expect("register");
        let cursor = registry.changes(None, None, TTL).await.expect("resync").cursor;
        let start = Instant::now();
        let batch = registry.changes(None, Some(&cursor), TTL * 2).await.expect("changes");
        assert_eq!(batch.entries[0].services, []);
        assert!(start.elapsed() >= TTL && start.elapsed() < TTL + Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn heartbeats_wake_nobody_and_extend() {
        let registry = MemoryRegistry::new();
        registry.register(&service("n"), TTL).await.expect("register");
        let cursor = registry.changes(None, None, TTL).await.expect("resync").cursor;
        for _ in 0..5 {
            let quiet = registry.changes(None, Some(&cursor), TTL / 2).await.expect("changes");
            assert_eq!((quiet.resync, quiet.entries.len()), (false, 0));
            registry.register(&service("n"), TTL).await.expect("heartbeat");
        }
        assert_eq!(registry.list_services().await.expect("list"), ["a"]);
    }

    #[tokio::test]
    async fn what_cannot_be_stored_is_refused() {
        let registry = MemoryRegistry::new();
        let unnamed = Service { name: String::new(), ..service("n") };
        for bad in [unnamed, service("n").without_nodes(), service("")] {
            let refused = registry.register(&bad, TTL).await.expect_err("refused");
            assert!(!refused.may_heal(), "{refused}");
        }
        assert!(registry.list_services().await.expect("list").is_empty());
    }
}
