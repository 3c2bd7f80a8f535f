//! Types of `google.protobuf` that JSON shows in a form of their own.

use super::forms::{Float, Form};
use crate::payload::{self, Format, Payload};
use bytes::Bytes;
use micro_core::Error;
use prost_types::value::Kind;
use prost_types::{Duration, ListValue, Struct, Timestamp, Value};
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A timestamp (RFC 3339), a duration (`1.5s`), an empty message (`{}`), or free-form JSON.
#[derive(Debug)]
pub struct WellKnown;

/// Seconds of the years 1 to 9999, which is all that RFC 3339 can write.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// Seconds of 10,000 years, the limit of protobuf durations.
const DURATION_SECONDS: i64 = 315_576_000_000;
const NANOS: i32 = 1_000_000_000;

impl Form<Timestamp> for WellKnown {
    fn write<S: Serializer>(value: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        if !is_timestamp(value) {
            return Err(S::Error::custom("timestamp out of range"));
        }
        serializer.collect_str(value)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        // Years of RFC 3339 have four digits and no sign; the parser would take more.
        let parse = |text: &str| if text.as_bytes().get(4) == Some(&b'-') { text.parse().ok() } else { None };
        let make = |seconds, nanos| Timestamp { seconds, nanos };
        let read =
            deserializer.deserialize_any(TimeVisitor { parse, make, expected: "an RFC 3339 timestamp" })?;
        if is_timestamp(&read) { Ok(read) } else { Err(D::Error::custom("timestamp out of range")) }
    }
}

fn is_timestamp(value: &Timestamp) -> bool {
    TIMESTAMP_SECONDS.contains(&value.seconds) && (0..NANOS).contains(&value.nanos)
}

impl Form<Duration> for WellKnown {
    fn write<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        if !is_duration(value) {
            return Err(S::Error::custom("duration out of range"));
        }
        serializer.collect_str(value)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let make = |seconds, nanos| Duration { seconds, nanos };
        let parse = |text: &str| text.parse().ok();
        let read = deserializer.deserialize_any(TimeVisitor {
            parse,
            make,
            expected: "seconds such as \"1.5s\"",
        })?;
        if is_duration(&read) { Ok(read) } else { Err(D::Error::custom("duration out of range")) }
    }
}

/// In range, and both parts of one sign.
fn is_duration(value: &Duration) -> bool {
    let small = (-DURATION_SECONDS..=DURATION_SECONDS).contains(&value.seconds)
        && (-NANOS < value.nanos && value.nanos < NANOS);
    small && (value.seconds.signum() * i64::from(value.nanos.signum()) >= 0)
}

/// Reads the text form, and the object that Go's ordinary encoder makes of the generated struct.
struct TimeVisitor<T> {
    parse: fn(&str) -> Option<T>,
    make: fn(i64, i32) -> T,
    expected: &'static str,
}

impl<'de, T> Visitor<'de> for TimeVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let (mut seconds, mut nanos) = (0, 0);
        while let Some(super::Name(name)) = map.next_key()? {
            match name.as_ref() {
                "seconds" => seconds = map.next_value::<super::Read<super::Number, _>>()?.0,
                "nanos" => nanos = map.next_value::<super::Read<super::Number, _>>()?.0,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok((self.make)(seconds, nanos))
    }
}

/// `google.protobuf.Empty`.
impl Form<()> for WellKnown {
    fn write<S: Serializer>((): &(), serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_map(Some(0))?.end()
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        struct EmptyVisitor;

        impl<'de> Visitor<'de> for EmptyVisitor {
            type Value = ();

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(())
            }
        }

        deserializer.deserialize_any(EmptyVisitor)
    }
}

impl Form<Struct> for WellKnown {
    fn write<S: Serializer>(value: &Struct, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(value.fields.iter().map(|(name, value)| (name, Free(value))))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Struct, D::Error> {
        match <Self as Form<Value>>::read(deserializer)?.kind {
            Some(Kind::StructValue(members)) => Ok(members),
            _ => Err(D::Error::custom("expected an object")),
        }
    }
}

impl Form<ListValue> for WellKnown {
    fn write<S: Serializer>(value: &ListValue, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(value.values.iter().map(Free))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ListValue, D::Error> {
        match <Self as Form<Value>>::read(deserializer)?.kind {
            Some(Kind::ListValue(items)) => Ok(items),
            _ => Err(D::Error::custom("expected an array")),
        }
    }
}

impl Form<Value> for WellKnown {
    fn write<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
        match &value.kind {
            None | Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            Some(Kind::BoolValue(flag)) => serializer.serialize_bool(*flag),
            Some(Kind::NumberValue(number)) => write_number(*number, serializer),
            Some(Kind::StringValue(text)) => serializer.serialize_str(text),
            Some(Kind::ListValue(items)) => <Self as Form<ListValue>>::write(items, serializer),
            Some(Kind::StructValue(members)) => <Self as Form<Struct>>::write(members, serializer),
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }

    fn null() -> Option<Value> {
        Some(Value { kind: Some(Kind::NullValue(0)) })
    }
}

/// Infinities are refused: as strings, which is how fields write them, they would be read back as strings.
fn write_number<S: Serializer>(number: f64, serializer: S) -> Result<S::Ok, S::Error> {
    // 2^53: up to here whole floats are exact, and read better as integers.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !number.is_finite() {
        return Err(S::Error::custom("no JSON number is infinite"));
    }
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return serializer.serialize_i64(number as i64);
    }
    <Float as Form<f64>>::write(&number, serializer)
}

/// Free-form JSON, for serde.
struct Free<'a>(&'a Value);

impl Serialize for Free<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        <WellKnown as Form<Value>>::write(self.0, serializer)
    }
}

struct Owned(Value);

impl<'de> Deserialize<'de> for Owned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(kind(Kind::NullValue(0)))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(kind(Kind::BoolValue(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(kind(Kind::NumberValue(number as f64)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(kind(Kind::NumberValue(number as f64)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(kind(Kind::NumberValue(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(kind(Kind::StringValue(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Owned(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(kind(Kind::ListValue(ListValue { values })))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Struct::default();
        while let Some((name, Owned(value))) = map.next_entry()? {
            members.fields.insert(name, value);
        }
        Ok(kind(Kind::StructValue(members)))
    }
}

fn kind(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

/// A method that takes or gives `google.protobuf.Empty`.
impl Payload for () {
    fn shape() -> micro_core::Value {
        super::shape("Empty", "Empty", [])
    }

    fn to_bytes(&self, format: Format) -> Result<Bytes, Error> {
        match format {
            Format::Json => payload::to_json(&Nothing),
            Format::Protobuf => Ok(Bytes::new()),
        }
    }

    fn from_bytes(format: Format, data: &[u8]) -> Result<Self, Error> {
        match format {
            Format::Json => payload::from_json(data).map(|Nothing| ()),
            Format::Protobuf => payload::from_protobuf(data),
        }
    }
}

/// An empty object, for serde.
struct Nothing;

impl Serialize for Nothing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WellKnown::write(&(), serializer)
    }
}

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        WellKnown::read(deserializer).map(|()| Self)
    }
}
