//! The value of a call from the parts of a request.

use super::fields::{Fields, Source, refused, set};
use crate::api::ID;
use micro_core::Error;
use micro_rest::BodyRule;
use serde_json::{Map, Value};

/// More parameters than this is no request that anybody means.
const MOST_PARAMETERS: usize = 1000;

/// What a message is made from, beside the body.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) rule: &'a BodyRule,
    pub(super) variables: &'a [(String, String)],
    pub(super) query: Option<&'a str>,
    pub(super) media_type: Option<&'a str>,
}

/// The one message of a request.
///
/// # Errors
/// Code 400 for what fits no field, with its name; 415 for a body that is not JSON.
pub(super) fn one(fields: &Fields<'_>, parts: &Parts<'_>, body: &[u8]) -> Result<Value, Error> {
    parts.check_type(body)?;
    let whole = *parts.rule == BodyRule::Whole;
    if whole && parts.is_form() {
        let mut object = Map::new();
        parameters(fields, &mut object, body, parts.variables, None)?;
        return parts.with_path(fields, object);
    }
    let json = match body.trim_ascii() {
        [] => None,
        _ if *parts.rule == BodyRule::None => None,
        _ => Some(serde_json::from_slice(body).map_err(|error| malformed(&error))?),
    };
    parts.with_body(fields, json)
}

/// The messages of a request for a stream: a body that is the message may be several of them, one behind the other.
///
/// # Errors
/// As [`one`].
pub(super) fn many(fields: &Fields<'_>, parts: &Parts<'_>, body: &[u8]) -> Result<Vec<Value>, Error> {
    if *parts.rule != BodyRule::Whole || parts.is_form() || body.trim_ascii().is_empty() {
        return one(fields, parts, body).map(|message| vec![message]);
    }
    parts.check_type(body)?;
    let documents = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    let message = |json: Result<Value, serde_json::Error>| {
        let json = json.map_err(|error| malformed(&error))?;
        parts.with_body(fields, Some(json))
    };
    documents.map(message).collect()
}

/// The message that opens a websocket: what its path and query say; none if they say nothing.
///
/// # Errors
/// As [`one`].
pub(super) fn first(
    fields: &Fields<'_>,
    variables: &[(String, String)],
    query: Option<&str>,
) -> Result<Option<Value>, Error> {
    if variables.is_empty() && query.is_none_or(str::is_empty) {
        return Ok(None);
    }
    let parts = Parts { rule: &BodyRule::None, variables, query, media_type: None };
    one(fields, &parts, b"").map(Some)
}

impl Parts<'_> {
    fn is_form(&self) -> bool {
        self.media_type == Some("application/x-www-form-urlencoded")
    }

    /// Protobuf needs no route: `/service/method` takes it.
    fn check_type(&self, body: &[u8]) -> Result<(), Error> {
        let binary =
            self.media_type.is_some_and(|it| it.contains("proto") || it == "application/octet-stream");
        let form = self.is_form() && matches!(self.rule, BodyRule::Field(_));
        if !body.is_empty() && *self.rule != BodyRule::None && (binary || form) {
            let detail = "the body of this request is JSON: send application/json";
            return Err(Error::new(ID, 415, detail));
        }
        Ok(())
    }

    fn with_body(&self, fields: &Fields<'_>, json: Option<Value>) -> Result<Value, Error> {
        let mut object = match (self.rule, json) {
            (BodyRule::Whole, Some(Value::Object(members))) => members,
            // A message whose JSON is no object, such as a timestamp, or a mistake that the codec finds.
            (BodyRule::Whole, Some(other)) if self.variables.is_empty() => return Ok(other),
            (BodyRule::Whole, Some(_)) => return Err(Error::bad_request(ID, "the body is no JSON object")),
            (BodyRule::Field(field), Some(json)) => Map::from_iter([(field.clone(), json)]),
            (_, _) => Map::new(),
        };
        let query = self.query.unwrap_or_default().as_bytes();
        match self.rule {
            BodyRule::Whole => {
                if let Some((name, _)) = form_urlencoded::parse(query).next() {
                    return Err(refused(&name, "is in the query; here the body is the whole request"));
                }
            }
            BodyRule::Field(field) => parameters(fields, &mut object, query, self.variables, Some(field))?,
            BodyRule::None => parameters(fields, &mut object, query, self.variables, None)?,
        }
        self.with_path(fields, object)
    }

    fn with_path(&self, fields: &Fields<'_>, mut object: Map<String, Value>) -> Result<Value, Error> {
        for (name, text) in self.variables {
            set(fields, &mut object, name, text, Source::Path)?;
        }
        Ok(Value::Object(object))
    }
}

/// Sets the fields that a query or form names. Those that come from elsewhere are not for it.
fn parameters(
    fields: &Fields<'_>,
    object: &mut Map<String, Value>,
    text: &[u8],
    variables: &[(String, String)],
    body: Option<&str>,
) -> Result<(), Error> {
    for (at, (name, value)) in form_urlencoded::parse(text).enumerate() {
        if at >= MOST_PARAMETERS {
            return Err(Error::bad_request(ID, format!("there are more than {MOST_PARAMETERS} parameters")));
        }
        if name.is_empty() && value.is_empty() {
            continue;
        }
        if variables.iter().any(|(variable, _)| *variable == name) {
            return Err(refused(&name, "is taken from the path"));
        }
        if body.is_some_and(|body| name.split(['.', '[']).next() == Some(body)) {
            return Err(refused(&name, "is taken from the body"));
        }
        set(fields, object, &name, &value, Source::Query)?;
    }
    Ok(())
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::bad_request(ID, format!("malformed JSON body: {error}"))
}
