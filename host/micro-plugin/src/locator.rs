//! How a plugin is named on the command line.

use crate::digest::{Digest, DigestError};
use crate::manifest::Kind;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// `etcd`, `etcd.wasm`, `./x/etcd.wasm`, each perhaps with `@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locator {
    /// What to look for.
    pub target: Target,
    /// Refuse a file that has another digest.
    pub digest: Option<Digest>,
}

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `etcd`: a plugin that ships with the program or was installed.
    Name(String),
    /// `etcd.wasm`: a file in the working directory, or else in the plugin folders.
    File(String),
    /// `./x/etcd.wasm`: this file.
    Path(PathBuf),
}

/// A text that locates nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocatorError {
    /// Nothing was typed.
    #[error("a plugin's name or file is missing")]
    Empty,
    /// Known, but not by this version.
    #[error("{text:?}: {what} are not supported by this version; {instead}")]
    Unsupported {
        /// As it was typed.
        text: String,
        /// `OCI references` and so on.
        what: &'static str,
        /// What works.
        instead: &'static str,
    },
    /// Neither a name nor a file.
    #[error(
        "{0:?} is neither a plugin's name (lower-case letters, digits and '-') nor a file that ends with .wasm"
    )]
    Neither(String),
    /// What stands after `@sha256:`.
    #[error("cannot read the digest of a plugin")]
    Digest(#[from] DigestError),
}

/// Names under which Go Micro's users know backends.
const ALIASES: [(Kind, &str, &str); 8] = [
    (Kind::Registry, "etcdv3", "etcd"),
    (Kind::Registry, "k8s", "kubernetes"),
    (Kind::Registry, "zk", "zookeeper"),
    (Kind::Broker, "amqp", "rabbitmq"),
    (Kind::Transport, "amqp", "rabbitmq"),
    (Kind::Selector, "default", "random"),
    (Kind::Selector, "cache", "random"),
    (Kind::Selector, "round-robin", "roundrobin"),
];

/// The name that this project uses for what Go Micro's users may call otherwise.
pub fn canonical(kind: Kind, name: &str) -> &str {
    ALIASES
        .iter()
        .find(|(of, alias, _)| *of == kind && *alias == name)
        .map_or(name, |(_, _, canonical)| canonical)
}

impl Locator {
    /// A plugin by its name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { target: Target::Name(name.into()), digest: None }
    }

    /// A plugin by its file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { target: Target::Path(path.into()), digest: None }
    }

    /// Reads a comma-separated list: several registries that act as one.
    ///
    /// # Errors
    /// The first part that locates nothing.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, LocatorError> {
        text.split(',').map(|part| part.trim().parse()).collect()
    }
}

impl FromStr for Locator {
    type Err = LocatorError;

    fn from_str(text: &str) -> Result<Self, LocatorError> {
        let text = text.trim();
        let unsupported = |what, instead| LocatorError::Unsupported { text: text.to_owned(), what, instead };
        if text.starts_with("oci://") {
            return Err(unsupported("OCI references", "fetch the .wasm file and name it"));
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            return Err(unsupported("addresses of the web", "fetch the .wasm file and name it"));
        }
        let (place, digest) = match text.split_once("@sha256:") {
            Some((place, digest)) => (place, Some(digest.parse()?)),
            None => (text, None),
        };
        if place.is_empty() {
            return Err(LocatorError::Empty);
        }
        let extension = Path::new(place).extension().and_then(|it| it.to_str()).map(str::to_ascii_lowercase);
        let target = match extension.as_deref() {
            Some("so" | "dylib" | "dll") => {
                return Err(unsupported(
                    "native plugins",
                    "build it for wasm32-wasip2 and name the .wasm file",
                ));
            }
            Some("cwasm") => {
                return Err(unsupported("compiled plugins", "name the .wasm file that it was made from"));
            }
            _ if place.contains(['/', '\\']) => Target::Path(place.into()),
            Some("wasm") => Target::File(place.to_owned()),
            _ if crate::manifest::is_name(place) => Target::Name(place.to_owned()),
            _ => return Err(LocatorError::Neither(place.to_owned())),
        };
        Ok(Self { target, digest })
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Name(name) | Target::File(name) => f.write_str(name)?,
            Target::Path(path) => write!(f, "{}", path.display())?,
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@sha256:{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_files_and_paths_are_told_apart() {
        let target = |text: &str| text.parse::<Locator>().expect(text).target;
        assert_eq!(target("etcd"), Target::Name("etcd".to_owned()));
        assert_eq!(target("etcd.wasm"), Target::File("etcd.wasm".to_owned()));
        assert_eq!(target("./etcd.wasm"), Target::Path("./etcd.wasm".into()));
        assert_eq!(target("/opt/my plugin"), Target::Path("/opt/my plugin".into()));
        let pinned = format!("etcd.wasm@sha256:{}", "ab".repeat(32));
        assert_eq!(pinned.parse::<Locator>().expect("valid").to_string(), pinned);
        assert_eq!(Locator::parse_list("consul, etcd").expect("two").len(), 2);
    }

    #[test]
    fn the_rest_is_refused_with_a_reason() {
        let error = |text: &str| text.parse::<Locator>().expect_err(text).to_string();
        assert!(error("oci://ghcr.io/x:1").contains("OCI references are not supported by this version"));
        assert!(error("https://x/y.wasm").contains("fetch the .wasm file"));
        assert!(error("etcd.so").contains("wasm32-wasip2"));
        assert!(error("x/etcd.so").contains("native plugins"));
        assert!(error("etcd.cwasm").contains("that it was made from"));
        assert!(error("Etcd!").contains("neither"));
        assert_eq!(error("@sha256:00"), "cannot read the digest of a plugin");
        assert!(error("").contains("missing"));
        assert!(Locator::parse_list("consul,,etcd").is_err());
    }

    #[test]
    fn names_of_go_micro_are_known() {
        assert_eq!(canonical(Kind::Registry, "etcdv3"), "etcd");
        assert_eq!(canonical(Kind::Registry, "consul"), "consul");
        assert_eq!(canonical(Kind::Broker, "etcdv3"), "etcdv3");
    }
}
