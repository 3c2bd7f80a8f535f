//! What fields a message has, and texts of paths, queries and forms as values of them.
//!
//! A message is known by its descriptor, or by the shape that its endpoint was registered with, which has names and
//! types down to the third level (`go-micro-wire` §6.3).

use super::text::{described, shaped};
use crate::api::ID;
use micro_core::{Error, Value as Shape};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};

/// `a.b.c` has so many names at most; deeper is no request that anybody means.
const DEEPEST: usize = 16;

/// The fields of a message.
#[derive(Clone, Debug)]
pub(super) enum Fields<'a> {
    Described(MessageDescriptor),
    Shaped(&'a Shape),
    /// Deeper than the shape goes, or no shape at all.
    Unknown,
}

/// Where a text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// It wins over what is there.
    Path,
    /// It may be one of several for a list, and is the only one for anything else.
    Query,
}

/// One of the fields.
enum Field<'a> {
    Described(FieldDescriptor),
    Shaped(&'a Shape),
    Unknown(String),
}

/// Sets the field `name` (`a.b`, `a[key]` for a map) of a message in JSON to what a text stands for.
///
/// # Errors
/// Code 400 with the field's name: there is none, or the text is no value of it.
pub(super) fn set(
    message: &Fields<'_>,
    object: &mut Map<String, Value>,
    name: &str,
    text: &str,
    source: Source,
) -> Result<(), Error> {
    // A map's key may hold dots.
    let (fields, _) = name.split_at(name.find('[').unwrap_or(name.len()));
    let mut names: Vec<&str> = fields.split('.').collect();
    if let Some(last) = names.last_mut() {
        *last = &name[fields.len() - last.len()..];
    }
    if names.len() > DEEPEST {
        return Err(refused(name, &format!("has more than {DEEPEST} parts")));
    }
    let mut place = Place { whole: name, source };
    place.put(message, object, &names, text)
}

/// The name that the member of a field has in an object: the one that is there, or else its own.
fn member_name<'n>(object: &Map<String, Value>, own: &'n str, other: &'n str) -> &'n str {
    if !object.contains_key(own) && object.contains_key(other) { other } else { own }
}

/// What is wrong with a parameter or variable.
pub(super) fn refused(name: &str, why: &str) -> Error {
    // Names come from outside, and go into an answer.
    let name: String = name.chars().take(100).collect();
    Error::bad_request(ID, format!("field {name:?} {why}"))
}

struct Place<'a> {
    whole: &'a str,
    source: Source,
}

impl Place<'_> {
    fn put(
        &mut self,
        message: &Fields<'_>,
        object: &mut Map<String, Value>,
        names: &[&str],
        text: &str,
    ) -> Result<(), Error> {
        let Some((first, rest)) = names.split_first() else {
            return Err(refused(self.whole, "has no name"));
        };
        let (first, key) = match first.split_once('[') {
            Some((map, key)) if rest.is_empty() && self.source == Source::Query => {
                let key = key.strip_suffix(']').ok_or_else(|| refused(self.whole, "lacks a ]"))?;
                (map, Some(key))
            }
            _ => (*first, None),
        };
        let field = message.field(first).ok_or_else(|| refused(self.whole, "is not known"))?;
        let (own, other) = field.names();
        let member = member_name(object, &own, &other).to_owned();
        if !rest.is_empty() {
            let inner = field.message().ok_or_else(|| refused(self.whole, "is no message with fields"))?;
            return self.put(&inner, self.object(object, member)?, rest, text);
        }
        if let Some(key) = key {
            let value = field.map_value(text).map_err(|why| refused(self.whole, &why))?;
            self.object(object, member)?.insert(key.to_owned(), value);
            return Ok(());
        }
        let value = field.value(text).map_err(|why| refused(self.whole, &why))?;
        if field.is_list() && self.source == Source::Query {
            match object.entry(member).or_insert_with(|| Value::Array(Vec::new())) {
                Value::Array(items) => items.push(value),
                _ => return Err(refused(self.whole, "is a list in one place and something else in another")),
            }
            return Ok(());
        }
        if self.source == Source::Query && object.contains_key(&member) {
            return Err(refused(self.whole, "is given more than once, and takes one value"));
        }
        object.insert(member, value);
        Ok(())
    }

    /// The object that is the member, which may not be there yet.
    fn object<'o>(
        &self,
        object: &'o mut Map<String, Value>,
        member: String,
    ) -> Result<&'o mut Map<String, Value>, Error> {
        let inner = object.entry(member).or_insert(Value::Null);
        if inner.is_null() {
            *inner = Value::Object(Map::new());
        }
        inner.as_object_mut().ok_or_else(|| refused(self.whole, "is in a field that is no object"))
    }
}

