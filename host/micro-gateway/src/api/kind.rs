//! Which handler serves a request.

use micro_core::{Endpoint, Value};
use std::fmt;
use std::str::FromStr;

/// How requests become calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandlerKind {
    /// Each endpoint as it was registered: its metadata `handler`, else the shape of its request.
    #[default]
    Meta,
    /// The HTTP request itself is the value: `go.api.Request` in, `go.api.Response` out.
    Api,
    /// The body is the value.
    Rpc,
    /// The request itself goes to a node of the service. No websockets.
    Http,
    /// The same, and websockets are passed on.
    Proxy,
    /// As `proxy`: for pages of people.
    Web,
}

/// A name that is no handler.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no handler {name:?}: use meta, api, rpc, http, proxy or web{}", if *.planned { " (this one is not part of this version yet)" } else { "" })]
pub struct UnknownHandler {
    name: String,
    planned: bool,
}

impl FromStr for HandlerKind {
    type Err = UnknownHandler;

    fn from_str(name: &str) -> Result<Self, UnknownHandler> {
        match name {
            "meta" => Ok(Self::Meta),
            "api" => Ok(Self::Api),
            "rpc" => Ok(Self::Rpc),
            "http" => Ok(Self::Http),
            "proxy" => Ok(Self::Proxy),
            "web" => Ok(Self::Web),
            _ => {
                let planned = matches!(name, "event" | "cloudevents");
                Err(UnknownHandler { name: name.to_owned(), planned })
            }
        }
    }
}

impl fmt::Display for HandlerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Meta => "meta",
            Self::Api => "api",
            Self::Rpc => "rpc",
            Self::Http => "http",
            Self::Proxy => "proxy",
            Self::Web => "web",
        })
    }
}

impl HandlerKind {
    /// Whether requests are passed on as they are.
    pub(super) fn is_proxy(self) -> bool {
        matches!(self, Self::Http | Self::Proxy | Self::Web)
    }

    /// What a registered endpoint wants. Without a shape it is `rpc`: that is what most endpoints are.
    ///
    /// # Errors
    /// Its metadata asks for a handler that is not there.
    pub(super) fn of_endpoint(endpoint: &Endpoint) -> Result<Self, UnknownHandler> {
        match endpoint.metadata.get("handler").map(String::as_str) {
            Some("" | "meta") | None => {}
            Some(name) => return name.parse(),
        }
        let takes_http = endpoint.request.as_ref().is_some_and(is_http_request);
        Ok(if takes_http { Self::Api } else { Self::Rpc })
    }
}

/// Whether a shape is that of `go.api.Request`. Types of this name exist elsewhere, so the fields decide.
fn is_http_request(shape: &Value) -> bool {
    let has = |field: &str| shape.values.iter().any(|value| value.name.eq_ignore_ascii_case(field));
    ["method", "path", "header", "get", "post", "body"].into_iter().all(has)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::message;
    use micro::Payload;

    fn endpoint(request: Option<Value>, handler: Option<&str>) -> Endpoint {
        let metadata = handler.map(|it| ("handler".to_owned(), it.to_owned())).into_iter().collect();
        Endpoint { name: "A.B".to_owned(), request, metadata, ..Endpoint::default() }
    }

    #[test]
    fn metadata_first_then_the_shape() {
        let http = || Some(message::Request::shape());
        let other = || Some(message::Response::shape());
        for (request, handler, expected) in [
            (http(), None, HandlerKind::Api),
            (other(), None, HandlerKind::Rpc),
            (None, None, HandlerKind::Rpc),
            (http(), Some("rpc"), HandlerKind::Rpc),
            (other(), Some("api"), HandlerKind::Api),
            (http(), Some(""), HandlerKind::Api),
            (None, Some("web"), HandlerKind::Web),
        ] {
            assert_eq!(HandlerKind::of_endpoint(&endpoint(request, handler)), Ok(expected), "{handler:?}");
        }
        assert!(HandlerKind::of_endpoint(&endpoint(None, Some("event"))).is_err());
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let text = |name: &str| name.parse::<HandlerKind>().expect_err(name).to_string();
        assert_eq!(text("x"), "no handler \"x\": use meta, api, rpc, http, proxy or web");
        assert!(text("event").contains("not part of this version yet"));
        for name in ["meta", "api", "rpc", "http", "proxy", "web"] {
            assert_eq!(name.parse::<HandlerKind>().expect(name).to_string(), name);
        }
    }
}
