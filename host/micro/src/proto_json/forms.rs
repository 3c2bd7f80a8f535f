//! How one value looks.

use super::Message;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// How one value of type `T` looks in JSON.
pub trait Form<T> {
    /// Writes a value.
    ///
    /// # Errors
    /// Those of the serializer, and values without a JSON form.
    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads a value that is not `null`.
    ///
    /// # Errors
    /// Those of the deserializer, and values that do not fit.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>;

    /// What `null` stands for, where that is a value of its own.
    fn null() -> Option<T> {
        None
    }
}

/// Strings and booleans: what serde does.
#[derive(Debug)]
pub struct Plain;

impl<T: Serialize + for<'de> Deserialize<'de>> Form<T> for Plain {
    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}

/// A message, boxed or not.
#[derive(Debug)]
pub struct Nested<M>(PhantomData<M>);

impl<M: Message, B: Borrow<M> + From<M>> Form<B> for Nested<M> {
    fn write<S: Serializer>(value: &B, serializer: S) -> Result<S::Ok, S::Error> {
        super::serialize(value.borrow(), serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<B, D::Error> {
        super::deserialize::<M, D>(deserializer).map(B::from)
    }
}

/// A type of number that [`Number`] writes and reads.
pub trait Integer: Serialize + FromStr + TryFrom<i64> + TryFrom<u64> + Copy {}

impl Integer for i32 {}
impl Integer for i64 {}
impl Integer for u32 {}
impl Integer for u64 {}

/// Integers of every size.
#[derive(Debug)]
pub struct Number;

impl<T: Integer> Form<T> for Number {
    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(IntegerVisitor { parse: parse_integer, expected: "an integer" })
    }
}

/// An enum that the proto file defines.
pub trait Enumeration {
    /// The number of the value that the proto file calls `name`.
    fn number(name: &str) -> Option<i32>;
}

/// Enums; messages hold them as their number, so that numbers of later versions survive.
#[derive(Debug)]
pub struct Enum<E>(PhantomData<E>);

impl<E: Enumeration> Form<i32> for Enum<E> {
    fn write<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i32(*value)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
        let parse = |text: &str| E::number(text).or_else(|| parse_integer(text));
        deserializer
            .deserialize_any(IntegerVisitor { parse, expected: "the name or number of an enum value" })
    }
}

/// A decimal integer; also `1e3` and `2.0`, which some encoders write.
pub(super) fn parse_integer<T: Integer>(text: &str) -> Option<T> {
    let whole = || text.parse::<f64>().ok().and_then(from_whole);
    text.parse().ok().or_else(whole)
}

/// A float without fraction that is exact as an integer.
fn from_whole<T: Integer>(value: f64) -> Option<T> {
    // 2^53: beyond it a float may stand for a number that nobody wrote.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (value.fract() == 0.0 && value.abs() <= EXACT).then(|| T::try_from(value as i64).ok())?
}

struct IntegerVisitor<T> {
    /// For strings.
    parse: fn(&str) -> Option<T>,
    /// For error texts.
    expected: &'static str,
}

impl<T: Integer> Visitor<'_> for IntegerVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<T, E> {
        T::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<T, E> {
        T::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<T, E> {
        from_whole(value).ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// A type of number that [`Float`] writes and reads.
pub trait Real: Serialize + Copy {
    /// The nearest value; none when a finite number is too large.
    fn from_f64(value: f64) -> Option<Self>;
    /// The same value.
    fn to_f64(self) -> f64;
}

impl Real for f64 {
    fn from_f64(value: f64) -> Option<Self> {
        Some(value)
    }

    fn to_f64(self) -> f64 {
        self
    }
}

impl Real for f32 {
    fn from_f64(value: f64) -> Option<Self> {
        let nearest = value as f32;
        (nearest.is_finite() || !value.is_finite()).then_some(nearest)
    }

    fn to_f64(self) -> f64 {
        self.into()
    }
}

/// Floating-point numbers.
#[derive(Debug)]
pub struct Float;

impl<T: Real> Form<T> for Float {
    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        let float = value.to_f64();
        if float.is_nan() {
            serializer.serialize_str("NaN")
        } else if float.is_infinite() {
            serializer.serialize_str(if float > 0.0 { "Infinity" } else { "-Infinity" })
        } else {
            value.serialize(serializer)
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let float = deserializer.deserialize_any(FloatVisitor)?;
        T::from_f64(float)
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Float(float), &"a number in range"))
    }
}

struct FloatVisitor;

impl Visitor<'_> for FloatVisitor {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_u64<E>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_f64<E>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<f64, E> {
        match text {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            // Rust's own spellings of these (`inf`, `nan`) are no JSON of anybody, and neither is a number too large.
            _ => match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(value),
                _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
            },
        }
    }
}

/// `bytes`.
#[derive(Debug)]
pub struct Base64;

/// Reads with and without padding, and does not mind unused bits: peers differ.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

impl<T: AsRef<[u8]> + From<Vec<u8>>> Form<T> for Base64 {
    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(value))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(Base64Visitor).map(T::from)
    }
}

struct Base64Visitor;

impl Visitor<'_> for Base64Visitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64 text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        let engine = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
        engine.decode(text).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}
