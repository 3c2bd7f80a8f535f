//! `/rpc`: a call by name. Every gateway has it.
//!
//! `{"service": "go.micro.srv.greeter", "endpoint": "Say.Hello", "request": {"name": "Bob"}}`, or the same as a form.

use crate::{answer, metadata};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use micro::{Body, CallOptions, Client, RpcHead, RpcRequest};
use micro_core::Error;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The id of errors that arise here.
const ID: &str = "go.micro.rpc";
const METHODS: &str = "POST, OPTIONS";

/// Who may be called through `/rpc`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RpcAccess {
    /// Nobody: there is no `/rpc`.
    #[default]
    Off,
    /// Every service, and every address.
    Open,
    /// The services of a list, on their registered nodes.
    Only(AllowList),
}

/// Services, or endpoints of services, that may be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<String>);

impl AllowList {
    /// Each item is a service's name, or `SERVICE:ENDPOINT`. A `*` at the end stands for anything.
    pub fn new(items: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(items.into_iter().map(Into::into).collect())
    }

    /// Whether the endpoint may be called.
    pub fn allows(&self, service: &str, endpoint: &str) -> bool {
        let matches = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == pattern,
        };
        self.0.iter().any(|item| match item.split_once(':') {
            None => matches(item, service),
            Some((of, pattern)) => matches(of, service) && matches(pattern, endpoint),
        })
    }
}

/// Options of a call that a request's fields ask for.
pub(crate) fn options(headers: &HeaderMap) -> CallOptions {
    match metadata::timeout(headers) {
        Some(timeout) => CallOptions::new().timeout(timeout),
        None => CallOptions::new(),
    }
}

/// The handler of `/rpc`. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    client: Client,
    /// None: everything is allowed.
    allow: Option<Arc<AllowList>>,
    body_limit: usize,
    body_timeout: Duration,
}

/// What a request asks for.
#[derive(Debug, Default, PartialEq)]
struct Call {
    service: String,
    endpoint: String,
    address: String,
    request: Bytes,
}

impl Rpc {
    /// None if it is switched off.
    pub(crate) fn new(
        client: Client,
        access: &RpcAccess,
        body_limit: usize,
        body_timeout: Duration,
    ) -> Option<Self> {
        let allow = match access {
            RpcAccess::Off => return None,
            RpcAccess::Open => None,
            RpcAccess::Only(list) => Some(Arc::new(list.clone())),
        };
        Some(Self { client, allow, body_limit, body_timeout })
    }

    pub(crate) async fn serve(&self, request: Request) -> Response {
        match *request.method() {
            Method::POST => {}
            Method::OPTIONS => return answer::allow(METHODS),
            _ => return answer::method_not_allowed(METHODS),
        }
        match self.call(request).await {
            Ok(reply) => answer::content(StatusCode::OK, answer::JSON, reply),
            Err(error) => answer::error(&error),
        }
    }

    async fn call(&self, request: Request) -> Result<Bytes, Error> {
        let (request, body) = request.into_parts();
        let body = answer::read_body(body, self.body_limit, self.body_timeout, ID).await?;
        let call = match metadata::type_of_body(&request.headers, &body).as_deref() {
            Some("application/json") => Call::from_json(&body)?,
            _ => Call::from_form(&body, request.uri.query())?,
        };
        let Call { service, endpoint, address, request: value } = call.checked()?;
        self.check(&service, &endpoint, &address).await?;

        let mut head = RpcHead::new(&service, &endpoint, "application/json");
        let peer = metadata::peer(&request.extensions).map(|it| it.ip());
        head.metadata = metadata::from_http(&request.headers, peer);
        let mut options = options(&request.headers);
        if !address.is_empty() {
            options = options.address(address);
        }
        let request = RpcRequest { head, body: Body::Unary(value) };
        let outcome = async { self.client.send(request, &options).await?.body.into_unary().await };
        outcome.await.map_err(|error| answer::of_call(error, ID, &service, &endpoint))
    }

    /// With an allow list, an address has to be one of the service's own: behind any other there may be anything.
    async fn check(&self, service: &str, endpoint: &str, address: &str) -> Result<(), Error> {
        let Some(allow) = &self.allow else {
            return Ok(());
        };
        if !allow.allows(service, endpoint) {
            let detail = format!("{endpoint} of {service} may not be called here (see --rpc_allow)");
            return Err(Error::forbidden(ID, detail));
        }
        if address.is_empty() {
            return Ok(());
        }
        let known = self.client.registry().get(service).await.map_err(|error| {
            let detail = format!("cannot look up {service}: {}", micro_net::error_chain(&error));
            Error::internal(ID, detail)
        })?;
        let mut nodes = known.services.iter().flat_map(|version| &version.nodes);
        match nodes.any(|node| node.address == address) {
            true => Ok(()),
            false => Err(Error::forbidden(ID, format!("{address} is no address of {service}"))),
        }
    }
}

impl Call {
    /// Reads `{"service", "endpoint" or "method", "address", "request"}`, in any letter case. `request` is any JSON, or
    /// a text that holds JSON.
    fn from_json(body: &[u8]) -> Result<Self, Error> {
        let malformed = |error: serde_json::Error| Error::bad_request(ID, format!("malformed JSON: {error}"));
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(body).map_err(malformed)?;
        let mut call = Self::default();
        let mut method = String::new();
        let text = |value: &RawValue| serde_json::from_str::<Option<String>>(value.get()).map_err(malformed);
        for (key, value) in members {
            match key.to_ascii_lowercase().as_str() {
                "service" => call.service = text(value)?.unwrap_or_default(),
                "endpoint" => call.endpoint = text(value)?.unwrap_or_default(),
                "method" => method = text(value)?.unwrap_or_default(),
                "address" => call.address = text(value)?.unwrap_or_default(),
                "request" if value.get().starts_with('"') => {
                    call.request = inner_json(&text(value)?.unwrap_or_default())?;
                }
                "request" if value.get() == "null" => {}
                "request" => call.request = Bytes::copy_from_slice(value.get().as_bytes()),
                _ => {}
            }
        }
        Ok(call.or_method(method))
    }

