//! A registry's content by name, with the log of changes that its cursors point into.

use micro_core::{Batch, Entry, Service, Snapshot};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use uuid::Uuid;

/// Changes that are remembered. Who is further behind gets everything anew.
const LOG_LIMIT: usize = 4096;

/// What is known under each name, and which names changed when.
///
/// A cursor is `<instance>:<revision>`; one of another instance leads to a resync, so cursors survive nothing that the
/// view itself does not survive.
#[derive(Debug)]
pub(super) struct View {
    services: BTreeMap<String, Vec<Service>>,
    instance: Uuid,
    revision: u64,
    /// Cursors below this one are too old.
    oldest: u64,
    log: VecDeque<(u64, String)>,
}

impl View {
    pub(super) fn new() -> Self {
        Self {
            services: BTreeMap::new(),
            instance: Uuid::new_v4(),
            revision: 0,
            oldest: 0,
            log: VecDeque::new(),
        }
    }

    /// Grows with every change.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// What is known under `name`.
    pub(super) fn get(&self, name: &str) -> &[Service] {
        self.services.get(name).map_or(&[], Vec::as_slice)
    }

    /// All names, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        self.services.keys().cloned().collect()
    }

    /// Replaces what is known under `name`; no services removes it. It is a change only if something differs.
    pub(super) fn set(&mut self, name: &str, services: Vec<Service>) {
        if self.get(name) == services {
            return;
        }
        if services.is_empty() {
            self.services.remove(name);
        } else {
            self.services.insert(name.to_owned(), services);
        }
        self.revision += 1;
        self.log.push_back((self.revision, name.to_owned()));
        if self.log.len() > LOG_LIMIT
            && let Some((forgotten, _)) = self.log.pop_front()
        {
            self.oldest = forgotten;
        }
    }

    /// Makes every cursor so far lead to a resync.
    pub(super) fn expire_cursors(&mut self) {
        self.revision += 1;
        self.oldest = self.revision;
        self.log.clear();
    }

    /// What is known under `name`, and from where to watch on.
    pub(super) fn snapshot(&self, name: &str) -> Snapshot {
        Snapshot { services: self.get(name).to_vec(), cursor: Some(self.cursor()) }
    }

    /// What there is to say to a watcher at `after`. It may be nothing yet: see [`says_nothing`].
    pub(super) fn since(&self, name: Option<&str>, after: Option<&str>) -> Batch {
        let Some(after) = after.and_then(|cursor| self.position(cursor)) else {
            return self.resync(name);
        };
        // The log is sorted, and mostly the watcher is at its end.
        let new = self.log.iter().skip(self.log.partition_point(|(revision, _)| *revision <= after));
        let changed: BTreeSet<&str> = new.map(|(_, name)| name.as_str()).collect();
        let in_scope = |it: &&str| name.is_none_or(|name| name == *it);
        let entries = changed.into_iter().filter(in_scope).map(|name| self.entry(name)).collect();
        Batch { cursor: self.cursor(), resync: false, entries }
    }

    fn resync(&self, name: Option<&str>) -> Batch {
        let entries = match name {
            Some(name) if self.get(name).is_empty() => Vec::new(),
            Some(name) => vec![self.entry(name)],
            None => self.services.keys().map(|name| self.entry(name)).collect(),
        };
        Batch { cursor: self.cursor(), resync: true, entries }
    }

    fn entry(&self, name: &str) -> Entry {
        Entry { name: name.to_owned(), services: self.get(name).to_vec() }
    }

    fn cursor(&self) -> String {
        format!("{}:{}", self.instance.simple(), self.revision)
    }

    /// The revision in a cursor that is still good.
    fn position(&self, cursor: &str) -> Option<u64> {
        let (instance, revision) = cursor.split_once(':')?;
        let revision = revision.parse().ok()?;
        let known = self.instance == Uuid::try_parse(instance).ok()?;
        (known && (self.oldest..=self.revision).contains(&revision)).then_some(revision)
    }
}

/// Whether a watcher that may still wait should.
pub(super) fn says_nothing(batch: &Batch) -> bool {
    !batch.resync && batch.entries.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: &str) -> Vec<Service> {
        vec![Service { name: "a".into(), version: version.into(), ..Service::default() }]
    }

    #[test]
    fn an_equal_value_is_no_change() {
        let mut view = View::new();
        view.set("a", version("1"));
        let cursor = view.cursor();
        view.set("a", version("1"));
        view.set("unknown", Vec::new());
        assert!(says_nothing(&view.since(None, Some(&cursor))));
    }

    #[test]
    fn changes_are_told_once_each_with_their_latest_value() {
        let mut view = View::new();
        let cursor = view.cursor();
        view.set("a", version("1"));
        view.set("b", version("1"));
        view.set("a", Vec::new());
        let batch = view.since(None, Some(&cursor));
        assert!(!batch.resync);
        assert_eq!(
            batch.entries,
            [
                Entry { name: "a".into(), services: Vec::new() },
                Entry { name: "b".into(), services: version("1") }
            ]
        );
        assert!(says_nothing(&view.since(Some("c"), Some(&cursor))));
        assert!(says_nothing(&view.since(None, Some(&batch.cursor))));
    }

    #[test]
    fn cursors_that_are_no_good_resync() {
        let mut view = View::new();
        let old = view.cursor();
        view.set("a", version("1"));
        let good = view.cursor();
        let future = good.replace(":1", ":2");
        let other = View::new().cursor();
        for bad in ["", ":", "x:1", "0:1", &future, &other] {
            assert!(view.since(None, Some(bad)).resync, "{bad}");
        }
        for round in 0..LOG_LIMIT {
            view.set("a", version(&round.to_string()));
        }
        assert!(view.since(None, Some(&old)).resync, "too old");
        assert!(!view.since(None, Some(&good)).resync, "just remembered");
        view.expire_cursors();
        assert!(view.since(None, Some(&good)).resync);
        assert!(says_nothing(&view.since(None, Some(&view.cursor()))));
    }
}
