//! Who gets what is published under a topic.

use super::layout::{BROADCAST, Layout, is_secure, subscription};
use super::{BrokerError, from_registry};
use crate::registry::{Cache, CachedService};
use futures::future::join_all;
use micro_core::RegistryError;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Topics whose audience is remembered.
const TOPICS: usize = 1024;

/// How long a name that the registry did not tell about is done without, if it told about others.
const SILENCE: Duration = Duration::from_secs(5);

/// How long it gets for a name when others are known.
const PATIENCE: Duration = Duration::from_secs(1);

/// A subscriber and how it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `host:port`.
    pub(super) address: String,
    pub(super) secure: bool,
    /// Path and query of a delivery.
    pub(super) path: String,
    /// Whether the topic is named in the old way.
    pub(super) is_old: bool,
}

/// Everybody who subscribes to a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Audience {
    /// Each of them gets every message.
    pub(super) all: Vec<Target>,
    /// The members of each queue, of whom one gets a message.
    pub(super) queues: Vec<Vec<Target>>,
}

/// Looks audiences up, and remembers them until the registry says something new.
pub(super) struct Audiences {
    cache: Arc<Cache>,
    known: Mutex<HashMap<String, Arc<Known>>>,
    /// Until when names that are not in memory are done without.
    silent_until: Mutex<Option<Instant>>,
}

type Found = [Option<Arc<CachedService>>; 3];

/// An audience, and the three services that it was made from.
struct Known {
    names: [String; 3],
    generations: [Option<u64>; 3],
    audience: Arc<Audience>,
}

impl Audiences {
    pub(super) fn new(cache: Arc<Cache>) -> Self {
        Self { cache, known: Mutex::default(), silent_until: Mutex::default() }
    }

    /// Who subscribes to `topic` now.
    pub(super) async fn find(&self, topic: &str) -> Result<Arc<Audience>, BrokerError> {
        let known = self.known.lock().get(topic).cloned();
        if let Some(known) = known.filter(|known| self.is_fresh(known)) {
            return Ok(known.audience.clone());
        }
        let names = Layout::ALL.map(|layout| layout.service(topic));
        let found = self.look_up(&names).await.map_err(|error| from_registry(&error))?;
        let generations = found.each_ref().map(|service| service.as_ref().map(|it| it.generation));
        let mut known = self.known.lock();
        if let Some(known) = known.get(topic).filter(|known| known.generations == generations) {
            return Ok(known.audience.clone());
        }
        let audience = Arc::new(audience(topic, &found));
        if known.len() >= TOPICS {
            known.clear();
        }
        let one = Known { names, generations, audience: audience.clone() };
        known.insert(topic.to_owned(), Arc::new(one));
        Ok(audience)
    }

    /// Whether the registry was heard about all names, and has said nothing new since. Each event asks this.
    fn is_fresh(&self, known: &Known) -> bool {
        known.names.iter().zip(known.generations).all(|(name, generation)| {
            generation.is_some() && self.cache.cached(name).map(|service| service.generation) == generation
        })
    }

    /// What the registry says under the names of all layouts; an error if it says nothing about any of them.
    async fn look_up(&self, names: &[String; 3]) -> Result<Found, RegistryError> {
        let mut found: Found = names.each_ref().map(|name| self.cache.cached(name));
        if found.iter().all(Option::is_some) {
            return Ok(found);
        }
        let some_known = found.iter().any(Option::is_some);
        let now = Instant::now();
        if some_known && self.silent_until.lock().is_some_and(|until| now < until) {
            return Ok(found);
        }
        let asking = join_all(names.iter().map(|name| self.cache.get(name)));
        // Other layouts may be all that is needed, so they are not held up for long.
        let limit = if some_known { PATIENCE } else { Duration::from_secs(30) };
        let mut failure = None;
        match timeout(limit, asking).await {
            Ok(answers) => {
                for (place, answer) in found.iter_mut().zip(answers) {
                    match answer {
                        Ok(service) => *place = Some(service),
                        Err(error) => failure = failure.or(Some(error)),
                    }
                }
            }
            Err(_elapsed) => {
                let registry = self.cache.registry().name().to_owned();
                failure = Some(RegistryError::Timeout { registry, after: limit });
            }
        }
        *self.silent_until.lock() = failure.is_some().then(|| Instant::now() + SILENCE);
        match failure {
            Some(failure) if found.iter().all(Option::is_none) => Err(failure),
            _ => Ok(found),
        }
    }
}

