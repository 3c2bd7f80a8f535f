//! Plugins of the kind `registry`: where services say that they exist, and where callers ask.

use crate::bindings::exports::micro::registry::registry as wit;
use crate::{Call, Context, DrainReason, Error};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::time::Duration;

/// Free-form texts attached to services, nodes and endpoints.
pub type Metadata = BTreeMap<String, String>;

/// A registry.
///
/// The host keeps the truth: it calls [`register`](Self::register) again every interval as the heartbeat, on a fresh
/// instance as well, so whatever a plugin keeps (leases, open watches, tokens) is a cache.
///
/// Calls overlap when the manifest's `max-concurrency` is above 1, all on one thread: interior state is a `Cell` or
/// `RefCell` that is never borrowed across an `.await`. Each call is dropped when its time is over.
#[allow(async_fn_in_trait, reason = "a component has one thread, so no future needs to be Send")]
pub trait Registry: Sized + 'static {
    /// The options of the manifest, in the types of [`crate::options`].
    type Options: DeserializeOwned;

    /// Takes the options. Must not need the backend: a plugin whose backend is down starts, and says so in
    /// [`health`](Self::health).
    ///
    /// # Errors
    /// [`Error::Invalid`] ends the attempt for good.
    fn configure(context: Context, options: Self::Options) -> Result<Self, Error>;

    /// Upsert, idempotent by node id; also the heartbeat. Each node is known until it is deregistered or `ttl` has
    /// passed since the last call; without a `ttl` until it is deregistered.
    async fn register(&self, call: &Call, service: Service, ttl: Option<Duration>) -> Result<(), Error>;

    /// Removes the nodes of `service`, by their ids. Unknown ids are fine.
    async fn deregister(&self, call: &Call, service: Service) -> Result<(), Error>;

    /// All versions of one service. An unknown name is an empty answer.
    async fn get_service(&self, call: &Call, name: &str) -> Result<Snapshot, Error>;

    /// The names of all services, each once, in no particular order.
    async fn list_services(&self, call: &Call) -> Result<Vec<String>, Error>;

    /// Long poll: answers at the first change after the cursor `after`, at the latest after `wait` with a batch that
    /// has no entries. `name` narrows it to one service. No `after`, or one that is no longer good: a batch with
    /// `resync` and everything in scope, at once.
    async fn changes(
        &self,
        call: &Call,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, Error>;

    /// One cheap round trip to the backend. A registry without a backend is always well.
    async fn health(&self, call: &Call) -> Result<(), Error> {
        let _ = call;
        Ok(())
    }

    /// The last call: close what should not linger, within `limit`. Nothing has to be deregistered.
    async fn drain(&self, reason: DrainReason, limit: Duration) {
        let _ = (reason, limit);
    }
}

/// One version of a service. Two versions of one name are two values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// For instance `greeter`.
    pub name: String,
    /// May be empty.
    pub version: String,
    /// Of the service, not of its nodes.
    pub metadata: Metadata,
    /// What can be called or subscribed to.
    pub endpoints: Vec<Endpoint>,
    /// Who serves it.
    pub nodes: Vec<Node>,
}

/// One address that serves one version of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Unique in the registry.
    pub id: String,
    /// `host:port`, `[ipv6]:port`, or the name of a queue where the transport has no ports.
    pub address: String,
    /// `protocol`, `transport` and so on, and the user's own.
    pub metadata: Metadata,
    /// As the backend sees it.
    pub status: NodeStatus,
    /// Where it runs, if the backend knows.
    pub zone: Option<String>,
    /// The backend's tags that are not Micro's own encoding.
    pub tags: Vec<String>,
}

/// Health of a node as the backend sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeStatus {
    /// Fine, or the backend does not check.
    #[default]
    Passing,
    /// Still serving.
    Warning,
    /// Listed, never chosen.
    Critical,
}

/// One thing that can be called or subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `Struct.Method`.
    pub name: String,
    /// The request's value tree as JSON text, or `null`.
    pub request_json: String,
    /// The same for the response.
    pub response_json: String,
    /// `stream=true` for streams, and the user's own.
    pub metadata: Metadata,
}

