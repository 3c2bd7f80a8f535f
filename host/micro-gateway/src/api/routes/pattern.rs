//! Patterns that endpoints are registered with: what a path must look like, and what is taken out of it.
//!
//! | form | matches |
//! |---|---|
//! | `^/greet(er)?$` | what the regular expression matches, from the first byte to the last |
//! | `/users/{id}`, `/files/{path=**}`, `/a/*/b` | a template of google.api.http; variables are taken out |
//! | `/users` | this path, and everything below it |
//! Paths are matched as a whole decoded, as Go Micro's gateway has them.

use micro_rest::{MatchedPath, Template, TemplateSegment};
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

/// Variables and their values, in the pattern's order.
pub(crate) type Variables = Vec<(String, String)>;

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let error = |why: &str| PatternError { pattern: text.to_owned(), why: why.to_owned() };
        match (text.starts_with('^'), text.ends_with('$')) {
            (true, true) if text.len() > 1 => {
                anchored(text).map(Self::Regex).map_err(|problem| error(&problem.to_string()))
            }
            (true, _) | (_, true) => Err(error("a regular expression starts with ^ and ends with $")),
            (false, false) if !text.starts_with('/') => Err(error("a path starts with /")),
            (false, false) if text.contains(['{', '*']) => {
                Template::parse(text).map(Self::Template).map_err(|problem| error(problem.why()))
            }
            (false, false) => Ok(Self::Below(text.trim_end_matches('/').to_owned())),
        }
    }

    /// The variables of a path that matches.
    pub(super) fn matches(&self, path: &str) -> Option<Variables> {
        match self {
            Self::Regex(regex) => regex.is_match(path).then(Vec::new),
            Self::Template(template) => {
                let path = MatchedPath::of_decoded(path)?;
                let variables = template.matches(&path)?;
                Some(variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }
            Self::Below(folder) => {
                let rest = path.strip_prefix(folder.as_str())?;
                (rest.is_empty() || rest.starts_with('/')).then(Vec::new)
            }
        }
    }

    /// The pattern as a template, for a document; none for what a template cannot say.
    pub(super) fn template(&self) -> Option<Template> {
        match self {
            Self::Template(template) => Some(template.clone()),
            Self::Below(folder) => Template::parse(folder).ok(),
            Self::Regex(regex) => {
                let path = regex.as_str().strip_prefix("^(?:")?.strip_suffix(")$")?;
                let is_plain = path.chars().all(|it| it.is_ascii_alphanumeric() || "/-_".contains(it));
                Template::parse(path).ok().filter(|_| is_plain)
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
            Self::Template(template) => precision(template),
            Self::Below(folder) => Precision { prefix: folder.len(), ..Precision::default() },
        }
    }
}

/// The expression in `^…$`. In a group, so that both anchors hold for every alternative of `^/a|/b$`.
pub(super) fn anchored(text: &str) -> Result<Regex, regex::Error> {
    let inside = text.strip_prefix('^').and_then(|text| text.strip_suffix('$')).unwrap_or(text);
    RegexBuilder::new(&format!("^(?:{inside})$")).size_limit(LARGEST_REGEX).build()
}

fn precision(template: &Template) -> Precision {
    let literal = |segment: &TemplateSegment| match segment {
        TemplateSegment::Literal(text) => Some(text.len() + 1),
        TemplateSegment::One | TemplateSegment::Rest => None,
    };
    let segments = || template.segments().map(|(segment, _)| segment);
    Precision {
        prefix: segments().map_while(literal).sum(),
        verb: template.verb().is_some(),
        literals: segments().filter_map(literal).count(),
        closed: !segments().any(|segment| *segment == TemplateSegment::Rest),
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
            ("/a%20b/{c}", "/a b/100%25", Some("c=100%25")),
            ("/files/{path=**}", "/files/%2F/50%", Some("path=%2F/50%")),
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
