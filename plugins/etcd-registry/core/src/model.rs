//! What the registry speaks about, in plain types.

use std::collections::BTreeMap;

/// Free-form texts.
pub type Metadata = BTreeMap<String, String>;

/// One version of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Unique in the registry.
    pub id: String,
    /// `host:port`.
    pub address: String,
    /// Of the node.
    pub metadata: Metadata,
    /// `passing` unless somebody wrote otherwise.
    pub health: Health,
    /// Where it runs.
    pub zone: Option<String>,
    /// Free-form words.
    pub tags: Vec<String>,
}

/// Health as a record states it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// The host or etcd refused.
    #[error("denied: {0}")]
    Denied(String),
    /// No member of the cluster could answer.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A wrong option or argument.
    #[error("invalid: {0}")]
    Invalid(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Puts nodes of one version into one [`Service`], by name. A node that is in several records counts where it comes
/// first, and so do the metadata and endpoints of a version.
pub(crate) fn merge(records: impl IntoIterator<Item = Service>) -> BTreeMap<String, Vec<Service>> {
    let mut names: BTreeMap<String, Vec<Service>> = BTreeMap::new();
    let mut seen = std::collections::HashSet::new();
    for mut record in records {
        record.nodes.retain(|node| seen.insert((record.name.clone(), node.id.clone())));
        if record.nodes.is_empty() {
            continue;
        }
        let versions = names.entry(record.name.clone()).or_default();
        match versions.iter_mut().find(|known| known.version == record.version) {
            Some(known) => known.nodes.append(&mut record.nodes),
            None => versions.push(record),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(version: &str, node: &str) -> Service {
        let nodes = vec![Node { id: node.into(), ..Node::default() }];
        Service { name: "a".into(), version: version.into(), nodes, ..Service::default() }
    }

    #[test]
    fn versions_are_apart_and_nodes_are_unique() {
        let merged = merge([record("1", "x"), record("2", "y"), record("1", "z"), record("2", "x")]);
        let ids = |service: &Service| service.nodes.iter().map(|node| node.id.clone()).collect::<Vec<_>>();
        assert_eq!(merged["a"].iter().map(ids).collect::<Vec<_>>(), [vec!["x", "z"], vec!["y"]]);
    }
}
