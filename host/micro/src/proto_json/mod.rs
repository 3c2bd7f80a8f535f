//! The JSON form of protobuf messages, as Go Micro writes and reads it (`go-micro-wire` §2.6).
//!
//! Code that `micro-build` generates implements [`Message`] and [`Enumeration`]; everything else is here, so that the
//! rules stand in one place:
//!
//! | | written | read |
//! |---|---|---|
//! | member names | as in the proto file | that, or lowerCamelCase; unknown ones are passed over |
//! | unset fields | left out | missing and `null` are the default |
//! | integers, all sizes | number | number, or string with a number |
//! | enums | number | number, or name |
//! | `bytes` | standard base64 with padding | standard or URL alphabet, padding optional |
//! | not a number, infinities | `"NaN"`, `"Infinity"`, `"-Infinity"` | the same |
//! | oneof | the member that is set | the last member that is not `null` |
//! | well-known types | canonical protobuf JSON | that; timestamps and durations also as `{"seconds","nanos"}` |
//!
//! A value is described by two marker types: how one value looks ([`Form`]: [`Plain`], [`Number`], [`Nested`]…) and how
//! often it occurs ([`Field`]: [`Singular`], [`Optional`], [`Repeated`], [`Map`]…).

mod field_mask;
mod fields;
mod forms;
mod well_known;

pub use fields::{Field, Key, Map, Optional, Repeated, Required, Singular};
pub use forms::{Base64, Enum, Enumeration, Float, Form, Integer, Nested, Number, Plain, Real};
pub use well_known::WellKnown;

use micro_core::Value;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// A message whose fields are known one by one.
pub trait Message: Default {
    /// The full name in the proto file, such as `go.api.Pair`.
    const NAME: &'static str;

    /// Writes the fields that are set, in the order of the proto file.
    ///
    /// # Errors
    /// Those of the serializer, and values without a JSON form (a timestamp out of range).
    fn write<S: SerializeMap>(&self, members: &mut Members<'_, S>) -> Result<(), S::Error>;

    /// Reads the field that `member` names; passes over a member that it does not know.
    ///
    /// # Errors
    /// Those of the deserializer, and values that do not fit the field.
    fn read<'de, A: MapAccess<'de>>(&mut self, member: Member<'_, A>) -> Result<(), A::Error>;
}

/// Where [`Message::write`] puts its fields.
#[derive(Debug)]
pub struct Members<'a, S> {
    map: &'a mut S,
}

impl<S: SerializeMap> Members<'_, S> {
    /// Writes a field unless it is unset.
    ///
    /// # Errors
    /// Those of the serializer, and values without a JSON form.
    pub fn field<F: Field<T>, T>(&mut self, name: &'static str, value: &T) -> Result<(), S::Error> {
        if F::is_unset(value) {
            return Ok(());
        }
        self.map.serialize_entry(name, &fields::WriteField::<F, T>(value, PhantomData))
    }
}

/// One member of an object that is being read: its name, and its value that can be taken once.
#[derive(Debug)]
pub struct Member<'a, A> {
    name: &'a str,
    map: &'a mut A,
}

impl<'a, 'de, A: MapAccess<'de>> Member<'a, A> {
    /// The name as the peer wrote it.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Reads the value into a field. `null` resets the field.
    ///
    /// # Errors
    /// Those of the deserializer, and values that do not fit the field.
    pub fn field<F: Field<T>, T>(self, field: &mut T) -> Result<(), A::Error> {
        *field = self.map.next_value::<fields::ReadField<F, T>>()?.0;
        Ok(())
    }

    /// Reads the value of a oneof's member; nothing for `null`.
    ///
    /// # Errors
    /// Those of the deserializer, and values that do not fit the form.
    pub fn variant<F: Form<T>, T>(self) -> Result<Option<T>, A::Error> {
        Ok(self.map.next_value::<fields::ReadField<Optional<F>, Option<T>>>()?.0)
    }

