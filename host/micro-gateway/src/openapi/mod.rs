//! What the API gateway serves, as an OpenAPI 3.1 document: routes of `google.api.http` rules, and those of Go Micro's
//! endpoint metadata whose paths can be written as templates.
//!
//! A variable of several segments has a parameter for each that is open, and paths that differ in nothing but the names
//! of their parameters are one path: the document is valid, and what it describes can be called.

mod path;
mod schema;

use crate::api::JsonForm;
use crate::api::routes::Routes;
use micro_core::{Service, Value as Shape};
use micro_rest::{Binding, BodyRule};
use path::Paths;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use schema::Schemas;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Fields of fields are parameters down to this level.
const DEEPEST: usize = 3;
/// The methods that a document can have.
const METHODS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];

/// A kind of request that the gateway serves.
#[derive(Clone, Debug)]
pub struct Route {
    /// The service that answers.
    pub service: String,
    /// `Struct.Method`, or `pkg.Service/Method`.
    pub endpoint: String,
    /// The request.
    pub binding: Arc<Binding>,
    /// The shapes with which the endpoint is registered.
    pub request: Option<Arc<Shape>>,
    /// As `request`.
    pub response: Option<Arc<Shape>>,
    /// Whether it is registered as a stream.
    pub stream: bool,
    /// What requests and answers are made of.
    pub messages: Messages,
}

/// What requests and answers are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Messages {
    /// Messages in the gateway's form of JSON, where their definitions are known.
    Converted,
    /// Messages in JSON as the service reads and writes it.
    Plain,
    /// The service gets the request as it is, and what it answers is not known.
    None,
}

/// The routes that the records of a service ask for.
pub fn routes(service: &str, versions: &[Service]) -> Vec<Route> {
    let mut routes = Routes::default();
    routes.set(service, versions);
    routes.documented().collect()
}

/// A route, and what its rpc takes and gives; none where that is not known.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The route.
    pub route: Route,
    /// Its rpc.
    pub method: Option<MethodDescriptor>,
}

/// The document for some operations.
pub fn document(
    title: &str,
    version: &str,
    form: JsonForm,
    operations: impl IntoIterator<Item = Operation>,
) -> Value {
    let (mut schemas, mut paths, mut items) = (Schemas::new(form), Paths::default(), Map::new());
    let mut ids = std::collections::HashSet::<String>::new();
    for operation in operations {
        let Route { service, endpoint, binding, .. } = &operation.route;
        let Some(method) = documented_method(binding) else {
            continue;
        };
        let (path, parameters) = paths.of(&binding.template);
        let item = items.entry(path).or_insert_with(|| json!({}));
        let name = endpoint.replace(['.', '/'], "_");
        let base = format!("{}_{name}", service.replace('.', "_"));
        let numbered = (2..).map(|number: u32| format!("{base}_{number}"));
        let id = std::iter::once(base.clone()).chain(numbered).find(|id| !ids.contains(id)).unwrap_or(base);
        ids.insert(id.clone());
        let described = operation.describe(&id, parameters, &mut schemas);
        if let Some(item) = item.as_object_mut() {
            // The first who has a route keeps it, as in routing.
            item.entry(method.to_ascii_lowercase()).or_insert(described);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": version },
        "paths": items,
        "components": { "schemas": schemas.into_components() },
    })
}

/// The method that a document names: of those for any, the one that can do most. None for methods that documents do not
/// have.
fn documented_method(binding: &Binding) -> Option<&str> {
    match binding.method.as_str() {
        "*" if binding.body == BodyRule::None => Some("GET"),
        "*" => Some("POST"),
        method => METHODS.contains(&method).then_some(method),
    }
}

impl Operation {
    fn describe(&self, id: &str, path: Vec<path::Parameter>, schemas: &mut Schemas) -> Value {
        let mut parameters: Vec<Value> =
            path.iter().map(|parameter| self.in_path(parameter, schemas)).collect();
        let mut operation = Map::new();
        operation.insert("operationId".to_owned(), id.into());
        operation.insert("tags".to_owned(), json!([self.route.service]));
        if *self.taken_body() != BodyRule::Whole {
            parameters.extend(self.in_query(schemas));
        }
        if !parameters.is_empty() {
            operation.insert("parameters".to_owned(), parameters.into());
        }
        if let Some(schema) = self.body(schemas) {
            let content = json!({ "application/json": { "schema": schema } });
            operation.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
        }
        let error = json!({ "application/json": { "schema": schemas.error() } });
        let responses = match self.route.messages {
            Messages::None => json!({ "default": { "description": "What the service answers" } }),
            Messages::Converted | Messages::Plain => json!({
                "200": { "description": "The answer", "content": self.answers(schemas) },
                "default": { "description": "An error, with its code as the status", "content": error },
            }),
        };
        operation.insert("responses".to_owned(), responses);
        Value::Object(operation)
    }

    fn answers(&self, schemas: &mut Schemas) -> Value {
        let stream = self.method.as_ref().map_or(self.route.stream, |method| method.is_server_streaming());
        let kind = if stream { "application/x-ndjson" } else { "application/json" };
        let mut content = json!({ kind: { "schema": self.answer(schemas) } });
        if stream {
            content["text/event-stream"] = json!({ "schema": { "type": "string" } });
        }
        content
    }

