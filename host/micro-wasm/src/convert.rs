//! Between the types of the contract and those of `micro-core`. What comes from a guest is checked here.

use micro_bindings::exports::micro::registry::registry as wit;
use micro_bindings::micro::plugin::types::Error;
use micro_core::{Batch, Endpoint, Entry, Node, NodeStatus, RegistryError, Service, Snapshot, record};
use std::time::Duration;

/// Services, names and entries in one answer.
const MAX_ITEMS: usize = 20_000;
/// Nodes, endpoints, pairs of metadata or tags of one record.
const MAX_PARTS: usize = 10_000;
/// Bytes of a name, an id or an address.
const MAX_NAME: usize = 1 << 10;
/// Bytes of any other text.
const MAX_TEXT: usize = 1 << 20;

/// An answer that no plugin may give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it broke its contract: {0}")]
pub(crate) struct Violation(String);

type Checked<T> = Result<T, Violation>;

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a plugin said, in one line for people.
pub(crate) fn explain(error: &Error) -> String {
    let text = match error {
        Error::NotFound => "not found".to_owned(),
        Error::Denied(why) => format!("denied: {why}"),
        Error::Unavailable(outage) => outage.reason.clone(),
        Error::Conflict(why) => format!("conflict: {why}"),
        Error::Invalid(why) => format!("invalid: {why}"),
        Error::Timeout => "its backend did not answer in time".to_owned(),
        Error::Other(why) => why.clone(),
    };
    shortened(text)
}

/// Backends hold what anybody wrote there. One record that nobody can use is left out; it must not hide the others.
fn usable<T>(of: &str, part: Checked<T>) -> Option<T> {
    part.inspect_err(|Violation(why)| tracing::debug!(of, why, "left out")).ok()
}

/// A plugin's error as callers see it. `limit` is what the call was given.
pub(crate) fn error(registry: &str, limit: Duration, error: Error) -> RegistryError {
    let registry = registry.to_owned();
    match error {
        Error::Denied(reason) => RegistryError::Denied { registry, reason: shortened(reason) },
        Error::Unavailable(outage) => RegistryError::Unavailable {
            registry,
            reason: shortened(outage.reason),
            // A plugin cannot put callers off for ever.
            retry_after: Duration::from_millis(outage.retry_after_ms.min(60_000)),
        },
        Error::Conflict(reason) => RegistryError::Conflict { registry, reason: shortened(reason) },
        Error::Invalid(reason) => RegistryError::Invalid { registry, reason: shortened(reason) },
        Error::Timeout => RegistryError::Timeout { registry, after: limit },
        Error::NotFound => RegistryError::Other { registry, reason: "not found".to_owned() },
        Error::Other(reason) => RegistryError::Other { registry, reason: shortened(reason) },
    }
}

/// An error's text is for people, and for one line of a log.
fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_NAME));
    text.replace(char::is_control, " ")
}

pub(crate) fn to_wit(service: &Service) -> wit::Service {
    wit::Service {
        name: service.name.clone(),
        version: service.version.clone(),
        metadata: pairs(&service.metadata),
        endpoints: service.endpoints.iter().map(endpoint_to_wit).collect(),
        nodes: service.nodes.iter().map(node_to_wit).collect(),
    }
}

fn endpoint_to_wit(endpoint: &Endpoint) -> wit::Endpoint {
    wit::Endpoint {
        name: endpoint.name.clone(),
        request_json: record::value_to_json(endpoint.request.as_ref()),
        response_json: record::value_to_json(endpoint.response.as_ref()),
        metadata: pairs(&endpoint.metadata),
    }
}

fn node_to_wit(node: &Node) -> wit::Node {
    wit::Node {
        id: node.id.clone(),
        address: node.address.clone(),
        metadata: pairs(&node.metadata),
        status: match node.status {
            NodeStatus::Passing => wit::NodeStatus::Passing,
            NodeStatus::Warning => wit::NodeStatus::Warning,
            NodeStatus::Critical => wit::NodeStatus::Critical,
        },
        zone: node.zone.clone(),
        tags: node.tags.clone(),
    }
}

