//! The handler `api`: the HTTP request itself is the value of the call, and the answer is an HTTP response.

use super::message::{Pair, Request as Value, Response as Reply};
use super::{ID, Inner, Target};
use crate::{answer, metadata};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use micro::{Body, Format, Payload, RpcRequest, RpcResponse};
use micro_core::Error;
use std::collections::BTreeMap;

/// The content type of a body whose request does not say.
const PLAIN: &str = "text/plain; charset=UTF-8";
/// More endpoints than this that read no protobuf are asked twice again, rather than remembered.
const MOST_REMEMBERED: usize = 4096;

/// Calls `target` with the request.
pub(super) async fn serve(
    api: &Inner,
    target: &Target,
    path: String,
    request: Request,
) -> Result<Response, Error> {
    let (request, body) = request.into_parts();
    let body = answer::read_body(body, api.body_limit, api.body_timeout, ID).await?;
    let value = value(&request, path, &body);
    let reply = call(api, target, &request, &value).await;
    // Here a plain text stays a plain text, in an object of its own.
    let reply = reply.map_err(|error| answer::outside(error, &target.service, &target.endpoint))?;
    respond(reply)
}

/// In protobuf, as Go Micro does it. A service that reads JSON only refuses that before any handler runs; then, and from
/// then on, it gets JSON.
async fn call(api: &Inner, target: &Target, request: &Parts, value: &Value) -> Result<Reply, Error> {
    let key = (target.service.clone(), target.endpoint.clone());
    if !api.json_only.read().contains(&key) {
        match send(api, target, request, value, Format::Protobuf).await {
            Err(error) if error.code == 415 && error.id == "go.micro.server" => {
                let mut known = api.json_only.write();
                if known.len() < MOST_REMEMBERED {
                    known.insert(key);
                }
            }
            other => return other,
        }
    }
    send(api, target, request, value, Format::Json).await
}

async fn send(
    api: &Inner,
    target: &Target,
    request: &Parts,
    value: &Value,
    format: Format,
) -> Result<Reply, Error> {
    let (head, options) = Inner::call(target, format.content_type(), request);
    let body = Body::Unary(value.to_bytes(format)?);
    let RpcResponse { content_type, body, .. } = api.client.send(RpcRequest { head, body }, &options).await?;
    let format = Format::of(&content_type).unwrap_or(format);
    let reply = Reply::from_bytes(format, &body.into_unary().await?);
    reply.map_err(|error| {
        let detail = format!("{} did not answer with a go.api.Response: {}", target.endpoint, error.detail);
        Error::internal(ID, detail)
    })
}

/// The request as a message.
fn value(request: &Parts, path: String, body: &Bytes) -> Value {
    let media_type = metadata::media_type(&request.headers);
    let mut value = Value {
        method: request.method.to_string(),
        path,
        header: headers(request),
        get: pairs(request.uri.query().unwrap_or_default().as_bytes()),
        url: request.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        ..Value::default()
    };
    if media_type.as_deref() == Some("application/x-www-form-urlencoded") {
        value.post = pairs(body);
        return value;
    }
    match std::str::from_utf8(body) {
        Ok(text) => text.clone_into(&mut value.body),
        Err(_) => value.raw = body.to_vec(),
    }
    value
}

/// All fields by canonical name, `Host`, and the client behind those who forwarded.
fn headers(request: &Parts) -> BTreeMap<String, Pair> {
    let mut pairs = BTreeMap::new();
    let mut set = |name: &str, values: Vec<String>| {
        let mut key = String::with_capacity(name.len());
        metadata::push_canonical(&mut key, name);
        pairs.insert(key.clone(), Pair { key, values });
    };
    for name in request.headers.keys() {
        let values = request.headers.get_all(name).iter();
        set(
            name.as_str(),
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect(),
        );
    }
    if let Some(host) = request.uri.authority() {
        set("host", vec![host.to_string()]);
    }
    let peer = metadata::peer(&request.extensions).map(|it| it.ip());
    if let Some(forwarded) = metadata::forwarded_for(&request.headers, peer) {
        set("x-forwarded-for", vec![forwarded]);
    }
    if metadata::media_type(&request.headers).is_none() {
        set("content-type", vec![PLAIN.to_owned()]);
    }
    pairs
}

fn pairs(form: &[u8]) -> BTreeMap<String, Pair> {
    let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
    for (key, value) in form_urlencoded::parse(form) {
        let pair = pairs.entry(key.into_owned()).or_default();
        pair.values.push(value.into_owned());
    }
    for (key, pair) in &mut pairs {
        pair.key.clone_from(key);
    }
    pairs
}

