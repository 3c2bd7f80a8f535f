//! One generation of a registry plugin: its calls, the checks before it takes over, and its end.

use crate::convert;
use crate::error::{LoadError, Step};
use crate::fault::Failure;
use crate::health::{self, Health};
use crate::plugin::Plugin;
use crate::request::PluginRequest;
use micro_bindings::exports::micro::registry::registry::{Batch, Service, Snapshot};
use micro_bindings::micro::plugin::types::Error;
use micro_core::WatchScope;
use micro_plugin::manifest::Watch;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How long a generation that was replaced may go on with the calls that it has, and say goodbye.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);
/// How much of that is kept for its `drain`, when its calls take all of their time.
const GOODBYE: Duration = Duration::from_secs(1);
/// The service that is asked about to see whether a plugin answers at all, when it can only be asked by name.
const ANY_SERVICE: &str = "go.micro.api";

/// What became of a call: an answer, what the plugin says went wrong, or what went wrong with the plugin.
pub(crate) type Outcome<T> = Result<Result<T, Error>, Failure>;

/// One version of a plugin, from its publication to the end of its last call.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) plugin: Arc<Plugin>,
    /// What it was loaded with.
    pub(crate) request: PluginRequest,
    /// Generations that look at the same backend in the same way have one number, and understand each other's
    /// cursors.
    line: u64,
    /// Calls that are waited for when it is replaced.
    calls: TaskTracker,
}

/// Calls an export of the registry.
macro_rules! call {
    ($self:ident.$lane:ident, $export:literal, $limit:expr, $method:ident($($argument:expr),*)) => {
        $self.plugin.$lane().call($export, $limit, move |accessor, exports, call| {
            Box::pin(async move { exports.registry()?.$method(accessor, call, $($argument),*).await })
        }).await
    };
}

impl Generation {
    /// The first one.
    pub(crate) fn first(plugin: Arc<Plugin>, request: PluginRequest) -> Self {
        Self { plugin, request, line: 1, calls: TaskTracker::new() }
    }

    /// The one after `self`.
    pub(crate) fn successor(&self, plugin: Arc<Plugin>, request: PluginRequest) -> Self {
        let same = plugin.launcher().manifest.name == self.plugin.launcher().manifest.name
            && plugin.launcher().options.config_json() == self.plugin.launcher().options.config_json();
        let line = if same { self.line } else { self.plugin.launcher().generation + 1 };
        Self { plugin, request, line, calls: TaskTracker::new() }
    }

    pub(crate) async fn register(&self, service: Service, ttl_ms: u64, limit: Duration) -> Outcome<()> {
        call!(self.calls, "register", limit, call_register(service, ttl_ms, Vec::new()))
    }

    pub(crate) async fn deregister(&self, service: Service, limit: Duration) -> Outcome<()> {
        call!(self.calls, "deregister", limit, call_deregister(service, Vec::new()))
    }

    pub(crate) async fn get_service(&self, name: String, limit: Duration) -> Outcome<Snapshot> {
        call!(self.calls, "get-service", limit, call_get_service(name, Vec::new()))
    }

    pub(crate) async fn list_services(&self, limit: Duration) -> Outcome<Vec<String>> {
        call!(self.calls, "list-services", limit, call_list_services(Vec::new()))
    }

    /// A long poll. `after` is a cursor as [`Generation::tagged`] made it.
    pub(crate) async fn changes(
        &self,
        name: Option<String>,
        after: Option<&str>,
        wait: Duration,
    ) -> Outcome<Batch> {
        let (after, wait_ms) = (after.and_then(|cursor| self.understood(cursor)), convert::millis(wait));
        let limit = wait + self.request.timeout;
        call!(self.polls, "changes", limit, call_changes(name, after, wait_ms, Vec::new()))
    }

    pub(crate) async fn health(&self, limit: Duration) -> Outcome<()> {
        health::call(self.plugin.calls(), limit).await
    }

    /// A cursor as callers get it: it says which generations understand it.
    pub(crate) fn tagged(&self, cursor: &str) -> String {
        format!("{}:{cursor}", self.line)
    }

