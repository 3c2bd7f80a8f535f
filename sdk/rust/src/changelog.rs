//! What changed since when: the cursors and the waiting of [`Registry::changes`](crate::Registry::changes).

use crate::registry::{Batch, Entry, Service};
use crate::{Error, time};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

/// How often a waiting call looks.
const POLL: Duration = Duration::from_millis(100);
/// Names that are gone and still remembered, so that they can be reported. Above it, old cursors get a resync.
const MAX_GONE: usize = 10_000;

/// Remembers the latest state of every name and since when it is so.
///
/// Give it the whole state with [`update`](Self::update) whenever it may have changed. A cursor is good for the log that
/// made it: on another instance, or after a restart, it is answered with a resync, as the contract wants it.
#[derive(Debug)]
pub struct ChangeLog {
    epoch: u64,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    revision: u64,
    /// Cursors before it are no longer good.
    oldest: u64,
    names: BTreeMap<String, Vec<Service>>,
    since: BTreeMap<String, u64>,
}

impl ChangeLog {
    /// A log in which nothing has happened.
    pub fn new() -> Self {
        // Random, from the host.
        Self { epoch: RandomState::new().build_hasher().finish(), state: RefCell::default() }
    }

    /// Takes the state of all names: every version of every service. A service without nodes counts as one that is there.
    pub fn update(&self, services: impl IntoIterator<Item = Service>) {
        let mut fresh: BTreeMap<String, Vec<Service>> = BTreeMap::new();
        for service in services {
            fresh.entry(service.name.clone()).or_default().push(service);
        }
        let mut state = self.state.borrow_mut();
        let known: BTreeSet<String> = state.names.keys().chain(fresh.keys()).cloned().collect();
        for name in known {
            if state.names.get(&name) != fresh.get(&name) {
                state.revision += 1;
                let revision = state.revision;
                state.since.insert(name, revision);
            }
        }
        state.names = fresh;
        state.forget();
    }

    /// Where `changes` can start so that nothing is missed that comes after now.
    pub fn cursor(&self) -> String {
        format!("{:x}-{}", self.epoch, self.state.borrow().revision)
    }

    /// All versions of one service; empty when it is unknown.
    pub fn services(&self, name: &str) -> Vec<Service> {
        self.state.borrow().names.get(name).cloned().unwrap_or_default()
    }

    /// The names of all services.
    pub fn names(&self) -> Vec<String> {
        self.state.borrow().names.keys().cloned().collect()
    }

    /// The answer to `changes`: at the first change, or unchanged after `wait`. `refresh` reads the state and gives it to
    /// [`update`](Self::update), at once and then ten times a second.
    ///
    /// # Errors
    /// Those of `refresh`.
    pub async fn changes(
        &self,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
        mut refresh: impl AsyncFnMut() -> Result<(), Error>,
    ) -> Result<Batch, Error> {
        let started = Instant::now();
        loop {
            refresh().await?;
            if let Some(batch) = self.after(name, after) {
                return Ok(batch);
            }
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(Batch::unchanged(self.cursor()));
            }
            time::sleep(left.min(POLL)).await;
        }
    }

    fn after(&self, name: Option<&str>, after: Option<&str>) -> Option<Batch> {
        let revision = self.known(after);
        let state = self.state.borrow();
        let in_scope = |it: &&String| name.is_none_or(|name| name == it.as_str());
        let changed: Vec<_> = match revision {
            Some(revision) => {
                let since = state.since.iter().filter(|(_, since)| **since > revision);
                since.map(|(name, _)| name).filter(in_scope).collect()
            }
            None => state.names.keys().filter(in_scope).collect(),
        };
        if revision.is_some() && changed.is_empty() {
            return None;
        }
        let entry = |name: &String| Entry {
            name: name.clone(),
            services: state.names.get(name).cloned().unwrap_or_default(),
        };
        let entries = changed.into_iter().map(entry).collect();
        let cursor = format!("{:x}-{}", self.epoch, state.revision);
        Some(Batch { cursor, resync: revision.is_none(), entries })
    }

    /// The revision that a cursor of this log stands for; None where it is no longer good.
    fn known(&self, cursor: Option<&str>) -> Option<u64> {
        let (epoch, revision) = cursor?.split_once('-')?;
        let own = u64::from_str_radix(epoch, 16).is_ok_and(|epoch| epoch == self.epoch);
        let state = self.state.borrow();
        let revision = revision.parse().ok().filter(|_| own)?;
        (state.oldest..=state.revision).contains(&revision).then_some(revision)
    }
}

