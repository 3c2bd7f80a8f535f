//! What stands at an rpc.

use crate::template::{Template, TemplateError};
use prost_reflect::{MethodDescriptor, Value as Reflected};
use serde_json::{Map, Value};

/// The option's full name.
const OPTION: &str = "google.api.http";
/// More bindings at one rpc are a mistake, or made to keep a gateway busy.
const MOST_BINDINGS: usize = 64;

/// The members of the JSON form that name a method and a path.
const METHODS: [(&str, &str); 5] =
    [("get", "GET"), ("put", "PUT"), ("post", "POST"), ("delete", "DELETE"), ("patch", "PATCH")];

/// A rule that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Its JSON form is malformed.
    #[error("the rule is malformed: {0}")]
    Malformed(String),
    /// It names no method and path, or more than one.
    #[error(
        "the rule names {0} methods with a path: it needs one of get, put, post, delete, patch and custom"
    )]
    Patterns(usize),
    /// A template is malformed.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A method that HTTP does not have.
    #[error("{0:?} is no HTTP method: these are words in capital letters, or * for any")]
    Method(String),
    /// A body where HTTP has none.
    #[error("the rule for GET {0} has a body, which GET requests have not")]
    Body(String),
    /// Bindings in bindings, or too many of them.
    #[error("the rule has additional bindings within additional bindings, or more than {MOST_BINDINGS}")]
    Bindings,
}

/// Which requests an rpc is called with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Not empty; the first is the rule's own, the others are its additional ones.
    pub bindings: Vec<Binding>,
}

/// One kind of request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The HTTP method; `*` for any.
    pub method: String,
    /// What its path looks like.
    pub template: Template,
    /// What becomes of its body.
    pub body: BodyRule,
    /// The field of the answer that is sent, in place of all of it.
    pub response_body: Option<String>,
}

/// What becomes of a request's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BodyRule {
    /// There is none; fields come from the query.
    #[default]
    None,
    /// It is the message; there is no query.
    Whole,
    /// It is this field; other fields come from the query.
    Field(String),
}

impl Rule {
    /// The rule at an rpc; none without one.
    ///
    /// # Errors
    /// See [`RuleError`].
    pub fn of_method(method: &MethodDescriptor) -> Result<Option<Self>, RuleError> {
        let Some(option) = method.parent_pool().get_extension_by_name(OPTION) else {
            return Ok(None);
        };
        let options = method.options();
        if !options.has_extension(&option) {
            return Ok(None);
        }
        let value = options.get_extension(&option);
        let Reflected::Message(rule) = value.as_ref() else {
            return Err(RuleError::Malformed(format!("the extension {OPTION} is no message")));
        };
        let json = serde_json::to_value(rule).map_err(|error| RuleError::Malformed(error.to_string()))?;
        Self::of_json(&json).map(Some)
    }

    /// The rule that a text in JSON describes, which is the protobuf JSON of `google.api.HttpRule`.
    ///
    /// # Errors
    /// See [`RuleError`].
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let json = serde_json::from_str(text).map_err(|error| RuleError::Malformed(error.to_string()))?;
        Self::of_json(&json)
    }

    fn of_json(json: &Value) -> Result<Self, RuleError> {
        let mut bindings = vec![Binding::of_json(json)?];
        if let Some(more) = member(json, "additionalBindings", "additional_bindings") {
            let more = more.as_array().ok_or_else(|| malformed("additionalBindings is no list"))?;
            let nested = |it: &Value| member(it, "additionalBindings", "additional_bindings").is_some();
            if more.len() >= MOST_BINDINGS || more.iter().any(nested) {
                return Err(RuleError::Bindings);
            }
            for binding in more {
                bindings.push(Binding::of_json(binding)?);
            }
        }
        Ok(Self { bindings })
    }

    /// The JSON form, as [`parse`](Self::parse) reads it.
    pub fn to_json(&self) -> String {
        let mut members = Map::new();
        for (at, binding) in self.bindings.iter().enumerate() {
            let json = binding.to_json();
            if at == 0 {
                members = json;
            } else if let Value::Array(more) =
                members.entry("additionalBindings").or_insert_with(|| Value::Array(Vec::new()))
            {
                more.push(Value::Object(json));
            }
        }
        Value::Object(members).to_string()
    }
}

impl Binding {
    /// Whether it is for requests with this method. A request for a head is one for the whole.
    pub fn wants(&self, method: &str) -> bool {
        self.method == "*" || self.method == method || (self.method == "GET" && method == "HEAD")
    }

