//! Path templates.
//!
//! ```text
//! Template  = "/" Segments [ ":" LITERAL ]
//! Segments  = Segment { "/" Segment }
//! Segment   = "*" | "**" | LITERAL | "{" FieldPath [ "=" Segments ] "}"    no variable within a variable, ** at the end
//! FieldPath = IDENT { "." IDENT }
//! ```

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// A template with more segments is a mistake, or made to keep a gateway busy.
const MOST_SEGMENTS: usize = 64;

/// What a literal does not have as it is: what a path cannot have (RFC 3986 §3.3), and what means something in templates.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'*')
    .add(b'/')
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{template:?} is no path template: {why}")]
pub struct TemplateError {
    template: String,
    why: &'static str,
}

impl TemplateError {
    /// What is wrong, without the template.
    pub fn why(&self) -> &'static str {
        self.why
    }
}

/// What a path must look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<TemplateSegment>,
    variables: Vec<TemplateVariable>,
    verb: Option<String>,
}

/// What one segment of a path must look like. Its text is that of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateSegment {
    /// This, when it is decoded.
    Literal(String),
    /// `*`: anything but nothing.
    One,
    /// `**`: all that follows, if anything does. The last segment only.
    Rest,
}

/// Segments under the name of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateVariable {
    /// The field, `a.b` for one of a field's message.
    pub field: String,
    start: usize,
    end: usize,
}

/// A request's path, in segments that are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedPath<'a> {
    segments: Vec<Cow<'a, str>>,
    /// The last segment as it came: a colon that was escaped begins no verb.
    last: &'a str,
    /// Whether it was decoded here.
    escaped: bool,
}

impl<'a> MatchedPath<'a> {
    /// Takes a path apart and decodes it once: `%2F` is a slash within a segment. A slash at its end does not count. None
    /// if it is not absolute, or not UTF-8 when decoded.
    pub fn parse(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let decode = |segment: &'a str| percent_decode_str(segment).decode_utf8().ok();
        let segments = path.split('/').map(decode).collect::<Option<Vec<_>>>()?;
        let last = path.rsplit('/').next().unwrap_or_default();
        Some(Self { segments, last, escaped: true })
    }

    /// Takes a path apart that was decoded as a whole, so that every slash is one between segments. A slash at its end does
    /// not count. None if it is not absolute.
    pub fn of_decoded(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let segments: Vec<_> = path.split('/').map(Cow::Borrowed).collect();
        let last = path.rsplit('/').next().unwrap_or_default();
        Some(Self { segments, last, escaped: false })
    }