impl<'a> Fields<'a> {
    fn field(&self, name: &str) -> Option<Field<'a>> {
        match self {
            Self::Described(message) => micro_rest::field(message, name).map(Field::Described),
            // Go's records have the names of the proto file.
            Self::Shaped(shape) => {
                let same = |field: &&Shape| field.name == name || lower_camel(&field.name) == name;
                shape.values.iter().find(same).map(Field::Shaped)
            }
            Self::Unknown => (!name.is_empty()).then(|| Field::Unknown(name.to_owned())),
        }
    }
}

impl<'a> Field<'a> {
    /// The name of its member, and the other name under which it may stand.
    fn names(&self) -> (String, String) {
        match self {
            Self::Described(field) => (field.json_name().to_owned(), field.name().to_owned()),
            Self::Shaped(shape) => (shape.name.clone(), lower_camel(&shape.name)),
            Self::Unknown(name) => (name.clone(), name.clone()),
        }
    }

    fn is_list(&self) -> bool {
        match self {
            Self::Described(field) => field.is_list(),
            Self::Shaped(shape) => shape.kind.starts_with("[]") && shape.kind != "[]uint8",
            Self::Unknown(_) => false,
        }
    }

    /// Its fields, if it is one message.
    fn message(&self) -> Option<Fields<'a>> {
        match self {
            Self::Described(field) => match field.kind() {
                Kind::Message(message) if !field.is_list() && !field.is_map() => {
                    Some(Fields::Described(message))
                }
                _ => None,
            },
            Self::Shaped(_) if self.is_list() => None,
            Self::Shaped(shape) if shaped::is_scalar(&shape.kind) || shape.kind == "map" => None,
            Self::Shaped(shape) if shape.values.is_empty() => Some(Fields::Unknown),
            Self::Shaped(shape) => Some(Fields::Shaped(shape)),
            Self::Unknown(_) => Some(Fields::Unknown),
        }
    }

    fn value(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::Described(field) if field.is_map() => Err("is a map: write name[key]=value".to_owned()),
            Self::Described(field) => described::value(&field.kind(), text),
            Self::Shaped(shape) => shaped::value(
                shape.kind.strip_prefix("[]").filter(|_| self.is_list()).unwrap_or(&shape.kind),
                text,
            ),
            Self::Unknown(_) => Ok(shaped::guess(text)),
        }
    }

    fn map_value(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::Described(field) => match field.kind() {
                Kind::Message(entry) if field.is_map() => {
                    described::value(&entry.map_entry_value_field().kind(), text)
                }
                _ => Err("is no map".to_owned()),
            },
            Self::Shaped(shape) if shape.kind == "map" => Ok(shaped::guess(text)),
            Self::Shaped(_) => Err("is no map".to_owned()),
            Self::Unknown(_) => Ok(shaped::guess(text)),
        }
    }
}

