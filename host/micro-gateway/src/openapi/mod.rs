//! Routes of `google.api.http` rules as an OpenAPI 3.1 document.
//!
//! A variable of several segments has a parameter for each that is open, and paths that differ in nothing but the names
//! of their parameters are one path: the document is valid, and what it describes can be called.

mod path;
mod schema;

use crate::api::JsonForm;
use micro_core::Value as Shape;
use micro_rest::{Binding, BodyRule};
use path::Paths;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use schema::Schemas;
use serde_json::{Map, Value, json};

/// Fields of fields are parameters down to this level.
const DEEPEST: usize = 3;
/// The methods that a document can have.
const METHODS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];

/// One binding of an rpc.
#[derive(Clone, Debug)]
pub struct Operation<'a> {
    /// The service that answers.
    pub service: &'a str,
    /// `Struct.Method`, or `pkg.Service/Method`.
    pub endpoint: &'a str,
    /// The request.
    pub binding: &'a Binding,
    /// What the rpc takes and gives; none where that is not known.
    pub method: Option<MethodDescriptor>,
    /// The shapes with which the endpoint is registered, for want of a method.
    pub shapes: (Option<&'a Shape>, Option<&'a Shape>),
    /// Whether the answer is a stream.
    pub stream: bool,
}

/// The document for some operations.
pub fn document<'a>(
    title: &str,
    version: &str,
    form: JsonForm,
    operations: impl IntoIterator<Item = Operation<'a>>,
) -> Value {
    let (mut schemas, mut paths, mut items) = (Schemas::new(form), Paths::default(), Map::new());
    let mut ids = std::collections::HashMap::<String, usize>::new();
    for operation in operations {
        if !METHODS.contains(&operation.binding.method.as_str()) {
            continue;
        }
        let (path, parameters) = paths.of(&operation.binding.template);
        let item = items.entry(path).or_insert_with(|| json!({}));
        let name = operation.endpoint.replace(['.', '/'], "_");
        let count = ids.entry(format!("{}.{name}", operation.service)).or_default();
        *count += 1;
        let suffix = if *count > 1 { format!("_{count}") } else { String::new() };
        let id = format!("{}_{name}{suffix}", operation.service.replace('.', "_"));
        let described = operation.describe(&id, parameters, &mut schemas);
        if let Some(item) = item.as_object_mut() {
            // The first who has a route keeps it, as in routing.
            item.entry(operation.binding.method.to_ascii_lowercase()).or_insert(described);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": version },
        "paths": items,
        "components": { "schemas": schemas.into_components() },
    })
}

impl Operation<'_> {
    fn describe(&self, id: &str, path: Vec<path::Parameter>, schemas: &mut Schemas) -> Value {
        let mut parameters: Vec<Value> =
            path.iter().map(|parameter| self.in_path(parameter, schemas)).collect();
        let mut operation = Map::new();
        operation.insert("operationId".to_owned(), id.into());
        operation.insert("tags".to_owned(), json!([self.service]));
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
        let kind = if self.stream { "application/x-ndjson" } else { "application/json" };
        let mut content = json!({ kind: { "schema": self.answer(schemas) } });
        if self.stream {
            content["text/event-stream"] = json!({ "schema": { "type": "string" } });
        }
        let error = json!({ "application/json": { "schema": schemas.error() } });
        operation.insert(
            "responses".to_owned(),
            json!({
                "200": { "description": "The answer", "content": content },
                "default": { "description": "An error, with its code as the status", "content": error },
            }),
        );
        Value::Object(operation)
    }

    fn taken_body(&self) -> &BodyRule {
        &self.binding.body
    }

    fn in_path(&self, parameter: &path::Parameter, schemas: &mut Schemas) -> Value {
        let whole = parameter.whole.as_deref();
        let found = self.method.as_ref().zip(whole).and_then(|(method, name)| field(&method.input(), name));
        let schema = match found {
            Some(field) => schemas.one(&field),
            None => json!({ "type": "string" }),
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
        match (&self.method, self.shapes.0) {
            (Some(method), _) => self.fields(&method.input(), "", 1, schemas, &mut parameters),
            (None, Some(shape)) => {
                let shown = shape.values.iter().filter(|field| self.is_open(&field.name));
                parameters.extend(shown.map(
                    |field| json!({ "name": field.name, "in": "query", "schema": schemas.shape(field) }),
                ));
            }
            (None, None) => {}
        }
        parameters
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
                Kind::Message(inner) if !schema::is_text(&inner) => {
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
        let in_path = self.binding.template.variables().iter().any(|variable| variable.field == name);
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
                Some(self.shapes.0.map_or_else(|| json!({}), |shape| schemas.shape(shape)))
            }
            (BodyRule::Field(name), None) => {
                let field =
                    self.shapes.0.and_then(|shape| shape.values.iter().find(|field| field.name == *name));
                Some(field.map_or_else(|| json!({}), |field| schemas.shape(field)))
            }
        }
    }

    fn answer(&self, schemas: &mut Schemas) -> Value {
        let part = self.binding.response_body.as_deref();
        match (&self.method, self.shapes.1) {
            (Some(method), _) => match part.and_then(|name| method.output().get_field_by_name(name)) {
                Some(field) => schemas.field(&field),
                None => schemas.message(&method.output()),
            },
            (None, Some(shape)) => {
                let part = part.and_then(|name| shape.values.iter().find(|field| field.name == name));
                schemas.shape(part.unwrap_or(shape))
            }
            (None, None) => json!({}),
        }
    }
}

fn field(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    micro_rest::field_path(message, path).ok()?.fields.pop()
}
