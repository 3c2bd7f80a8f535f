//! What changes in the registry, for all watchers together: one task follows it, and each watcher gets a copy.
//!
//! Go's watchers expect events with the nodes that changed; registries here say what is there now. The difference
//! between two such states is the events.

use crate::registry::Follower;
use futures::StreamExt;
use futures::stream;
use micro_core::{Batch, Entry, Node, Registry, RegistryError, Service, WatchScope};
use micro_net::Backoff;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Events that a watcher may be behind. One that is further behind is sent away, and starts anew.
const BACKLOG: usize = 4096;
/// How often everything is read from a registry that can only watch single names.
const POLL: Duration = Duration::from_secs(2);
/// Services that are read at the same time.
const AT_A_TIME: usize = 8;

/// What happened to nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Update,
    Delete,
}

impl Action {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One change: a version of a service with the nodes that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) action: Action,
    pub(super) service: Service,
}

/// Follows a registry from the first watcher on, until it is dropped.
#[derive(Debug)]
pub(super) struct Feed {
    registry: Arc<dyn Registry>,
    shared: Arc<Shared>,
    running: Mutex<Option<DropGuard>>,
}

#[derive(Debug)]
struct Shared {
    known: Mutex<BTreeMap<String, Vec<Service>>>,
    events: broadcast::Sender<Event>,
    /// Whether the registry has said what it knows.
    primed: watch::Sender<bool>,
}

/// A watcher's part.
#[derive(Debug)]
pub(super) struct Subscription {
    /// What is there already.
    pub(super) present: Vec<Service>,
    pub(super) events: broadcast::Receiver<Event>,
}

impl Feed {
    pub(super) fn new(registry: Arc<dyn Registry>) -> Self {
        let shared = Shared {
            known: Mutex::default(),
            events: broadcast::Sender::new(BACKLOG),
            primed: watch::Sender::new(false),
        };
        Self { registry, shared: Arc::new(shared), running: Mutex::default() }
    }

    /// What is there, as soon as the registry has said it, and then each change: nothing falls in between.
    pub(super) async fn subscribe(&self) -> Subscription {
        self.run();
        // The sender lives as long as this does.
        _ = self.shared.primed.subscribe().wait_for(|primed| *primed).await;
        let known = self.shared.known.lock();
        Subscription {
            present: known.values().flatten().cloned().collect(),
            events: self.shared.events.subscribe(),
        }
    }

    fn run(&self) {
        let mut running = self.running.lock();
        if running.is_none() {
            let stop = CancellationToken::new();
            let follow = follow(self.registry.clone(), self.shared.clone());
            tokio::spawn(stop.clone().run_until_cancelled_owned(follow));
            *running = Some(stop.drop_guard());
        }
    }
}

async fn follow(registry: Arc<dyn Registry>, shared: Arc<Shared>) {
    if registry.watch_scope() == WatchScope::Name {
        return poll(&*registry, &shared).await;
    }
    let mut follower = Follower::new(registry, None, None);
    loop {
        match follower.next().await {
            Ok(batch) => shared.apply(batch),
            Err(error) => tracing::debug!(%error, "watchers hear nothing: the registry does not answer"),
        }
    }
}

