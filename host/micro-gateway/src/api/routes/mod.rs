//! Routes that services ask for: endpoints whose metadata say which requests they want.
//!
//! | key | value |
//! |---|---|
//! | `endpoint` | the RPC endpoint, unless the record's own name is meant |
//! | `handler` | `api`, `rpc`, `http`, `proxy` or `web` |
//! | `method`, `host`, `path` | what a request must have, as lists with commas; an absent list matches all |
//! | `body` | the field that receives the body; `*` or absent for the whole request |
//! | `google.api.http` | a rule of google.api.http as JSON, and then none of the others count ([`rest`](super::rest)) |

mod pattern;
mod watch;

pub(crate) use pattern::Variables;
pub(super) use watch::follow;

use super::rest::{self, Matched, RestRoute};
use super::{HandlerKind, Target};
use crate::openapi::{self, Messages};
use micro_core::{Endpoint, Service, Value};
use micro_rest::{Binding, BodyRule};
use parking_lot::Mutex;
use pattern::{Pattern, Precision};
use regex::Regex;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::sync::Arc;

/// Endpoints come from registries: of so many that cannot be routed the reason is said once, of others not at all.
const MOST_COMPLAINTS: usize = 1024;

/// An endpoint and the requests that it wants.
#[derive(Clone, Debug)]
struct Route {
    target: Target,
    handler: HandlerKind,
    methods: Vec<String>,
    hosts: Vec<Host>,
    /// Not empty: a route without a path would take everything.
    paths: Vec<Pattern>,
    body: Option<String>,
    traits: Traits,
    response: Option<Arc<Value>>,
}

/// What an endpoint's record says of its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits {
    /// The shape of its request.
    pub(super) request: Option<Arc<Value>>,
    pub(super) stream: bool,
}

impl Traits {
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        Self { request: endpoint.request.clone().map(Arc::new), stream: endpoint.is_stream() }
    }
}

#[derive(Clone, Debug)]
enum Host {
    Any,
    Regex(Regex),
    /// With or without a port.
    Exactly(String),
}

/// A request's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) target: Target,
    pub(super) handler: HandlerKind,
    /// Taken out of the path.
    pub(super) variables: Variables,
    /// The field that receives the body.
    pub(super) body: Option<String>,
    pub(super) traits: Traits,
}

/// The routes of all services.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    of: BTreeMap<String, Vec<Route>>,
    /// Of rules, by service.
    rest: BTreeMap<String, Vec<RestRoute>>,
    complaints: Complaints,
}

/// What was said about endpoints that cannot be routed. Clones are the same list.
#[derive(Clone, Debug, Default)]
struct Complaints(Arc<Mutex<HashSet<String>>>);

impl Complaints {
    fn about(&self, service: &str, endpoint: &str, error: &dyn Display) {
        let mut said = self.0.lock();
        if said.len() < MOST_COMPLAINTS && said.insert(format!("{service} {endpoint} {error}")) {
            tracing::warn!(service, endpoint, %error, "no route for this endpoint, its metadata cannot be used");
        }
    }
}

impl Routes {
    /// No routes, but what was said is not said again.
    fn cleared(&self) -> Self {
        Self { complaints: self.complaints.clone(), ..Self::default() }
    }

    /// Replaces the routes of a service. All its versions count; the first one that has an endpoint describes it.
    pub(crate) fn set(&mut self, name: &str, versions: &[Service]) {
        let mut routes: Vec<Route> = Vec::new();
        let mut rest: Vec<RestRoute> = Vec::new();
        for endpoint in versions.iter().flat_map(|version| &version.endpoints) {
            match rest::of_endpoint(name, endpoint) {
                Ok(ruled) if !ruled.is_empty() => {
                    if !rest.iter().any(|route| route.target.endpoint == endpoint.name) {
                        rest.extend(ruled);
                    }
                    continue;
                }
                Ok(_) => {}
                // Without its rule it may still have a route of the other kind.
                Err(error) => self.complaints.about(name, &endpoint.name, &error),
            }
            let known = |target: &str| routes.iter().any(|route| route.target.endpoint == target);
            match Route::read(name, endpoint, &self.complaints) {
                Some(route) if !known(&route.target.endpoint) => routes.push(route),
                _ => {}
            }
        }
        if routes.is_empty() {
            self.of.remove(name);
        } else {
            self.of.insert(name.to_owned(), routes);
        }
        if rest.is_empty() {
            self.rest.remove(name);
        } else {
            self.rest.insert(name.to_owned(), rest);
        }
    }

