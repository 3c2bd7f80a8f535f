//! A rule against the messages of its rpc.

use crate::rule::{BodyRule, Rule};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

/// A rule that does not fit the messages of its rpc.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{method} {path}: {why}")]
pub struct CheckError {
    method: String,
    path: String,
    why: String,
}

/// Messages of `google.protobuf` whose JSON is a text or a number, so that they can stand in a path or query.
const TEXTS: [&str; 12] = [
    "Timestamp",
    "Duration",
    "FieldMask",
    "DoubleValue",
    "FloatValue",
    "Int64Value",
    "UInt64Value",
    "Int32Value",
    "UInt32Value",
    "BoolValue",
    "StringValue",
    "BytesValue",
];

/// A field that is reached through others.
#[derive(Clone, Debug)]
pub struct FieldPath {
    /// From the message's own field to the one that is meant.
    pub fields: Vec<FieldDescriptor>,
}

impl FieldPath {
    /// Whether a text can stand for one value of the field.
    pub fn takes_text(&self) -> bool {
        match self.fields.last().map(FieldDescriptor::kind) {
            Some(Kind::Message(message)) => is_text(&message),
            Some(_) => true,
            None => false,
        }
    }
}

/// Whether a text can stand for a message: it is one of `google.protobuf` whose JSON is a text or a number.
pub fn is_text(message: &MessageDescriptor) -> bool {
    let name = message.full_name().strip_prefix("google.protobuf.");
    name.is_some_and(|name| TEXTS.contains(&name))
}

/// A field by its name in the proto file or in JSON.
pub fn field(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name))
}

/// Finds `a.b.c` in a message, by the names of the proto file or those of JSON.
///
/// # Errors
/// A text that says which of the names is not there, or cannot be gone through.
pub fn field_path(message: &MessageDescriptor, path: &str) -> Result<FieldPath, String> {
    let mut fields: Vec<FieldDescriptor> = Vec::new();
    let mut message = Some(message.clone());
    for name in path.split('.') {
        let Some(within) = &message else {
            return Err(format!("{name:?} of {path:?} is in a field that has no fields"));
        };
        let Some(field) = field(within, name) else {
            return Err(format!("{} has no field {name:?}", within.full_name()));
        };
        message = match field.kind() {
            Kind::Message(inner) if !field.is_list() && !field.is_map() => Some(inner),
            _ => None,
        };
        fields.push(field);
    }
    Ok(FieldPath { fields })
}

impl Rule {
    /// Whether the fields that the rule names are there, and can hold what it puts into them.
    ///
    /// # Errors
    /// The binding that does not fit, and why.
    pub fn check(&self, rpc: &MethodDescriptor) -> Result<(), CheckError> {
        for binding in &self.bindings {
            let error = |why: String| CheckError {
                method: binding.method.clone(),
                path: binding.template.to_string(),
                why,
            };
            for variable in binding.template.variables() {
                let found = field_path(&rpc.input(), &variable.field).map_err(error)?;
                let repeated = found.fields.last().is_some_and(|field| field.is_list() || field.is_map());
                if repeated || !found.takes_text() {
                    let why =
                        format!("field {:?} cannot stand in a path: it is no single value", variable.field);
                    return Err(error(why));
                }
            }
            if let BodyRule::Field(name) = &binding.body
                && binding.template.variables().iter().any(|variable| variable.field == *name)
            {
                return Err(error(format!("field {name:?} is taken from the path, and the body too")));
            }
            if let BodyRule::Field(name) = &binding.body
                && rpc.input().get_field_by_name(name).is_none()
            {
                return Err(error(format!("body: {} has no field {name:?}", rpc.input().full_name())));
            }
            if let Some(name) = &binding.response_body
                && rpc.output().get_field_by_name(name).is_none()
            {
                return Err(error(format!(
                    "response_body: {} has no field {name:?}",
                    rpc.output().full_name()
                )));
            }
        }
        Ok(())
    }
}