async fn poll(registry: &dyn Registry, shared: &Shared) {
    let mut backoff = Backoff::new(POLL, 8 * POLL);
    loop {
        let pause = match everything(registry).await {
            Ok(entries) => {
                shared.apply(Batch { resync: true, entries, ..Batch::default() });
                backoff.reset();
                POLL
            }
            Err(error) => {
                tracing::debug!(%error, "watchers hear nothing: the registry does not answer");
                backoff.next_wait()
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn everything(registry: &dyn Registry) -> Result<Vec<Entry>, RegistryError> {
    let names = registry.list_services().await?;
    let read = names.into_iter().map(async |name| {
        let services = registry.get_service(&name).await?.services;
        Ok(Entry { name, services })
    });
    let read: Vec<_> = stream::iter(read).buffered(AT_A_TIME).collect().await;
    read.into_iter().collect()
}

impl Shared {
    /// Takes over what the registry says, and tells the watchers what is new in it.
    fn apply(&self, batch: Batch) {
        let mut known = self.known.lock();
        let mut said = BTreeSet::new();
        for entry in batch.entries {
            let before = known.remove(&entry.name).unwrap_or_default();
            self.tell(&before, &entry.services);
            said.insert(entry.name.clone());
            if !entry.services.is_empty() {
                known.insert(entry.name, entry.services);
            }
        }
        if batch.resync {
            known.retain(|name, services| {
                let there = said.contains(name);
                if !there {
                    self.tell(services, &[]);
                }
                there
            });
        }
        self.primed.send_replace(true);
    }

    fn tell(&self, before: &[Service], now: &[Service]) {
        for event in difference(before, now) {
            // Nobody may be watching.
            _ = self.events.send(event);
        }
    }
}

/// What happened between two states of one name. What is new is said first, so that whoever patches a list never sees
/// it empty in between.
fn difference(before: &[Service], now: &[Service]) -> Vec<Event> {
    let version = |services: &[Service], wanted: &Service| {
        services.iter().find(|service| service.version == wanted.version).cloned()
    };
    let mut events = Vec::new();
    let mut say = |action, service: &Service, nodes: Vec<Node>| {
        if !nodes.is_empty() {
            events.push(Event { action, service: Service { nodes, ..service.without_nodes() } });
        }
    };
    for service in now {
        let old = version(before, service).unwrap_or_default();
        let same = old.without_nodes() == service.without_nodes();
        let before = |node: &&Node| old.nodes.iter().find(|known| known.id == node.id);
        let (known, new): (Vec<&Node>, Vec<&Node>) =
            service.nodes.iter().partition(|node| before(node).is_some());
        let changed = known.into_iter().filter(|node| !same || before(node) != Some(*node));
        say(Action::Create, service, new.into_iter().cloned().collect());
        say(Action::Update, service, changed.cloned().collect());
    }
    for service in before {
        let new = version(now, service).unwrap_or_default();
        let gone = service.nodes.iter().filter(|node| new.nodes.iter().all(|known| known.id != node.id));
        say(Action::Delete, service, gone.cloned().collect());
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::MemoryRegistry;

    fn version(version: &str, nodes: &[(&str, &str)]) -> Service {
        let node = |(id, address): &(&str, &str)| Node {
            id: (*id).to_owned(),
            address: (*address).to_owned(),
            ..Node::default()
        };
        let nodes = nodes.iter().map(node).collect();
        Service { name: "a".into(), version: version.into(), nodes, ..Service::default() }
    }

    fn said(before: &[Service], now: &[Service]) -> Vec<String> {
        let text = |event: &Event| {
            let ids: Vec<_> = event.service.nodes.iter().map(|node| &*node.id).collect();
            format!("{} {} {}", event.action.name(), event.service.version, ids.join(","))
        };
        difference(before, now).iter().map(text).collect()
    }

    #[test]
    fn events_are_about_what_changed() {
        let one = version("1", &[("x", "h:1"), ("y", "h:2")]);
        assert_eq!(said(&[], std::slice::from_ref(&one)), ["create 1 x,y"]);
        assert_eq!(said(std::slice::from_ref(&one), std::slice::from_ref(&one)), [""; 0]);
        let moved = version("1", &[("x", "h:9"), ("z", "h:3")]);
        let expected = ["create 1 z", "update 1 x", "delete 1 y"];
        assert_eq!(said(std::slice::from_ref(&one), std::slice::from_ref(&moved)), expected);
        assert_eq!(said(std::slice::from_ref(&one), &[]), ["delete 1 x,y"]);
        let next = version("2", &[("x", "h:1"), ("y", "h:2")]);
        assert_eq!(said(std::slice::from_ref(&one), &[next]), ["create 2 x,y", "delete 1 x,y"]);
        let mut described = one.clone();
        described.metadata.insert("k".into(), "v".into());
        assert_eq!(said(&[one], &[described]), ["update 1 x,y"]);
    }

    #[tokio::test(start_paused = true)]
    async fn watchers_hear_what_is_there_and_what_happens() {
        let registry = MemoryRegistry::new();
        let one = version("1", &[("x", "h:1")]);
        registry.register(&one, Duration::ZERO).await.expect("memory");
        let feed = Feed::new(Arc::new(registry.clone()));
        let mut first = feed.subscribe().await;
        assert_eq!(first.present, std::slice::from_ref(&one));
        registry.deregister(&one).await.expect("memory");
        let event = first.events.recv().await.expect("an event");
        assert_eq!(event, Event { action: Action::Delete, service: one });
        assert!(feed.subscribe().await.present.is_empty(), "later watchers start at what is there now");
    }
}
