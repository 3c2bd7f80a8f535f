//! Values that handlers and clients exchange, in the two formats that every Go Micro speaks.

use bytes::Bytes;
use micro_core::{Error, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a value is encoded. An envelope around it is the business of a [`Codec`](crate::Codec).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `application/json`: one JSON document (`go-micro-wire` §2.6).
    #[default]
    Json,
    /// `application/protobuf`: one protobuf message.
    Protobuf,
}

impl Format {
    /// The content type that goes on the wire.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/protobuf",
        }
    }

    /// The format of a content type. Case and parameters such as `charset` do not matter.
    pub fn of(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let is = |names: &[&str]| names.iter().any(|name| media_type.eq_ignore_ascii_case(name));
        if is(&["application/json"]) {
            Some(Self::Json)
        } else if is(&["application/protobuf", "application/proto", "application/x-protobuf"]) {
            Some(Self::Protobuf)
        } else {
            None
        }
    }
}

/// A value that can be a request or a response.
///
/// Generated messages implement it (`micro-build`); plain serde types are wrapped in [`Json`]; bytes that are encoded
/// already are wrapped in [`Raw`].
pub trait Payload: Send + Sized + 'static {
    /// The shape that the registry shows for this type; an empty name and type where nothing is known.
    fn shape() -> Value;

    /// Encodes the value.
    ///
    /// # Errors
    /// Code 500 when the type has no encoding in this format. The caller sets the id.
    fn to_bytes(&self, format: Format) -> Result<Bytes, Error>;

    /// Decodes a value.
    ///
    /// # Errors
    /// Code 400 when the bytes are not a value of this type. The caller sets the id.
    fn from_bytes(format: Format, data: &[u8]) -> Result<Self, Error>;
}

/// A plain serde type. It travels as JSON only; a protobuf peer gets an error that says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Serialize + DeserializeOwned + Send + 'static> Payload for Json<T> {
    fn shape() -> Value {
        let name = std::any::type_name::<T>().rsplit("::").next().unwrap_or_default();
        Value { name: name.to_owned(), kind: name.to_owned(), values: Vec::new() }
    }

    fn to_bytes(&self, format: Format) -> Result<Bytes, Error> {
        json_only::<T>(format)?;
        to_json(&self.0)
    }

    fn from_bytes(format: Format, data: &[u8]) -> Result<Self, Error> {
        json_only::<T>(format)?;
        from_json(data).map(Self)
    }
}

fn json_only<T>(format: Format) -> Result<(), Error> {
    match format {
        Format::Json => Ok(()),
        Format::Protobuf => {
            let kind = std::any::type_name::<T>();
            Err(Error::new(
                "",
                415,
                format!("{kind} has no protobuf encoding: call it with application/json"),
            ))
        }
    }
}

/// Bytes that are encoded already, in whatever format the call names. For proxies and gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw(pub Bytes);

impl Payload for Raw {
    fn shape() -> Value {
        Value::default()
    }

    fn to_bytes(&self, _: Format) -> Result<Bytes, Error> {
        Ok(self.0.clone())
    }

    fn from_bytes(_: Format, data: &[u8]) -> Result<Self, Error> {
        Ok(Self(Bytes::copy_from_slice(data)))
    }
}

#[doc(hidden)]
pub fn to_json<T: Serialize>(value: &T) -> Result<Bytes, Error> {
    let mut text = serde_json::to_vec(value).map_err(|error| Error::internal("", error.to_string()))?;
    text.push(b'\n'); // Go's encoder ends a document with a newline; old decoders wait for it on streams.
    Ok(text.into())
}

/// An empty body is an empty object: Go writes none for messages without fields. `null` is one too, as Go reads it,
/// where it does not stand for itself.
#[doc(hidden)]
pub fn from_json<T: DeserializeOwned>(data: &[u8]) -> Result<T, Error> {
    let empty = b"{}";
    let value = match data.trim_ascii() {
        b"" => serde_json::from_slice(empty),
        b"null" => serde_json::from_slice(data).or_else(|_| serde_json::from_slice(empty)),
        _ => serde_json::from_slice(data),
    };
    value.map_err(|error| Error::bad_request("", format!("malformed JSON: {error}")))
}

#[doc(hidden)]
pub fn from_protobuf<T: prost::Message + Default>(data: &[u8]) -> Result<T, Error> {
    T::decode(data).map_err(|error| Error::bad_request("", format!("malformed protobuf: {error}")))
}

/// Implements [`Payload`] for a type that is a `prost::Message` and has serde's `Serialize` and `Deserialize`.
/// Generated code uses it; the second argument is an expression of type [`Value`].
#[macro_export]
macro_rules! impl_proto_payload {
    ($message:ty, $shape:expr) => {
        impl $crate::Payload for $message {
            fn shape() -> $crate::Value {
                $shape
            }

            fn to_bytes(
                &self,
                format: $crate::Format,
            ) -> ::std::result::Result<$crate::bytes::Bytes, $crate::Error> {
                match format {
                    $crate::Format::Json => $crate::payload::to_json(self),
                    $crate::Format::Protobuf => Ok($crate::prost::Message::encode_to_vec(self).into()),
                }
            }

            fn from_bytes(format: $crate::Format, data: &[u8]) -> ::std::result::Result<Self, $crate::Error> {
                match format {
                    $crate::Format::Json => $crate::payload::from_json(data),
                    $crate::Format::Protobuf => $crate::payload::from_protobuf(data),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_read_without_case_and_parameters() {
        assert_eq!(Format::of("application/json"), Some(Format::Json));
        assert_eq!(Format::of("Application/JSON; charset=utf-8"), Some(Format::Json));
        assert_eq!(Format::of("application/protobuf"), Some(Format::Protobuf));
        assert_eq!(Format::of("text/plain"), None);
        assert_eq!(Format::of(""), None);
    }

    #[test]
    fn an_empty_body_and_null_are_an_empty_object() {
        let value: Json<serde_json::Value> = Payload::from_bytes(Format::Json, b" \n").expect("valid");
        assert_eq!(value.0, serde_json::json!({}));
        let null: Json<Option<u32>> = Payload::from_bytes(Format::Json, b"null").expect("valid");
        assert_eq!(null.0, None);
        let members: Json<std::collections::BTreeMap<String, u32>> =
            Payload::from_bytes(Format::Json, b" null\n").expect("valid");
        assert!(members.0.is_empty());
        let error = Json::<u32>::from_bytes(Format::Json, b"{").expect_err("truncated");
        assert_eq!(error.code, 400);
    }

    #[test]
    fn serde_types_say_that_they_have_no_protobuf() {
        let error = Json(1u32).to_bytes(Format::Protobuf).expect_err("json only");
        assert_eq!(error.code, 415);
        assert!(error.detail.contains("application/json"), "{error}");
    }
}