/// All versions of one service, and from where to watch on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Empty when nobody serves the name.
    pub services: Vec<Service>,
    /// Where [`Registry::changes`] for this name can start so that nothing is missed.
    pub cursor: Option<String>,
}

/// Everything that is known about one name now. No services: the name is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The service's name.
    pub name: String,
    /// All its versions.
    pub services: Vec<Service>,
}

/// What changed. Consumers replace what they had under each name; they never patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// For the next call. Self-contained: it works on another instance, and after a restart.
    pub cursor: String,
    /// `entries` is everything in scope: consumers forget the names that are not in it.
    pub resync: bool,
    /// The names that changed.
    pub entries: Vec<Entry>,
}

impl Batch {
    /// Nothing happened up to `cursor`.
    pub fn unchanged(cursor: impl Into<String>) -> Self {
        Self { cursor: cursor.into(), resync: false, entries: Vec::new() }
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        let null = || "null".to_owned();
        Self { name: String::new(), request_json: null(), response_json: null(), metadata: Metadata::new() }
    }
}

impl From<wit::Service> for Service {
    fn from(service: wit::Service) -> Self {
        Self {
            name: service.name,
            version: service.version,
            metadata: service.metadata.into_iter().collect(),
            endpoints: service.endpoints.into_iter().map(Endpoint::from).collect(),
            nodes: service.nodes.into_iter().map(Node::from).collect(),
        }
    }
}

impl From<Service> for wit::Service {
    fn from(service: Service) -> Self {
        Self {
            name: service.name,
            version: service.version,
            metadata: service.metadata.into_iter().collect(),
            endpoints: service.endpoints.into_iter().map(wit::Endpoint::from).collect(),
            nodes: service.nodes.into_iter().map(wit::Node::from).collect(),
        }
    }
}

impl From<wit::Node> for Node {
    fn from(node: wit::Node) -> Self {
        Self {
            id: node.id,
            address: node.address,
            metadata: node.metadata.into_iter().collect(),
            status: match node.status {
                wit::NodeStatus::Passing => NodeStatus::Passing,
                wit::NodeStatus::Warning => NodeStatus::Warning,
                wit::NodeStatus::Critical => NodeStatus::Critical,
            },
            zone: node.zone,
            tags: node.tags,
        }
    }
}

impl From<Node> for wit::Node {
    fn from(node: Node) -> Self {
        Self {
            id: node.id,
            address: node.address,
            metadata: node.metadata.into_iter().collect(),
            status: match node.status {
                NodeStatus::Passing => wit::NodeStatus::Passing,
                NodeStatus::Warning => wit::NodeStatus::Warning,
                NodeStatus::Critical => wit::NodeStatus::Critical,
            },
            zone: node.zone,
            tags: node.tags,
        }
    }
}

impl From<wit::Endpoint> for Endpoint {
    fn from(endpoint: wit::Endpoint) -> Self {
        Self {
            name: endpoint.name,
            request_json: endpoint.request_json,
            response_json: endpoint.response_json,
            metadata: endpoint.metadata.into_iter().collect(),
        }
    }
}

impl From<Endpoint> for wit::Endpoint {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            name: endpoint.name,
            request_json: endpoint.request_json,
            response_json: endpoint.response_json,
            metadata: endpoint.metadata.into_iter().collect(),
        }
    }
}

impl From<Snapshot> for wit::Snapshot {
    fn from(snapshot: Snapshot) -> Self {
        let services = snapshot.services.into_iter().map(wit::Service::from).collect();
        Self { services, cursor: snapshot.cursor }
    }
}

impl From<Entry> for wit::Entry {
    fn from(entry: Entry) -> Self {
        Self { name: entry.name, services: entry.services.into_iter().map(wit::Service::from).collect() }
    }
}

impl From<Batch> for wit::Batch {
    fn from(batch: Batch) -> Self {
        let entries = batch.entries.into_iter().map(wit::Entry::from).collect();
        Self { cursor: batch.cursor, resync: batch.resync, entries }
    }
}
