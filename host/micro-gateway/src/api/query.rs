//! Query strings and forms as JSON objects.
//!
//! `a=1&b=x&c[d]=true&e[]=1&e[]=2` is `{"a":1,"b":"x","c":{"d":true},"e":[1,2]}`. Numbers keep every digit: their text
//! goes into the JSON as it came.

use bytes::Bytes;
use micro_core::{Error, Value};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// `a[b][c]` nests this deep at most. Deeper is no request that anybody means.
const DEEPEST: usize = 16;

/// The parameters of a query.
#[derive(Debug, Default)]
pub(super) struct Query(BTreeMap<String, Node>);

#[derive(Debug)]
enum Node {
    /// JSON text as it came.
    Leaf(Box<RawValue>),
    Array(Vec<Node>),
    Object(BTreeMap<String, Node>),
}

impl Query {
    /// Reads a query string.
    ///
    /// # Errors
    /// Code 400 for keys with unbalanced or too many brackets.
    pub(super) fn parse(query: &str) -> Result<Self, Error> {
        let mut object = BTreeMap::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if key.is_empty() && value.is_empty() {
                continue;
            }
            let (name, path) = keys(&key).ok_or_else(|| {
                Error::bad_request(
                    super::ID,
                    format!("query parameter {key:?} is not name, name[] or name[member]"),
                )
            })?;
            insert(&mut object, name, &path, leaf(&value));
        }
        Ok(Self(object))
    }

    /// Adds a variable of the path; it wins over a parameter of its name. `a.b` is the member `b` of `a`.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let mut names = name.split('.').take(DEEPEST);
        let first = names.next().unwrap_or_default();
        insert(&mut self.0, first, &names.collect::<Vec<_>>(), leaf(value));
    }

    /// Makes `body` the member `name`.
    ///
    /// # Errors
    /// Code 400 when it is no JSON.
    pub(super) fn set_json(&mut self, name: &str, body: &[u8]) -> Result<(), Error> {
        let json: &RawValue = serde_json::from_slice(body)
            .map_err(|error| Error::bad_request(super::ID, format!("malformed JSON body: {error}")))?;
        self.0.insert(name.to_owned(), Node::Leaf(json.to_owned()));
        Ok(())
    }

    /// Makes texts of what looks like something else in JSON where the request's shape says that it is a text: an id
    /// of `7` is `"7"` to a service that reads texts.
    pub(super) fn conform(&mut self, shape: &Value) {
        conform(&mut self.0, shape);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object, with `body` merged into it by the rules of RFC 7396: the body's members win, and its nulls remove.
    ///
    /// # Errors
    /// Code 400 when `body` is neither empty nor JSON.
    pub(super) fn with_body(self, body: &[u8]) -> Result<Bytes, Error> {
        let mut merged = Node::Object(self.0);
        if !body.trim_ascii().is_empty() {
            let patch: &RawValue = serde_json::from_slice(body)
                .map_err(|error| Error::bad_request(super::ID, format!("malformed JSON body: {error}")))?;
            merged = merge(Some(merged), patch)?;
        }
        let text =
            serde_json::to_vec(&merged).map_err(|error| Error::internal(super::ID, error.to_string()))?;
        Ok(text.into())
    }
}

