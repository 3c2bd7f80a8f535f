//! Namespaces, as the toolkit v2.9 has them: other names in the same registry.
//!
//! The header `Micro-Namespace` of a call says in which one the caller is. Names of the default one stay as they are;
//! those of others get the namespace in front, with a slash. Everybody also sees the default one. The caller says it, and
//! nothing proves it: this keeps names apart, not people.

use micro_core::{Headers, Service};

/// Absent, as before v2.7, is this one too.
const DEFAULT: &str = "go.micro";
const HEADER: &str = "Micro-Namespace";

/// The namespace of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Namespace(Option<String>);

impl Namespace {
    pub(super) fn of(headers: &Headers) -> Self {
        let said = headers.get(HEADER).unwrap_or_default();
        Self((!said.is_empty() && said != DEFAULT).then(|| said.to_owned()))
    }

    /// The name under which this namespace's services of a name are kept.
    pub(super) fn own(&self, name: &str) -> String {
        match &self.0 {
            None => name.to_owned(),
            Some(namespace) => format!("{namespace}/{name}"),
        }
    }

    /// All names under which a caller of this namespace finds services of a name.
    pub(super) fn visible(&self, name: &str) -> Vec<String> {
        let mut names = vec![name.to_owned()];
        names.extend(self.0.is_some().then(|| self.own(name)));
        names
    }

    /// What the caller calls the name under which something is kept; none where that is not for it.
    pub(super) fn seen<'a>(&self, kept: &'a str) -> Option<&'a str> {
        match (kept.rsplit_once('/'), &self.0) {
            (None, _) => Some(kept),
            (Some((namespace, name)), Some(own)) => (namespace == own).then_some(name),
            (Some(_), None) => None,
        }
    }

    /// A kept service as the caller sees it; none where it is not for it.
    pub(super) fn show(&self, kept: &Service) -> Option<Service> {
        let name = self.seen(&kept.name)?.to_owned();
        Some(Service { name, ..kept.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(said: Option<&str>) -> Namespace {
        Namespace::of(&said.map(|said| (HEADER, said)).into_iter().collect())
    }

    #[test]
    fn the_default_namespace_changes_nothing() {
        for said in [None, Some(""), Some("go.micro")] {
            let default = namespace(said);
            assert_eq!((default.own("a"), default.visible("a")), ("a".to_owned(), vec!["a".to_owned()]));
            assert_eq!((default.seen("a"), default.seen("foo/a")), (Some("a"), None));
        }
    }

    #[test]
    fn other_namespaces_are_in_front_of_names() {
        let foo = namespace(Some("foo"));
        assert_eq!((foo.own("a"), foo.visible("a")), ("foo/a".to_owned(), vec!["a".into(), "foo/a".into()]));
        assert_eq!([foo.seen("a"), foo.seen("foo/a"), foo.seen("bar/a")], [Some("a"), Some("a"), None]);
    }
}