impl Default for ChangeLog {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn forget(&mut self) {
        let mut gone: Vec<(u64, String)> = self
            .since
            .iter()
            .filter(|(name, _)| !self.names.contains_key(*name))
            .map(|(name, since)| (*since, name.clone()))
            .collect();
        let excess = gone.len().saturating_sub(MAX_GONE);
        gone.sort();
        for (since, name) in gone.into_iter().take(excess) {
            self.oldest = self.oldest.max(since);
            self.since.remove(&name);
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::testing::run;

    fn service(name: &str, version: &str) -> Service {
        Service { name: name.to_owned(), version: version.to_owned(), ..Service::default() }
    }

    fn changes(log: &ChangeLog, name: Option<&str>, after: Option<&str>, wait_ms: u64) -> Batch {
        run(log.changes(name, after, Duration::from_millis(wait_ms), async || Ok(()))).expect("no error")
    }

    #[test]
    fn no_cursor_and_foreign_cursors_are_a_resync() {
        let log = ChangeLog::new();
        log.update([service("a", "1")]);
        let foreign = ChangeLog::new().cursor();
        let late = format!("{}9", log.cursor());
        for after in [None, Some(""), Some("-"), Some("nonsense"), Some(&*foreign), Some(&*late)] {
            let batch = changes(&log, None, after, 5000);
            assert!(batch.resync && batch.entries.len() == 1, "{after:?}");
        }
        assert_eq!(changes(&log, Some("b"), None, 5000).entries, []);
    }

    #[test]
    fn a_change_is_reported_once_with_everything_under_its_name() {
        let log = ChangeLog::new();
        log.update([service("a", "1"), service("b", "1")]);
        let start = log.cursor();
        log.update([service("a", "1"), service("a", "2"), service("b", "1")]);
        let batch = changes(&log, None, Some(&start), 5000);
        let entry = Entry { name: "a".to_owned(), services: vec![service("a", "1"), service("a", "2")] };
        assert_eq!((batch.resync, batch.entries), (false, vec![entry]));
        assert_eq!(changes(&log, Some("b"), Some(&start), 0).entries, []);
        log.update([service("b", "1")]);
        let gone = changes(&log, None, Some(&batch.cursor), 5000);
        assert_eq!(gone.entries, [Entry { name: "a".to_owned(), services: Vec::new() }]);
    }

    #[test]
    fn a_waiting_call_sees_what_refreshing_brings() {
        let log = ChangeLog::new();
        let mut reads = 0;
        let refresh = async || {
            reads += 1;
            if reads == 3 {
                log.update([service("a", "1")]);
            }
            Ok(())
        };
        let batch = run(log.changes(None, Some(&log.cursor()), Duration::from_secs(60), refresh));
        assert_eq!(batch.expect("no error").entries.len(), 1);
    }

    #[test]
    fn names_that_are_gone_are_not_remembered_for_ever() {
        let log = ChangeLog::new();
        let start = log.cursor();
        log.update((0..MAX_GONE + 10).map(|number| service(&format!("s{number}"), "")));
        log.update([]);
        assert!(changes(&log, None, Some(&start), 0).resync);
        assert!(!changes(&log, None, Some(&log.cursor()), 0).resync);
    }
}
