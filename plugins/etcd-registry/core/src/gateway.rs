//! Messages of etcd's JSON gateway: base64 bytes, 64-bit numbers as strings, zero values left out.
//!
//! Reading takes `null` and missing members for zero and numbers in either form, since gateways of different etcd
//! releases (and proxies that rewrite JSON) differ there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::fmt;

/// What a status other than 200 says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) code: u32,
    pub(crate) message: String,
}

/// The gRPC status codes that this plugin tells apart.
pub(crate) mod code {
    pub(crate) const UNKNOWN: u32 = 2;
    pub(crate) const INVALID_ARGUMENT: u32 = 3;
    pub(crate) const DEADLINE_EXCEEDED: u32 = 4;
    pub(crate) const NOT_FOUND: u32 = 5;
    pub(crate) const PERMISSION_DENIED: u32 = 7;
    pub(crate) const RESOURCE_EXHAUSTED: u32 = 8;
    pub(crate) const OUT_OF_RANGE: u32 = 11;
    pub(crate) const UNIMPLEMENTED: u32 = 12;
    pub(crate) const INTERNAL: u32 = 13;
    pub(crate) const UNAVAILABLE: u32 = 14;
    pub(crate) const UNAUTHENTICATED: u32 = 16;
}

/// Texts of a backend end up in log lines.
const MAX_MESSAGE: usize = 300;

impl Status {
    /// Reads the body of an answer that is not 200: `{"error","code","message"}`, of which releases leave out one or
    /// another. What is no JSON comes from a proxy, or from an etcd without gateway; then the HTTP status has to do.
    pub(crate) fn read(http: u16, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            error: Value,
            #[serde(default)]
            message: Value,
            #[serde(default)]
            code: Value,
        }
        let answer = serde_json::from_slice::<Answer>(body).ok();
        let code = answer.as_ref().and_then(|it| it.code.as_u64()).and_then(|code| u32::try_from(code).ok());
        let text =
            answer.as_ref().and_then(|it| it.message.as_str().or(it.error.as_str()).map(str::to_owned));
        let text = text.unwrap_or_else(|| {
            let line = String::from_utf8_lossy(body);
            format!("HTTP {http} {}", line.trim().lines().next().unwrap_or_default()).trim_end().to_owned()
        });
        let code = code.filter(|code| *code != 0).unwrap_or(match http {
            400 => code::INVALID_ARGUMENT,
            401 => code::UNAUTHENTICATED,
            403 => code::PERMISSION_DENIED,
            404 | 405 | 501 => code::UNIMPLEMENTED,
            429 => code::RESOURCE_EXHAUSTED,
            500.. => code::UNAVAILABLE,
            _ => code::UNKNOWN,
        });
        Self { code, message: shorten(&text) }
    }

    /// The token is missing, expired, or older than a change of the users.
    pub(crate) fn wants_login(&self) -> bool {
        const TEXTS: [&str; 3] = ["invalid auth token", "user name is empty", "revision in header is old"];
        self.code == code::UNAUTHENTICATED || TEXTS.iter().any(|text| self.message.contains(text))
    }

    /// Another member of the cluster may do better.
    pub(crate) fn is_this_member(&self) -> bool {
        use code::{DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, UNKNOWN};
        matches!(self.code, UNAVAILABLE | DEADLINE_EXCEEDED | INTERNAL | UNKNOWN)
    }
}

