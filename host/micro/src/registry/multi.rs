//! Several registries seen as one: services are registered in all of them and found if any of them knows them.

mod union;
mod watch;

use async_trait::async_trait;
use futures::future::join_all;
use micro_core::{Batch, Registry, RegistryError, Service, Snapshot, WatchScope};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use watch::Scopes;

/// Time for each member to answer, so that one that hangs does not stop the others.
const DEADLINE: Duration = Duration::from_secs(5);

/// A list of registries, in order of precedence: of two records of one node the first member's counts.
#[derive(Debug)]
pub struct MultiRegistry {
    name: String,
    members: Arc<[Member]>,
    scopes: Scopes,
}

/// One of the registries, and what was last said about it.
#[derive(Debug)]
struct Member {
    registry: Arc<dyn Registry>,
    /// The last registration failed.
    refuses: AtomicBool,
    /// The last watch or lookup failed.
    silent: AtomicBool,
}

impl MultiRegistry {
    /// Joins `members`. Without any, every call is refused.
    pub fn new(members: Vec<Arc<dyn Registry>>) -> Self {
        let name = members.iter().map(|member| member.name()).collect::<Vec<_>>().join(",");
        let members: Arc<[Member]> = members.into_iter().map(Member::new).collect();
        Self { name, scopes: Scopes::new(members.clone()), members }
    }

    /// The health of each member under its name, in their order.
    pub async fn members_health(&self) -> Vec<(String, Result<(), RegistryError>)> {
        let results = self.ask(|registry| registry.health()).await;
        self.members.iter().map(|member| member.registry.name().to_owned()).zip(results).collect()
    }

    /// Asks all members at once. The answers are in their order.
    async fn ask<'a, T, F>(
        &'a self,
        question: impl Fn(&'a dyn Registry) -> F,
    ) -> Vec<Result<T, RegistryError>>
    where
        F: Future<Output = Result<T, RegistryError>> + 'a,
    {
        join_all(self.members.iter().map(|member| member.in_time(question(&*member.registry)))).await
    }
}

impl Member {
    fn new(registry: Arc<dyn Registry>) -> Self {
        Self { registry, refuses: AtomicBool::new(false), silent: AtomicBool::new(false) }
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        let timeout =
            |_| RegistryError::Timeout { registry: self.registry.name().to_owned(), after: DEADLINE };
        tokio::time::timeout(DEADLINE, answer).await.map_err(timeout).flatten()
    }

    /// Says so once when registering begins or ceases to fail.
    fn note_registration<T>(&self, result: &Result<T, RegistryError>) {
        note(&self.refuses, result, &self.registry, "takes no registrations", "takes registrations again");
    }

    /// Says so once when reading begins or ceases to fail.
    fn note_reading<T>(&self, result: &Result<T, RegistryError>) {
        note(
            &self.silent,
            result,
            &self.registry,
            "does not answer, going on with the others",
            "answers again",
        );
    }
}

fn note<T>(
    failing: &AtomicBool,
    result: &Result<T, RegistryError>,
    registry: &Arc<dyn Registry>,
    bad: &str,
    good: &str,
) {
    let was = failing.swap(result.is_err(), Relaxed);
    match result {
        Err(error) if !was => {
            tracing::warn!(registry = registry.name(), %error, "one registry of several {bad}")
        }
        Ok(_) if was => tracing::info!(registry = registry.name(), "one registry of several {good}"),
        _ => {}
    }
}

/// The successes, or if there are none the first error, by preference one that may heal.
fn any<T>(results: Vec<Result<T, RegistryError>>) -> Result<Vec<T>, RegistryError> {
    let (mut good, mut first) = (Vec::new(), None::<RegistryError>);
    for result in results {
        match result {
            Ok(value) => good.push(value),
            Err(error) if first.as_ref().is_none_or(|first| !first.may_heal() && error.may_heal()) => {
                first = Some(error);
            }
            Err(_) => {}
        }
    }
    if !good.is_empty() {
        return Ok(good);
    }
    let nobody =
        || RegistryError::Invalid { registry: String::new(), reason: "the list is empty".to_owned() };
    Err(first.unwrap_or_else(nobody))
}

#[async_trait]
impl Registry for MultiRegistry {
    fn name(&self) -> &str {
        &self.name
    }

    fn watch_scope(&self) -> WatchScope {
        let all = self.members.iter().all(|member| member.registry.watch_scope() == WatchScope::All);
        if all { WatchScope::All } else { WatchScope::Name }
    }

    fn location(&self) -> String {
        struct Place<'a>(&'a dyn Registry);
        impl fmt::Display for Place<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} at {}", self.0.name(), self.0.location())
            }
        }
        let places = self.members.iter().map(|member| Place(&*member.registry).to_string());
        places.collect::<Vec<_>>().join(", ")
    }

    /// Succeeds if one member took it. The others get it with the next heartbeat.
    async fn register(&self, service: &Service, ttl: Duration) -> Result<(), RegistryError> {
        let results = self.ask(|registry| registry.register(service, ttl)).await;
        self.members.iter().zip(&results).for_each(|(member, result)| member.note_registration(result));
        any(results).map(drop)
    }

    /// Succeeds if one member did it: in one that cannot be reached the TTL ends the registration.
    async fn deregister(&self, service: &Service) -> Result<(), RegistryError> {
        any(self.ask(|registry| registry.deregister(service)).await).map(drop)
    }

    async fn get_service(&self, name: &str) -> Result<Snapshot, RegistryError> {
        let results = self.ask(|registry| registry.get_service(name)).await;
        self.members.iter().zip(&results).for_each(|(member, result)| member.note_reading(result));
        let mut found = Vec::new();
        for (at, result) in results.iter().enumerate() {
            match result {
                Ok(snapshot) => found.push(snapshot.services.clone()),
                // What it said before it fell silent is better than nothing.
                Err(_) => found.extend(self.scopes.remembered(at, name)),
            }
        }
        any(results)?;
        // The members' cursors are of no use to somebody who watches all of them.
        Ok(Snapshot { services: union::join(found), cursor: None })
    }

    async fn list_services(&self) -> Result<Vec<String>, RegistryError> {
        let lists = any(self.ask(|registry| registry.list_services()).await)?;
        let names: BTreeSet<String> = lists.into_iter().flatten().collect();
        Ok(names.into_iter().collect())
    }

    async fn changes(
        &self,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, RegistryError> {
        self.scopes.get(name).changes(after, wait).await
    }

    /// Fine if one member is.
    async fn health(&self) -> Result<(), RegistryError> {
        any(self.ask(|registry| registry.health()).await).map(drop)
    }
}

/// What one member knows, by name.
type Known = BTreeMap<String, Vec<Service>>;