    /// All routes as a document has them, those of rules first, by service.
    pub(crate) fn documented(&self) -> impl Iterator<Item = openapi::Route> {
        let others = self.of.values().flatten().flat_map(Route::documented);
        self.rest.values().flatten().map(RestRoute::documented).chain(others)
    }

    /// What rules say of a request, whose path is as it came. `upgrade`: it asks for a websocket.
    pub(super) fn find_ruled(&self, method: &str, path: &str, upgrade: bool) -> Matched {
        rest::find(self.rest.values().flatten(), method, path, upgrade)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty() && self.rest.is_empty()
    }

    /// The endpoint that a request is for: of those that match, the one whose pattern spells out most of the path; of
    /// equals one that asks for a host, then for a method; then the first by name.
    pub(super) fn find(&self, method: &str, host: &str, path: &str) -> Option<Found> {
        let mut best: Option<((Precision, bool, bool), &Route, Variables)> = None;
        for route in self.of.values().flatten().filter(|route| route.wants(method, host)) {
            for pattern in &route.paths {
                let rank = (pattern.precision(), !route.hosts.is_empty(), !route.methods.is_empty());
                let better = best.as_ref().is_none_or(|(known, ..)| rank > *known);
                if better && let Some(variables) = pattern.matches(path) {
                    best = Some((rank, route, variables));
                }
            }
        }
        best.map(|(_, route, variables)| Found {
            target: route.target.clone(),
            handler: route.handler,
            variables,
            body: route.body.clone(),
            traits: route.traits.clone(),
        })
    }
}

impl Route {
    /// None for an endpoint that asks for no route, or for one that cannot be had.
    fn read(service: &str, endpoint: &Endpoint, complaints: &Complaints) -> Option<Self> {
        let list = |key: &str| items(endpoint.metadata.get(key).map(String::as_str).unwrap_or_default());
        let text = |key: &str| endpoint.metadata.get(key).map(String::as_str).filter(|text| !text.is_empty());
        let (paths, handler) = (list("path"), text("handler")?);
        if paths.is_empty() {
            return None;
        }
        let name = text("endpoint").unwrap_or(&endpoint.name);
        let ignored = |error: &dyn Display| complaints.about(service, name, error);
        if name.chars().any(|it| it.is_control() || it.is_whitespace()) {
            // It would end up in a header field.
            ignored(&"its name cannot be sent");
            return None;
        }
        let handler = handler.parse().inspect_err(|error| ignored(error)).ok()?;
        let paths: Result<Vec<_>, _> = paths.iter().map(|path| Pattern::parse(path)).collect();
        let hosts: Result<Vec<_>, _> = list("host").iter().map(|host| Host::parse(host)).collect();
        Some(Self {
            target: Target { service: service.to_owned(), endpoint: name.to_owned() },
            handler,
            methods: list("method"),
            hosts: hosts.inspect_err(|error| ignored(error)).ok()?,
            paths: paths.inspect_err(|error| ignored(error)).ok()?,
            body: text("body").filter(|field| *field != "*").map(str::to_owned),
            traits: Traits::of(endpoint),
            response: endpoint.response.clone().map(Arc::new),
        })
    }

