//! The JSON record of one node (`go-micro-wire` §5.1).
//!
//! Read leniently, as Go's decoder does: `null` and missing members, member names of any letter case, addresses with a
//! separate `port` (up to Go Micro v1.7) or without. Value trees are passed on as they are.

use crate::model::{Endpoint, Health, Metadata, Node, Service};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A record that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// Not JSON, or a value tree that is not.
    #[error("not JSON: {0}")]
    Json(String),
    /// JSON of another shape.
    #[error("{member} is not {expected}")]
    Shape { member: &'static str, expected: &'static str },
}

impl From<serde_json::Error> for RecordError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }
}

/// Writes a service with exactly this node.
pub(crate) fn write(service: &Service, node: &Node) -> Result<Vec<u8>, RecordError> {
    let endpoint = |endpoint: &Endpoint| -> Result<OutEndpoint, RecordError> {
        Ok(OutEndpoint {
            name: endpoint.name.clone(),
            request: tree(&endpoint.request)?,
            response: tree(&endpoint.response)?,
            metadata: endpoint.metadata.clone(),
        })
    };
    let record = OutService {
        name: &service.name,
        version: &service.version,
        metadata: &service.metadata,
        endpoints: service.endpoints.iter().map(endpoint).collect::<Result<_, _>>()?,
        nodes: [OutNode {
            id: &node.id,
            address: &node.address,
            metadata: &node.metadata,
            health: match node.health {
                Health::Passing => None,
                Health::Warning => Some("warning"),
                Health::Critical => Some("critical"),
            },
            zone: node.zone.as_deref(),
            tags: &node.tags,
        }],
    };
    Ok(serde_json::to_vec(&record)?)
}

/// Reads a record. Its name may be missing; then it is in the key.
pub(crate) fn read(text: &[u8]) -> Result<Service, RecordError> {
    let record = match serde_json::from_slice(text)? {
        Value::Object(record) => record,
        _ => return Err(RecordError::Shape { member: "the record", expected: "an object" }),
    };
    Ok(Service {
        name: string(&record, "name")?,
        version: string(&record, "version")?,
        metadata: metadata(&record)?,
        endpoints: objects(&record, "endpoints")?.into_iter().map(read_endpoint).collect::<Result<_, _>>()?,
        nodes: objects(&record, "nodes")?.into_iter().map(read_node).collect::<Result<_, _>>()?,
    })
}

/// The members of Go's structs; `health`, `zone` and `tags` are left out when they say nothing.
#[derive(Serialize)]
struct OutService<'a> {
    name: &'a str,
    version: &'a str,
    metadata: &'a Metadata,
    endpoints: Vec<OutEndpoint>,
    nodes: [OutNode<'a>; 1],
}

#[derive(Serialize)]
struct OutEndpoint {
    name: String,
    request: Option<Box<RawValue>>,
    response: Option<Box<RawValue>>,
    metadata: Metadata,
}

#[derive(Serialize)]
struct OutNode<'a> {
    id: &'a str,
    address: &'a str,
    metadata: &'a Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
}

fn tree(text: &str) -> Result<Option<Box<RawValue>>, RecordError> {
    match text.trim() {
        "" | "null" => Ok(None),
        text => Ok(Some(RawValue::from_string(text.to_owned())?)),
    }
}

fn read_endpoint(object: &Map<String, Value>) -> Result<Endpoint, RecordError> {
    let tree = |name| member(object, name).map_or_else(|| "null".to_owned(), Value::to_string);
    Ok(Endpoint {
        name: string(object, "name")?,
        request: tree("request"),
        response: tree("response"),
        metadata: metadata(object)?,
    })
}

fn read_node(object: &Map<String, Value>) -> Result<Node, RecordError> {
    let port = match member(object, "port") {
        None => 0,
        Some(port) => port
            .as_u64()
            .and_then(|port| u16::try_from(port).ok())
            .ok_or(RecordError::Shape { member: "port", expected: "a port" })?,
    };
    let health = match string(object, "health")?.as_str() {
        "warning" => Health::Warning,
        "critical" => Health::Critical,
        // Whatever else other tools may write there says nothing against the node.
        _ => Health::Passing,
    };
    let zone = string(object, "zone")?;
    Ok(Node {
        id: string(object, "id")?,
        address: join_port(string(object, "address")?, port),
        metadata: metadata(object)?,
        health,
        zone: (!zone.is_empty()).then_some(zone),
        tags: strings(object, "tags")?,
    })
}

/// A member by its name or, like Go, by any spelling of it. `null` is absent.
fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let any_case = || object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    object.get(name).or_else(any_case).filter(|value| !value.is_null())
}