pub(crate) fn shorten(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(MAX_MESSAGE).map(clean).collect()
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// All keys with a prefix, from `from` on if given.
pub(crate) fn range(prefix: &str, from: Option<&[u8]>) -> Value {
    let key = from.unwrap_or(prefix.as_bytes());
    json!({ "key": encode(key), "range_end": encode(crate::keys::range_end(prefix)) })
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct Header {
    #[serde(default, deserialize_with = "number")]
    pub(crate) cluster_id: u64,
    #[serde(default, deserialize_with = "number")]
    pub(crate) revision: u64,
}

/// A whole answer.
pub(crate) trait Answer: DeserializeOwned {
    /// Whether it holds what etcd never leaves out.
    fn is_sound(&self) -> bool;
}

impl Answer for TxnAnswer {
    fn is_sound(&self) -> bool {
        self.header.revision > 0
    }
}

impl Answer for RangeAnswer {
    fn is_sound(&self) -> bool {
        self.header.revision > 0
    }
}

impl Answer for DeleteAnswer {
    fn is_sound(&self) -> bool {
        self.header.revision > 0
    }
}

impl Answer for Lease {
    fn is_sound(&self) -> bool {
        self.id != 0
    }
}

impl Answer for Frame<Lease> {
    fn is_sound(&self) -> bool {
        self.result.is_some() || self.status().is_some()
    }
}

impl Answer for Token {
    fn is_sound(&self) -> bool {
        !self.token.is_empty()
    }
}

impl Answer for Revoked {
    fn is_sound(&self) -> bool {
        true
    }
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct RangeAnswer {
    #[serde(default, deserialize_with = "or_default")]
    header: Header,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) kvs: Vec<KeyValue>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) more: bool,
    #[serde(default, deserialize_with = "number")]
    pub(crate) count: u64,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct KeyValue {
    #[serde(default, deserialize_with = "bytes")]
    pub(crate) key: Vec<u8>,
    #[serde(default, deserialize_with = "bytes")]
    pub(crate) value: Vec<u8>,
    #[serde(default, deserialize_with = "number")]
    pub(crate) mod_revision: u64,
    /// Puts since the key was created, 1 with the first.
    #[serde(default, deserialize_with = "number")]
    pub(crate) version: u64,
    #[serde(default, deserialize_with = "lease_id")]
    pub(crate) lease: i64,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct DeleteAnswer {
    #[serde(default, deserialize_with = "or_default")]
    header: Header,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) prev_kvs: Vec<KeyValue>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct TxnAnswer {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) header: Header,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) responses: Vec<OperationAnswer>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct OperationAnswer {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) response_range: RangeAnswer,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) response_put: PutAnswer,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct PutAnswer {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) prev_kv: Option<KeyValue>,
}

/// The answer to granting a lease and to asking about one, and what a keepalive frame holds.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Lease {
    #[serde(rename = "ID", default, deserialize_with = "lease_id")]
    pub(crate) id: i64,
    /// Seconds. Absent, zero or negative when the lease is unknown or has expired.
    #[serde(rename = "TTL", default, deserialize_with = "lease_id")]
    pub(crate) ttl: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) keys: Vec<Value>,
}

/// The answer to revoking a lease, which nobody reads.
#[derive(Debug, Deserialize)]
pub(crate) struct Revoked {}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Token {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) token: String,
}

/// One line of a stream: a result or the error that ended it.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Default + Deserialize<'de>")]
pub(crate) struct Frame<T> {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) result: Option<T>,
    #[serde(default)]
    error: Value,
}

impl<T> Frame<T> {
    /// The error that ended the stream; in some releases its members are called `grpc_code` and `http_code`.
    pub(crate) fn status(&self) -> Option<Status> {
        let code =
            |name| self.error.get(name).and_then(Value::as_u64).and_then(|code| u32::try_from(code).ok());
        let message = match &self.error {
            Value::Null => return None,
            Value::String(text) => text.as_str(),
            error => error.get("message").and_then(Value::as_str).unwrap_or("an error without a message"),
        };
        let code = code("grpc_code").or(code("code")).unwrap_or(code::UNKNOWN);
        Some(Status { code, message: shorten(message) })
    }
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct WatchResult {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) header: Header,
    /// -1 for a progress report about all watches of a stream.
    #[serde(default, deserialize_with = "lease_id")]
    pub(crate) watch_id: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) created: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) canceled: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) cancel_reason: String,
    #[serde(default, deserialize_with = "number")]
    pub(crate) compact_revision: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) events: Vec<Event>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Event {
    /// `DELETE`; a put leaves it out.
    #[serde(rename = "type", default)]
    kind: Value,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) kv: KeyValue,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) prev_kv: Option<KeyValue>,
}

impl Event {
    pub(crate) fn is_delete(&self) -> bool {
        self.kind == "DELETE" || self.kind == 1
    }
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(json: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(json)?.unwrap_or_default())
}