/// Puts the layouts together: a subscriber that stands under several of them is called in the newest way, and members of
/// queues with one name are of one queue, whatever their layouts.
fn audience(topic: &str, found: &Found) -> Audience {
    let mut audience = Audience::default();
    let mut seen = HashSet::new();
    let mut queues: Vec<&str> = Vec::new();
    for (layout, service) in Layout::ALL.into_iter().zip(found) {
        for version in service.iter().flat_map(|service| service.services.iter()) {
            for node in version.nodes.iter().filter(|node| layout.subscribes(node, topic)) {
                let key = match subscription(node) {
                    Some(own) => (true, own),
                    None => (false, node.id.as_str()),
                };
                if !seen.insert((key, version.version.as_str())) {
                    continue;
                }
                let id: String = form_urlencoded::byte_serialize(node.id.as_bytes()).collect();
                let target = Target {
                    address: node.address.clone(),
                    secure: is_secure(node),
                    path: format!("{}?id={id}", layout.path()),
                    is_old: layout.is_old(),
                };
                if version.version == BROADCAST {
                    audience.all.push(target);
                    continue;
                }
                match queues.iter().position(|queue| *queue == version.version) {
                    Some(queue) => audience.queues[queue].push(target),
                    None => {
                        queues.push(&version.version);
                        audience.queues.push(vec![target]);
                    }
                }
            }
        }
    }
    audience
}

#[cfg(test)]
mod tests {
    use super::super::layout::Identity;
    use super::*;
    use crate::registry::MemoryRegistry;
    use micro_core::{Registry, Service};

    async fn audience_of(records: &[Service], topic: &str) -> Audience {
        let registry = Arc::new(MemoryRegistry::new());
        for record in records {
            registry.register(record, Duration::ZERO).await.expect("memory");
        }
        let audiences = Audiences::new(Arc::new(Cache::new(registry)));
        let audience = audiences.find(topic).await.expect("memory");
        assert_eq!(audiences.known.lock().len(), 1);
        (*audience).clone()
    }

    fn ours(queue: Option<&str>, address: &str) -> [Service; 3] {
        Identity { topic: "t", queue, address, secure: false, broker: "b" }.records()
    }

    fn addresses(targets: &[Target]) -> Vec<&str> {
        let mut addresses: Vec<_> = targets.iter().map(|target| target.address.as_str()).collect();
        addresses.sort_unstable();
        addresses
    }

    #[tokio::test]
    async fn a_subscriber_under_several_layouts_is_one() {
        let records = [ours(None, "a:1"), ours(None, "a:1"), ours(Some("q"), "c:1")].concat();
        let audience = audience_of(&records, "t").await;
        assert_eq!(addresses(&audience.all), ["a:1", "a:1"], "two subscriptions of one process");
        assert!(audience.all.iter().all(|target| !target.is_old && target.path.starts_with("/?id=t-")));
        assert_eq!(audience.queues.iter().map(|queue| addresses(queue)).collect::<Vec<_>>(), [["c:1"]]);
        assert_eq!(audience_of(&records, "other").await, Audience::default());
    }

    #[tokio::test]
    async fn queues_are_one_across_layouts() {
        // As three versions of Go Micro have it, which know nothing of each other.
        let records: Vec<_> = ["a:1", "b:1", "c:1"]
            .into_iter()
            .zip(0..)
            .map(|(address, layout)| {
                let mut record = ours(Some("q"), address)[layout].clone();
                record.nodes[0].metadata.remove("subscription");
                record
            })
            .collect();
        let audience = audience_of(&records, "t").await;
        assert_eq!(addresses(&audience.queues[0]), ["a:1", "b:1", "c:1"]);
        assert_eq!((audience.queues.len(), audience.all.len()), (1, 0));
        let old =
            audience.queues[0].iter().filter(|target| target.is_old && target.path.starts_with("/_sub?id="));
        assert_eq!(old.count(), 2);
    }
}
