//! Patterns that endpoints are registered with: what a path must look like, and what is taken out of it.
//!
//! | form | matches |
//! |---|---|
//! | `^/greet(er)?$` | what the regular expression matches, from the first byte to the last |
//! | `/users/{id}`, `/files/{path=**}`, `/a/*/b` | a template of google.api.http; variables are taken out |
//! | `/users` | this path, and everything below it |
//!
//! The grammar of templates (google/api/http.proto), of which none of the parts may be empty:
//!
//! ```text
//! Template = "/" Segments [ ":" LITERAL ]
//! Segments = Segment { "/" Segment }
//! Segment  = "*" | "**" | LITERAL | "{" FieldPath [ "=" Segments ] "}"    no variable within a variable, ** at the end
//! FieldPath = IDENT { "." IDENT }
//! ```

use regex::{Regex, RegexBuilder};

/// Patterns come from registries: a compiled one may take this many bytes.
const LARGEST_REGEX: usize = 1 << 20;

/// A pattern that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no path pattern: {why}")]
pub(crate) struct PatternError {
    pattern: String,
    why: String,
}

/// What a path must look like.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Regex(Regex),
    Template(Template),
    /// Without a slash at the end.
    Below(String),
}

/// What a pattern says of a path, the weightier first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Precision {
    /// Bytes up to the first that it leaves open.
    prefix: usize,
    /// Whether it asks for a verb.
    verb: bool,
    /// Literals behind what it leaves open.
    literals: usize,
    /// Whether it says how many segments there are.
    closed: bool,
}

/// A template as the segments that it consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    segments: Vec<Segment>,
    variables: Vec<Variable>,
    /// Behind a colon at the end.
    verb: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// `*`
    One,
    /// `**`, the last one only.
    Rest,
}

/// The segments from `start` up to `end` under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    name: String,
    start: usize,
    end: usize,
}

/// Variables and their values, in the pattern's order.
pub(crate) type Variables = Vec<(String, String)>;

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let error = |why: &str| PatternError { pattern: text.to_owned(), why: why.to_owned() };
        match (text.starts_with('^'), text.ends_with('$')) {
            (true, true) if text.len() > 1 => {
                // In a group, so that both anchors hold for every alternative of `^/a|/b$`.
                let regex = format!("^(?:{})$", &text[1..text.len() - 1]);
                let regex = RegexBuilder::new(&regex).size_limit(LARGEST_REGEX).build();
                regex.map(Self::Regex).map_err(|problem| error(&problem.to_string()))
            }
            (true, _) | (_, true) => Err(error("a regular expression starts with ^ and ends with $")),
            (false, false) if !text.starts_with('/') => Err(error("a path starts with /")),
            (false, false) if text.contains(['{', '*']) => {
                Template::parse(text).map(Self::Template).map_err(error)
            }
            (false, false) => Ok(Self::Below(text.trim_end_matches('/').to_owned())),
        }
    }

    /// The variables of a path that matches.
    pub(super) fn matches(&self, path: &str) -> Option<Variables> {
        match self {
            Self::Regex(regex) => regex.is_match(path).then(Vec::new),
            Self::Template(template) => template.matches(path),
            Self::Below(folder) => {
                let rest = path.strip_prefix(folder.as_str())?;
                (rest.is_empty() || rest.starts_with('/')).then(Vec::new)
            }
        }
    }

    /// How much of a path this pattern spells out. Of two patterns that match, the one that says more is meant.
    pub(super) fn precision(&self) -> Precision {
        match self {
            Self::Regex(regex) => {
                let body = regex.as_str().trim_start_matches("^(?:");
                let end = body.find(|it: char| !(it.is_alphanumeric() || "/-_".contains(it)));
                Precision { prefix: end.unwrap_or(body.len()), ..Precision::default() }
            }
            Self::Template(template) => template.precision(),
            Self::Below(folder) => Precision { prefix: folder.len(), ..Precision::default() },
        }
    }
}