    fn taken_body(&self) -> &BodyRule {
        &self.route.binding.body
    }

    fn request(&self) -> Option<&Shape> {
        self.route.request.as_deref()
    }

    fn in_path(&self, parameter: &path::Parameter, schemas: &mut Schemas) -> Value {
        let whole = parameter.whole.as_deref();
        let found = self.method.as_ref().zip(whole).and_then(|(method, name)| field(&method.input(), name));
        let schema = match (found, &self.method) {
            (Some(field), _) => schemas.one(&field),
            (None, None) => {
                let shape = self.request().zip(whole).and_then(|(shape, name)| part_of(shape, name));
                shape.map_or_else(|| json!({ "type": "string" }), |shape| schemas.shape(shape))
            }
            (None, Some(_)) => json!({ "type": "string" }),
        };
        let mut described =
            json!({ "name": parameter.name, "in": "path", "required": true, "schema": schema });
        if let Some(text) = &parameter.description {
            described["description"] = text.as_str().into();
        }
        described
    }

    /// The fields that neither path nor body have.
    fn in_query(&self, schemas: &mut Schemas) -> Vec<Value> {
        let mut parameters = Vec::new();
        match (&self.method, self.request()) {
            (Some(method), _) => self.fields(&method.input(), "", 1, schemas, &mut parameters),
            (None, Some(shape)) => self.parts(shape, "", 1, schemas, &mut parameters),
            (None, None) => {}
        }
        parameters
    }

    /// As [`fields`](Self::fields), of what a registry knows of a message.
    fn parts(
        &self,
        shape: &Shape,
        prefix: &str,
        depth: usize,
        schemas: &Schemas,
        parameters: &mut Vec<Value>,
    ) {
        for part in &shape.values {
            let name = format!("{prefix}{}", part.name);
            if !self.is_open(&name) || part.kind == "map" {
                continue;
            }
            let is_list = part.kind.starts_with("[]");
            if !is_list && !part.values.is_empty() {
                // Elsewhere parameters have other names for them.
                if self.route.messages == Messages::Converted && depth < DEEPEST {
                    self.parts(part, &format!("{name}."), depth + 1, schemas, parameters);
                }
                continue;
            }
            parameters.push(json!({ "name": name, "in": "query", "schema": schemas.shape(part) }));
        }
    }

    fn fields(
        &self,
        message: &MessageDescriptor,
        prefix: &str,
        depth: usize,
        schemas: &mut Schemas,
        parameters: &mut Vec<Value>,
    ) {
        for field in message.fields() {
            let name = format!("{prefix}{}", field.name());
            if !self.is_open(&name) {
                continue;
            }
            match field.kind() {
                Kind::Message(inner) if !micro_rest::is_text(&inner) => {
                    if !field.is_list() && !field.is_map() && depth < DEEPEST {
                        self.fields(&inner, &format!("{name}."), depth + 1, schemas, parameters);
                    }
                }
                _ if field.is_map() => {}
                _ => parameters.push(json!({ "name": name, "in": "query", "schema": schemas.field(&field) })),
            }
        }
    }

    fn is_open(&self, name: &str) -> bool {
        let in_path = self.route.binding.template.variables().iter().any(|variable| variable.field == name);
        let in_body = matches!(self.taken_body(), BodyRule::Field(field) if field == name);
        !(in_path || in_body)
    }

    fn body(&self, schemas: &mut Schemas) -> Option<Value> {
        match (self.taken_body(), &self.method) {
            (BodyRule::None, _) => None,
            (BodyRule::Whole, Some(method)) => Some(schemas.message(&method.input())),
            (BodyRule::Field(name), Some(method)) => {
                Some(field(&method.input(), name).map_or_else(|| json!({}), |field| schemas.field(&field)))
            }
            (BodyRule::Whole, None) => {
                Some(self.request().map_or_else(|| json!({}), |shape| schemas.shape(shape)))
            }
            (BodyRule::Field(name), None) => {
                let field = self.request().and_then(|shape| part_of(shape, name));
                Some(field.map_or_else(|| json!({}), |field| schemas.shape(field)))
            }
        }
    }

    fn answer(&self, schemas: &mut Schemas) -> Value {
        let part = self.route.binding.response_body.as_deref();
        match (&self.method, self.route.response.as_deref()) {
            (Some(method), _) => match part.and_then(|name| method.output().get_field_by_name(name)) {
                Some(field) => schemas.field(&field),
                None => schemas.message(&method.output()),
            },
            (None, Some(shape)) => {
                let part = part.and_then(|name| part_of(shape, name));
                schemas.shape(part.unwrap_or(shape))
            }
            (None, None) => json!({}),
        }
    }
}

/// `a.b` in a shape.
fn part_of<'a>(shape: &'a Shape, path: &str) -> Option<&'a Shape> {
    path.split('.').try_fold(shape, |shape, name| shape.values.iter().find(|part| part.name == name))
}

fn field(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    micro_rest::field_path(message, path).ok()?.fields.pop()
}
