//! The JSON that Go Micro keeps in registries (`go-micro-wire` §5.1).
//!
//! Read leniently: `null` and missing members, members of any letter case, addresses with a separate `port` (up to
//! v1.7) or without. Written in the v1.8+ form.

use crate::registry::{Endpoint, Metadata, Node, NodeStatus, Service, Value};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value as Json};

/// Writes a service with all its nodes.
pub fn to_json(service: &Service) -> String {
    serde_json::to_string(&ServiceRecord::from(service)).expect("maps with string keys serialize")
}

/// Reads a service.
///
/// # Errors
/// Text that is not a JSON object of this shape, or has no name.
pub fn from_json(text: &[u8]) -> Result<Service, serde_json::Error> {
    let record: ServiceRecord = serde_json::from_value(lower_case_keys(serde_json::from_slice(text)?))?;
    let service = Service::from(record);
    if service.name.is_empty() {
        return Err(serde::de::Error::custom("a service needs a name"));
    }
    Ok(service)
}

/// Writes a value tree; `null` for none.
pub fn value_to_json(value: Option<&Value>) -> String {
    serde_json::to_string(&value.map(ValueRecord::from)).expect("strings serialize")
}

/// Reads a value tree. Text that is none is none: shapes are a convenience, and a service without one can be called.
pub fn value_from_json(text: &str) -> Option<Value> {
    serde_json::from_str::<Option<ValueRecord>>(text).ok().flatten().map(Value::from)
}

/// The members of Go's structs; `health`, `zone` and `tags` are ours and left out when they say nothing.
#[derive(Serialize, Deserialize)]
struct ServiceRecord {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    version: String,
    #[serde(default, deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    endpoints: Vec<EndpointRecord>,
    #[serde(default, deserialize_with = "or_default")]
    nodes: Vec<NodeRecord>,
}

#[derive(Serialize, Deserialize)]
struct NodeRecord {
    #[serde(default, deserialize_with = "or_default")]
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    address: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing)]
    port: u16,
    #[serde(default, deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    health: NodeStatus,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    zone: Option<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    tags: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct EndpointRecord {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    request: Option<ValueRecord>,
    #[serde(default, deserialize_with = "or_default")]
    response: Option<ValueRecord>,
    #[serde(default, deserialize_with = "or_default")]
    metadata: Metadata,
}

#[derive(Serialize, Deserialize)]
struct ValueRecord {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default", rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    values: Vec<ValueRecord>,
}

/// Go writes absent maps and lists as `null`.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(json: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(json)?.unwrap_or_default())
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Go's decoder matches members without case, so hand-written records exist in every spelling. Metadata keys are data.
fn lower_case_keys(json: Json) -> Json {
    match json {
        Json::Object(members) => {
            let lower = members.into_iter().map(|(key, value)| {
                let key = key.to_ascii_lowercase();
                let value = if key == "metadata" { value } else { lower_case_keys(value) };
                (key, value)
            });
            Json::Object(lower.collect::<Map<_, _>>())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(lower_case_keys).collect()),
        other => other,
    }
}

impl From<&Service> for ServiceRecord {
    fn from(service: &Service) -> Self {
        Self {
            name: service.name.clone(),
            version: service.version.clone(),
            metadata: service.metadata.clone(),
            endpoints: service.endpoints.iter().map(EndpointRecord::from).collect(),
            nodes: service.nodes.iter().map(NodeRecord::from).collect(),
        }
    }
}

impl From<&Endpoint> for EndpointRecord {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            name: endpoint.name.clone(),
            request: endpoint.request.as_ref().map(ValueRecord::from),
            response: endpoint.response.as_ref().map(ValueRecord::from),
            metadata: endpoint.metadata.clone(),
        }
    }
}

impl From<&Node> for NodeRecord {
    fn from(node: &Node) -> Self {
        Self {
            id: node.id.clone(),
            address: node.address.clone(),
            port: 0,
            metadata: node.metadata.clone(),
            health: node.status,
            zone: node.zone.clone(),
            tags: node.tags.clone(),
        }
    }
}

