//! A consumer of changes, as the contract wants it: replaces, never patches.

use super::Failure;
use micro_core::{Batch, Registry, Service};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Services by name, in a fixed order.
pub(crate) type Content = BTreeMap<String, Vec<Service>>;

/// A copy of a registry, or of one name in it, that is kept by [`Registry::changes`].
#[derive(Debug)]
pub struct Replica {
    registry: Arc<dyn Registry>,
    scope: Option<String>,
    /// Names that begin otherwise are somebody else's.
    prefix: String,
    pub(crate) cursor: Option<String>,
    pub(crate) content: Content,
}

impl Replica {
    /// An empty copy of what begins with `prefix`; `scope` narrows it to one name.
    pub fn new(registry: Arc<dyn Registry>, scope: Option<String>, prefix: &str) -> Self {
        Self { registry, scope, prefix: prefix.to_owned(), cursor: None, content: Content::new() }
    }

    /// Asks once for what changed and takes it over.
    ///
    /// # Errors
    /// The registry failed, or broke the contract.
    pub async fn step(&mut self, wait: Duration) -> Result<Batch, Failure> {
        let batch = self.registry.changes(self.scope.as_deref(), self.cursor.as_deref(), wait).await?;
        let stray = |name: &str| self.scope.as_deref().is_some_and(|scope| scope != name);
        if let Some(entry) = batch.entries.iter().find(|entry| stray(&entry.name)) {
            return Err(Failure(format!("asked for {:?}, told of {:?}", self.scope, entry.name)));
        }
        if batch.resync {
            self.content.clear();
        }
        for entry in &batch.entries {
            if let Some(service) = entry.services.iter().find(|service| service.name != entry.name) {
                return Err(Failure(format!("the entry {:?} holds {:?}", entry.name, service.name)));
            }
            self.content.remove(&entry.name);
            if entry.name.starts_with(&self.prefix) && !entry.services.is_empty() {
                self.content.insert(entry.name.clone(), normal(entry.services.clone()));
            }
        }
        self.cursor = Some(batch.cursor.clone());
        Ok(batch)
    }

    /// Follows until the copy is `expected`.
    pub(crate) async fn until(&mut self, expected: &Content, within: Duration) -> Result<(), Failure> {
        let end = Instant::now() + within;
        while self.content != *expected || self.cursor.is_none() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let Self { scope, content, .. } = self;
                let problem =
                    format!("a watcher of {scope:?} should see {expected:#?} but sees {content:#?}");
                return Err(Failure(problem));
            }
            // The contract's longest wait.
            self.step(left.min(Duration::from_secs(5))).await?;
            // So that a registry which never waits cannot keep the suite busy for ever.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

/// Versions and nodes are sets; sorts them, so that they can be compared.
pub(crate) fn normal(mut services: Vec<Service>) -> Vec<Service> {
    for service in &mut services {
        service.nodes.sort_by(|a, b| a.id.cmp(&b.id));
        service.endpoints.sort_by(|a, b| a.name.cmp(&b.name));
    }
    services.sort_by(|a, b| a.version.cmp(&b.version));
    services
}
