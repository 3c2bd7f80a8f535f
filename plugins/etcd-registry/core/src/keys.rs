//! Where records are: `<prefix><service>/<node id>`, slashes in names written as `-` (`go-micro-wire` §5.4).

use crate::Error;

/// Go Micro since 2019.
const CURRENT: &str = "/micro/registry/";
/// The plugins before.
const LEGACY: &str = "/micro-registry/";

/// The prefixes that are read; the first one is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    prefixes: Vec<String>,
}

impl Layout {
    /// Without a prefix, or with one of Go Micro's own, both of Go Micro's are read. Any other prefix is a world of its
    /// own: whoever sets it wants to be apart, and may have no rights elsewhere.
    pub(crate) fn new(prefix: Option<&str>) -> Result<Self, Error> {
        let prefix = match prefix.map(str::trim) {
            None | Some("") => CURRENT.to_owned(),
            Some(prefix) => format!("{}/", prefix.trim_end_matches('/')),
        };
        if !prefix.starts_with('/') || prefix == "/" || prefix.contains("//") {
            return Err(Error::Invalid(format!("prefix {prefix:?}: expected something like {CURRENT}")));
        }
        let other = match prefix.as_str() {
            CURRENT => Some(LEGACY.to_owned()),
            LEGACY => Some(CURRENT.to_owned()),
            _ => None,
        };
        Ok(Self { prefixes: [prefix].into_iter().chain(other).collect() })
    }

    /// All prefixes of records, or those of one service.
    pub(crate) fn prefixes(&self, service: Option<&str>) -> Result<Vec<String>, Error> {
        let Some(service) = service else { return Ok(self.prefixes.clone()) };
        let service = segment("service name", service)?;
        Ok(self.prefixes.iter().map(|prefix| format!("{prefix}{service}/")).collect())
    }

    /// The keys of a node: first the one that is written, then where else it may be.
    pub(crate) fn keys(&self, service: &str, node: &str) -> Result<Vec<String>, Error> {
        let node = segment("node id", node)?;
        Ok(self.prefixes(Some(service))?.iter().map(|prefix| format!("{prefix}{node}")).collect())
    }

    /// The service in a key, as far as a key can tell.
    pub(crate) fn service_of<'a>(&self, key: &'a str) -> Option<&'a str> {
        let rest = self.prefixes.iter().find_map(|prefix| key.strip_prefix(prefix.as_str()))?;
        rest.split_once('/').map(|(service, _node)| service)
    }

    /// Whether a service of this name has its keys under `segment`.
    pub(crate) fn is_service(&self, name: &str, segment: &str) -> bool {
        self::segment("service name", name).is_ok_and(|it| it == segment)
    }
}

/// One part of a key. `.` and `..` are names as well, but Go would fold them into the path.
fn segment(what: &str, name: &str) -> Result<String, Error> {
    match name {
        "" | "." | ".." => Err(Error::Invalid(format!("{name:?} is no {what}"))),
        _ => Ok(name.replace('/', "-")),
    }
}

/// The end of the range that holds all keys with a prefix. Prefixes end with `/`, so the last byte never overflows.
pub(crate) fn range_end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_prefixes_of_go_micro_are_read_and_one_is_written() {
        let layout = Layout::new(None).expect("valid");
        let keys = layout.keys("go.micro/greeter", "a/1").expect("valid");
        assert_eq!(keys, ["/micro/registry/go.micro-greeter/a-1", "/micro-registry/go.micro-greeter/a-1"]);
        assert_eq!(layout.service_of(&keys[1]), Some("go.micro-greeter"));
        assert_eq!(layout.service_of("/elsewhere/x/y"), None);
        let old = Layout::new(Some("/micro-registry")).expect("valid");
        assert_eq!(old.prefixes(None).expect("valid"), ["/micro-registry/", "/micro/registry/"]);
    }

    #[test]
    fn another_prefix_stands_alone() {
        let layout = Layout::new(Some("/team/a")).expect("valid");
        assert_eq!(layout.prefixes(None).expect("valid"), ["/team/a/"]);
        for wrong in ["/", "//", "team", "/a//b"] {
            assert!(Layout::new(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_that_fold_into_the_path_are_refused() {
        let layout = Layout::new(None).expect("valid");
        for (service, node) in [("", "a"), (".", "a"), ("..", "a"), ("a", ""), ("a", "..")] {
            assert!(layout.keys(service, node).is_err(), "{service:?} {node:?}");
        }
    }
}
