//! From what the client has at hand to what a trace says.

use super::{NodeSeen, Step, VersionSeen};
use crate::client::nodes::NodeState;
use crate::client::select::{CandidateSet, Candidates, Wanted};
use crate::registry::{Cache, CachedService};
use micro_core::registry::Metadata;
use micro_core::{Endpoint, Headers, Message, NodeStatus, Selector, Service};
use micro_net::grpc::{Call, Opening, Reply, Status};
use std::time::Duration;

/// Values of these headers are secrets, of which only the length is told.
const SECRET: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];
pub(in crate::client) fn registry(
    cache: &Cache,
    name: &str,
    endpoint: &str,
    found: &CachedService,
    known: bool,
) -> Step {
    let version = |it: &Service| {
        let listed = it.endpoints.iter().find(|listed| listed.name == endpoint);
        VersionSeen {
            version: it.version.clone(),
            nodes: it.nodes.len(),
            has_endpoint: (!it.endpoints.is_empty()).then_some(listed.is_some()),
            streams: listed.is_some_and(Endpoint::is_stream),
        }
    };
    Step::Registry {
        registry: cache.registry().name().to_owned(),
        location: cache.registry().location(),
        from_memory: known,
        age_ms: cache.age(name).map(ms),
        stale: found.stale,
        versions: found.services.iter().map(version).collect(),
    }
}

pub(in crate::client) fn candidates(
    candidates: &Candidates,
    name: &str,
    found: &CachedService,
    wanted: Wanted<'_>,
) -> Step {
    Step::Candidates {
        filters: wanted.filters.iter().map(ToString::to_string).collect(),
        nodes: candidates.explain(name, found, wanted),
    }
}

/// Of a call that asks no registry.
pub(in crate::client) fn addresses(
    candidates: &Candidates,
    name: &str,
    addresses: &[String],
    wanted: Wanted<'_>,
) -> Step {
    let (way, because) = candidates.way_of_addresses(name, wanted);
    let node = |address: &String| NodeSeen {
        id: address.clone(),
        address: address.clone(),
        version: String::new(),
        protocol: Some(way.protocol.to_string()),
        because: because.to_owned(),
        tls: way.security.to_string(),
        refused: None,
        status: NodeStatus::Passing,
        metadata: Metadata::new(),
    };
    Step::Candidates { filters: Vec::new(), nodes: addresses.iter().map(node).collect() }
}

pub(in crate::client) fn pick(
    selector: &dyn Selector,
    node: &NodeState,
    set: &CandidateSet,
    tried: usize,
) -> Step {
    let nodes = set.nodes();
    let ejected = nodes.iter().filter(|node| node.is_ejected()).map(|node| node.name.clone());
    Step::Pick {
        selector: selector.name().to_owned(),
        node: node.name.clone(),
        address: node.address.clone(),
        protocol: node.protocol.to_string(),
        tls: node.security.to_string(),
        of: nodes.len(),
        ejected: ejected.collect(),
        tried,
        in_flight: node.in_flight(),
        latency_us: node.latency_us(),
    }
}

pub(in crate::client) fn request(node: &NodeState, message: &Message, content_type: &str) -> Step {
    Step::Request {
        protocol: node.protocol.to_string(),
        content_type: content_type.to_owned(),
        path: None,
        headers: shown(&message.headers),
        bytes: message.body.len(),
    }
}

pub(in crate::client) fn answer(message: &Message) -> Step {
    Step::Answer {
        content_type: message.headers.get("Content-Type").unwrap_or_default().to_owned(),
        headers: shown(&message.headers),
        bytes: Some(message.body.len()),
    }
}

pub(in crate::client) fn call(node: &NodeState, call: &Call<'_>, content_type: &str) -> Step {
    Step::Request {
        protocol: node.protocol.to_string(),
        content_type: content_type.to_owned(),
        path: Some(call.path.to_owned()),
        headers: shown(call.metadata),
        bytes: call.message.len(),
    }
}

/// Of a stream, whose messages follow.
pub(in crate::client) fn opening(node: &NodeState, opening: &Opening<'_>) -> Step {
    Step::Request {
        protocol: node.protocol.to_string(),
        content_type: opening.codec.content_type().to_owned(),
        path: Some(opening.path.to_owned()),
        headers: shown(opening.metadata),
        bytes: 0,
    }
}

pub(in crate::client) fn reply(reply: &Reply) -> Step {
    Step::Answer {
        content_type: reply.content_type.clone(),
        headers: shown(&reply.metadata),
        bytes: Some(reply.message.len()),
    }
}

/// An answer that is a status and nothing else.
pub(in crate::client) fn status(status: &Status) -> Step {
    let fields = [("grpc-status", status.code.0.to_string()), ("grpc-message", status.message.clone())];
    Step::Answer {
        content_type: String::new(),
        headers: fields.map(|(name, value)| (name.to_owned(), value)).into(),
        bytes: None,
    }
}

pub(in crate::client) fn retry(attempt: u32, pause: Duration) -> Step {
    Step::Retry { attempt, pause_ms: ms(pause) }
}

/// Header fields as text, without secrets.
fn shown(headers: &Headers) -> Vec<(String, String)> {
    let field = |(name, value): (&str, &str)| {
        let secret = SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret));
        let value = if secret { format!("({} bytes, not shown)", value.len()) } else { value.to_owned() };
        (name.to_owned(), value)
    };
    headers.iter_str().map(field).collect()
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
