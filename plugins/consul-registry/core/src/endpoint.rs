//! The JSON of one endpoint (`go-micro-wire` §5.1): read leniently, value trees passed on as they are.

use crate::model::{Endpoint, Metadata};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A value tree that is not JSON.
#[derive(Debug, thiserror::Error)]
#[error("endpoint {endpoint:?}: its {what} is not JSON: {source}")]
pub(crate) struct Malformed {
    endpoint: String,
    what: &'static str,
    source: serde_json::Error,
}

#[derive(Serialize)]
struct Written<'a> {
    name: &'a str,
    request: Option<Box<RawValue>>,
    response: Option<Box<RawValue>>,
    metadata: &'a Metadata,
}

#[derive(Deserialize)]
struct Read {
    #[serde(default, alias = "Name")]
    name: Option<String>,
    #[serde(default, alias = "Request")]
    request: Option<Box<RawValue>>,
    #[serde(default, alias = "Response")]
    response: Option<Box<RawValue>>,
    #[serde(default, alias = "Metadata")]
    metadata: Option<BTreeMap<String, Option<String>>>,
}

pub(crate) fn write(endpoint: &Endpoint) -> Result<String, Malformed> {
    let tree = |what, text: &str| match text.trim() {
        "" | "null" => Ok(None),
        text => RawValue::from_string(text.to_owned()).map(Some).map_err(|source| Malformed {
            endpoint: endpoint.name.clone(),
            what,
            source,
        }),
    };
    let written = Written {
        name: &endpoint.name,
        request: tree("request", &endpoint.request)?,
        response: tree("response", &endpoint.response)?,
        metadata: &endpoint.metadata,
    };
    serde_json::to_string(&written).map_err(|source| Malformed {
        endpoint: endpoint.name.clone(),
        what: "metadata",
        source,
    })
}

/// None: it is no endpoint.
pub(crate) fn read(text: &str) -> Option<Endpoint> {
    // A struct can be read from an array as well, which no endpoint is.
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let read: Read = serde_json::from_str(text).ok()?;
    let tree =
        |tree: Option<Box<RawValue>>| tree.map_or_else(|| "null".to_owned(), |tree| tree.get().to_owned());
    let metadata = read.metadata.unwrap_or_default().into_iter();
    Some(Endpoint {
        name: read.name.unwrap_or_default(),
        request: tree(read.request),
        response: tree(read.response),
        metadata: metadata.map(|(key, value)| (key, value.unwrap_or_default())).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_members_and_nulls_are_fine() {
        for text in ["{}", r#"{"name":null,"request":null,"response":null,"metadata":null}"#] {
            let expected =
                Endpoint { request: "null".into(), response: "null".into(), ..Endpoint::default() };
            assert_eq!(read(text), Some(expected), "{text}");
        }
        let text =
            r#"{"Name":"A.B","request":{"name":"R","values":[{"name":"x"}]},"metadata":{"k":null},"more":1}"#;
        let endpoint = read(text).expect("an endpoint");
        assert_eq!(endpoint.name, "A.B");
        assert_eq!(endpoint.request, r#"{"name":"R","values":[{"name":"x"}]}"#);
        assert_eq!(endpoint.metadata["k"], "");
    }

    #[test]
    fn what_is_no_endpoint_is_none() {
        let deep = format!(r#"{{"request":{}"#, "[".repeat(100_000));
        for text in
            ["", "[]", "null", "7", r#"["a"]"#, r#"{"name":1}"#, r#"{"metadata":{"a":1}}"#, "{", &deep]
        {
            assert_eq!(read(text), None, "{}", &text[..text.len().min(40)]);
        }
        let endpoint = Endpoint { request: "{".into(), ..Endpoint::default() };
        assert!(write(&endpoint).is_err());
    }
}
