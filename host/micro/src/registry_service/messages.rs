//! The messages of the service, with the field numbers of Go Micro v1.8 to v2.9 (`go-micro-wire` §5.9), which are the
//! same in all of them, and how they become records.

use micro_core::registry::Metadata;
use micro_core::{Endpoint, Error, Node, Service, Value};
use serde::{Deserialize, Deserializer, Serialize};
use std::time::Duration;

/// The id of errors of this service, as in Go.
pub(super) const ID: &str = "go.micro.registry";
/// Nodes that one registration may have. Programs register one.
const MOST_NODES: usize = 256;
/// Who asks for a longer life gets this one.
const LONGEST_TTL: Duration = Duration::from_secs(365 * 24 * 3600);

/// A version of a service.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceRecord {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// May be empty.
    #[prost(string, tag = "2")]
    pub version: String,
    /// Of the service.
    #[prost(btree_map = "string, string", tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// What can be called.
    #[prost(message, repeated, tag = "4")]
    #[serde(deserialize_with = "or_default")]
    pub endpoints: Vec<EndpointRecord>,
    /// Who serves it.
    #[prost(message, repeated, tag = "5")]
    #[serde(deserialize_with = "or_default")]
    pub nodes: Vec<NodeRecord>,
    /// Of a registration.
    #[prost(message, optional, tag = "6")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<RegisterOptions>,
}

/// A node of a service.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeRecord {
    /// Unique in the registry.
    #[prost(string, tag = "1")]
    pub id: String,
    /// `host:port`; before v1.8 the host alone.
    #[prost(string, tag = "2")]
    pub address: String,
    /// Of an address without one; nobody has written it since v1.8.
    #[prost(int64, tag = "3")]
    #[serde(skip_serializing_if = "is_zero")]
    pub port: i64,
    /// `protocol` and so on.
    #[prost(btree_map = "string, string", tag = "4")]
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata,
}

/// An endpoint of a service.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointRecord {
    /// `Struct.Method`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Shape of the request.
    #[prost(message, optional, tag = "2")]
    pub request: Option<ValueRecord>,
    /// Shape of the response.
    #[prost(message, optional, tag = "3")]
    pub response: Option<ValueRecord>,
    /// `stream` and so on.
    #[prost(btree_map = "string, string", tag = "4")]
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata,
}

/// The shape of a message or field.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ValueRecord {
    /// Field name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Type name.
    #[prost(string, tag = "2")]
    #[serde(rename = "type")]
    pub kind: String,
    /// Fields.
    #[prost(message, repeated, tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub values: Vec<ValueRecord>,
}

/// How a service wants to be registered.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct RegisterOptions {
    /// Seconds until the registration ends without another one; 0: never.
    #[prost(int64, tag = "1")]
    pub ttl: i64,
}

/// The answer to `Register` and `Deregister`.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct EmptyResponse {}

/// Asks for one service.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct GetRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub service: String,
}

/// All versions of a service.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct GetResponse {
    /// One for each version.
    #[prost(message, repeated, tag = "1")]
    pub services: Vec<ServiceRecord>,
}

/// Asks for all services.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct ListRequest {}

/// The names of all services.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ListResponse {
    /// With a name and nothing else, as Go's registries answer.
    #[prost(message, repeated, tag = "1")]
    pub services: Vec<ServiceRecord>,
}

/// Asks for what changes.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchRequest {
    /// Only of this service; empty: of all.
    #[prost(string, tag = "1")]
    pub service: String,
}

/// A change.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchResult {
    /// `create`, `update` or `delete`.
    #[prost(string, tag = "1")]
    pub action: String,
    /// A version with the nodes that changed.
    #[prost(message, optional, tag = "2")]
    pub service: Option<ServiceRecord>,
    /// Unix time in seconds.
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

/// As Go Micro would describe the types: three levels of fields.
fn shape(kind: &str, fields: &[(&str, &str)]) -> Value {
    let field = |&(name, kind): &(&str, &str)| Value {
        name: name.to_owned(),
        kind: kind.to_owned(),
        values: Vec::new(),
    };
    Value { name: kind.to_owned(), kind: kind.to_owned(), values: fields.iter().map(field).collect() }
}

