//! The JSON form of protobuf messages (`go-micro-wire` §2.6).

use micro::proto_json::{
    Base64, Enum, Enumeration, Float, Map, Member, Members, Message, Nested, Number, Optional, Plain,
    Repeated, Required, Singular, WellKnown, deserialize, serialize,
};
use prost_types::{Duration, FieldMask, ListValue, Struct, Timestamp, Value};
use serde::de::MapAccess;
use serde::ser::SerializeMap;
use std::collections::BTreeMap;

/// Declares a message as generated code does: its fields, each with its form.
macro_rules! message {
    ($name:ident { $($field:ident: $kind:ty => $form:ty,)* }) => {
        #[derive(Clone, Debug, Default, PartialEq)]
        struct $name {
            $($field: $kind,)*
        }

        impl Message for $name {
            const NAME: &'static str = concat!("fuzz.", stringify!($name));

            fn write<S: SerializeMap>(&self, members: &mut Members<'_, S>) -> Result<(), S::Error> {
                $(members.field::<$form, _>(stringify!($field), &self.$field)?;)*
                Ok(())
            }

            fn read<'de, A: MapAccess<'de>>(&mut self, member: Member<'_, A>) -> Result<(), A::Error> {
                match member.name() {
                    $(stringify!($field) => member.field::<$form, _>(&mut self.$field),)*
                    _ => member.skip(),
                }
            }
        }
    };
}

message!(Everything {
    text: String => Singular<Plain>,
    flag: bool => Singular<Plain>,
    int: i32 => Singular<Number>,
    long: i64 => Singular<Number>,
    unsigned: u32 => Singular<Number>,
    ulong: u64 => Singular<Number>,
    double: f64 => Singular<Float>,
    float: f32 => Singular<Float>,
    blob: Vec<u8> => Singular<Base64>,
    kind: i32 => Singular<Enum<Kind>>,
    required: u64 => Required<Number>,
    maybe: Option<i64> => Optional<Number>,
    inner: Option<Box<Everything>> => Optional<Nested<Everything>>,
    longs: Vec<i64> => Repeated<Number>,
    blobs: Vec<Vec<u8>> => Repeated<Base64>,
    inners: Vec<Everything> => Repeated<Nested<Everything>>,
    names: BTreeMap<String, i32> => Map<Number>,
    flags: BTreeMap<bool, String> => Map<Plain>,
    numbers: BTreeMap<i64, f32> => Map<Float>,
    time: Option<Timestamp> => Optional<WellKnown>,
    span: Option<Duration> => Optional<WellKnown>,
    mask: Option<FieldMask> => Optional<WellKnown>,
    value: Option<Value> => Optional<WellKnown>,
    object: Option<Struct> => Optional<WellKnown>,
    list: Option<ListValue> => Optional<WellKnown>,
    spans: Vec<Duration> => Repeated<WellKnown>,
});

#[derive(Debug)]
struct Kind;

impl Enumeration for Kind {
    fn number(name: &str) -> Option<i32> {
        match name {
            "NONE" => Some(0),
            "SOME" => Some(1),
            "LESS" => Some(-1),
            _ => None,
        }
    }
}

fn read(json: &[u8]) -> Option<Everything> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let message = deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(message)
}

/// A message with a field of every form, in JSON. What can be read can be written, and is the same when it is read
/// again; what is written is JSON, and is read by those who know no forms.
pub(crate) fn everything(data: &[u8]) {
    let Some(message) = read(data) else { return };
    let mut json = Vec::new();
    if let Err(error) = serialize(&message, &mut serde_json::Serializer::new(&mut json)) {
        // Of all that can be read only this cannot be written: `{"paths":["a,b"]}`, which Go's ordinary encoder writes.
        return assert!(error.to_string().contains("field mask"), "{error}: {message:?}");
    }
    let again = read(&json).unwrap_or_else(|| panic!("{} is not read", String::from_utf8_lossy(&json)));
    // Not a number is not even itself; its text is.
    assert_eq!(format!("{again:?}"), format!("{message:?}"));
    let plain: serde_json::Value = serde_json::from_slice(&json).expect("it is JSON");
    assert!(plain.as_object().is_some_and(|members| members.contains_key("required")));
}
