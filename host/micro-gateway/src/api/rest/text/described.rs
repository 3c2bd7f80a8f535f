//! By descriptors.

use super::{boolean, bytes, float, integer, short};
use crate::api::rest::fields::lower_camel;
use prost_reflect::{DynamicMessage, EnumDescriptor, Kind, MessageDescriptor};
use serde_json::Value;

/// The value of a field, one of them if it is a list.
pub(in crate::api::rest) fn value(kind: &Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::String => Ok(Value::from(text)),
        Kind::Bool => boolean(text),
        Kind::Bytes => bytes(text),
        Kind::Float | Kind::Double => float(text),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => integer::<i32>(text, "int32"),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => integer::<i64>(text, "int64"),
        Kind::Uint32 | Kind::Fixed32 => integer::<u32>(text, "uint32"),
        Kind::Uint64 | Kind::Fixed64 => integer::<u64>(text, "uint64"),
        Kind::Enum(numbers) => enumeration(numbers, text),
        Kind::Message(message) => well_known(message, text),
    }
}

/// A name, or a number, which may be one of a later version.
fn enumeration(numbers: &EnumDescriptor, text: &str) -> Result<Value, String> {
    if numbers.get_value_by_name(text).is_some() {
        return Ok(Value::from(text));
    }
    integer::<i32>(text, "enum").map_err(|_| format!("is a {}, not {}", numbers.full_name(), short(text)))
}

/// Messages whose JSON is no object.
fn well_known(message: &MessageDescriptor, text: &str) -> Result<Value, String> {
    let name = message.full_name().strip_prefix("google.protobuf.").unwrap_or_default();
    let value = match name {
        "Timestamp" | "Duration" | "StringValue" => Value::from(text),
        "FieldMask" => Value::from(text.split(',').map(lower_camel).collect::<Vec<_>>().join(",")),
        "BoolValue" => boolean(text)?,
        "BytesValue" => bytes(text)?,
        "FloatValue" | "DoubleValue" => float(text)?,
        "Int32Value" => integer::<i32>(text, "int32")?,
        "Int64Value" => integer::<i64>(text, "int64")?,
        "UInt32Value" => integer::<u32>(text, "uint32")?,
        "UInt64Value" => integer::<u64>(text, "uint64")?,
        _ => return Err(format!("is a message, {}: its fields can be given", message.full_name())),
    };
    // The reader has the last word: it knows what a timestamp is.
    match DynamicMessage::deserialize(message.clone(), &value) {
        Ok(_) => Ok(value),
        Err(_) => Err(format!("is a {}, not {}", message.full_name(), short(text))),
    }
}
