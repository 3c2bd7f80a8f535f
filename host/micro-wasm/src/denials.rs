//! What a plugin tried and may not.

use micro_core::Code;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Different places that are remembered; a guest could make up any number.
const REMEMBERED: usize = 32;
/// How often the operator is told about one place.
const REPEAT: Duration = Duration::from_secs(10);

/// The denied attempts of one plugin, by the permission that would have allowed them.
#[derive(Debug)]
pub(crate) struct Denials {
    plugin: String,
    flag: String,
    seen: Mutex<BTreeMap<String, Denied>>,
}

#[derive(Debug)]
struct Denied {
    times: u64,
    told: Instant,
}

impl Denials {
    /// `flag` is the one that allows more: `--registry_allow`.
    pub(crate) fn new(plugin: &str, flag: String) -> Self {
        Self { plugin: plugin.to_owned(), flag, seen: Mutex::default() }
    }

    pub(crate) fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Counts an attempt and tells the operator which flag would allow it, once in a while.
    pub(crate) fn note(&self, grant: &str) {
        if self.count(grant) {
            let (plugin, flag) = (self.plugin.as_str(), self.flag.as_str());
            tracing::warn!(plugin.name = plugin, code = %Code::GRANT_DENIED, "denied; if that is wanted, add {flag}={grant}");
        }
    }

    /// Whether it is time to tell the operator.
    fn count(&self, grant: &str) -> bool {
        let mut seen = self.seen.lock();
        if let Some(denied) = seen.get_mut(grant) {
            denied.times += 1;
            let due = denied.told.elapsed() >= REPEAT;
            if due {
                denied.told = Instant::now();
            }
            return due;
        }
        let first = seen.len() < REMEMBERED;
        if first {
            seen.insert(grant.to_owned(), Denied { times: 1, told: Instant::now() });
        }
        first
    }

    /// Which permissions were missed, and how often.
    pub(crate) fn all(&self) -> BTreeMap<String, u64> {
        self.seen.lock().iter().map(|(grant, denied)| (grant.clone(), denied.times)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_told_once_and_only_so_many_are_kept() {
        let denials = Denials::new("a", "--registry_allow".to_owned());
        assert!(denials.count("net:a:1"));
        assert!(!denials.count("net:a:1"));
        let told = (0..1000).filter(|number| denials.count(&format!("net:b:{number}"))).count();
        assert_eq!(told, REMEMBERED - 1);
        assert_eq!(denials.all()["net:a:1"], 2);
    }
}