fn string(object: &Map<String, Value>, name: &'static str) -> Result<String, RecordError> {
    match member(object, name) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(RecordError::Shape { member: name, expected: "a string" }),
    }
}

fn metadata(object: &Map<String, Value>) -> Result<Metadata, RecordError> {
    let wrong = || RecordError::Shape { member: "metadata", expected: "a map of strings" };
    let Some(map) = member(object, "metadata") else { return Ok(Metadata::new()) };
    let map = map.as_object().ok_or_else(wrong)?;
    map.iter()
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            Value::Null => Ok((key.clone(), String::new())),
            _ => Err(wrong()),
        })
        .collect()
}

fn strings(object: &Map<String, Value>, name: &'static str) -> Result<Vec<String>, RecordError> {
    let wrong = || RecordError::Shape { member: name, expected: "a list of strings" };
    let Some(list) = member(object, name) else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(wrong)?;
    list.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn objects<'a>(
    object: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Vec<&'a Map<String, Value>>, RecordError> {
    let wrong = || RecordError::Shape { member: name, expected: "a list of objects" };
    let Some(list) = member(object, name) else { return Ok(Vec::new()) };
    // Go writes a nil pointer in a list as `null`.
    let items = list.as_array().ok_or_else(wrong)?.iter().filter(|item| !item.is_null());
    items.map(|item| item.as_object().ok_or_else(wrong)).collect()
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

    /// As Go Micro v2.9 writes it.
    const GO: &str = concat!(
        r#"{"name":"greeter","version":"latest","metadata":{},"endpoints":[{"name":"Say.Hello","#,
        r#""request":{"name":"Request","type":"Request","values":[{"name":"name","type":"string","values":null}]},"#,
        r#""response":null,"metadata":{"stream":"true"}}],"nodes":[{"id":"greeter-1","address":"10.0.0.1:8080","#,
        r#""metadata":{"protocol":"mucp"}}]}"#
    );

    #[test]
    fn a_record_of_go_micro_reads_and_writes_back() {
        let service = read(GO.as_bytes()).expect("valid");
        assert_eq!(service.nodes[0].metadata["protocol"], "mucp");
        let written = write(&service, &service.nodes[0]).expect("valid");
        assert_eq!(String::from_utf8(written).expect("text"), GO);
    }

    #[test]
    fn our_own_members_read_and_write_back() {
        let node = Node {
            id: "a-1".into(),
            health: Health::Critical,
            zone: Some("eu".into()),
            tags: vec!["blue".into()],
            ..Node::default()
        };
        let service = Service { name: "a".into(), nodes: vec![node.clone()], ..Service::default() };
        let text = write(&service, &node).expect("valid");
        assert_eq!(read(&text).expect("valid"), service);
    }

    #[test]
    fn null_missing_and_other_spellings_are_read() {
        let text = br#"{"Name":"a","metadata":null,"ENDPOINTS":null,"Nodes":[null,{"Id":"x","Metadata":{"Key":"V"}}]}"#;
        let service = read(text).expect("valid");
        assert_eq!((service.name.as_str(), service.nodes.len()), ("a", 1));
        assert_eq!(service.nodes[0].metadata["Key"], "V");
    }

    #[test]
    fn separate_ports_are_joined() {
        let address = |node: &str| {
            let text = format!(r#"{{"nodes":[{node}]}}"#);
            read(text.as_bytes()).expect("valid").nodes.remove(0).address
        };
        assert_eq!(address(r#"{"address":"10.0.0.1","port":8080}"#), "10.0.0.1:8080");
        assert_eq!(address(r#"{"address":"10.0.0.1:1","port":8080}"#), "10.0.0.1:1");
        assert_eq!(address(r#"{"address":"::1","port":8080}"#), "[::1]:8080");
        assert_eq!(address(r#"{"address":"queue","port":null}"#), "queue");
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let deep = "[".repeat(100_000);
        let wrong = [
            "",
            "[]",
            "7",
            "nope",
            "\u{0}",
            &deep,
            r#"{"name":1}"#,
            r#"{"nodes":{}}"#,
            r#"{"nodes":[1]}"#,
            r#"{"nodes":[{"port":-1}]}"#,
            r#"{"nodes":[{"port":"80"}]}"#,
            r#"{"metadata":{"a":1}}"#,
            r#"{"metadata":[]}"#,
            r#"{"nodes":[{"tags":[1]}]}"#,
            r#"{"endpoints":["x"]}"#,
        ];
        for text in wrong {
            assert!(read(text.as_bytes()).is_err(), "{}", &text[..text.len().min(40)]);
        }
        let endpoint = Endpoint { request: "{".into(), ..Endpoint::default() };
        let service = Service { endpoints: vec![endpoint], ..Service::default() };
        assert!(write(&service, &Node::default()).is_err());
    }
}