fn number<'de, D: Deserializer<'de>>(json: D) -> Result<u64, D::Error> {
    match Value::deserialize(json)? {
        Value::Null => Ok(0),
        Value::String(text) => text.parse().map_err(de::Error::custom),
        Value::Number(number) => number.as_u64().ok_or_else(|| de::Error::custom("not a whole number")),
        _ => Err(de::Error::custom("not a number")),
    }
}

/// Lease ids are signed, and so are a few others.
fn lease_id<'de, D: Deserializer<'de>>(json: D) -> Result<i64, D::Error> {
    match Value::deserialize(json)? {
        Value::Null => Ok(0),
        Value::String(text) => text.parse().map_err(de::Error::custom),
        Value::Number(number) => number.as_i64().ok_or_else(|| de::Error::custom("not a whole number")),
        _ => Err(de::Error::custom("not a number")),
    }
}

/// Decodes without a copy of the text, since values are most of an answer.
fn bytes<'de, D: Deserializer<'de>>(json: D) -> Result<Vec<u8>, D::Error> {
    struct Base64;
    impl Visitor<'_> for Base64 {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("base64")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
            STANDARD.decode(text).map_err(E::custom)
        }

        fn visit_unit<E>(self) -> Result<Vec<u8>, E> {
            Ok(Vec::new())
        }
    }
    json.deserialize_any(Base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_as_text_as_numbers_or_not_at_all() {
        let revision = |text: &str| serde_json::from_str::<Header>(text).map(|header| header.revision).ok();
        assert_eq!(revision(r#"{"revision":"18446744073709551615"}"#), Some(u64::MAX));
        assert_eq!(revision(r#"{"revision":7}"#), Some(7));
        assert_eq!(revision(r#"{"revision":null}"#), Some(0));
        assert_eq!(revision("{}"), Some(0));
        for wrong in
            [r#"{"revision":-1}"#, r#"{"revision":"x"}"#, r#"{"revision":1e99}"#, r#"{"revision":[]}"#]
        {
            assert_eq!(revision(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn null_is_zero_everywhere() {
        let text = r#"{"header":null,"responses":[{"response_range":{"kvs":null,"more":null}},{"response_put":null}]}"#;
        let answer: TxnAnswer = serde_json::from_str(text).expect("valid");
        assert!(answer.responses[0].response_range.kvs.is_empty());
        let kv: KeyValue = serde_json::from_str(r#"{"key":"YQ\u003d\u003d","value":null}"#).expect("valid");
        assert_eq!((kv.key.as_slice(), kv.value.as_slice()), (&b"a"[..], &b""[..]));
        assert!(serde_json::from_str::<KeyValue>(r#"{"key":"!"}"#).is_err());
    }

    #[test]
    fn errors_have_a_code_however_they_come() {
        let check = |http: u16, body: &str, code: u32, message: &str| {
            assert_eq!(Status::read(http, body.as_bytes()), Status { code, message: message.to_owned() });
        };
        check(503, r#"{"error":"no leader","code":14,"message":"no leader"}"#, 14, "no leader");
        check(401, r#"{"code":16,"message":"bad","details":[]}"#, 16, "bad");
        check(400, r#"{"error":"only this"}"#, 3, "only this");
        check(502, "<html>\n<body>", 14, "HTTP 502 <html>");
        check(404, "404 page not found\n", 12, "HTTP 404 404 page not found");
        check(418, "", 2, "HTTP 418");
        check(500, "[]", 14, "HTTP 500 []");
        assert_eq!(Status::read(500, "ä".repeat(9999).as_bytes()).message.chars().count(), MAX_MESSAGE);
    }

    #[test]
    fn a_stream_says_in_two_ways_why_it_ended() {
        let status = |text: &str| serde_json::from_str::<Frame<Lease>>(text).expect("valid").status();
        let error = Some(Status { code: 14, message: "bye".into() });
        assert_eq!(status(r#"{"error":{"grpc_code":14,"http_code":503,"message":"bye"}}"#), error);
        assert_eq!(status(r#"{"error":{"code":14,"message":"bye","details":[]}}"#), error);
        assert_eq!(status(r#"{"result":{"ID":"1"}}"#), None);
        assert!(status(r#"{"error":{}}"#).is_some());
    }
}