    /// The same from the fields of a form; those of the body before those of the query.
    fn from_form(body: &[u8], query: Option<&str>) -> Result<Self, Error> {
        let mut call = Self::default();
        let mut method = String::new();
        let query = query.unwrap_or_default().as_bytes();
        for (key, value) in form_urlencoded::parse(body).chain(form_urlencoded::parse(query)) {
            let field = match &*key {
                "service" => &mut call.service,
                "endpoint" => &mut call.endpoint,
                "method" => &mut method,
                "address" => &mut call.address,
                "request" => {
                    if call.request.is_empty() {
                        call.request = inner_json(&value)?;
                    }
                    continue;
                }
                _ => continue,
            };
            if field.is_empty() {
                *field = value.into_owned();
            }
        }
        Ok(call.or_method(method))
    }

    /// `method` is the older name of the endpoint.
    fn or_method(mut self, method: String) -> Self {
        if self.endpoint.is_empty() {
            self.endpoint = method;
        }
        self
    }

    /// Refuses what cannot be called. Names end up in header fields, which end at a line break.
    fn checked(mut self) -> Result<Self, Error> {
        let odd = |text: &str| text.chars().any(|it| it.is_control() || it.is_whitespace());
        if self.service.is_empty() || odd(&self.service) {
            return Err(Error::bad_request(ID, "invalid service"));
        }
        if self.endpoint.is_empty() || odd(&self.endpoint) {
            return Err(Error::bad_request(ID, "invalid endpoint"));
        }
        if odd(&self.address) {
            return Err(Error::bad_request(ID, "invalid address"));
        }
        if self.request.is_empty() {
            self.request = Bytes::from_static(b"{}");
        }
        Ok(self)
    }
}

/// JSON that came as a text. Its numbers keep every digit.
fn inner_json(text: &str) -> Result<Bytes, Error> {
    if text.trim().is_empty() {
        return Ok(Bytes::new());
    }
    let value: &RawValue = serde_json::from_str(text)
        .map_err(|error| Error::bad_request(ID, format!("error decoding request string: {error}")))?;
    Ok(Bytes::copy_from_slice(value.get().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(request: &'static str) -> Call {
        Call {
            service: "a".to_owned(),
            endpoint: "B.C".to_owned(),
            address: String::new(),
            request: Bytes::from_static(request.as_bytes()),
        }
    }

    fn json(text: &str) -> Result<Call, Error> {
        Call::from_json(text.as_bytes())?.checked()
    }

    fn form(text: &str) -> Result<Call, Error> {
        Call::from_form(text.as_bytes(), None)?.checked()
    }

    #[test]
    fn json_in_all_its_forms() {
        for (text, request) in [
            (r#"{"service":"a","method":"B.C"}"#, "{}"),
            (r#"{"Service":"a","ENDPOINT":"B.C","method":"x","request":null}"#, "{}"),
            (
                r#"{"service":"a","endpoint":"B.C","request":{"n":12345678901234567890}}"#,
                r#"{"n":12345678901234567890}"#,
            ),
            (r#"{"service":"a","endpoint":"B.C","request":"{\"n\": 1}","address":null}"#, r#"{"n": 1}"#),
            (r#"{"service":"a","endpoint":"B.C","request":[1],"other":1}"#, "[1]"),
        ] {
            assert_eq!(json(text), Ok(call(request)), "{text}");
        }
    }

    #[test]
    fn forms_of_the_body_before_those_of_the_query() {
        assert_eq!(form("service=a&method=B.C&request=%7B%22x%22%3A1%7D"), Ok(call(r#"{"x":1}"#)));
        let mixed = Call::from_form(b"service=a", Some("service=z&endpoint=B.C&request=1")).expect("valid");
        assert_eq!(mixed, call("1"));
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for (text, detail) in [
            ("", "malformed JSON"),
            ("[]", "malformed JSON"),
            (r#"{"service":1}"#, "malformed JSON"),
            ("{}", "invalid service"),
            (r#"{"service":"a\r\nMicro-Error: x","method":"B.C"}"#, "invalid service"),
            (r#"{"service":"a"}"#, "invalid endpoint"),
            (r#"{"service":"a","method":"B C"}"#, "invalid endpoint"),
            (r#"{"service":"a","method":"B.C","request":"{"}"#, "error decoding request string"),
        ] {
            let error = json(text).expect_err(text);
            assert_eq!((error.id.as_str(), error.code), (ID, 400));
            assert!(error.detail.starts_with(detail), "{text}: {error}");
        }
        assert_eq!(form("service=a&method=B.C&request=x").expect_err("no JSON").code, 400);
    }

    #[test]
    fn lists_allow_services_and_endpoints() {
        let list = AllowList::new(["a", "b:Say.Hello", "c.*", "d:Say.*"]);
        for (service, endpoint, allowed) in [
            ("a", "X.Y", true),
            ("aa", "X.Y", false),
            ("b", "Say.Hello", true),
            ("b", "Say.Bye", false),
            ("c.d", "X.Y", true),
            ("c", "X.Y", false),
            ("d", "Say.Bye", true),
            ("d", "Debug.Stats", false),
        ] {
            assert_eq!(list.allows(service, endpoint), allowed, "{service} {endpoint}");
        }
        assert!(!AllowList::default().allows("a", "B.C"));
    }
}
