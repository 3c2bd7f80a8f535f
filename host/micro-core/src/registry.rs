//! Services and where they are: the data model and the [`Registry`] trait.

use crate::code::{Code, Coded};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Free-form texts attached to services, nodes and endpoints.
pub type Metadata = BTreeMap<String, String>;

/// One version of a service. Two versions of one name are two values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// For instance `go.micro.srv.greeter`.
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
    /// Unique in the registry; `<service>-<uuid>` for nodes that Micro registered.
    pub id: String,
    /// `host:port`, `[ipv6]:port`, or a queue's name where the transport has no ports.
    pub address: String,
    /// `protocol`, `transport` and so on (`go-micro-wire` §6.2), and the user's own.
    pub metadata: Metadata,
    /// As the backend sees it.
    pub status: NodeStatus,
    /// Where it runs, if the backend knows.
    pub zone: Option<String>,
    /// The backend's tags, without those that encode Micro's own record.
    pub tags: Vec<String>,
}

/// Health of a node as the backend sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeStatus {
    /// Fine, or the backend does not check.
    #[default]
    Passing,
    /// Still serving.
    Warning,
    /// Listed, never chosen.
    Critical,
}

/// One thing that can be called (`Struct.Method`) or subscribed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// `Struct.Method`.
    pub name: String,
    /// Shape of the request.
    pub request: Option<Value>,
    /// Shape of the response.
    pub response: Option<Value>,
    /// `stream=true` for streams, routes of the gateway, the user's own.
    pub metadata: Metadata,
}

impl Endpoint {
    /// Whether its record says that it is a stream.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.metadata.get("stream").is_some_and(|said| said == "true")
    }
}

/// The shape of a message, as a tree (`go-micro-wire` §6.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// Field name; at the root the message type's name.
    pub name: String,
    /// `string`, `int64`, `[]Elem`, a message type's name…
    pub kind: String,
    /// The fields.
    pub values: Vec<Value>,
}

/// All versions of one service, and from where to watch on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Empty when nobody serves the name.
    pub services: Vec<Service>,
    /// Where [`Registry::changes`] for this name can start so that nothing is missed.
    pub cursor: Option<String>,
}

/// Everything known about one name now. No services: the name is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The service name.
    pub name: String,
    /// All its versions.
    pub services: Vec<Service>,
}

/// What changed. Consumers replace what they had under each name; they never patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// For the next call.
    pub cursor: String,
    /// `entries` is everything in scope: forget the names that are not in it.
    pub resync: bool,
    /// The names that changed.
    pub entries: Vec<Entry>,
}

/// What one `changes` call can cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchScope {
    /// Everything at once.
    All,
    /// One name per call.
    Name,
}

/// Where services say that they exist, and where callers ask. The contract of `wit/registry`, in Rust.
#[async_trait]
pub trait Registry: Send + Sync + fmt::Debug {
    /// The registry's name for people and for the node metadata `registry`: `etcd`, `local`, `memory`.
    fn name(&self) -> &str;

    /// What [`Registry::changes`] can cover.
    fn watch_scope(&self) -> WatchScope {
        WatchScope::All
    }

    /// Where this registry looks, for messages to people: addresses, a folder.
    fn location(&self) -> String {
        self.name().to_owned()
    }

    /// Upsert of all nodes of `service`, idempotent by node id; also the heartbeat. Entries vanish `ttl` after the last
    /// call; a `ttl` of zero means never.
    async fn register(&self, service: &Service, ttl: Duration) -> Result<(), RegistryError>;

    /// Removes the nodes of `service` by their ids. Unknown ids are fine.
    async fn deregister(&self, service: &Service) -> Result<(), RegistryError>;

    /// All versions of one service. An unknown name is an empty answer, not an error.
    async fn get_service(&self, name: &str) -> Result<Snapshot, RegistryError>;

    /// The names of all services, each once, sorted.
    async fn list_services(&self) -> Result<Vec<String>, RegistryError>;

