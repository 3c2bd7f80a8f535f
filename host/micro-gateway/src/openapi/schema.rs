//! Messages as JSON schemas.

use crate::api::JsonForm;
use micro_core::Value as Shape;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

/// The name of the schema of errors, which no message can have.
const ERROR: &str = "Error";

/// The schemas of messages, by their full names.
#[derive(Debug)]
pub(super) struct Schemas {
    form: JsonForm,
    components: Map<String, Value>,
}

impl Schemas {
    pub(super) fn new(form: JsonForm) -> Self {
        Self { form, components: Map::new() }
    }

    pub(super) fn into_components(self) -> Map<String, Value> {
        self.components
    }

    /// Go Micro's error object.
    pub(super) fn error(&mut self) -> Value {
        let text = json!({ "type": "string" });
        self.components.entry(ERROR).or_insert_with(|| {
            json!({
                "type": "object",
                "properties": { "id": text, "code": { "type": "integer" }, "detail": text, "status": text },
            })
        });
        reference(ERROR)
    }

    /// A message, which is among the components from then on.
    pub(super) fn message(&mut self, message: &MessageDescriptor) -> Value {
        if let Some(known) = self.well_known(message) {
            return known;
        }
        let name = format!("{}{}", if message.full_name() == ERROR { "." } else { "" }, message.full_name());
        if !self.components.contains_key(&name) {
            // Before its fields, which may be of the same type.
            self.components.insert(name.clone(), Value::Null);
            let member = |field: &FieldDescriptor| match self.form {
                JsonForm::Protobuf => field.json_name().to_owned(),
                JsonForm::Rpc => field.name().to_owned(),
            };
            let names: Vec<_> = message.fields().map(|field| (member(&field), field)).collect();
            let properties: Map<String, Value> =
                names.into_iter().map(|(name, field)| (name, self.field(&field))).collect();
            self.components.insert(name.clone(), json!({ "type": "object", "properties": properties }));
        }
        reference(&name)
    }

    /// A field, with all that it may hold.
    pub(super) fn field(&mut self, field: &FieldDescriptor) -> Value {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let values = self.one(&entry.map_entry_value_field());
                json!({ "type": "object", "additionalProperties": values })
            }
            _ if field.is_list() => json!({ "type": "array", "items": self.one(field) }),
            _ => self.one(field),
        }
    }

    /// One value of a field.
    pub(super) fn one(&mut self, field: &FieldDescriptor) -> Value {
        match field.kind() {
            Kind::Double => json!({ "type": "number", "format": "double" }),
            Kind::Float => json!({ "type": "number", "format": "float" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "format": "uint32" }),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => self.long("int64"),
            Kind::Uint64 | Kind::Fixed64 => self.long("uint64"),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Enum(numbers) => self.enumeration(&numbers),
            Kind::Message(message) => self.message(&message),
        }
    }

    fn long(&self, format: &str) -> Value {
        let kind = match self.form {
            JsonForm::Protobuf => "string",
            JsonForm::Rpc => "integer",
        };
        json!({ "type": kind, "format": format })
    }

    fn enumeration(&self, numbers: &EnumDescriptor) -> Value {
        match self.form {
            JsonForm::Protobuf => {
                let names: Vec<_> = numbers.values().map(|value| value.name().to_owned()).collect();
                json!({ "type": "string", "enum": names })
            }
            JsonForm::Rpc => json!({ "type": "integer" }),
        }
    }

    /// Messages whose JSON is something of their own.
    fn well_known(&self, message: &MessageDescriptor) -> Option<Value> {
        let name = message.full_name().strip_prefix("google.protobuf.")?;
        Some(match name {
            "Timestamp" => json!({ "type": "string", "format": "date-time" }),
            "Duration" => json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?s$" }),
            "FieldMask" | "StringValue" => json!({ "type": "string" }),
            "BytesValue" => json!({ "type": "string", "contentEncoding": "base64" }),
            "BoolValue" => json!({ "type": "boolean" }),
            "DoubleValue" | "FloatValue" => json!({ "type": "number" }),
            "Int32Value" | "UInt32Value" => json!({ "type": "integer" }),
            "Int64Value" | "UInt64Value" => self.long("int64"),
            "Struct" | "Any" | "Empty" => json!({ "type": "object" }),
            "ListValue" => json!({ "type": "array", "items": {} }),
            "Value" => json!({}),
            _ => return None,
        })
    }

    /// What a registry knows of a message.
    pub(super) fn shape(&self, shape: &Shape) -> Value {
        match shape.kind.as_str() {
            "string" => json!({ "type": "string" }),
            "bool" => json!({ "type": "boolean" }),
            "float32" | "float64" => json!({ "type": "number" }),
            "[]uint8" => json!({ "type": "string", "contentEncoding": "base64" }),
            "map" => json!({ "type": "object" }),
            kind if kind.starts_with("int") || kind.starts_with("uint") => json!({ "type": "integer" }),
            kind if kind.starts_with("[]") => {
                let items = shape.values.first().map_or_else(|| json!({}), |element| self.shape(element));
                json!({ "type": "array", "items": items })
            }
            _ if shape.values.is_empty() => json!({}),
            _ => {
                let member = |field: &Shape| (field.name.clone(), self.shape(field));
                let properties: Map<String, Value> = shape.values.iter().map(member).collect();
                json!({ "type": "object", "properties": properties })
            }
        }
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}