/// `user_id` is `userId`, as protobuf's JSON has it.
pub(super) fn lower_camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut capital = false;
    for letter in name.chars() {
        match letter {
            '_' => capital = true,
            _ if capital => {
                camel.push(letter.to_ascii_uppercase());
                capital = false;
            }
            _ => camel.push(letter),
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(name: &str, kind: &str, values: Vec<Shape>) -> Shape {
        Shape { name: name.to_owned(), kind: kind.to_owned(), values }
    }

    /// The shape of a Go service's request.
    fn book() -> Shape {
        let author = shape("author", "Author", vec![shape("full_name", "string", vec![])]);
        let fields = vec![
            shape("id", "string", vec![]),
            shape("page_count", "int32", vec![]),
            shape("price", "float64", vec![]),
            shape("sold", "bool", vec![]),
            shape("tags", "[]string", vec![]),
            shape("cover", "[]uint8", vec![]),
            shape("kind", "Book_Kind", vec![]),
            shape("more", "map", vec![]),
            author,
        ];
        shape("Book", "Book", fields)
    }

    fn json(parameters: &[(&str, &str)]) -> Result<String, Error> {
        let (shape, mut object) = (book(), Map::new());
        for (name, text) in parameters {
            set(&Fields::Shaped(&shape), &mut object, name, text, Source::Query)?;
        }
        Ok(Value::Object(object).to_string())
    }

    #[test]
    fn texts_become_values_of_the_field() {
        for (parameters, expected) in [
            (&[("id", "7")][..], r#"{"id":"7"}"#),
            (&[("page_count", "7")], r#"{"page_count":7}"#),
            (&[("pageCount", "-7")], r#"{"page_count":-7}"#),
            (&[("price", "1.5"), ("sold", "true")], r#"{"price":1.5,"sold":true}"#),
            (&[("tags", "1"), ("tags", "b")], r#"{"tags":["1","b"]}"#),
            (&[("cover", "_-8")], r#"{"cover":"/+8="}"#),
            (&[("kind", "NOVEL")], r#"{"kind":"NOVEL"}"#),
            (&[("kind", "2")], r#"{"kind":2}"#),
            (&[("more[a.b]", "x")], r#"{"more":{"a.b":"x"}}"#),
            (&[("author.fullName", "A"), ("id", "")], r#"{"author":{"full_name":"A"},"id":""}"#),
        ] {
            assert_eq!(json(parameters).as_deref(), Ok(expected), "{parameters:?}");
        }
    }

    #[test]
    fn what_fits_no_field_is_refused_with_its_name() {
        for parameters in [
            &[("title", "x")][..],
            &[("page_count", "x")],
            &[("page_count", "1.5")],
            &[("page_count", "2147483648")],
            &[("page_count", "")],
            &[("page_count", "1"), ("page_count", "2")],
            &[("sold", "1")],
            &[("price", "inf")],
            &[("cover", "!")],
            &[("id.x", "1")],
            &[("tags.x", "1")],
            &[("author.nome", "1")],
            &[("more[a", "1")],
            &[("id[a]", "1")],
            &[("", "1")],
            &[(".", "1")],
        ] {
            let error = json(parameters).expect_err(parameters[0].0);
            let name = parameters[0].0;
            assert!(error.code == 400 && error.detail.contains(&format!("field {name:?}")), "{error}");
        }
        let deep = vec!["a"; DEEPEST + 1].join(".");
        assert_eq!(json(&[(&deep, "1")]).expect_err("deep").code, 400);
    }

    #[test]
    fn paths_win_over_what_is_there() {
        let (shape, mut object) = (book(), Map::new());
        object.insert("pageCount".to_owned(), Value::from(1));
        object.insert("author".to_owned(), Value::Null);
        let fields = Fields::Shaped(&shape);
        set(&fields, &mut object, "page_count", "2", Source::Path).expect("a number");
        set(&fields, &mut object, "author.full_name", "A", Source::Path).expect("a text");
        assert_eq!(Value::Object(object).to_string(), r#"{"pageCount":2,"author":{"full_name":"A"}}"#);
    }
}