fn pairs(metadata: &micro_core::registry::Metadata) -> Vec<(String, String)> {
    metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// All versions of one service.
pub(crate) fn snapshot(name: &str, snapshot: wit::Snapshot) -> Checked<Snapshot> {
    let cursor = snapshot.cursor.map(|cursor| text("a cursor", cursor, MAX_TEXT)).transpose()?;
    Ok(Snapshot { services: services(name, snapshot.services)?, cursor })
}

pub(crate) fn batch(batch: wit::Batch) -> Checked<Batch> {
    let mut entries = Vec::new();
    for found in list("entries", batch.entries, MAX_ITEMS)? {
        if let Some(name) = usable("changes", name("an entry's name", found.name)) {
            entries.push(Entry { services: services(&name, found.services)?, name });
        }
    }
    Ok(Batch { cursor: text("a cursor", batch.cursor, MAX_TEXT)?, resync: batch.resync, entries })
}

/// Names of services, each once, sorted.
pub(crate) fn names(names: Vec<String>) -> Checked<Vec<String>> {
    let names = list("names", names, MAX_ITEMS)?.into_iter();
    let mut names: Vec<String> =
        names.filter_map(|it| usable("names", name("a service's name", it))).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn services(of: &str, found: Vec<wit::Service>) -> Checked<Vec<Service>> {
    list("services", found, MAX_ITEMS)?.into_iter().map(|it| service(of, it)).collect()
}

fn service(of: &str, found: wit::Service) -> Checked<Service> {
    if found.name != of {
        let mut other = found.name;
        other.truncate(other.floor_char_boundary(64));
        return Err(Violation(format!("asked about {of:?} it spoke of {other:?}")));
    }
    Ok(Service {
        name: found.name,
        version: text("a version", found.version, MAX_NAME)?,
        metadata: metadata(found.metadata)?,
        endpoints: list("endpoints", found.endpoints, MAX_PARTS)?
            .into_iter()
            .filter_map(|it| usable(of, endpoint(it)))
            .collect(),
        nodes: list("nodes", found.nodes, MAX_PARTS)?
            .into_iter()
            .filter_map(|it| usable(of, node(it)))
            .collect(),
    })
}

fn endpoint(found: wit::Endpoint) -> Checked<Endpoint> {
    let value = |json: String| text("a value", json, MAX_TEXT).map(|json| record::value_from_json(&json));
    Ok(Endpoint {
        name: text("an endpoint's name", found.name, MAX_NAME)?,
        request: value(found.request_json)?,
        response: value(found.response_json)?,
        metadata: metadata(found.metadata)?,
    })
}

fn node(found: wit::Node) -> Checked<Node> {
    let tags = list("tags", found.tags, MAX_PARTS)?.into_iter();
    Ok(Node {
        id: name("a node's id", found.id)?,
        address: text("an address", found.address, MAX_NAME)?,
        metadata: metadata(found.metadata)?,
        status: match found.status {
            wit::NodeStatus::Passing => NodeStatus::Passing,
            wit::NodeStatus::Warning => NodeStatus::Warning,
            wit::NodeStatus::Critical => NodeStatus::Critical,
        },
        zone: found.zone.map(|zone| text("a zone", zone, MAX_NAME)).transpose()?,
        tags: tags.map(|tag| text("a tag", tag, MAX_TEXT)).collect::<Checked<_>>()?,
    })
}

fn metadata(pairs: Vec<(String, String)>) -> Checked<micro_core::registry::Metadata> {
    let pair = |(name, value)| Ok((text("a name", name, MAX_TEXT)?, text("metadata", value, MAX_TEXT)?));
    list("pairs of metadata", pairs, MAX_PARTS)?.into_iter().map(pair).collect()
}

fn list<T>(what: &str, items: Vec<T>, most: usize) -> Checked<Vec<T>> {
    match items.len() > most {
        true => Err(Violation(format!("{} {what} in one answer, at most {most} are read", items.len()))),
        false => Ok(items),
    }
}

fn text(what: &str, text: String, most: usize) -> Checked<String> {
    match text.len() > most {
        true => Err(Violation(format!("{what} of {} bytes, at most {most} are read", text.len()))),
        false => Ok(text),
    }
}

/// A text that must say something and fits on a line.
fn name(what: &str, it: String) -> Checked<String> {
    match it.is_empty() || it.contains(char::is_control) {
        true => Err(Violation(format!("{what} that is empty or has control characters"))),
        false => text(what, it, MAX_NAME),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Service {
        let json = r#"{"name":"a","version":"1","metadata":{"k":"v"},
            "endpoints":[{"name":"A.B","request":{"name":"R","type":"R","values":[]},"response":null}],
            "nodes":[{"id":"a-1","address":"h:1","metadata":{"x":"y"},"health":"warning","zone":"z","tags":["t"]}]}"#;
        record::from_json(json.as_bytes()).expect("valid")
    }

    #[test]
    fn a_service_survives_the_way_there_and_back() {
        assert_eq!(service("a", to_wit(&full())), Ok(full()));
    }

    #[test]
    fn hostile_answers_are_refused() {
        let changed = |change: fn(&mut wit::Service)| {
            let mut found = to_wit(&full());
            change(&mut found);
            service("a", found).expect_err("hostile").to_string()
        };
        assert!(changed(|it| it.name = "b".to_owned()).contains(r#"asked about "a" it spoke of "b""#));
        assert!(changed(|it| it.nodes = vec![it.nodes[0].clone(); MAX_PARTS + 1]).contains("10001 nodes"));
        assert!(changed(|it| it.version = "x".repeat(MAX_NAME + 1)).contains("a version of 1025 bytes"));
        assert!(
            changed(|it| it.metadata = vec![(String::new(), String::new()); MAX_PARTS + 1])
                .contains("metadata")
        );
    }

    #[test]
    fn parts_that_nobody_can_use_do_not_hide_the_others() {
        let mut found = to_wit(&full());
        let (node, endpoint) = (found.nodes[0].clone(), found.endpoints[0].clone());
        found.nodes.push(wit::Node { id: String::new(), ..node.clone() });
        found.nodes.push(wit::Node { id: "a\nb".to_owned(), ..node.clone() });
        found.nodes.push(wit::Node { address: "x".repeat(MAX_NAME + 1), ..node });
        found.endpoints.push(wit::Endpoint { request_json: "x".repeat(MAX_TEXT + 1), ..endpoint });
        assert_eq!(service("a", found), Ok(full()));
        assert_eq!(names(["a\nb", "", "c"].map(str::to_owned).to_vec()), Ok(vec!["c".to_owned()]));
    }

    #[test]
    fn names_come_sorted_and_once() {
        assert_eq!(
            names(["b", "a", "b"].map(str::to_owned).to_vec()),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
    }
}
