//! From a path to a service and an endpoint (the resolver that Go Micro calls `micro`).

use micro_core::Error;
use std::fmt;

/// What a path stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The full name, with the namespace.
    pub service: String,
    /// `Struct.Method`.
    pub endpoint: String,
}

/// What stands in front of the service names that a gateway may reach. Keeps the outside out of everything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// `go.micro.api` makes `foo` to `go.micro.api.foo`. A name that ends in `.` is put in front as it is; one that
    /// ends in `-` too, and then every `.` becomes `-`. An empty name, or one space, is no namespace.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self(if name == " " { String::new() } else { name })
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full name of `service`.
    pub fn join(&self, service: &str) -> String {
        match self.0.as_bytes().last() {
            None => service.to_owned(),
            Some(b'.') => format!("{}{service}", self.0),
            Some(b'-') => format!("{}{service}", self.0).replace('.', "-"),
            Some(_) => format!("{}.{service}", self.0),
        }
    }

    /// Whether a full name is one of this namespace.
    pub(super) fn has(&self, service: &str) -> bool {
        service.starts_with(&self.join(""))
    }

    /// What a decoded path stands for.
    ///
    /// | path | service | endpoint |
    /// |---|---|---|
    /// | `/foo` | `foo` | `Foo.Call` |
    /// | `/foo/bar` | `foo` | `Foo.Bar` |
    /// | `/foo/bar/baz` | `foo` | `Bar.Baz` |
    /// | `/foo/bar/baz/cat` | `foo.bar` | `Baz.Cat` |
    /// | `/v1/foo/bar` | `v1.foo` | `Foo.Bar` |
    ///
    /// # Errors
    /// Code 404 for the root, which stands for nothing; code 400 for names that no service can have.
    pub fn resolve(&self, path: &str) -> Result<Target, Error> {
        let path = path.trim_matches('/');
        if path.is_empty() {
            return Err(Error::not_found(super::ID, "the path names no service: use /service/method"));
        }
        if path.chars().any(|it| it.is_control() || it.is_whitespace()) {
            return Err(Error::bad_request(
                super::ID,
                "a path with spaces or control characters names no service",
            ));
        }
        let segments: Vec<&str> = path.split('/').collect();
        let (service, endpoint) = match segments[..] {
            [service] => (service.to_owned(), format!("{}.Call", Method(&segments))),
            [service, _] => (service.to_owned(), Method(&segments).to_string()),
            [version, service, _] if is_version(version) => {
                (format!("{version}.{service}"), Method(&segments[1..]).to_string())
            }
            _ => {
                let (service, method) = segments.split_at(segments.len() - 2);
                (service.join("."), Method(method).to_string())
            }
        };
        Ok(Target { service: self.join(&service), endpoint })
    }
}

impl Namespace {
    /// The service whose nodes get requests for a decoded path as they are.
    ///
    /// | path | service |
    /// |---|---|
    /// | `/foo`, `/foo/bar` | `foo` |
    /// | `/v1/foo/bar` | `v1.foo` |
    ///
    /// # Errors
    /// Code 404 for the root and for names that are not letters and digits, joined by single hyphens.
    pub fn resolve_service(&self, path: &str) -> Result<String, Error> {
        let mut segments = path.trim_start_matches('/').split('/');
        let first = segments.next().unwrap_or_default();
        let second = segments.next().filter(|second| is_version(first) && !second.is_empty());
        let alias = second.unwrap_or(first);
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|it| it.is_ascii_alphanumeric());
        if !alias.split('-').all(is_word) {
            return Err(Error::not_found(super::ID, "the path names no service: use /service/..."));
        }
        Ok(match second {
            Some(second) => self.join(&format!("{first}.{second}")),
            None => self.join(first),
        })
    }
}

/// `v` and digits.
fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit()))
}

/// Segments as the name of an endpoint: `["foo-bar", "baz"]` is `FooBar.Baz`.
struct Method<'a>(&'a [&'a str]);

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            camel_case(segment, f)?;
        }
        Ok(())
    }
}

