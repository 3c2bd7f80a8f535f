//! What the registry speaks about, in plain types.

use std::collections::BTreeMap;

/// Free-form texts.
pub type Metadata = BTreeMap<String, String>;

/// One version of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Service {
    /// The name.
    pub name: String,
    /// May be empty.
    pub version: String,
    /// Of the service.
    pub metadata: Metadata,
    /// What can be called.
    pub endpoints: Vec<Endpoint>,
    /// Who serves it.
    pub nodes: Vec<Node>,
}

/// One address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    /// Unique in the registry.
    pub id: String,
    /// `host:port`.
    pub address: String,
    /// Of the node.
    pub metadata: Metadata,
    /// As consul's checks have it.
    pub health: Health,
    /// Where it runs.
    pub zone: Option<String>,
    /// Words that are not Micro's.
    pub tags: Vec<String>,
}

/// Health, from best to worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Fine.
    #[default]
    Passing,
    /// Still serving.
    Warning,
    /// Not to be called.
    Critical,
}

/// One thing that can be called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// `Struct.Method`.
    pub name: String,
    /// Value tree as JSON text, or `null`.
    pub request: String,
    /// The same for the response.
    pub response: String,
    /// Of the endpoint.
    pub metadata: Metadata,
}

/// All versions of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Empty when the name is unknown.
    pub services: Vec<Service>,
    /// Where to watch on.
    pub cursor: String,
}

/// Everything known about one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The service's name.
    pub name: String,
    /// Empty when the name is gone.
    pub services: Vec<Service>,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where to watch on.
    pub cursor: String,
    /// Whether `entries` is everything.
    pub resync: bool,
    /// What is known about the names that changed.
    pub entries: Vec<Entry>,
}

/// A call without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The host or consul refused.
    #[error("denied: {0}")]
    Denied(String),
    /// No agent could answer.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A wrong option or argument.
    #[error("invalid: {0}")]
    Invalid(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}