    /// Passes over the value.
    ///
    /// # Errors
    /// Malformed input.
    pub fn skip(self) -> Result<(), A::Error> {
        self.map.next_value::<IgnoredAny>().map(|_| ())
    }
}

/// Writes a message as an object. The body of its `serde::Serialize`.
///
/// # Errors
/// Those of the serializer, and values without a JSON form.
pub fn serialize<M: Message, S: Serializer>(message: &M, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    message.write(&mut Members { map: &mut map })?;
    map.end()
}

/// Reads a message from an object; `null` is the default. The body of its `serde::Deserialize`.
///
/// # Errors
/// Those of the deserializer, and values that do not fit their field; the text names the field.
pub fn deserialize<'de, M: Message, D: Deserializer<'de>>(deserializer: D) -> Result<M, D::Error> {
    deserializer.deserialize_any(MessageVisitor(PhantomData))
}

struct MessageVisitor<M>(PhantomData<M>);

impl<'de, M: Message> Visitor<'de> for MessageVisitor<M> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object for {}", M::NAME)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
        let mut message = M::default();
        while let Some(Name(name)) = map.next_key()? {
            let member = Member { name: &name, map: &mut map };
            message.read(member).map_err(|error| A::Error::custom(format_args!("{name}: {error}")))?;
        }
        Ok(message)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<M, E> {
        Ok(M::default())
    }
}

/// A member's name, borrowed from the input where it has no escapes.
struct Name<'de>(std::borrow::Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(name.to_owned().into()))
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(name.into()))
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

/// A node of a message's shape: shorter than the literal in generated code.
pub fn shape<const N: usize>(name: &str, kind: &str, values: [Value; N]) -> Value {
    Value { name: name.to_owned(), kind: kind.to_owned(), values: values.into() }
}

/// A value in its form, for serde.
struct Write<'a, F, T>(&'a T, PhantomData<F>);

impl<F: Form<T>, T> Serialize for Write<'_, F, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        F::write(self.0, serializer)
    }
}

/// A value that is there, for serde.
struct Read<F, T>(T, PhantomData<F>);

impl<'de, F: Form<T>, T> Deserialize<'de> for Read<F, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        F::read(deserializer).map(|value| Self(value, PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Pair {
        key: String,
        values: Vec<i64>,
    }

    impl Message for Pair {
        const NAME: &'static str = "test.Pair";

        fn write<S: SerializeMap>(&self, members: &mut Members<'_, S>) -> Result<(), S::Error> {
            members.field::<Singular<Plain>, _>("key", &self.key)?;
            members.field::<Repeated<Number>, _>("values", &self.values)
        }

        fn read<'de, A: MapAccess<'de>>(&mut self, member: Member<'_, A>) -> Result<(), A::Error> {
            match member.name() {
                "key" => member.field::<Singular<Plain>, _>(&mut self.key),
                "values" => member.field::<Repeated<Number>, _>(&mut self.values),
                _ => member.skip(),
            }
        }
    }

    fn write(pair: &Pair) -> String {
        let mut text = Vec::new();
        serialize(pair, &mut serde_json::Serializer::new(&mut text)).expect("serializes");
        String::from_utf8(text).expect("text")
    }

    fn read(text: &str) -> Result<Pair, String> {
        deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn fields_are_written_and_read_one_by_one() {
        let pair = Pair { key: "a".to_owned(), values: vec![1, -2] };
        assert_eq!(write(&pair), r#"{"key":"a","values":[1,-2]}"#);
        assert_eq!(read(&write(&pair)), Ok(pair));
        assert_eq!(write(&Pair::default()), "{}");
        assert_eq!(
            read(r#"{"other":[{}],"values":["7"],"key":null}"#),
            Ok(Pair { values: vec![7], ..Pair::default() })
        );
    }

    #[test]
    fn errors_name_the_field_or_the_message() {
        let error = read(r#"{"values":[1.5]}"#).expect_err("no integer");
        assert!(error.starts_with("values: ") && error.contains("1.5"), "{error}");
        let error = read("[]").expect_err("no object");
        assert!(error.contains("test.Pair"), "{error}");
    }
}