/// Hyphens join words; each word starts with a capital, also behind punctuation. Capitals that are there stay.
fn camel_case(segment: &str, f: &mut impl fmt::Write) -> fmt::Result {
    let mut start = true;
    for letter in segment.chars() {
        if letter == '-' {
            start = true;
        } else if start {
            letter.to_uppercase().try_for_each(|it| f.write_char(it))?;
            start = is_separator(letter);
        } else {
            f.write_char(letter)?;
            start = is_separator(letter);
        }
    }
    Ok(())
}

fn is_separator(letter: char) -> bool {
    letter.is_ascii() && !letter.is_ascii_alphanumeric() && letter != '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_segments_name_services() {
        let namespace = Namespace::new("go.micro.api");
        for (path, expected) in [
            ("/foo", Some("go.micro.api.foo")),
            ("/foo/bar/baz", Some("go.micro.api.foo")),
            ("/foo-bar/", Some("go.micro.api.foo-bar")),
            ("/v1/foo/bar", Some("go.micro.api.v1.foo")),
            ("/v1", Some("go.micro.api.v1")),
            ("/v1/", Some("go.micro.api.v1")),
            ("/", None),
            ("/-foo", None),
            ("/foo--bar", None),
            ("/foo.bar", None),
            ("/v1/f_o", None),
            ("/föö", None),
        ] {
            assert_eq!(namespace.resolve_service(path).ok().as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn paths_stand_for_services_and_methods() {
        let namespace = Namespace::new("go.micro.api");
        for (path, service, endpoint) in [
            ("/foo/bar", "foo", "Foo.Bar"),
            ("/foo/bar/", "foo", "Foo.Bar"),
            ("/foo/foo/bar", "foo", "Foo.Bar"),
            ("/foo/bar/baz", "foo", "Bar.Baz"),
            ("/foo/bar/baz-xyz", "foo", "Bar.BazXyz"),
            ("/foo/fooBar/bazCat", "foo", "FooBar.BazCat"),
            ("/foo/bar/baz/cat", "foo.bar", "Baz.Cat"),
            ("/foo/bar/baz/cat/car", "foo.bar.baz", "Cat.Car"),
            ("/v1/foo/bar", "v1.foo", "Foo.Bar"),
            ("/v1/foo/bar/baz", "v1.foo", "Bar.Baz"),
            ("/v1/foo/bar/baz/cat", "v1.foo.bar", "Baz.Cat"),
            ("/v2/foo/bar", "v2.foo", "Foo.Bar"),
            ("/foo.bar/baz", "foo.bar", "Foo.Bar.Baz"),
            ("/v1/foo", "v1", "V1.Foo"),
            ("/foo", "foo", "Foo.Call"),
            ("/vx/foo/bar", "vx", "Foo.Bar"),
            ("/v/foo/bar", "v", "Foo.Bar"),
            ("/-a--b/c_d", "-a--b", "AB.C_d"),
            ("/été/x", "été", "Été.X"),
        ] {
            let expected =
                Target { service: format!("go.micro.api.{service}"), endpoint: endpoint.to_owned() };
            assert_eq!(namespace.resolve(path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn what_names_no_service_is_refused() {
        let namespace = Namespace::new("a");
        for (path, code) in [("/", 404), ("", 404), ("/a b/c", 400), ("/a\r\nb", 400), ("/a/\u{a0}", 400)] {
            assert_eq!(namespace.resolve(path).expect_err(path).code, code, "{path:?}");
        }
    }

    #[test]
    fn other_names_are_not_of_the_namespace() {
        let namespace = Namespace::new("go.micro.api");
        for name in ["go.micro.srv.foo", "go.micro.api", "go.micro.apix.foo"] {
            assert!(!namespace.has(name), "{name}");
        }
    }

    #[test]
    fn namespaces_are_joined() {
        for (namespace, service, full) in [
            ("go.micro.api", "foo", "go.micro.api.foo"),
            ("", "foo", "foo"),
            (" ", "foo", "foo"),
            ("api.", "foo.bar", "api.foo.bar"),
            ("my.api-", "foo.bar", "my-api-foo-bar"),
        ] {
            let namespace = Namespace::new(namespace);
            assert_eq!(namespace.join(service), full);
            assert!(namespace.has(full), "{full}");
        }
    }
}
