//! A registry plugin as the rest of the program sees it: one more [`Registry`].

use crate::convert;
use crate::fault::Failure;
use crate::plugin::Plugin;
use async_trait::async_trait;
use micro_bindings::micro::plugin::types::Error;
use micro_core::{Batch, Registry, RegistryError, Service, Snapshot, WatchScope};
use micro_plugin::manifest::Watch;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// No poll waits longer; the contract says so.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A registry behind a plugin.
#[derive(Debug)]
pub(crate) struct PluginRegistry {
    plugin: Arc<Plugin>,
    name: String,
    location: String,
    /// For calls that do not wait on purpose.
    timeout: Duration,
}

impl PluginRegistry {
    pub(crate) fn new(plugin: Arc<Plugin>, location: String, timeout: Duration) -> Self {
        let full = &plugin.launcher().manifest.name;
        let name = full.strip_suffix("-registry").unwrap_or(full).to_owned();
        Self { plugin, name, location, timeout }
    }

    /// What to tell the caller, and whether the monitor should have a look.
    fn settle<T>(
        &self,
        limit: Duration,
        outcome: Result<Result<T, Error>, Failure>,
    ) -> Result<T, RegistryError> {
        match outcome {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                if matches!(error, Error::Unavailable(_) | Error::Timeout) {
                    self.plugin.suspect();
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
}

/// Calls an export of the registry. Every function of the contract may be repeated, so a call whose instance ended
/// perhaps through no fault of its own gets a second one, in what is left of its time.
macro_rules! call {
    ($self:ident, $lane:ident, $export:literal, $limit:expr, $method:ident($($argument:ident),*)) => {{
        let (limit, asked) = ($limit, Instant::now());
        let once = |limit: Duration| {
            $(let $argument = $argument.clone();)*
            $self.plugin.$lane().call($export, limit, move |accessor, exports, call| {
                Box::pin(async move { exports.registry()?.$method(accessor, call, $($argument),*).await })
            })
        };
        let outcome = match once(limit).await {
            Err(Failure::InstanceLost(_)) if asked.elapsed() < limit => once(limit - asked.elapsed()).await,
            outcome => outcome,
        };
        $self.settle(limit, outcome)
    }};
}

#[async_trait]
impl Registry for PluginRegistry {
    fn name(&self) -> &str {
        &self.name
    }

    fn watch_scope(&self) -> WatchScope {
        match self.plugin.launcher().manifest.watch {
            Watch::All => WatchScope::All,
            Watch::Name => WatchScope::Name,
        }
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    async fn register(&self, service: &Service, ttl: Duration) -> Result<(), RegistryError> {
        // Zero means for ever, so a time to live below a millisecond must not become that.
        let ttl = if ttl.is_zero() { 0 } else { convert::millis(ttl).max(1) };
        let (service, options) = (convert::to_wit(service), Vec::new());
        call!(self, calls, "register", self.timeout, call_register(service, ttl, options))
    }

    async fn deregister(&self, service: &Service) -> Result<(), RegistryError> {
        let (service, options) = (convert::to_wit(service), Vec::new());
        call!(self, calls, "deregister", self.timeout, call_deregister(service, options))
    }

    async fn get_service(&self, name: &str) -> Result<Snapshot, RegistryError> {
        let (wanted, options) = (name.to_owned(), Vec::new());
        let found = call!(self, calls, "get-service", self.timeout, call_get_service(wanted, options))?;
        convert::snapshot(name, found).map_err(|violation| self.failed(violation))
    }

    async fn list_services(&self) -> Result<Vec<String>, RegistryError> {
        let options = Vec::new();
        let names = call!(self, calls, "list-services", self.timeout, call_list_services(options))?;
        convert::names(names).map_err(|violation| self.failed(violation))
    }

    async fn changes(
        &self,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, RegistryError> {
        if name.is_none() && self.watch_scope() == WatchScope::Name {
            let reason = "it can only watch one service at a time".to_owned();
            return Err(RegistryError::Invalid { registry: self.name.clone(), reason });
        }
        let wait = wait.min(LONGEST_WAIT);
        let (name, after, options) = (name.map(str::to_owned), after.map(str::to_owned), Vec::new());
        let (wait_ms, limit) = (convert::millis(wait), wait + self.timeout);
        let batch = call!(self, polls, "changes", limit, call_changes(name, after, wait_ms, options))?;
        convert::batch(batch).map_err(|violation| self.failed(violation))
    }

    async fn health(&self) -> Result<(), RegistryError> {
        let limit = self.plugin.launcher().settings.health_timeout;
        let answer = self.plugin.calls().call_urgently("health", limit, |accessor, exports, call| {
            Box::pin(exports.lifecycle.call_health(accessor, call))
        });
        self.settle(limit, answer.await)
    }
}