fn record_shape() -> Value {
    let fields = [
        ("name", "string"),
        ("version", "string"),
        ("metadata", "map"),
        ("endpoints", "[]Endpoint"),
        ("nodes", "[]Node"),
        ("options", "Options"),
    ];
    shape("Service", &fields)
}

crate::impl_proto_payload!(ServiceRecord, record_shape());
crate::impl_proto_payload!(EmptyResponse, shape("EmptyResponse", &[]));
crate::impl_proto_payload!(GetRequest, shape("GetRequest", &[("service", "string")]));
crate::impl_proto_payload!(GetResponse, shape("GetResponse", &[("services", "[]Service")]));
crate::impl_proto_payload!(ListRequest, shape("ListRequest", &[]));
crate::impl_proto_payload!(ListResponse, shape("ListResponse", &[("services", "[]Service")]));
crate::impl_proto_payload!(WatchRequest, shape("WatchRequest", &[("service", "string")]));
crate::impl_proto_payload!(WatchResult, {
    let mut result = shape("Result", &[("action", "string"), ("service", "Service"), ("timestamp", "int64")]);
    result.values[1].values = record_shape().values;
    result
});

impl ServiceRecord {
    /// How long it wants to live; zero is for ever, as in Go.
    pub(super) fn ttl(&self) -> Duration {
        let seconds = self.options.map_or(0, |options| options.ttl);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).min(LONGEST_TTL)
    }

    /// The record, if it can be one.
    ///
    /// # Errors
    /// Code 400 with what is missing.
    pub(crate) fn into_service(self) -> Result<Service, Error> {
        let problem = if self.name.is_empty() {
            "a service needs a name"
        } else if self.nodes.is_empty() {
            "a service needs a node"
        } else if self.nodes.iter().any(|node| node.id.is_empty()) {
            "a node needs an id"
        } else if self.nodes.len() > MOST_NODES {
            "a registration may have 256 nodes: register the others by themselves"
        } else {
            let Self { name, version, metadata, endpoints, nodes, .. } = self;
            let endpoints = endpoints.into_iter().map(Endpoint::from).collect();
            let nodes = nodes.into_iter().map(Node::from).collect();
            return Ok(Service { name, version, metadata, endpoints, nodes });
        };
        Err(Error::bad_request(ID, problem))
    }
}

impl From<Service> for ServiceRecord {
    fn from(service: Service) -> Self {
        let Service { name, version, metadata, endpoints, nodes } = service;
        Self {
            name,
            version,
            metadata,
            endpoints: endpoints.into_iter().map(EndpointRecord::from).collect(),
            nodes: nodes.into_iter().map(NodeRecord::from).collect(),
            // Callers of Go Micro write into it without asking whether it is there.
            options: Some(RegisterOptions::default()),
        }
    }
}

impl From<NodeRecord> for Node {
    fn from(node: NodeRecord) -> Self {
        let NodeRecord { id, address, port, metadata } = node;
        let address = match u16::try_from(port) {
            Ok(port @ 1..) if !has_port(&address) => with_port(&address, port),
            _ => address,
        };
        Self { id, address, metadata, ..Self::default() }
    }
}

fn has_port(address: &str) -> bool {
    match address.rsplit_once(':') {
        // More than one colon without brackets is an IPv6 address.
        Some((host, _)) => !host.contains(':') || host.ends_with(']'),
        None => false,
    }
}

