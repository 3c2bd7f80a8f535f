//! The messages of the package `go.api`: an HTTP request and its response, as values of a call.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// A header or parameter with all its values.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Pair {
    /// The map's key again.
    #[prost(string, tag = "1")]
    pub key: String,
    /// In order.
    #[prost(string, repeated, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub values: Vec<String>,
}

/// What a handler of the kind `api` is called with.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// The HTTP method.
    #[prost(string, tag = "1")]
    pub method: String,
    /// Decoded, without the query.
    #[prost(string, tag = "2")]
    pub path: String,
    /// By canonical name (`Content-Type`).
    #[prost(btree_map = "string, message", tag = "3")]
    #[serde(deserialize_with = "or_default")]
    pub header: BTreeMap<String, Pair>,
    /// The query's parameters.
    #[prost(btree_map = "string, message", tag = "4")]
    #[serde(deserialize_with = "or_default")]
    pub get: BTreeMap<String, Pair>,
    /// The fields of an urlencoded body.
    #[prost(btree_map = "string, message", tag = "5")]
    #[serde(deserialize_with = "or_default")]
    pub post: BTreeMap<String, Pair>,
    /// The body, if it is no form and is UTF-8.
    #[prost(string, tag = "6")]
    pub body: String,
    /// As it was asked for, with the query.
    #[prost(string, tag = "7")]
    pub url: String,
    /// The body if it is not UTF-8, which `body` cannot hold. An addition to Go's message, which ignores it.
    #[prost(bytes = "vec", tag = "8")]
    #[serde(with = "base64_text", skip_serializing_if = "Vec::is_empty")]
    pub raw: Vec<u8>,
}

/// What a handler of the kind `api` answers with.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Response {
    /// 0 stands for 200.
    #[prost(int32, tag = "1")]
    #[serde(rename = "statusCode", alias = "status_code")]
    pub status_code: i32,
    /// Each value becomes a header field.
    #[prost(btree_map = "string, message", tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub header: BTreeMap<String, Pair>,
    /// Sent as it is.
    #[prost(string, tag = "3")]
    pub body: String,
}

micro::impl_proto_payload!(Request, shape("Request", &REQUEST));
micro::impl_proto_payload!(
    Response,
    shape("Response", &[("statusCode", "int32"), ("header", "map"), ("body", "string")])
);

/// What the registry shows for a request, and by which a handler of the kind `api` is recognised.
const REQUEST: [(&str, &str); 7] = [
    ("method", "string"),
    ("path", "string"),
    ("header", "map"),
    ("get", "map"),
    ("post", "map"),
    ("body", "string"),
    ("url", "string"),
];

fn shape(name: &str, fields: &[(&str, &str)]) -> micro::Value {
    let value = |name: &str, kind: &str| micro::Value {
        name: name.to_owned(),
        kind: kind.to_owned(),
        values: Vec::new(),
    };
    micro::Value {
        values: fields.iter().map(|(name, kind)| value(name, kind)).collect(),
        ..value(name, name)
    }
}

/// Go writes absent maps and lists as `null`.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(json: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(json)?.unwrap_or_default())
}

/// Bytes in JSON, as protobuf's JSON mapping has them.
mod base64_text {
    use super::{Deserialize, Deserializer, Serializer};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(json: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(json)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro::{Format, Payload};

    #[test]
    fn both_formats_hold_the_same() {
        let pair = Pair { key: "Foo".to_owned(), values: vec!["a".to_owned(), "b".to_owned()] };
        let request = Request {
            method: "PUT".to_owned(),
            header: [("Foo".to_owned(), pair)].into(),
            raw: vec![0xff, 0],
            ..Request::default()
        };
        for format in [Format::Json, Format::Protobuf] {
            let bytes = request.to_bytes(format).expect("encodes");
            assert_eq!(Request::from_bytes(format, &bytes), Ok(request.clone()), "{format:?}");
        }
    }

    #[test]
    fn members_may_be_null_or_missing() {
        let read = |text: &str| Response::from_bytes(Format::Json, text.as_bytes());
        let expected = Response { status_code: 201, body: "x".to_owned(), ..Response::default() };
        assert_eq!(read(r#"{"statusCode":201,"header":null,"body":"x"}"#), Ok(expected.clone()));
        assert_eq!(read(r#"{"status_code":201,"body":"x"}"#), Ok(expected));
        assert_eq!(read(""), Ok(Response::default()));
    }
}
