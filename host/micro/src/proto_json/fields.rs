//! How often a field occurs, and what a missing one means.

use super::forms::{Form, parse_integer};
use super::{Read, Write};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

/// How a field of type `T` looks in JSON.
pub trait Field<T> {
    /// Whether the member is left out.
    fn is_unset(value: &T) -> bool;

    /// Writes the member's value.
    ///
    /// # Errors
    /// Those of the serializer, and values without a JSON form.
    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads the member's value, which may be `null`.
    ///
    /// # Errors
    /// Those of the deserializer, and values that do not fit.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>;
}

/// A field without presence: left out when it has its default.
#[derive(Debug)]
pub struct Singular<F>(PhantomData<F>);

impl<F: Form<T>, T: Default + PartialEq> Field<T> for Singular<F> {
    fn is_unset(value: &T) -> bool {
        *value == T::default()
    }

    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        F::write(value, serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        or_null::<F, T, D>(deserializer).map(Option::unwrap_or_default)
    }
}

/// A field that is always written: proto2's `required`, and a oneof's member that is set.
#[derive(Debug)]
pub struct Required<F>(PhantomData<F>);

impl<F: Form<T>, T: Default> Field<T> for Required<F> {
    fn is_unset(_: &T) -> bool {
        false
    }

    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        F::write(value, serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        or_null::<F, T, D>(deserializer).map(Option::unwrap_or_default)
    }
}

/// A field with presence: a message, or a scalar marked `optional`.
#[derive(Debug)]
pub struct Optional<F>(PhantomData<F>);

impl<F: Form<T>, T> Field<Option<T>> for Optional<F> {
    fn is_unset(value: &Option<T>) -> bool {
        value.is_none()
    }

    fn write<S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => F::write(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        or_null::<F, T, D>(deserializer)
    }
}

/// A list. A `null` element is the element's default.
#[derive(Debug)]
pub struct Repeated<F>(PhantomData<F>);

impl<F: Form<T>, T: Default> Field<Vec<T>> for Repeated<F> {
    fn is_unset(value: &Vec<T>) -> bool {
        value.is_empty()
    }

    fn write<S: Serializer>(value: &Vec<T>, serializer: S) -> Result<S::Ok, S::Error> {
        let mut items = serializer.serialize_seq(Some(value.len()))?;
        for item in value {
            items.serialize_element(&Write::<F, T>(item, PhantomData))?;
        }
        items.end()
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
        struct Items<F, T>(PhantomData<(F, T)>);

        impl<'de, F: Form<T>, T: Default> Visitor<'de> for Items<F, T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element::<ReadField<Required<F>, T>>()? {
                    list.push(item.0);
                }
                Ok(list)
            }

            fn visit_unit<E>(self) -> Result<Vec<T>, E> {
                Ok(Vec::new())
            }
        }

        deserializer.deserialize_any(Items::<F, T>(PhantomData))
    }
}

/// A map, written in the order of its keys, which are the members' names. A `null` value is the value's default.
#[derive(Debug)]
pub struct Map<F>(PhantomData<F>);

impl<K: Key + Ord, F: Form<T>, T: Default> Field<BTreeMap<K, T>> for Map<F> {
    fn is_unset(value: &BTreeMap<K, T>) -> bool {
        value.is_empty()
    }

    fn write<S: Serializer>(value: &BTreeMap<K, T>, serializer: S) -> Result<S::Ok, S::Error> {
        write_map::<K, F, T, S>(value.iter(), serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<K, T>, D::Error> {
        read_map::<_, K, F, T, D>(deserializer)
    }
}

impl<K: Key + Ord + Hash, F: Form<T>, T: Default> Field<HashMap<K, T>> for Map<F> {
    fn is_unset(value: &HashMap<K, T>) -> bool {
        value.is_empty()
    }

    fn write<S: Serializer>(value: &HashMap<K, T>, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries: Vec<_> = value.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        write_map::<K, F, T, S>(entries.into_iter(), serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HashMap<K, T>, D::Error> {
        read_map::<_, K, F, T, D>(deserializer)
    }
}

/// A map's key. In JSON it is a string, whatever its type.
pub trait Key: fmt::Display + Sized {
    /// The key that a member's name spells.
    fn parse(name: &str) -> Option<Self>;
}

impl Key for String {
    fn parse(name: &str) -> Option<Self> {
        Some(name.to_owned())
    }
}

impl Key for bool {
    fn parse(name: &str) -> Option<Self> {
        name.parse().ok()
    }
}

macro_rules! integer_keys {
    ($($integer:ty)*) => {$(
        impl Key for $integer {
            fn parse(name: &str) -> Option<Self> {
                parse_integer(name)
            }
        }
    )*};
}
integer_keys!(i32 i64 u32 u64);

fn write_map<'a, K, F, T, S>(
    entries: impl ExactSizeIterator<Item = (&'a K, &'a T)>,
    to: S,
) -> Result<S::Ok, S::Error>
where
    K: Key + 'a,
    F: Form<T>,
    T: 'a,
    S: Serializer,
{
    let mut map = to.serialize_map(Some(entries.len()))?;
    for (key, value) in entries {
        map.serialize_key(&format_args!("{key}"))?;
        map.serialize_value(&Write::<F, T>(value, PhantomData))?;
    }
    map.end()
}

fn read_map<'de, C, K, F, T, D>(deserializer: D) -> Result<C, D::Error>
where
    C: Default + Extend<(K, T)>,
    K: Key,
    F: Form<T>,
    T: Default,
    D: Deserializer<'de>,
{
    struct Entries<C, K, F, T>(PhantomData<(C, K, F, T)>);

    impl<'de, C, K, F, T> Visitor<'de> for Entries<C, K, F, T>
    where
        C: Default + Extend<(K, T)>,
        K: Key,
        F: Form<T>,
        T: Default,
    {
        type Value = C;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<C, A::Error> {
            let mut entries = C::default();
            while let Some(super::Name(name)) = map.next_key()? {
                let key = K::parse(&name)
                    .ok_or_else(|| A::Error::custom(format_args!("{name:?} is no key of this map")))?;
                let value = map.next_value::<ReadField<Required<F>, T>>()?;
                entries.extend([(key, value.0)]);
            }
            Ok(entries)
        }

        fn visit_unit<E>(self) -> Result<C, E> {
            Ok(C::default())
        }
    }

    deserializer.deserialize_any(Entries::<C, K, F, T>(PhantomData))
}

/// The value, or what the form makes of `null`.
fn or_null<'de, F: Form<T>, T, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let read = Option::<Read<F, T>>::deserialize(deserializer)?;
    Ok(read.map(|read| read.0).or_else(F::null))
}

/// A field's value, for serde.
pub(super) struct WriteField<'a, F, T>(pub(super) &'a T, pub(super) PhantomData<F>);

impl<F: Field<T>, T> Serialize for WriteField<'_, F, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        F::write(self.0, serializer)
    }
}

/// A field's value or `null`, for serde.
pub(super) struct ReadField<F, T>(pub(super) T, PhantomData<F>);

impl<'de, F: Field<T>, T> Deserialize<'de> for ReadField<F, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        F::read(deserializer).map(|value| Self(value, PhantomData))
    }
}