    /// None for a cursor from another backend, after which everything is asked for anew.
    fn understood(&self, cursor: &str) -> Option<String> {
        let (line, cursor) = cursor.split_once(':')?;
        (line.parse() == Ok(self.line)).then(|| cursor.to_owned())
    }

    pub(crate) fn watch_scope(&self) -> WatchScope {
        match self.plugin.launcher().manifest.watch {
            Watch::All => WatchScope::All,
            Watch::Name => WatchScope::Name,
        }
    }

    /// Held by a call for as long as the generation should not end under it.
    pub(crate) fn hold(&self) -> TaskTrackerToken {
        self.calls.token()
    }

    /// Whether it can take over from `old`, from a few calls that change nothing. `scope` is how it will be watched.
    ///
    /// # Errors
    /// It fails, or it does not get on with a backend that `old` gets on with.
    pub(crate) async fn prove(&self, old: &Self, scope: WatchScope) -> Result<Health, LoadError> {
        if scope == WatchScope::All && self.watch_scope() == WatchScope::Name {
            let reason = "it watches one service at a time, and the running one watches all of them";
            return Err(self.refuse(Step::Contract, reason, "restart to use it"));
        }
        let patience = self.plugin.launcher().settings.health_timeout;
        let health = match self.health(patience).await {
            Err(failure) => return Err(self.failed(Step::Health, &failure)),
            Ok(Ok(())) => Health::Good,
            Ok(Err(error)) => Health::Bad(convert::explain(&error)),
        };
        if let Health::Bad(reason) = &health
            && matches!(old.health(patience).await, Ok(Ok(())))
        {
            let reason = format!("it is not healthy, and the running one is: {reason}");
            return Err(self.refuse(Step::Health, reason, "the running one stays; correct the new one"));
        }
        self.smoke(&health).await?;
        Ok(health)
    }

    async fn smoke(&self, health: &Health) -> Result<(), LoadError> {
        let names = self.list_services(self.request.timeout).await;
        let names = self.answered("list-services", health, names)?;
        names.map(convert::names).transpose().map_err(|broken| self.failed(Step::Smoke, &broken))?;
        let one = (self.watch_scope() == WatchScope::Name).then(|| ANY_SERVICE.to_owned());
        let batch = self.changes(one, None, Duration::ZERO).await;
        let batch = self.answered("changes", health, batch)?;
        batch.map(convert::batch).transpose().map_err(|broken| self.failed(Step::Smoke, &broken))?;
        Ok(())
    }

    /// An answer; none if the backend is away, which is not the plugin's fault.
    pub(crate) fn answered<T>(
        &self,
        export: &str,
        health: &Health,
        outcome: Outcome<T>,
    ) -> Result<Option<T>, LoadError> {
        match outcome {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(error)) if *health == Health::Good => {
                let reason = format!("{export} failed: {}", convert::explain(&error));
                Err(self.refuse(Step::Smoke, reason, "the running one stays; correct the new one"))
            }
            Ok(Err(_away)) => Ok(None),
            Err(failure) => Err(self.failed(Step::Smoke, &format!("{export}: {failure}"))),
        }
    }

    fn failed(&self, step: Step, failure: &dyn std::fmt::Display) -> LoadError {
        let remedy = "the running one stays; --log_level=debug shows the new one's own messages";
        self.refuse(step, failure, remedy)
    }

    fn refuse(&self, step: Step, reason: impl std::fmt::Display, remedy: &str) -> LoadError {
        LoadError::new(&self.request.locator, step, reason, remedy)
    }

    /// Ends it after it was replaced: calls that run are waited for, polls are not, since their callers have gone on
    /// with the next generation.
    pub(crate) async fn drain(&self) {
        let deadline = Instant::now() + DRAIN;
        self.calls.close();
        if timeout_at(deadline - GOODBYE, self.calls.wait()).await.is_err() {
            let (plugin, generation) = (self.name(), self.plugin.launcher().generation);
            tracing::warn!(
                plugin.name = plugin,
                generation,
                "calls still running in a plugin that was replaced"
            );
        }
        self.plugin.end("replaced", deadline).await;
    }

    pub(crate) fn name(&self) -> &str {
        &self.plugin.launcher().manifest.name
    }
}
