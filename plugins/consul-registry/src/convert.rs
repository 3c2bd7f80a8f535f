//! Between the sdk's types and the logic's. They say the same; the logic just does not know the sdk.

use consul_core as core;
use micro_sdk::{Error, registry as sdk};

pub(crate) fn service_in(service: sdk::Service) -> core::Service {
    core::Service {
        name: service.name,
        version: service.version,
        metadata: service.metadata,
        endpoints: service.endpoints.into_iter().map(endpoint_in).collect(),
        nodes: service.nodes.into_iter().map(node_in).collect(),
    }
}

pub(crate) fn snapshot_out(snapshot: core::Snapshot) -> sdk::Snapshot {
    sdk::Snapshot { services: services_out(snapshot.services), cursor: Some(snapshot.cursor) }
}

pub(crate) fn batch_out(batch: core::Batch) -> sdk::Batch {
    let entries = batch.entries.into_iter();
    let entries =
        entries.map(|entry| sdk::Entry { name: entry.name, services: services_out(entry.services) });
    sdk::Batch { cursor: batch.cursor, resync: batch.resync, entries: entries.collect() }
}

pub(crate) fn error_out(error: core::Error) -> Error {
    match error {
        core::Error::Denied(reason) => Error::Denied(reason),
        core::Error::Unavailable(reason) => Error::unavailable(reason),
        core::Error::Invalid(reason) => Error::Invalid(reason),
        core::Error::Other(reason) => Error::Other(reason),
    }
}

fn services_out(services: Vec<core::Service>) -> Vec<sdk::Service> {
    let service = |service: core::Service| sdk::Service {
        name: service.name,
        version: service.version,
        metadata: service.metadata,
        endpoints: service.endpoints.into_iter().map(endpoint_out).collect(),
        nodes: service.nodes.into_iter().map(node_out).collect(),
    };
    services.into_iter().map(service).collect()
}

fn endpoint_in(endpoint: sdk::Endpoint) -> core::Endpoint {
    core::Endpoint {
        name: endpoint.name,
        request: endpoint.request_json,
        response: endpoint.response_json,
        metadata: endpoint.metadata,
    }
}

fn endpoint_out(endpoint: core::Endpoint) -> sdk::Endpoint {
    sdk::Endpoint {
        name: endpoint.name,
        request_json: endpoint.request,
        response_json: endpoint.response,
        metadata: endpoint.metadata,
    }
}

fn node_in(node: sdk::Node) -> core::Node {
    core::Node {
        id: node.id,
        address: node.address,
        metadata: node.metadata,
        health: match node.status {
            sdk::NodeStatus::Passing => core::Health::Passing,
            sdk::NodeStatus::Warning => core::Health::Warning,
            sdk::NodeStatus::Critical => core::Health::Critical,
        },
        zone: node.zone,
        tags: node.tags,
    }
}

fn node_out(node: core::Node) -> sdk::Node {
    sdk::Node {
        id: node.id,
        address: node.address,
        metadata: node.metadata,
        status: match node.health {
            core::Health::Passing => sdk::NodeStatus::Passing,
            core::Health::Warning => sdk::NodeStatus::Warning,
            core::Health::Critical => sdk::NodeStatus::Critical,
        },
        zone: node.zone,
        tags: node.tags,
    }
}
