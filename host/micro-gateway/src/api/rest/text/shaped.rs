//! By the names that Go has for types.

use super::{boolean, bytes, float, integer};
use serde_json::Value;

/// Whether a type has no fields.
pub(in crate::api::rest) fn is_scalar(kind: &str) -> bool {
    matches!(kind, "string" | "bool" | "[]uint8" | "float32" | "float64") || is_integer(kind)
}

fn is_integer(kind: &str) -> bool {
    matches!(
        kind,
        "int" | "int8" | "int16" | "int32" | "int64" | "uint" | "uint8" | "uint16" | "uint32" | "uint64"
    )
}

/// The value of a field, whose type may be an enum, a message of `google.protobuf`, or one that nobody described.
pub(in crate::api::rest) fn value(kind: &str, text: &str) -> Result<Value, String> {
    match kind {
        "string" | "Timestamp" | "Duration" | "FieldMask" | "StringValue" => Ok(Value::from(text)),
        "bool" | "BoolValue" => boolean(text),
        "[]uint8" | "BytesValue" => bytes(text),
        "float32" | "float64" | "FloatValue" | "DoubleValue" => float(text),
        "int8" => integer::<i8>(text, kind),
        "int16" => integer::<i16>(text, kind),
        "int32" | "Int32Value" => integer::<i32>(text, "int32"),
        "int" | "int64" | "Int64Value" => integer::<i64>(text, "int64"),
        "uint8" => integer::<u8>(text, kind),
        "uint16" => integer::<u16>(text, kind),
        "uint32" | "UInt32Value" => integer::<u32>(text, "uint32"),
        "uint" | "uint64" | "UInt64Value" => integer::<u64>(text, "uint64"),
        "map" => Err("is a map: write name[key]=value".to_owned()),
        // An enum's number or name.
        _ => Ok(text.parse::<i32>().map_or_else(|_| Value::from(text), Value::from)),
    }
}

/// JSON if it is a scalar of JSON, or else a text.
pub(in crate::api::rest) fn guess(text: &str) -> Value {
    let json = serde_json::from_str::<Value>(text).ok();
    json.filter(|json| !json.is_object() && !json.is_array()).unwrap_or_else(|| Value::from(text))
}