impl Template {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut template = Self { segments: Vec::new(), variables: Vec::new(), verb: None };
        let mut rest = text.strip_prefix('/').ok_or("a path starts with /")?;
        loop {
            rest = template.take(rest)?;
            match rest.chars().next() {
                None => break,
                Some('/') => rest = &rest[1..],
                Some(':') => {
                    let verb = &rest[1..];
                    if verb.is_empty() || verb.contains(['/', '{', '}', '*', ':']) {
                        return Err("behind the colon stands a word");
                    }
                    template.verb = Some(verb.to_owned());
                    break;
                }
                Some(_) => return Err("between segments stands /"),
            }
        }
        let rest = template.segments.iter().position(|segment| *segment == Segment::Rest);
        match rest {
            Some(at) if at + 1 < template.segments.len() => Err("** stands at the end only"),
            _ => Ok(template),
        }
    }

    /// Takes one segment or variable from the text; what is behind it.
    fn take<'a>(&mut self, text: &'a str) -> Result<&'a str, &'static str> {
        let Some(inner) = text.strip_prefix('{') else {
            let end = text.find(['/', ':', '{', '}']).unwrap_or(text.len());
            self.segments.push(Segment::parse(&text[..end])?);
            return Ok(&text[end..]);
        };
        let (inner, behind) = inner.split_once('}').ok_or("a { without }")?;
        let (name, segments) = inner.split_once('=').unwrap_or((inner, "*"));
        if !name.split('.').all(is_identifier) {
            return Err("a variable's name is words of letters, digits and _, joined with dots");
        }
        if self.variables.iter().any(|variable| variable.name == name) {
            return Err("two variables have the same name");
        }
        let start = self.segments.len();
        for segment in segments.split('/') {
            if segment.contains(['{', ':']) {
                return Err("a variable's value is literals and *");
            }
            self.segments.push(Segment::parse(segment)?);
        }
        self.variables.push(Variable { name: name.to_owned(), start, end: self.segments.len() });
        Ok(behind)
    }

    fn matches(&self, path: &str) -> Option<Variables> {
        let path = match &self.verb {
            Some(verb) => path.strip_suffix(verb.as_str())?.strip_suffix(':')?,
            None => path,
        };
        let path = path.strip_prefix('/')?;
        let parts: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        let mut at = 0;
        for segment in &self.segments {
            match (segment, parts.get(at)) {
                (Segment::Rest, _) => {
                    at = parts.len();
                    break;
                }
                (Segment::One, Some(part)) if !part.is_empty() => at += 1,
                (Segment::Literal(literal), Some(part)) if literal == part => at += 1,
                _ => return None,
            }
        }
        if at != parts.len() {
            return None;
        }
        let value = |variable: &Variable| {
            let rest = self.segments[variable.start..variable.end].contains(&Segment::Rest);
            let end = if rest { parts.len() } else { variable.end };
            (variable.name.clone(), parts[variable.start.min(end)..end].join("/"))
        };
        Some(self.variables.iter().map(value).collect())
    }

    fn precision(&self) -> Precision {
        let literal = |segment: &Segment| match segment {
            Segment::Literal(text) => Some(text.len() + 1),
            Segment::One | Segment::Rest => None,
        };
        Precision {
            prefix: self.segments.iter().map_while(literal).sum(),
            verb: self.verb.is_some(),
            literals: self.segments.iter().filter_map(literal).count(),
            closed: !self.segments.contains(&Segment::Rest),
        }
    }
}

/// A letter or _, then digits too.
fn is_identifier(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

impl Segment {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "" => Err("a segment is empty"),
            "*" => Ok(Self::One),
            "**" => Ok(Self::Rest),
            _ if text.contains(['*', '}']) => Err("* stands alone in a segment"),
            _ => Ok(Self::Literal(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> Option<String> {
        let pattern = Pattern::parse(pattern).expect(pattern);
        let variables = pattern.matches(path)?;
        Some(variables.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
    }

    #[test]
    fn paths_match_and_variables_are_taken_out() {
        for (pattern, path, expected) in [
            ("/greeter", "/greeter", Some("")),
            ("/greeter", "/greeter/", Some("")),
            ("/greeter/", "/greeter/hello", Some("")),
            ("/greeter", "/greeters", None),
            ("/greeter", "/foo/greeter", None),
            ("/", "/anything", Some("")),
            ("^/greet(er)?$", "/greeter", Some("")),
            ("^/greet(er)?$", "/foo/greeter", None),
            ("/users/{id}", "/users/7", Some("id=7")),
            ("/users/{id}", "/users/7/", Some("id=7")),
            ("/users/{id}", "/users/", None),
            ("/users/{id}", "/users/7/posts", None),
            ("/users/{user.id}/posts/{post}", "/users/7/posts/x y", Some("user.id=7&post=x y")),
            ("/v1/{name=shelves/*/books/*}", "/v1/shelves/1/books/2", Some("name=shelves/1/books/2")),
            ("/v1/{name=shelves/*}", "/v1/other/1", None),
            ("/files/{path=**}", "/files/a/b/c", Some("path=a/b/c")),
            ("/files/{path=**}", "/files", Some("path=")),
            ("/files/**", "/files/a/b", Some("")),
            ("/a/*/c", "/a/b/c", Some("")),
            ("/users/{id}:block", "/users/7:block", Some("id=7")),
            ("/users/{id}:block", "/users/7", None),
            ("/users/{id}:block", "/users/:block", None),
            ("/files/{path=**}:read", "/files/a/b:read", Some("path=a/b")),
            ("/v1/{parent=projects/*}/jobs/{job}", "/v1/projects/p/jobs/j", Some("parent=projects/p&job=j")),
            ("/v1/{name=projects/**}", "/v1/projects/a/b", Some("name=projects/a/b")),
            ("/*", "/a", Some("")),
            ("/*", "/", None),
            ("/{a=*}/{b=b}", "/x/b", Some("a=x&b=b")),
            ("^/a|/b$", "/b", Some("")),
            ("^/a{1,2}$", "/aa", Some("")),
            ("^/a|/b$", "/x/b", None),
        ] {
            assert_eq!(matches(pattern, path).as_deref(), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for pattern in [
            "",
            "greeter",
            "^/greeter",
            "/greeter$",
            "^/($",
            "^/(a{9999}){9999}$",
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
            "/{a}/{a}",
            "/{1a}",
            "/{a.}",
            "/{.a}",
            "/{a=}",
            "/{a=b//c}",
            "/{a}}",
            "/a}/*",
            "/***",
            "/{a=**/b}",
            "/**/{a}",
            "/{a}/",
            "/{a}:b:c",
            "/{ä}",
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn more_literal_text_is_more_specific() {
        let precision = |pattern: &str| Pattern::parse(pattern).expect(pattern).precision();
        for (more, less) in [
            ("/users/{id}/posts", "/{a}/{b}/posts"),
            ("/users/me", "/users/{id}"),
            ("^/users/me$", "/users/{id}"),
            ("/users/{id}:block", "/users/{id}"),
            ("/users/{id}/posts", "/users/{id}/{what}"),
            ("/users/{id}", "/users/**"),
        ] {
            assert!(precision(more) > precision(less), "{more} {less}");
        }
        assert_eq!(precision("^/(a|b)$").prefix, 1);
    }
}