    /// A part of the last segment.
    fn decode(&self, part: &'a str) -> Option<Cow<'a, str>> {
        if self.escaped { percent_decode_str(part).decode_utf8().ok() } else { Some(Cow::Borrowed(part)) }
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What does not fit the grammar.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut template =
            Self { text: text.to_owned(), segments: Vec::new(), variables: Vec::new(), verb: None };
        match template.read(text) {
            Ok(()) => Ok(template),
            Err(why) => Err(TemplateError { template: text.to_owned(), why }),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The variables, in the order of the path.
    pub fn variables(&self) -> &[TemplateVariable] {
        &self.variables
    }

    /// The verb behind the colon at the end.
    pub fn verb(&self) -> Option<&str> {
        self.verb.as_deref()
    }

    /// The segments, each with the variable that it is of.
    pub fn segments(&self) -> impl Iterator<Item = (&TemplateSegment, Option<&TemplateVariable>)> {
        self.segments.iter().enumerate().map(|(at, segment)| {
            let of = |variable: &&TemplateVariable| (variable.start..variable.end).contains(&at);
            (segment, self.variables.iter().find(of))
        })
    }

    /// The template without names: two with the same shape match the same paths.
    pub fn shape(&self) -> String {
        let mut shape = String::with_capacity(self.text.len());
        for segment in &self.segments {
            shape.push('/');
            shape.push_str(&segment.to_string());
        }
        if let Some(verb) = &self.verb {
            shape.push(':');
            shape.push_str(verb);
        }
        shape
    }

    /// The fields of a path that matches, with their values.
    pub fn matches(&self, path: &MatchedPath<'_>) -> Option<Vec<(&str, String)>> {
        let mut parts: Vec<&str> = path.segments.iter().map(AsRef::as_ref).collect();
        let without_verb;
        if let Some(verb) = &self.verb {
            let bare = path.last.strip_suffix(verb.as_str())?.strip_suffix(':')?;
            without_verb = path.decode(bare)?;
            *parts.last_mut()? = &without_verb;
        }
        let mut at = 0;
        for segment in &self.segments {
            match (segment, parts.get(at)) {
                (TemplateSegment::Rest, _) => {
                    at = parts.len();
                    break;
                }
                (TemplateSegment::One, Some(part)) if !part.is_empty() => at += 1,
                (TemplateSegment::Literal(literal), Some(part)) if literal == part => at += 1,
                _ => return None,
            }
        }
        if at != parts.len() {
            return None;
        }
        let value = |variable: &TemplateVariable| {
            let open = self.segments[variable.start..variable.end].contains(&TemplateSegment::Rest);
            let end = if open { parts.len() } else { variable.end };
            let parts = &parts[variable.start.min(end)..end];
            // Within a value of several segments a slash that was escaped stays what it was.
            let plain = !path.escaped || (!open && parts.len() == 1);
            let parts: Vec<Cow<'_, str>> =
                parts.iter().map(|part| if plain { Cow::Borrowed(*part) } else { escaped(part) }).collect();
            parts.join("/")
        };
        Some(self.variables.iter().map(|variable| (variable.field.as_str(), value(variable))).collect())
    }

    /// Which of two templates is tried first where both match: literals before variables from the left, then the
    /// longer one, then one with a verb.
    pub fn precedence(&self, other: &Self) -> Ordering {
        let rank = |segment: &TemplateSegment| match segment {
            TemplateSegment::Literal(_) => 0_u8,
            TemplateSegment::One => 1,
            TemplateSegment::Rest => 2,
        };
        let key = |template: &Self| template.segments.iter().map(rank).collect::<Vec<_>>();
        let (mine, theirs) = (key(self), key(other));
        let verb = other.verb.is_some().cmp(&self.verb.is_some());
        let segments = mine.iter().zip(&theirs).map(|(a, b)| a.cmp(b)).find(|it| it.is_ne());
        segments.unwrap_or_else(|| theirs.len().cmp(&mine.len()).then(verb))
    }

    fn read(&mut self, text: &str) -> Result<(), &'static str> {
        let mut rest = text.strip_prefix('/').ok_or("a path starts with /")?;
        loop {
            rest = self.take(rest)?;
            if self.segments.len() > MOST_SEGMENTS {
                return Err("it has too many segments");
            }
            match rest.chars().next() {
                None => break,
                Some('/') => rest = &rest[1..],
                Some(':') => {
                    let verb = &rest[1..];
                    if verb.is_empty() || verb.contains(|it: char| "/{}*:%".contains(it) || !is_printable(it))
                    {
                        return Err("behind the colon stands a word");
                    }
                    self.verb = Some(verb.to_owned());
                    break;
                }
                Some(_) => return Err("between segments stands /"),
            }
        }
        match self.segments.iter().position(|segment| *segment == TemplateSegment::Rest) {
            Some(at) if at + 1 < self.segments.len() => Err("** stands at the end only"),
            _ => Ok(()),
        }
    }

    /// Takes one segment or variable from the text; what is behind it.
    fn take<'a>(&mut self, text: &'a str) -> Result<&'a str, &'static str> {
        let Some(inner) = text.strip_prefix('{') else {
            let end = text.find(['/', ':', '{', '}']).unwrap_or(text.len());
            self.segments.push(TemplateSegment::parse(&text[..end])?);
            return Ok(&text[end..]);
        };
        let (inner, behind) = inner.split_once('}').ok_or("a { without }")?;
        let (name, segments) = inner.split_once('=').unwrap_or((inner, "*"));
        if !name.split('.').all(is_identifier) {
            return Err("a variable's name is words of letters, digits and _, joined with dots");
        }
        let within = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if self.variables.iter().any(|it| within(&it.field, name) || within(name, &it.field)) {
            return Err("two variables are for the same field");
        }
        let start = self.segments.len();
        for segment in segments.split('/') {
            if segment.contains(['{', ':']) {
                return Err("a variable's value is literals and *");
            }
            self.segments.push(TemplateSegment::parse(segment)?);
        }
        let end = self.segments.len();
        self.variables.push(TemplateVariable { field: name.to_owned(), start, end });
        Ok(behind)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for TemplateSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => utf8_percent_encode(text, ESCAPED).fmt(f),
            Self::One => f.write_str("*"),
            Self::Rest => f.write_str("**"),
        }
    }
}

impl TemplateSegment {
    /// Whether it is no literal.
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Literal(_))
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "" => Err("a segment is empty"),
            "*" => Ok(Self::One),
            "**" => Ok(Self::Rest),
            "." | ".." => Err("it has a dot segment"),
            _ if text.contains(['*', '}']) => Err("* stands alone in a segment"),
            _ if !text.chars().all(is_printable) => Err("it has spaces, control characters, or ? or #"),
            _ => {
                let literal = percent_decode_str(text).decode_utf8();
                Ok(Self::Literal(literal.map_err(|_| "it is not UTF-8 when decoded")?.into_owned()))
            }
        }
    }
}

fn is_printable(letter: char) -> bool {
    !(letter.is_control() || letter.is_whitespace() || matches!(letter, '?' | '#'))
}