    /// What a document says of it: nothing of paths that only a regular expression describes, and one method where any
    /// will do.
    fn documented(&self) -> impl Iterator<Item = openapi::Route> {
        let raw = !matches!(self.handler, HandlerKind::Rpc | HandlerKind::Meta);
        let any = ["POST".to_owned()];
        let methods = if self.methods.is_empty() { &any[..] } else { &self.methods };
        let bindings = self.paths.iter().filter_map(Pattern::template).flat_map(|template| {
            let binding = |method: &String| {
                let method = method.to_ascii_uppercase();
                let body = match &self.body {
                    _ if raw || matches!(&*method, "GET" | "HEAD" | "DELETE") => BodyRule::None,
                    Some(field) => BodyRule::Field(field.clone()),
                    None => BodyRule::Whole,
                };
                Binding { method, template: template.clone(), body, response_body: None }
            };
            methods.iter().map(binding).collect::<Vec<_>>()
        });
        let bindings: Vec<_> = bindings.collect();
        bindings.into_iter().map(move |binding| openapi::Route {
            service: self.target.service.clone(),
            endpoint: self.target.endpoint.clone(),
            binding: Arc::new(binding),
            request: self.traits.request.clone().filter(|_| !raw),
            response: self.response.clone().filter(|_| !raw),
            stream: self.traits.stream,
            messages: if raw { Messages::None } else { Messages::Plain },
        })
    }

    fn wants(&self, method: &str, host: &str) -> bool {
        let method = self.methods.is_empty() || self.methods.iter().any(|it| it.eq_ignore_ascii_case(method));
        method && (self.hosts.is_empty() || self.hosts.iter().any(|it| it.is(host)))
    }
}