fn respond(reply: Reply) -> Result<Response, Error> {
    let status = match reply.status_code {
        0 => StatusCode::OK,
        code => u16::try_from(code)
            .ok()
            .filter(|code| (200..=599).contains(code))
            .and_then(|code| StatusCode::from_u16(code).ok())
            .ok_or_else(|| {
                Error::internal(ID, format!("the service answered with the status code {code}"))
            })?,
    };
    let mut response = Response::new(axum::body::Body::from(reply.body));
    *response.status_mut() = status;
    *response.headers_mut() = response_headers(reply.header);
    Ok(response)
}

/// Fields that cannot stand in a response, or frame it, are left out.
fn response_headers(header: BTreeMap<String, Pair>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(header.len() + 1);
    for (key, pair) in header {
        let Ok(name) = key.parse::<HeaderName>() else {
            tracing::debug!(name = key, "the service's header field has no valid name");
            continue;
        };
        if metadata::is_hop(name.as_str()) {
            continue;
        }
        for value in pair.values {
            match HeaderValue::from_str(&value) {
                Ok(value) => _ = headers.append(name.clone(), value),
                Err(_) => tracing::debug!(name = key, "the service's header field has no valid value"),
            }
        }
    }
    headers.entry(header::CONTENT_TYPE).or_insert(answer::JSON);
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro_net::http_server::Peer;
    use std::net::SocketAddr;

    fn request(fields: &[(&str, &str)], body: &'static [u8]) -> Value {
        let request = http::Request::builder().method("POST").uri("/foo/b%20ar?q=1&q=2&e");
        let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let (mut parts, ()) = request.body(()).expect("valid").into_parts();
        let addr: SocketAddr = "10.0.0.1:7".parse().expect("an address");
        parts.extensions.insert(Peer { addr, local: addr, secure: false });
        value(&parts, "/foo/b ar".to_owned(), &Bytes::from_static(body))
    }

    fn values<'a>(map: &'a BTreeMap<String, Pair>, key: &str) -> Vec<&'a str> {
        map[key].values.iter().map(String::as_str).collect()
    }

    #[test]
    fn a_request_becomes_a_message() {
        let value = request(
            &[
                ("content-type", "application/json"),
                ("x-a", "1"),
                ("x-a", "2"),
                ("x-forwarded-for", "1.2.3.4"),
            ],
            b"{}",
        );
        assert_eq!(
            (&*value.method, &*value.path, &*value.url),
            ("POST", "/foo/b ar", "/foo/b%20ar?q=1&q=2&e")
        );
        assert_eq!(values(&value.get, "q"), ["1", "2"]);
        assert_eq!(values(&value.get, "e"), [""]);
        assert_eq!(values(&value.header, "X-A"), ["1", "2"]);
        assert_eq!(values(&value.header, "X-Forwarded-For"), ["1.2.3.4, 10.0.0.1"]);
        assert_eq!(value.header["X-A"].key, "X-A");
        assert_eq!((&*value.body, value.post.len()), ("{}", 0));
    }

    #[test]
    fn bodies_are_forms_texts_or_bytes() {
        let form =
            request(&[("content-type", "application/x-www-form-urlencoded; charset=utf-8")], b"a=1&a=2+3");
        assert_eq!((values(&form.post, "a"), &*form.body), (vec!["1", "2 3"], ""));
        let untyped = request(&[], b"a=1");
        assert_eq!((&*untyped.body, values(&untyped.header, "Content-Type")), ("a=1", vec![PLAIN]));
        let multipart =
            request(&[("content-type", "multipart/form-data; boundary=x")], b"--x\r\n\xff\r\n--x--");
        assert_eq!((&*multipart.body, &multipart.raw[..]), ("", &b"--x\r\n\xff\r\n--x--"[..]));
        assert_eq!(values(&multipart.header, "Content-Type"), ["multipart/form-data; boundary=x"]);
    }

    #[test]
    fn a_reply_becomes_a_response() {
        let pair = |key: &str, values: &[&str]| {
            (
                key.to_owned(),
                Pair { key: key.to_owned(), values: values.iter().map(|&it| it.to_owned()).collect() },
            )
        };
        let header = [
            pair("Set-Cookie", &["a=1", "b=2"]),
            pair("content-length", &["7"]),
            pair("Transfer-Encoding", &["chunked"]),
            pair("bad name", &["x"]),
            pair("X-Bad", &["a\r\nb"]),
        ];
        let reply = Reply { status_code: 201, header: header.into(), body: "{}".to_owned() };
        let response = respond(reply).expect("valid");
        let names: Vec<_> =
            response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(response.status(), 201);
        assert_eq!(
            names,
            [("set-cookie", &b"a=1"[..]), ("set-cookie", b"b=2"), ("content-type", b"application/json")]
        );
        assert_eq!(respond(Reply::default()).expect("valid").status(), 200);
        for code in [1, 100, 199, 600, -1, 65_736] {
            assert!(respond(Reply { status_code: code, ..Reply::default() }).is_err(), "{code}");
        }
    }
}