    fn of_json(json: &Value) -> Result<Self, RuleError> {
        let text =
            |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| malformed("a member is no text"));
        let mut patterns = Vec::new();
        for (name, method) in METHODS {
            if let Some(path) = json.get(name) {
                patterns.push((method.to_owned(), text(path)?));
            }
        }
        if let Some(custom) = json.get("custom") {
            let part = |name: &str| custom.get(name).map_or_else(|| Ok(String::new()), text);
            patterns.push((part("kind")?, part("path")?));
        }
        let count = patterns.len();
        let (Some((method, path)), 1) = (patterns.pop(), count) else {
            return Err(RuleError::Patterns(count));
        };
        // Methods have case, and one in small letters is a slip: nobody sends it.
        let is_token = |it: char| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '-' || it == '_';
        if method != "*" && (method.is_empty() || !method.chars().all(is_token)) {
            return Err(RuleError::Method(method));
        }
        let body = match json.get("body").map(text).transpose()?.as_deref() {
            None | Some("") => BodyRule::None,
            Some(_) if matches!(&*method, "GET" | "HEAD") => return Err(RuleError::Body(path)),
            Some("*") => BodyRule::Whole,
            Some(field) => BodyRule::Field(field.to_owned()),
        };
        let response = member(json, "responseBody", "response_body").map(text).transpose()?;
        Ok(Self {
            method,
            template: Template::parse(&path)?,
            body,
            response_body: response.filter(|field| !field.is_empty()),
        })
    }

    fn to_json(&self) -> Map<String, Value> {
        let mut members = Map::new();
        let path = Value::from(self.template.as_str());
        match METHODS.iter().find(|(_, method)| *method == self.method) {
            Some((name, _)) => members.insert((*name).to_owned(), path),
            None => {
                members.insert("custom".to_owned(), serde_json::json!({ "kind": self.method, "path": path }))
            }
        };
        match &self.body {
            BodyRule::None => {}
            BodyRule::Whole => _ = members.insert("body".to_owned(), "*".into()),
            BodyRule::Field(field) => _ = members.insert("body".to_owned(), field.as_str().into()),
        }
        if let Some(field) = &self.response_body {
            members.insert("responseBody".to_owned(), field.as_str().into());
        }
        members
    }
}

fn malformed(why: &str) -> RuleError {
    RuleError::Malformed(why.to_owned())
}

fn member<'a>(json: &'a Value, name: &str, other: &str) -> Option<&'a Value> {
    json.get(name).or_else(|| json.get(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_written() {
        for text in [
            r#"{"get":"/v1/{name=shelves/*}"}"#,
            r#"{"post":"/v1/books","body":"book","responseBody":"book"}"#,
            r#"{"patch":"/v1/{id}","body":"*","additionalBindings":[{"put":"/v1/{id}","body":"*"},{"delete":"/v1/{id}"}]}"#,
            r#"{"custom":{"kind":"PURGE","path":"/v1/{id}"}}"#,
            r#"{"custom":{"kind":"*","path":"/v1/{id}"},"body":"*"}"#,
        ] {
            assert_eq!(Rule::parse(text).map(|rule| rule.to_json()).as_deref(), Ok(text));
        }
        let snake = r#"{"put":"/a","response_body":"x","additional_bindings":[{"get":"/b"}],"selector":"y"}"#;
        let rule = Rule::parse(snake).expect("both spellings");
        assert_eq!(rule.to_json(), r#"{"put":"/a","responseBody":"x","additionalBindings":[{"get":"/b"}]}"#);
        assert!(rule.bindings[1].wants("HEAD") && !rule.bindings[0].wants("HEAD"));
    }

    #[test]
    fn rules_that_cannot_be_followed_are_refused() {
        for (text, part) in [
            ("{", "malformed"),
            ("[]", "names 0 methods"),
            ("{}", "names 0 methods"),
            (r#"{"get":"/a","put":"/a"}"#, "names 2 methods"),
            (r#"{"get":1}"#, "no text"),
            (r#"{"get":"a"}"#, "no path template"),
            (r#"{"get":"/a","body":"*"}"#, "GET /a has a body"),
            (r#"{"custom":{"kind":"A B","path":"/a"}}"#, "no HTTP method"),
            (r#"{"custom":{"path":"/a"}}"#, "\"\" is no HTTP method"),
            (r#"{"custom":{"kind":"head","path":"/a"}}"#, "capital letters"),
            (r#"{"get":"/a","additionalBindings":[{"get":"/b","additionalBindings":[]}]}"#, "within"),
            (r#"{"get":"/a","additionalBindings":{}}"#, "no list"),
        ] {
            let error = Rule::parse(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