/// The items of a list with commas. One within brackets belongs to its item: `^/a{1,2}$`.
fn items(text: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let parts = text.split(|letter: char| {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

impl Host {
    fn parse(text: &str) -> Result<Self, regex::Error> {
        match text {
            "*" => Ok(Self::Any),
            _ if text.starts_with('^') && text.ends_with('$') && text.len() > 1 => {
                pattern::anchored(text).map(Self::Regex)
            }
            _ => Ok(Self::Exactly(text.to_owned())),
        }
    }

    fn is(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Regex(regex) => regex.is_match(host),
            Self::Exactly(name) => {
                let bare =
                    host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|it| it.is_ascii_digit()));
                host.eq_ignore_ascii_case(name)
                    || bare.is_some_and(|(bare, _)| bare.eq_ignore_ascii_case(name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(name: &str, metadata: &[(&str, &str)]) -> Endpoint {
        let metadata = metadata.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Endpoint { name: name.to_owned(), metadata, ..Endpoint::default() }
    }

    fn routes(endpoints: Vec<Endpoint>) -> Routes {
        let service = Service { name: "a".to_owned(), endpoints, ..Service::default() };
        let mut routes = Routes::default();
        routes.set("a", &[service]);
        routes
    }

    fn found(routes: &Routes, method: &str, host: &str, path: &str) -> Option<String> {
        routes.find(method, host, path).map(|found| found.target.endpoint)
    }

    #[test]
    fn requests_go_to_the_endpoint_that_says_most() {
        let routes = routes(vec![
            endpoint("A.All", &[("handler", "rpc"), ("path", "/")]),
            endpoint("A.User", &[("handler", "rpc"), ("path", "/users/{id}")]),
            endpoint("A.Me", &[("handler", "api"), ("path", "/users/me, ^/me$")]),
            endpoint("A.Make", &[("handler", "rpc"), ("path", "/users/{id}"), ("method", "POST, PUT")]),
            endpoint("A.Host", &[("handler", "rpc"), ("path", "/users/{id}/x"), ("host", "example.org")]),
        ]);
        for (method, host, path, expected) in [
            ("GET", "x", "/other", "A.All"),
            ("GET", "x", "/users/7", "A.User"),
            ("GET", "x", "/users/me", "A.Me"),
            ("GET", "x", "/me", "A.Me"),
            ("GET", "x", "/users/7/x", "A.All"),
            ("GET", "Example.org:8080", "/users/7/x", "A.Host"),
        ] {
            assert_eq!(
                found(&routes, method, host, path).as_deref(),
                Some(expected),
                "{method} {host} {path}"
            );
        }
        let user = routes.find("GET", "x", "/users/7").expect("a route");
        assert_eq!(user.variables, [("id".to_owned(), "7".to_owned())]);
        assert_eq!(routes.find("GET", "x", "/users/me").expect("a route").handler, HandlerKind::Api);
    }

    #[test]
    fn the_target_and_the_body_can_be_named() {
        let named = [("handler", "rpc"), ("path", "/x"), ("endpoint", "B.C"), ("body", "user")];
        let found = routes(vec![endpoint("A.B", &named)]).find("GET", "", "/x").expect("a route");
        assert_eq!((found.target.endpoint.as_str(), found.body.as_deref()), ("B.C", Some("user")));
        let all = [("handler", "rpc"), ("path", "/x"), ("body", "*")];
        assert_eq!(routes(vec![endpoint("A.B", &all)]).find("GET", "", "/x").expect("a route").body, None);
    }

    #[test]
    fn of_equals_the_one_that_asks_for_more() {
        let all = [("handler", "rpc"), ("path", "/x/{a}")];
        let routes = routes(vec![
            endpoint("A.A", &all),
            endpoint("A.B", &[all[0], all[1], ("method", "GET")]),
            endpoint("A.C", &[all[0], all[1], ("host", "^(a|b)\\.example$")]),
            endpoint("A.D", &[("handler", "web"), ("path", "/x/{a}:y, /y/**")]),
        ]);
        for (method, host, path, expected) in [
            ("POST", "x", "/x/1", "A.A"),
            ("GET", "x", "/x/1", "A.B"),
            ("GET", "a.example", "/x/1", "A.C"),
            ("GET", "xa.example", "/x/1", "A.B"),
            ("GET", "a.example", "/x/1:y", "A.D"),
            ("GET", "x", "/y/1/2/3", "A.D"),
        ] {
            assert_eq!(
                found(&routes, method, host, path).as_deref(),
                Some(expected),
                "{method} {host} {path}"
            );
        }
        assert_eq!(routes.find("GET", "x", "/y/1").expect("a route").handler, HandlerKind::Web);
    }

    #[test]
    fn lists_are_split_outside_of_brackets() {
        assert_eq!(items(" /a , ,^/b{1,2}(c,d)[,]$,/e"), ["/a", "^/b{1,2}(c,d)[,]$", "/e"]);
        assert_eq!(items("/a},/b"), ["/a}", "/b"]);
    }

    #[test]
    fn what_is_wrong_is_said_once() {
        let bad = Service {
            endpoints: vec![endpoint("A.B", &[("handler", "rpc"), ("path", "/{")])],
            ..Service::default()
        };
        let mut routes = Routes::default();
        routes.set("a", std::slice::from_ref(&bad));
        let mut again = routes.cleared();
        again.set("a", &[bad]);
        let said = again.complaints.0.lock();
        assert_eq!(said.len(), 1);
        assert!(said.iter().all(|text| text.contains("/{")), "{said:?}");
    }

    #[test]
    fn endpoints_that_cannot_be_routed_are_left_out() {
        let routes = routes(vec![
            endpoint("A.B", &[("path", "/x")]),
            endpoint("A.C", &[("handler", "rpc")]),
            endpoint("A.D", &[("handler", "event"), ("path", "/x")]),
            endpoint("A.E", &[("handler", "rpc"), ("path", "^/x")]),
            endpoint("A.F", &[("handler", "rpc"), ("path", "/x"), ("host", "^($")]),
            endpoint("A.G", &[("handler", "rpc"), ("path", "/x"), ("endpoint", "A.G\r\nMicro-Error: x")]),
        ]);
        assert!(routes.is_empty(), "{routes:?}");
    }
}