fn with_port(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

impl From<Node> for NodeRecord {
    fn from(node: Node) -> Self {
        Self { id: node.id, address: node.address, port: 0, metadata: node.metadata }
    }
}

impl From<EndpointRecord> for Endpoint {
    fn from(endpoint: EndpointRecord) -> Self {
        let EndpointRecord { name, request, response, metadata } = endpoint;
        Self { name, request: request.map(Value::from), response: response.map(Value::from), metadata }
    }
}

impl From<Endpoint> for EndpointRecord {
    fn from(endpoint: Endpoint) -> Self {
        let Endpoint { name, request, response, metadata } = endpoint;
        Self {
            name,
            request: request.map(ValueRecord::from),
            response: response.map(ValueRecord::from),
            metadata,
        }
    }
}

// Both are as deep as the decoder lets messages be, a hundred levels.

impl From<ValueRecord> for Value {
    fn from(value: ValueRecord) -> Self {
        let ValueRecord { name, kind, values } = value;
        Self { name, kind, values: values.into_iter().map(Self::from).collect() }
    }
}

impl From<Value> for ValueRecord {
    fn from(value: Value) -> Self {
        let Value { name, kind, values } = value;
        Self { name, kind, values: values.into_iter().map(Self::from).collect() }
    }
}

/// Go writes absent maps and lists as `null`.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(json: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(json)?.unwrap_or_default())
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn bytes_are_those_of_go() {
        // `&pb.Service{Name: "a", Version: "1", Nodes: {{Id: "a-1", Address: "h:1", Metadata: {"protocol": "mucp"}}},
        // Options: {Ttl: 60}}`.
        let go = b"\x0a\x01a\x12\x011\x2a\x1c\x0a\x03a-1\x12\x03h:1\x22\x10\x0a\x08protocol\x12\x04mucp\x32\x02\x08\x3c";
        let record = ServiceRecord::decode(&go[..]).expect("a message");
        assert_eq!(record.ttl(), Duration::from_secs(60));
        assert_eq!(record.encode_to_vec(), go);
        let service = record.into_service().expect("complete");
        assert_eq!((&*service.nodes[0].id, &*service.nodes[0].metadata["protocol"]), ("a-1", "mucp"));
    }

    #[test]
    fn lives_are_within_reason() {
        let record =
            |ttl| ServiceRecord { options: Some(RegisterOptions { ttl }), ..ServiceRecord::default() };
        for (ttl, seconds) in [(0, 0), (-1, 0), (i64::MIN, 0), (60, 60), (i64::MAX, 365 * 24 * 3600)] {
            assert_eq!(record(ttl).ttl(), Duration::from_secs(seconds), "{ttl}");
        }
        assert_eq!(ServiceRecord::default().ttl(), Duration::ZERO);
    }

    #[test]
    fn ports_beside_addresses_are_joined() {
        for (address, port, joined) in [
            ("10.0.0.1", 8080, "10.0.0.1:8080"),
            ("10.0.0.1:9000", 8080, "10.0.0.1:9000"),
            ("fd00::1", 8080, "[fd00::1]:8080"),
            ("[fd00::1]", 8080, "[fd00::1]:8080"),
            ("[fd00::1]:9000", 8080, "[fd00::1]:9000"),
            ("queue", 0, "queue"),
            ("queue", -1, "queue"),
            ("queue", 70_000, "queue"),
        ] {
            let node = NodeRecord { address: address.to_owned(), port, ..NodeRecord::default() };
            assert_eq!(Node::from(node).address, joined, "{address} {port}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let node = |id: &str| NodeRecord { id: id.to_owned(), ..NodeRecord::default() };
        let record =
            |name: &str, nodes| ServiceRecord { name: name.to_owned(), nodes, ..ServiceRecord::default() };
        for (record, part) in [
            (record("", vec![node("a")]), "name"),
            (record("a", vec![]), "a node"),
            (record("a", vec![node("")]), "an id"),
            (record("a", vec![node("a"); MOST_NODES + 1]), "256 nodes"),
        ] {
            let error = record.into_service().expect_err(part);
            assert!(error.code == 400 && error.id == ID && error.detail.contains(part), "{error}");
        }
    }

    #[test]
    fn json_has_the_names_of_records() {
        let text = r#"{"name":"a","metadata":null,"endpoints":null,"nodes":[{"id":"a-1","address":"h","port":1}],"options":{"ttl":5}}"#;
        let record: ServiceRecord = serde_json::from_str(text).expect("members may be missing");
        assert_eq!((record.nodes[0].port, record.ttl()), (1, Duration::from_secs(5)));
        let service = ServiceRecord::from(record.into_service().expect("complete"));
        let json = serde_json::to_value(&service).expect("it has a form");
        assert_eq!(json["nodes"][0], serde_json::json!({ "id": "a-1", "address": "h:1", "metadata": {} }));
    }
}
