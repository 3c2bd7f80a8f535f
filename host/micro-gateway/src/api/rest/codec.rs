//! Messages as JSON on the outside, and as what the service is called in.

use super::fields::Fields;
use crate::api::ID;
use bytes::Bytes;
use micro_core::{Error, Value as Shape};
use prost_reflect::prost::Message;
use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    SerializeOptions,
};
use serde::Deserializer;
use serde_json::Value;
use serde_json::value::RawValue;
use serde_path_to_error::Track;
use std::collections::BTreeMap;

/// How answers to REST requests look. Both forms are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JsonForm {
    /// Protobuf's: `lowerCamelCase`, 64-bit integers as texts, enums by name.
    #[default]
    Protobuf,
    /// That of calls between services: the names of the proto file, integers and enums as numbers.
    Rpc,
}

/// A field that nobody knows is a mistake of the caller's, and losing it silently helps nobody.
const READING: DeserializeOptions = DeserializeOptions::new().deny_unknown_fields(true);

impl JsonForm {
    fn options(self) -> SerializeOptions {
        let options = SerializeOptions::new();
        match self {
            Self::Protobuf => options,
            Self::Rpc => {
                options.use_proto_field_name(true).stringify_64_bit_integers(false).use_enum_numbers(true)
            }
        }
    }
}

/// How the messages of one endpoint are written and read.
#[derive(Clone, Debug)]
pub(in crate::api) struct Codec {
    /// None: the service gets JSON as it is.
    method: Option<MethodDescriptor>,
    form: JsonForm,
}

impl Codec {
    pub(in crate::api) fn new(method: Option<MethodDescriptor>, form: JsonForm) -> Self {
        Self { method, form }
    }

    /// What the service is called in.
    pub(in crate::api) fn content_type(&self) -> &'static str {
        if self.method.is_some() { "application/protobuf" } else { "application/json" }
    }

    /// Whether messages are converted, so that a caller may send both forms.
    pub(in crate::api) fn converts(&self) -> bool {
        self.method.is_some()
    }

    /// Whether it is known that there may be more than one message in some direction.
    pub(in crate::api) fn is_stream(&self) -> bool {
        self.method
            .as_ref()
            .is_some_and(|method| method.is_client_streaming() || method.is_server_streaming())
    }

    /// Whether the answer of a stream is known to be one message.
    pub(in crate::api) fn answers_once(&self) -> bool {
        self.method.as_ref().is_some_and(|method| !method.is_server_streaming())
    }

    pub(super) fn fields<'a>(&self, shape: Option<&'a Shape>) -> Fields<'a> {
        match (&self.method, shape) {
            (Some(method), _) => Fields::Described(method.input()),
            (None, Some(shape)) if !shape.values.is_empty() => Fields::Shaped(shape),
            (None, _) => Fields::Unknown,
        }
    }

    /// A request from its JSON value.
    ///
    /// # Errors
    /// Code 400 with what does not fit.
    pub(in crate::api) fn request(&self, value: Value) -> Result<Bytes, Error> {
        let Some(method) = &self.method else {
            return Ok(Bytes::from(value.to_string()));
        };
        Ok(read(&method.input(), value)?.encode_to_vec().into())
    }

    /// A request from JSON as it came. Nothing is an empty message.
    ///
    /// # Errors
    /// Code 400 with what does not fit.
    pub(in crate::api) fn request_text(&self, json: &[u8]) -> Result<Bytes, Error> {
        let json = if json.trim_ascii().is_empty() { b"{}" } else { json };
        let Some(method) = &self.method else {
            serde_json::from_slice::<&RawValue>(json).map_err(|error| refused(error.to_string()))?;
            return Ok(Bytes::copy_from_slice(json));
        };
        let mut reader = serde_json::Deserializer::from_slice(json);
        let message = read(&method.input(), &mut reader)?;
        reader.end().map_err(|error| refused(error.to_string()))?;
        Ok(message.encode_to_vec().into())
    }

    /// An answer in JSON, or one field of it.
    ///
    /// # Errors
    /// Code 500 for bytes that are no such message.
    pub(in crate::api) fn reply(&self, message: &[u8], field: Option<&str>) -> Result<Bytes, Error> {
        match &self.method {
            Some(method) => self.described(&method.output(), message, field),
            None => undescribed(message, field),
        }
    }

    fn described(
        &self,
        output: &MessageDescriptor,
        message: &[u8],
        field: Option<&str>,
    ) -> Result<Bytes, Error> {
        let wrong =
            |why: String| Error::internal(ID, format!("the answer is no {}: {why}", output.full_name()));
        let message =
            DynamicMessage::decode(output.clone(), message).map_err(|error| wrong(error.to_string()))?;
        let Some(field) = field.and_then(|name| output.get_field_by_name(name)) else {
            let mut json = Vec::new();
            let mut writer = serde_json::Serializer::new(&mut json);
            let written = message.serialize_with_options(&mut writer, &self.form.options());
            written.map_err(|error| wrong(error.to_string()))?;
            return Ok(json.into());
        };
        // Members that are unset are written too, because one of them is all that is sent.
        let options = self.form.options().skip_default_fields(false);
        let json = message.serialize_with_options(serde_json::value::Serializer, &options);
        let mut json = json.map_err(|error| wrong(error.to_string()))?;
        let name = match self.form {
            JsonForm::Protobuf => field.json_name(),
            JsonForm::Rpc => field.name(),
        };
        let value = json.get_mut(name).map(Value::take).unwrap_or_else(|| unset(&field));
        Ok(Bytes::from(value.to_string()))
    }
}

/// What stands for a field that is not there.
fn unset(field: &FieldDescriptor) -> Value {
    match field.kind() {
        // Those have JSON of their own, which an empty object seldom is.
        Kind::Message(message) if message.package_name() == "google.protobuf" => Value::Null,
        Kind::Message(_) => Value::Object(serde_json::Map::new()),
        _ => Value::Null,
    }
}

fn undescribed(message: &[u8], field: Option<&str>) -> Result<Bytes, Error> {
    let json = if message.trim_ascii().is_empty() { b"{}" } else { message };
    let Some(field) = field else {
        return Ok(Bytes::copy_from_slice(json));
    };
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(json)
        .map_err(|error| Error::internal(ID, format!("the answer is no JSON object: {error}")))?;
    let value = members.get(field).or_else(|| members.get(&super::fields::lower_camel(field)));
    Ok(value
        .map_or_else(|| Bytes::from_static(b"null"), |value| Bytes::copy_from_slice(value.get().as_bytes())))
}

/// A message from JSON. What does not fit is said with the way to it.
fn read<'de, D>(input: &MessageDescriptor, json: D) -> Result<DynamicMessage, Error>
where
    D: Deserializer<'de, Error = serde_json::Error>,
{
    let mut track = Track::new();
    let json = serde_path_to_error::Deserializer::new(json, &mut track);
    DynamicMessage::deserialize_with_options(input.clone(), json, &READING).map_err(|error| {
        let place = match track.path().to_string() {
            whole if whole == "." => String::new(),
            place => format!("field {place:?}: "),
        };
        refused(format!("{place}it is no {}: {error}", input.full_name()))
    })
}

fn refused(why: String) -> Error {
    Error::bad_request(ID, format!("the request does not fit: {why}"))
}
