//! The routes of `google.api.http` rules.

use crate::api::Target;
use crate::openapi::{self, Messages};
use micro_core::{Endpoint, Value as Shape};
use micro_rest::{Binding, METADATA_KEY, MatchedPath, Rule, RuleError};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One binding of an endpoint.
#[derive(Clone, Debug)]
pub(in crate::api) struct RestRoute {
    pub(in crate::api) target: Target,
    pub(in crate::api) binding: Arc<Binding>,
    pub(in crate::api) request: Option<Arc<Shape>>,
    pub(in crate::api) response: Option<Arc<Shape>>,
    /// Whether the endpoint is registered as a stream.
    pub(in crate::api) stream: bool,
}

impl RestRoute {
    /// What a document says of it.
    pub(in crate::api) fn documented(&self) -> openapi::Route {
        openapi::Route {
            service: self.target.service.clone(),
            endpoint: self.target.endpoint.clone(),
            binding: self.binding.clone(),
            request: self.request.clone(),
            response: self.response.clone(),
            stream: self.stream,
            messages: Messages::Converted,
        }
    }
}

/// What is there for a request.
#[derive(Debug)]
pub(in crate::api) enum Matched {
    /// The route, and the fields in the path.
    Route(RestRoute, Vec<(String, String)>),
    /// The path is there for these methods.
    Methods(BTreeSet<String>),
    Nothing,
}

/// The routes of an endpoint; none if it has no rule.
///
/// # Errors
/// The rule cannot be followed.
pub(in crate::api) fn of_endpoint(service: &str, endpoint: &Endpoint) -> Result<Vec<RestRoute>, RuleError> {
    let Some(text) = endpoint.metadata.get(METADATA_KEY).filter(|text| !text.is_empty()) else {
        return Ok(Vec::new());
    };
    let rule = Rule::parse(text)?;
    let shape = |shape: &Option<Shape>| shape.clone().map(Arc::new);
    let (request, response) = (shape(&endpoint.request), shape(&endpoint.response));
    let route = |binding: Binding| RestRoute {
        target: Target { service: service.to_owned(), endpoint: endpoint.name.clone() },
        binding: Arc::new(binding),
        request: request.clone(),
        response: response.clone(),
        stream: endpoint.is_stream(),
    };
    Ok(rule.bindings.into_iter().map(route).collect())
}

/// The route for a request: of those that match, the one with the most literal path; of equals the first.
/// `upgrade`: it asks for a websocket, and those of streams are asked for with `GET` whatever their rule says.
pub(in crate::api) fn find<'a>(
    routes: impl Iterator<Item = &'a RestRoute>,
    method: &str,
    path: &str,
    upgrade: bool,
) -> Matched {
    let Some(path) = MatchedPath::parse(path) else {
        return Matched::Nothing;
    };
    let mut best: Option<(&RestRoute, Vec<(&str, String)>)> = None;
    let mut methods = BTreeSet::new();
    for route in routes {
        let wanted = route.binding.wants(method) || (upgrade && route.stream);
        let later = |known: &&RestRoute| known.binding.template.precedence(&route.binding.template).is_le();
        if wanted && best.as_ref().map(|(known, _)| *known).filter(later).is_some() {
            continue;
        }
        let Some(fields) = route.binding.template.matches(&path) else {
            continue;
        };
        if wanted {
            best = Some((route, fields));
        } else {
            methods.insert(route.binding.method.clone());
        }
    }
    match best {
        Some((route, fields)) => {
            let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            Matched::Route(route.clone(), fields)
        }
        None if methods.is_empty() => Matched::Nothing,
        None => {
            if methods.contains("GET") {
                methods.insert("HEAD".to_owned());
            }
            methods.insert("OPTIONS".to_owned());
            Matched::Methods(methods)
        }
    }
}