/// A letter or _, then digits too.
fn is_identifier(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// A segment with its slashes escaped.
fn escaped(segment: &str) -> Cow<'_, str> {
    if segment.contains('/') { segment.replace('/', "%2F").into() } else { Cow::Borrowed(segment) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(template: &str, path: &str) -> Option<String> {
        let template = Template::parse(template).expect(template);
        let fields = template.matches(&MatchedPath::parse(path)?)?;
        Some(fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
    }

    #[test]
    fn paths_match_and_fields_are_taken_out() {
        for (template, path, expected) in [
            ("/v1/books", "/v1/books", Some("")),
            ("/v1/books", "/v1/books/", Some("")),
            ("/v1/books", "/v1/books/1", None),
            ("/v1/books", "/v1/b%6Foks", Some("")),
            ("/v1/b%6Foks", "/v1/books", Some("")),
            ("/users/{id}", "/users/7", Some("id=7")),
            ("/users/{id}", "/users/", None),
            ("/users/{id}", "/users/a%2Fb", Some("id=a/b")),
            ("/users/{id}", "/users/a%252Fb", Some("id=a%2Fb")),
            ("/users/{id}", "/users/x%20y+z", Some("id=x y+z")),
            ("/users/{user.id}/posts/{post}", "/users/7/posts/x", Some("user.id=7&post=x")),
            ("/v1/{name=shelves/*/books/*}", "/v1/shelves/1/books/2", Some("name=shelves/1/books/2")),
            ("/v1/{name=shelves/*/books/*}", "/v1/shelves/a%2Fb/books/2", Some("name=shelves/a%2Fb/books/2")),
            ("/v1/{name=shelves/*}", "/v1/other/1", None),
            ("/files/{path=**}", "/files/a/b/c", Some("path=a/b/c")),
            ("/files/{path=**}", "/files", Some("path=")),
            ("/files/**", "/files/a/b", Some("")),
            ("/a/*/c", "/a/b/c", Some("")),
            ("/v1/{id}:cancel", "/v1/7:cancel", Some("id=7")),
            ("/v1/{id}:cancel", "/v1/7%3Acancel", None),
            ("/v1/{id}:cancel", "/v1/:cancel", None),
            ("/v1/{id}:cancel", "/v1/7", None),
            ("/v1/{id}", "/v1/7:cancel", Some("id=7:cancel")),
            ("/v1/jobs:run", "/v1/jobs:run", Some("")),
            ("/v1/jobs:run", "/v1/jobs", None),
            ("/files/{path=**}:read", "/files/a/b:read", Some("path=a/b")),
            ("/{a=*}/{b=b}", "/x/b", Some("a=x&b=b")),
        ] {
            assert_eq!(matches(template, path).as_deref(), expected, "{template} {path}");
        }
        assert_eq!(MatchedPath::parse("/%ff"), None);
        assert_eq!(MatchedPath::parse("x"), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for template in [
            "",
            "/",
            "books",
            "/{",
            "/{}",
            "/{a",
            "/{a}b",
            "/a*",
            "/**/a",
            "/{a=**}/b",
            "/{a={b}}",
            "//{a}",
            "/{a-b}",
            "/{a}:",
            "/{a}:b/c",
            "/{a}:%62",
            "/{a}/{a}",
            "/{a}/{a.b}",
            "/{a.b}/{a}",
            "/{1a}",
            "/{a.}",
            "/{.a}",
            "/{a=}",
            "/{a=b//c}",
            "/{a}}",
            "/***",
            "/{a}/",
            "/{a}:b:c",
            "/a b",
            "/a?b",
            "/..",
            "/%ff",
        ] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
        assert!(Template::parse(&"/a".repeat(MOST_SEGMENTS + 1)).is_err());
    }

    #[test]
    fn literals_go_before_variables_and_verbs_before_none() {
        let mut templates: Vec<Template> =
            ["/v1/**", "/v1/{a}/{b}", "/v1/{a}", "/v1/me", "/v1/{a}:x", "/{a}/x", "/v1/{a}/x"]
                .iter()
                .map(|text| Template::parse(text).expect(text))
                .collect();
        templates.sort_by(Template::precedence);
        let order: Vec<_> = templates.iter().map(Template::as_str).collect();
        assert_eq!(order, ["/v1/me", "/v1/{a}/x", "/v1/{a}/{b}", "/v1/{a}:x", "/v1/{a}", "/v1/**", "/{a}/x"]);
    }

    #[test]
    fn shapes_have_no_names() {
        let shape = |text: &str| Template::parse(text).expect(text).shape();
        assert_eq!(shape("/v1/{name=shelves/*}/books/{id}:x"), "/v1/shelves/*/books/*:x");
        assert_eq!(shape("/v1/shelves/{a}/books/{b}:x"), "/v1/shelves/*/books/*:x");
        // A literal that looks like something else is still a literal.
        assert_eq!(shape("/v1/%2A/%7Ba%7D/b%3Ax"), "/v1/%2A/%7Ba%7D/b%3Ax");
    }
}