/// A form as a flat object of texts; values of one key are joined with `,`.
pub(super) fn form_to_json(form: &[u8], query: Option<&str>) -> Bytes {
    let mut object: BTreeMap<String, String> = BTreeMap::new();
    let query = query.unwrap_or_default().as_bytes();
    for (key, value) in form_urlencoded::parse(form).chain(form_urlencoded::parse(query)) {
        object
            .entry(key.into_owned())
            .and_modify(|known| {
                known.push(',');
                known.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    serde_json::to_vec(&object).expect("texts serialize").into()
}

/// `a[b][]` is `a` and `["b", ""]`.
fn keys(key: &str) -> Option<(&str, Vec<&str>)> {
    let Some((name, mut rest)) = key.split_once('[') else {
        return Some((key, Vec::new()));
    };
    let mut path = Vec::new();
    loop {
        let (inner, behind) = rest.split_once(']')?;
        path.push(inner);
        if behind.is_empty() {
            break;
        }
        rest = behind.strip_prefix('[')?;
    }
    // An array of arrays would leave open which of them a value belongs to.
    let lists = path.iter().rev().skip(1).any(|part| part.is_empty());
    (!name.is_empty() && !lists && path.len() <= DEEPEST).then_some((name, path))
}

/// A later parameter of another shape replaces what was there, as a later scalar does.
fn insert(members: &mut BTreeMap<String, Node>, key: &str, path: &[&str], value: Node) {
    match path.split_first() {
        None => _ = members.insert(key.to_owned(), value),
        Some((&"", _)) => match members.get_mut(key) {
            Some(Node::Array(items)) => items.push(value),
            _ => _ = members.insert(key.to_owned(), Node::Array(vec![value])),
        },
        Some((inner, rest)) => {
            if !matches!(members.get(key), Some(Node::Object(_))) {
                members.insert(key.to_owned(), Node::Object(BTreeMap::new()));
            }
            if let Some(Node::Object(members)) = members.get_mut(key) {
                insert(members, inner, rest, value);
            }
        }
    }
}

fn conform(members: &mut BTreeMap<String, Node>, shape: &Value) {
    for (name, node) in members {
        let Some(field) = shape.values.iter().find(|field| field.name == *name) else {
            continue;
        };
        match node {
            Node::Object(inner) => conform(inner, field),
            Node::Leaf(_) if field.kind == "string" => node.make_text(),
            Node::Array(items) if field.kind == "[]string" => items.iter_mut().for_each(Node::make_text),
            _ => {}
        }
    }
}

impl Node {
    fn make_text(&mut self) {
        if let Self::Leaf(json) = self
            && !json.get().starts_with('"')
        {
            *json = serde_json::value::to_raw_value(json.get()).expect("texts serialize");
        }
    }
}

/// JSON if it is JSON, or else a text.
fn leaf(value: &str) -> Node {
    let json = RawValue::from_string(value.trim().to_owned());
    let text = || serde_json::value::to_raw_value(value).expect("texts serialize");
    Node::Leaf(json.unwrap_or_else(|_| text()))
}

fn merge(target: Option<Node>, patch: &RawValue) -> Result<Node, Error> {
    let Some(Node::Object(mut members)) = target else {
        return Ok(Node::Leaf(patch.to_owned()));
    };
    if !patch.get().starts_with('{') {
        return Ok(Node::Leaf(patch.to_owned()));
    }
    let patch: BTreeMap<String, &RawValue> = serde_json::from_str(patch.get())
        .map_err(|error| Error::bad_request(super::ID, format!("malformed JSON body: {error}")))?;
    for (key, value) in patch {
        if value.get() == "null" {
            members.remove(&key);
        } else {
            let known = members.remove(&key);
            members.insert(key, merge(known, value)?);
        }
    }
    Ok(Node::Object(members))
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Leaf(text) => text.serialize(serializer),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(members) => serializer.collect_map(members),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(query: &str, body: &str) -> Result<String, Error> {
        let bytes = Query::parse(query)?.with_body(body.as_bytes())?;
        Ok(String::from_utf8(bytes.to_vec()).expect("JSON is UTF-8"))
    }

    #[test]
    fn parameters_become_members() {
        for (query, expected) in [
            ("", "{}"),
            ("&&", "{}"),
            ("a=1", r#"{"a":1}"#),
            ("a=9007199254740993&b=1.50&c=1e400", r#"{"a":9007199254740993,"b":1.50,"c":1e400}"#),
            ("a=true&b=false&c=null", r#"{"a":true,"b":false,"c":null}"#),
            ("a=x&b=&c", r#"{"a":"x","b":"","c":""}"#),
            ("a=01&b=-&c=tru", r#"{"a":"01","b":"-","c":"tru"}"#),
            ("a=say+%22hi%22%5C", r#"{"a":"say \"hi\"\\"}"#),
            ("a=%7B%22x%22%3A1%7D", r#"{"a":{"x":1}}"#),
            ("a[b][c]=2&a[b][d]=3&a[e]=x", r#"{"a":{"b":{"c":2,"d":3},"e":"x"}}"#),
            ("a[]=1&a[]=x", r#"{"a":[1,"x"]}"#),
            ("a[b][]=1&a[b][]=2", r#"{"a":{"b":[1,2]}}"#),
            ("a=1&a=2", r#"{"a":2}"#),
            ("a=1&a[b]=2&a[]=3", r#"{"a":[3]}"#),
        ] {
            assert_eq!(json(query, "").as_deref(), Ok(expected), "{query}");
        }
    }

    #[test]
    fn keys_that_mean_nothing_are_refused() {
        let deep = format!("a{}=1", "[b]".repeat(DEEPEST + 1));
        for query in ["a[=1", "a[b=1", "a[b]c=1", "[a]=1", "a[][]=1", "a[][b]=1", &deep] {
            assert_eq!(json(query, "").expect_err(query).code, 400, "{query}");
        }
    }

    #[test]
    fn the_body_wins() {
        for (query, body, expected) in [
            ("a=1&b=2", r#"{"b":3}"#, r#"{"a":1,"b":3}"#),
            (
                "a[x]=1&a[y]=2",
                r#"{"a":{"y":null,"z":12345678901234567890}}"#,
                r#"{"a":{"x":1,"z":12345678901234567890}}"#,
            ),
            ("a=1", "[1,2]", "[1,2]"),
            ("a=1", " \n", r#"{"a":1}"#),
        ] {
            assert_eq!(json(query, body).as_deref(), Ok(expected), "{query} {body}");
        }
        assert_eq!(json("a=1", "{").expect_err("malformed").code, 400);
    }

    #[test]
    fn variables_of_the_path_win_over_parameters() {
        let mut query = Query::parse("id=1&user[name]=x&b=2").expect("valid");
        query.set("id", "7");
        query.set("user.id", "a");
        query.set_json("content", b" [1] ").expect("JSON");
        let json = query.with_body(b"").expect("valid");
        assert_eq!(&json[..], br#"{"b":2,"content":[1],"id":7,"user":{"id":"a","name":"x"}}"#);
        assert_eq!(Query::default().set_json("x", b"{").expect_err("malformed").code, 400);
    }

    #[test]
    fn texts_are_texts_where_the_shape_says_so() {
        let shape =
            |name: &str, kind: &str, values| Value { name: name.to_owned(), kind: kind.to_owned(), values };
        let inner = shape("user", "User", vec![shape("id", "string", vec![])]);
        let fields = vec![
            shape("id", "string", vec![]),
            shape("n", "int32", vec![]),
            shape("l", "[]string", vec![]),
            inner,
        ];
        let mut query = Query::parse("id=7&n=7&l[]=true&l[]=x&user[id]=null&other=7").expect("valid");
        query.conform(&shape("Request", "Request", fields));
        let json = query.with_body(b"").expect("valid");
        let expected = r#"{"id":"7","l":["true","x"],"n":7,"other":7,"user":{"id":"null"}}"#;
        assert_eq!(&json[..], expected.as_bytes());
    }

    #[test]
    fn forms_are_flat_objects_of_texts() {
        let json = form_to_json(b"a=1&b=x+y&a=2", Some("q=%22"));
        assert_eq!(&json[..], br#"{"a":"1,2","b":"x y","q":"\""}"#);
    }
}
