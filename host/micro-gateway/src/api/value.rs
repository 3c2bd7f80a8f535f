//! The handler `rpc`: the body of the request is the value of the call, and is not looked into without need.

use super::rest::{Codec, JsonForm};
use super::routes::Found;
use super::{ID, Inner, METHODS, envelope, query, stream, websocket};
use crate::{answer, metadata};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use micro::{Body, RpcRequest};
use micro_core::Error;

/// How a request's content type is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Treatment {
    /// Of the answer.
    named: &'static str,
    /// Of the call.
    sent: &'static str,
    body: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// JSON, into which a query can be merged.
    Json,
    JsonRpc,
    Urlencoded,
    /// A protobuf message.
    Bytes,
    ProtoRpc,
}

const AS_JSON: &str = "application/json";
const AS_PROTOBUF: &str = "application/protobuf";

impl Treatment {
    /// What is not known is taken for JSON.
    fn of(media_type: Option<&str>) -> Self {
        let json = |named, body| Self { named, sent: AS_JSON, body };
        let proto = |named, body| Self { named, sent: AS_PROTOBUF, body };
        match media_type {
            Some("application/json-rpc") => json("application/json-rpc", Form::JsonRpc),
            Some("application/grpc+json") => json("application/grpc+json", Form::Json),
            // The second one is a slip of Go Micro's that clients have copied.
            Some("application/x-www-form-urlencoded" | "application/www-x-form-urlencoded") => {
                json(AS_JSON, Form::Urlencoded)
            }
            Some("application/protobuf") => proto(AS_PROTOBUF, Form::Bytes),
            Some("application/proto") => proto("application/proto", Form::Bytes),
            Some("application/x-protobuf") => proto("application/x-protobuf", Form::Bytes),
            Some("application/grpc") => proto("application/grpc", Form::Bytes),
            Some("application/grpc+proto") => proto("application/grpc+proto", Form::Bytes),
            Some("application/proto-rpc") => proto("application/proto-rpc", Form::ProtoRpc),
            Some("application/octet-stream") => proto("application/octet-stream", Form::ProtoRpc),
            _ => json(AS_JSON, Form::Json),
        }
    }

    /// The value of the call.
    fn value(self, body: Bytes, query: Option<&str>, found: &Found) -> Result<Bytes, Error> {
        match self.body {
            Form::Bytes | Form::ProtoRpc if !found.variables.is_empty() => {
                let detail = "the variables of this path need a request in JSON: send application/json";
                Err(Error::new(ID, 415, detail))
            }
            Form::Bytes => Ok(body),
            Form::ProtoRpc if body.is_empty() => Ok(body),
            Form::ProtoRpc => envelope::proto_rpc(body),
            Form::Urlencoded => merged(query::form_to_json(&body, query), None, found),
            Form::JsonRpc if !body.is_empty() => merged(envelope::json_rpc(&body)?, query, found),
            Form::Json | Form::JsonRpc => merged(body, query, found),
        }
    }
}

/// Parameters of the query, variables of the path, and the body, the later ones before the earlier ones. A body alone
/// stays as it is.
fn merged(body: Bytes, query: Option<&str>, found: &Found) -> Result<Bytes, Error> {
    let mut query = query::Query::parse(query.unwrap_or_default())?;
    for (name, value) in &found.variables {
        query.set(name, value);
    }
    if let Some(shape) = &found.traits.request {
        query.conform(shape);
    }
    match &found.body {
        Some(field) if !body.is_empty() => {
            query.set_json(field, &body)?;
            query.with_body(b"")
        }
        _ if !query.is_empty() => query.with_body(&body),
        _ if body.is_empty() => Ok(Bytes::from_static(b"{}")),
        _ => Ok(body),
    }
}

/// Calls the endpoint with the request's body.
pub(super) async fn serve(api: &Inner, found: &Found, request: Request) -> Result<Response, Error> {
    if request.method() == Method::OPTIONS {
        return Ok(answer::allow(METHODS));
    }
    if found.traits.stream && websocket::is_wanted(request.headers()) {
        return open(api, found, request);
    }
    let (request, body) = request.into_parts();
    let body = answer::read_body(body, api.body_limit, api.body_timeout, ID).await?;
    let treatment = Treatment::of(metadata::type_of_body(&request.headers, &body).as_deref());
    let value = treatment.value(body, request.uri.query(), found)?;
    let target = &found.target;
    let (mut head, options) = Inner::call(target, treatment.sent, &request);
    if found.traits.stream {
        if treatment.sent != AS_JSON {
            let detail = "a stream over plain HTTP is in JSON: send application/json, or open a websocket";
            return Err(Error::new(ID, 415, detail));
        }
        head.stream = true;
        return stream::serve(api, head, options, vec![value], as_it_is(), &request, None).await;
    }
    let body = Body::Unary(value);
    let outcome =
        async { api.client.send(RpcRequest { head, body }, &options).await?.body.into_unary().await };
    let reply =
        outcome.await.map_err(|error| answer::of_call(error, ID, &target.service, &target.endpoint))?;
    if reply.is_empty() {
        return Ok(answer::empty(StatusCode::NO_CONTENT));
    }
    Ok(answer::content(StatusCode::OK, HeaderValue::from_static(treatment.named), reply))
}

