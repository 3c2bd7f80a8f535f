//! `google.protobuf.FieldMask`: in JSON one text, `fullName,author.languages`.

use super::forms::Form;
use super::well_known::WellKnown;
use prost_types::FieldMask;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserializer, Serializer};
use std::fmt;

impl Form<FieldMask> for WellKnown {
    fn write<S: Serializer>(value: &FieldMask, serializer: S) -> Result<S::Ok, S::Error> {
        let paths: Option<Vec<String>> = value.paths.iter().map(|path| camel(path)).collect();
        let paths = paths.ok_or_else(|| S::Error::custom("a path of a field mask has no form in JSON"))?;
        serializer.serialize_str(&paths.join(","))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FieldMask, D::Error> {
        deserializer.deserialize_any(MaskVisitor)
    }
}

/// Reads the text form, and the object that Go's ordinary encoder makes of the generated struct.
struct MaskVisitor;

impl<'de> Visitor<'de> for MaskVisitor {
    type Value = FieldMask;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("paths such as \"fullName,author.languages\"")
    }

    fn visit_str<E>(self, text: &str) -> Result<FieldMask, E> {
        let paths = text.split(',').filter(|path| !path.is_empty()).map(snake).collect();
        Ok(FieldMask { paths })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldMask, A::Error> {
        let mut mask = FieldMask::default();
        while let Some(super::Name(name)) = map.next_key()? {
            match name.as_ref() {
                "paths" => mask.paths = map.next_value::<Option<Vec<String>>>()?.unwrap_or_default(),
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(mask)
    }
}

/// `full_name` is `fullName`; none for what would be read back as something else.
fn camel(path: &str) -> Option<String> {
    if path.is_empty() || path.contains(',') {
        return None;
    }
    let mut camel = String::with_capacity(path.len());
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '_' => camel.push(letters.next().filter(char::is_ascii_lowercase)?.to_ascii_uppercase()),
            _ if letter.is_ascii_uppercase() => return None,
            _ => camel.push(letter),
        }
    }
    Some(camel)
}

/// `fullName` is `full_name`.
fn snake(path: &str) -> String {
    let mut snake = String::with_capacity(path.len() + 4);
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_read_and_written() {
        let read = |json: &str| -> Result<FieldMask, _> {
            WellKnown::read(&mut serde_json::Deserializer::from_str(json))
        };
        let mask = |paths: &[&str]| FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() };
        for (json, paths) in [
            (r#""""#, &[][..]),
            (r#""title""#, &["title"]),
            (r#""pageCount,author.fullName""#, &["page_count", "author.full_name"]),
        ] {
            let value = read(json).expect("a mask");
            assert_eq!(value, mask(paths));
            let mut text = Vec::new();
            WellKnown::write(&value, &mut serde_json::Serializer::new(&mut text)).expect("has a form");
            assert_eq!(text, json.as_bytes());
        }
        assert_eq!(read(r#"{"paths":["page_count"],"x":1}"#).ok(), Some(mask(&["page_count"])));
        assert_eq!(read(r#"{"paths":null}"#).ok(), Some(mask(&[])));
        assert!(read("1").is_err());
        for path in ["fullName", "full__name", "full_", "a_1", "a,b", ""] {
            let mut text = Vec::new();
            WellKnown::write(&mask(&[path]), &mut serde_json::Serializer::new(&mut text)).expect_err(path);
        }
    }
}