impl From<&Value> for ValueRecord {
    fn from(value: &Value) -> Self {
        let values = value.values.iter().map(Self::from).collect();
        Self { name: value.name.clone(), kind: value.kind.clone(), values }
    }
}

impl From<ServiceRecord> for Service {
    fn from(record: ServiceRecord) -> Self {
        Self {
            name: record.name,
            version: record.version,
            metadata: record.metadata,
            endpoints: record.endpoints.into_iter().map(Endpoint::from).collect(),
            nodes: record.nodes.into_iter().map(Node::from).collect(),
        }
    }
}

impl From<EndpointRecord> for Endpoint {
    fn from(record: EndpointRecord) -> Self {
        Self {
            name: record.name,
            request: record.request.map(Value::from),
            response: record.response.map(Value::from),
            metadata: record.metadata,
        }
    }
}

impl From<NodeRecord> for Node {
    fn from(record: NodeRecord) -> Self {
        Self {
            id: record.id,
            address: join_port(record.address, record.port),
            metadata: record.metadata,
            status: record.health,
            zone: record.zone,
            tags: record.tags,
        }
    }
}

impl From<ValueRecord> for Value {
    fn from(record: ValueRecord) -> Self {
        let values = record.values.into_iter().map(Self::from).collect();
        Self { name: record.name, kind: record.kind, values }
    }
}

/// `10.0.0.1` and 8080 is `10.0.0.1:8080`; an address that has a port keeps it.
fn join_port(address: String, port: u16) -> String {
    let bare_ipv6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    match port {
        0 => address,
        _ if bare_ipv6 => format!("[{address}]:{port}"),
        _ if address.contains(':') && !address.ends_with(']') => address,
        _ => format!("{address}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(nodes: &str) -> Vec<String> {
        let text = format!(r#"{{"name":"a","nodes":{nodes}}}"#);
        from_json(text.as_bytes()).expect("valid").nodes.into_iter().map(|node| node.address).collect()
    }

    #[test]
    fn a_record_of_go_micro_reads_and_writes_back() {
        let text = concat!(
            r#"{"name":"greeter","version":"latest","metadata":{},"endpoints":[{"name":"Say.Hello","#,
            r#""request":{"name":"Request","type":"Request","values":[{"name":"name","type":"string","values":[]}]},"#,
            r#""response":null,"metadata":{}}],"nodes":[{"id":"greeter-1","address":"10.0.0.1:8080","#,
            r#""metadata":{"protocol":"mucp"}}]}"#
        );
        let service = from_json(text.as_bytes()).expect("valid");
        assert_eq!(service.endpoints[0].request.as_ref().expect("there").values[0].kind, "string");
        assert_eq!(to_json(&service), text);
    }

    #[test]
    fn null_missing_and_other_spellings_are_read() {
        let text =
            br#"{"Name":"a","metadata":null,"ENDPOINTS":null,"Nodes":[{"Id":"x","Metadata":{"Key":"V"}}]}"#;
        let service = from_json(text).expect("valid");
        assert_eq!(service.nodes[0].metadata["Key"], "V");
        assert!(service.endpoints.is_empty());
    }

    #[test]
    fn separate_ports_are_joined() {
        assert_eq!(addresses(r#"[{"address":"10.0.0.1","port":8080}]"#), ["10.0.0.1:8080"]);
        assert_eq!(addresses(r#"[{"address":"10.0.0.1:1","port":8080}]"#), ["10.0.0.1:1"]);
        assert_eq!(addresses(r#"[{"address":"::1","port":8080}]"#), ["[::1]:8080"]);
        assert_eq!(addresses(r#"[{"address":"_INBOX.x","port":0}]"#), ["_INBOX.x"]);
    }

    #[test]
    fn what_is_no_service_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"name":1}"#,
            r#"{"name":"a","nodes":{}}"#,
            r#"{"name":"a","nodes":[{"port":-1}]}"#,
        ] {
            assert!(from_json(text.as_bytes()).is_err(), "{text}");
        }
    }
}