/// Messages are not looked into.
fn as_it_is() -> Codec {
    Codec::new(None, JsonForm::Rpc)
}

/// Opens a stream over a websocket. What the path and the query say is its first message.
fn open(api: &Inner, found: &Found, request: Request) -> Result<Response, Error> {
    let query = request.uri().query().filter(|query| !query.is_empty());
    let says_something = query.is_some() || !found.variables.is_empty();
    let first = says_something.then(|| merged(Bytes::new(), query, found)).transpose()?;
    websocket::serve(api, &found.target, as_it_is(), first, request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::routes::Traits;
    use crate::api::{HandlerKind, Target};

    fn routed(
        found: &Found,
        media_type: &str,
        body: &'static str,
        query: Option<&str>,
    ) -> Result<Bytes, Error> {
        Treatment::of(Some(media_type)).value(Bytes::from_static(body.as_bytes()), query, found)
    }

    fn value(media_type: &str, body: &'static str, query: Option<&str>) -> Result<Bytes, Error> {
        routed(&by_path(&[], None), media_type, body, query)
    }

    fn by_path(variables: &[(&str, &str)], body: Option<&str>) -> Found {
        Found {
            target: Target { service: "a".to_owned(), endpoint: "B.C".to_owned() },
            handler: HandlerKind::Rpc,
            variables: variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: body.map(str::to_owned),
            traits: Traits::default(),
        }
    }

    #[test]
    fn variables_of_the_path_become_members() {
        let found = by_path(&[("id", "7")], None);
        let json = routed(&found, "application/json", r#"{"name":"x"}"#, Some("id=1&q=2"));
        assert_eq!(json.as_deref(), Ok(&br#"{"id":7,"name":"x","q":2}"#[..]));
        assert_eq!(routed(&found, "application/json", "", None).as_deref(), Ok(&br#"{"id":7}"#[..]));
        let form = routed(&found, "application/x-www-form-urlencoded", "name=x", None);
        assert_eq!(form.as_deref(), Ok(&br#"{"id":7,"name":"x"}"#[..]));
        assert_eq!(routed(&found, "application/protobuf", "", None).expect_err("no JSON").code, 415);
        let inside = routed(&by_path(&[("id", "7")], Some("user")), "application/json", r#"{"a":1}"#, None);
        assert_eq!(inside.as_deref(), Ok(&br#"{"id":7,"user":{"a":1}}"#[..]));
    }

    #[test]
    fn unknown_types_are_json() {
        for media_type in [None, Some("text/plain"), Some("application/json"), Some("application/xml")] {
            assert_eq!(
                Treatment::of(media_type),
                Treatment { named: AS_JSON, sent: AS_JSON, body: Form::Json }
            );
        }
        assert_eq!(Treatment::of(Some("application/grpc+json")).sent, AS_JSON);
        assert_eq!(Treatment::of(Some("application/grpc")).sent, AS_PROTOBUF);
    }

    #[test]
    fn bodies_are_forwarded_as_they_are() {
        let odd = r#" {"a" : 1e0, "a": 2, } not JSON"#;
        assert_eq!(value("application/json", odd, None).as_deref(), Ok(odd.as_bytes()));
        assert_eq!(value("application/protobuf", "\u{1}x", Some("a=1")).as_deref(), Ok(&b"\x01x"[..]));
    }

    #[test]
    fn nothing_is_an_empty_object_in_json_and_nothing_in_protobuf() {
        for (media_type, expected) in [
            ("application/json", "{}"),
            ("application/json-rpc", "{}"),
            ("application/x-www-form-urlencoded", "{}"),
            ("application/protobuf", ""),
            ("application/octet-stream", ""),
        ] {
            assert_eq!(value(media_type, "", None).as_deref(), Ok(expected.as_bytes()), "{media_type}");
        }
    }

    #[test]
    fn queries_fill_in_what_the_body_leaves_open() {
        let json = value("application/json", r#"{"a":1}"#, Some("a=2&b=3"));
        assert_eq!(json.as_deref(), Ok(&br#"{"a":1,"b":3}"#[..]));
        let rpc = value("application/json-rpc", r#"{"params":[{"a":1}]}"#, Some("b=3"));
        assert_eq!(rpc.as_deref(), Ok(&br#"{"a":1,"b":3}"#[..]));
        let form = value("application/x-www-form-urlencoded", "a=1", Some("b=3"));
        assert_eq!(form.as_deref(), Ok(&br#"{"a":"1","b":"3"}"#[..]));
    }
}