    /// Long poll: answers at the first change after `after`, at the latest after `wait` with an empty batch. `name`
    /// narrows it to one service. Without `after`, or with one that is no longer good: a resync, at once.
    ///
    /// Cancel safe: dropping the future loses nothing, since only a returned cursor moves the consumer on.
    async fn changes(
        &self,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, RegistryError>;

    /// One cheap round trip to the backend.
    async fn health(&self) -> Result<(), RegistryError>;
}

/// A registry call that produced no answer, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The host's policy or the backend refused. Does not heal by itself.
    #[error("registry {registry} denied it: {reason}")]
    Denied {
        /// The registry's name.
        registry: String,
        /// What was refused, and which flag would allow it.
        reason: String,
    },
    /// The backend cannot be reached. Later may work.
    #[error("registry {registry} is unavailable: {reason}")]
    Unavailable {
        /// The registry's name.
        registry: String,
        /// What was tried.
        reason: String,
        /// The earliest time at which trying again makes sense.
        retry_after: Duration,
    },
    /// A wrong option or argument. Trying again does not help.
    #[error("registry {registry} does not accept it: {reason}")]
    Invalid {
        /// The registry's name.
        registry: String,
        /// What is wrong.
        reason: String,
    },
    /// Somebody else changed the same record.
    #[error("registry {registry} has a conflict: {reason}")]
    Conflict {
        /// The registry's name.
        registry: String,
        /// Which record.
        reason: String,
    },
    /// No answer in time.
    #[error("registry {registry} did not answer within {after:?}")]
    Timeout {
        /// The registry's name.
        registry: String,
        /// How long it was given.
        after: Duration,
    },
    /// The plugin failed, not its backend: it trapped, or was retired, or is quarantined.
    #[error("registry plugin {registry} failed: {reason}")]
    Plugin {
        /// The registry's name.
        registry: String,
        /// How.
        reason: String,
    },
    /// Anything else that the backend said.
    #[error("registry {registry} failed: {reason}")]
    Other {
        /// The registry's name.
        registry: String,
        /// In the backend's words.
        reason: String,
    },
}

impl Coded for RegistryError {
    fn code(&self) -> Code {
        match self {
            Self::Denied { .. } => Code::REGISTRY_DENIED,
            Self::Unavailable { .. } => Code::REGISTRY_UNAVAILABLE,
            Self::Invalid { .. } => Code::REGISTRY_INVALID,
            Self::Conflict { .. } => Code::REGISTRY_CONFLICT,
            Self::Timeout { .. } => Code::REGISTRY_TIMEOUT,
            Self::Plugin { .. } => Code::REGISTRY_PLUGIN,
            Self::Other { .. } => Code::REGISTRY_OTHER,
        }
    }
}

impl RegistryError {
    /// Whether trying again, unchanged, may help.
    pub fn may_heal(&self) -> bool {
        !matches!(self, Self::Denied { .. } | Self::Invalid { .. })
    }
}

impl Service {
    /// The same version of the service with no nodes.
    pub fn without_nodes(&self) -> Self {
        Self { nodes: Vec::new(), ..self.clone() }
    }
}

/// Joins records that hold one node each, as most backends keep them, into one [`Service`] per name and version. The
/// first record of a version gives its metadata and endpoints; of two nodes with one id the later wins.
pub fn merge(records: impl IntoIterator<Item = Service>) -> Vec<Service> {
    let mut merged: Vec<Service> = Vec::new();
    for record in records {
        let same = |known: &&mut Service| known.name == record.name && known.version == record.version;
        match merged.iter_mut().find(same) {
            Some(known) => {
                for node in record.nodes {
                    match known.nodes.iter_mut().find(|it| it.id == node.id) {
                        Some(old) => *old = node,
                        None => known.nodes.push(node),
                    }
                }
            }
            None => merged.push(record),
        }
    }
    merged
}
