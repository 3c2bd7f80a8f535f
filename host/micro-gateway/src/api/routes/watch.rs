//! Keeps the routes as the registry has them.

use super::Routes;
use crate::api::Namespace;
use arc_swap::ArcSwap;
use futures::StreamExt;
use micro_core::{Entry, Registry, RegistryError, WatchScope};
use micro_net::Backoff;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long the registry may wait for a change; the contract allows no more.
const WAIT: Duration = Duration::from_secs(5);
/// How much longer it may take.
const SLACK: Duration = Duration::from_secs(5);
/// How often everything is read from a registry that can only watch single names.
const POLL: Duration = Duration::from_secs(10);
/// Services that are read at the same time.
const AT_A_TIME: usize = 8;

/// Follows the registry for as long as it is polled. What is known stays when the registry is away. Cancel safe.
pub(in crate::api) async fn follow(registry: &dyn Registry, namespace: &Namespace, routes: &ArcSwap<Routes>) {
    let mut backoff = Backoff::new(Duration::from_millis(100), WAIT);
    let mut cursor = None;
    loop {
        let round = async {
            match registry.watch_scope() {
                WatchScope::All => watch(registry, namespace, routes, &mut cursor).await,
                WatchScope::Name => {
                    let all = everything(registry).await?;
                    publish(routes, namespace, true, &all);
                    tokio::time::sleep(POLL).await;
                    Ok(())
                }
            }
        };
        match round.await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                tracing::debug!(%error, "routes are not up to date");
                tokio::time::sleep(backoff.next_wait()).await;
            }
        }
    }
}

async fn watch(
    registry: &dyn Registry,
    namespace: &Namespace,
    routes: &ArcSwap<Routes>,
    cursor: &mut Option<String>,
) -> Result<(), RegistryError> {
    let late = |_| RegistryError::Timeout { registry: registry.name().to_owned(), after: WAIT + SLACK };
    let asked = Instant::now();
    let batch =
        timeout(WAIT + SLACK, registry.changes(None, cursor.as_deref(), WAIT)).await.map_err(late)??;
    // A registry that has nothing to say, or the same again, is not asked as fast as it can say that.
    let nothing = if batch.resync { cursor.is_some() } else { batch.entries.is_empty() };
    publish(routes, namespace, batch.resync, &batch.entries);
    *cursor = Some(batch.cursor);
    if nothing && asked.elapsed() < WAIT / 4 {
        tokio::time::sleep(WAIT).await;
    }
    Ok(())
}

async fn everything(registry: &dyn Registry) -> Result<Vec<Entry>, RegistryError> {
    let names = registry.list_services().await?;
    let read = names.into_iter().map(async |name| {
        let services = registry.get_service(&name).await?.services;
        Ok(Entry { name, services })
    });
    let read: Vec<Result<Entry, RegistryError>> =
        futures::stream::iter(read).buffered(AT_A_TIME).collect().await;
    read.into_iter().collect()
}

/// Only services of the namespace may ask for routes: the others are not for the outside.
fn publish(routes: &ArcSwap<Routes>, namespace: &Namespace, resync: bool, entries: &[Entry]) {
    if !resync && entries.is_empty() {
        return;
    }
    let known = routes.load();
    let mut new = if resync { known.cleared() } else { Routes::clone(&known) };
    for entry in entries.iter().filter(|entry| namespace.has(&entry.name)) {
        new.set(&entry.name, &entry.services);
    }
    routes.store(Arc::new(new));
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro::registry::MemoryRegistry;
    use micro_core::{Endpoint, Node, Service};

    fn service(name: &str) -> Service {
        let metadata =
            [("handler", "rpc"), ("path", "/x")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        Service {
            name: name.to_owned(),
            endpoints: vec![Endpoint {
                name: format!("{name}.Call"),
                metadata: metadata.into(),
                ..Endpoint::default()
            }],
            nodes: vec![Node { id: "1".to_owned(), address: "127.0.0.1:1".to_owned(), ..Node::default() }],
            ..Service::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn routes_come_and_go_with_their_services() {
        let (registry, namespace, routes) =
            (MemoryRegistry::new(), Namespace::new("go.micro.api"), ArcSwap::from_pointee(Routes::default()));
        let (foreign, own) = (service("go.micro.srv.a"), service("go.micro.api.a"));
        registry.register(&foreign, Duration::ZERO).await.expect("memory");
        let found = || routes.load().find("GET", "", "/x").map(|found| found.target.service);
        let story = async {
            registry.register(&own, Duration::ZERO).await.expect("memory");
            while found().is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(found().as_deref(), Some("go.micro.api.a"));
            registry.deregister(&own).await.expect("memory");
            while found().is_some() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = follow(&registry, &namespace, &routes) => unreachable!("it goes on for ever"),
            () = story => {}
        }
    }
}
