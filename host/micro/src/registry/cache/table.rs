//! The cache's state and its rules. No IO and no tasks: what was heard goes in, what readers see comes out.

use super::{CacheOptions, CachedService};
use micro_core::{Batch, Service, WatchScope};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

/// Unknown names that are remembered at the same time; the rest is asked for each time.
const NEGATIVE_LIMIT: usize = 1024;
/// A refresh that failed is tried again after this long.
const RETRY: Duration = Duration::from_secs(5);

/// What readers see.
pub(super) type Published = HashMap<Arc<str>, Slot>;

/// One name, for readers.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) value: Arc<CachedService>,
    /// Unknown names only: from then on the registry is asked again.
    pub(super) forget_at: Option<Instant>,
    used: Arc<AtomicBool>,
}

/// Everything known, and what readers do not need of it.
#[derive(Debug)]
pub(super) struct Table {
    options: CacheOptions,
    scope: WatchScope,
    entries: HashMap<Arc<str>, Entry>,
    /// Of the last value that was made.
    generation: u64,
    /// Grows with every batch, to tell whether an answer is older than what the watch said since.
    clock: u64,
    /// Names with a watch of their own.
    watched: HashSet<Arc<str>>,
    changed: bool,
}

#[derive(Debug)]
struct Entry {
    slot: Slot,
    /// When the registry last said that it is as it is.
    said: Instant,
    /// When to fetch it again if it is in use.
    refresh_at: Instant,
    /// The time on the table's clock when the watch last spoke of it; 0 when it never did.
    told: u64,
    /// Since when it is missing without a word.
    missing: Option<Instant>,
}

/// What became of a fetch.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) value: Arc<CachedService>,
    /// The name needs a watch of its own and has none.
    pub(super) watch: bool,
}

impl Slot {
    pub(super) fn mark_used(&self) {
        // Mostly it is set already, and a read leaves the cache line shared.
        if !self.used.load(Relaxed) {
            self.used.store(true, Relaxed);
        }
    }
}

impl Table {
    pub(super) fn new(options: CacheOptions, scope: WatchScope) -> Self {
        Self {
            options,
            scope,
            entries: HashMap::new(),
            generation: 0,
            clock: 0,
            watched: HashSet::new(),
            changed: false,
        }
    }

    /// What readers should see from now on; none if nothing changed.
    pub(super) fn take_changes(&mut self) -> Option<Published> {
        let slots = || self.entries.iter().map(|(name, entry)| (name.clone(), entry.slot.clone())).collect();
        std::mem::take(&mut self.changed).then(slots)
    }

    /// The time on the table's clock.
    pub(super) fn now(&self) -> u64 {
        self.clock
    }

    /// A watch spoke: of everything, or of `scope`. Silence means that all it said before still holds.
    pub(super) fn told(&mut self, scope: Option<&str>, batch: Batch) {
        self.clock += 1;
        if batch.resync {
            let named: HashSet<&str> = batch.entries.iter().map(|entry| entry.name.as_str()).collect();
            let absent = |name: &&Arc<str>| !named.contains(&***name);
            let absent: Vec<_> = self.in_scope(scope).filter(absent).cloned().collect();
            for name in absent {
                // What the watch of everything never spoke of is known from a fetch before its first word: the service
                // left in between, and nothing was forgotten. Whoever wants it asks again. (The watch of one name goes
                // on from its fetch, so it misses nothing.)
                let unconfirmed = self.entries.get(&name).is_some_and(|entry| entry.told == 0);
                if scope.is_none() && unconfirmed {
                    self.entries.remove(&name);
                    self.changed = true;
                } else {
                    self.vanish(&name);
                }
            }
        } else {
            self.mark(scope, false);
        }
        for entry in batch.entries {
            if !entry.services.is_empty() {
                self.put(&entry.name, entry.services);
            } else if batch.resync {
                self.vanish(&entry.name);
            } else if self.entries.contains_key(entry.name.as_str()) {
                // Kept as unknown for a moment, so that an older answer on its way does not bring it back.
                self.remember_unknown(&entry.name);
            }
            if let Some(known) = self.entries.get_mut(entry.name.as_str()) {
                known.told = self.clock;
            }
        }
    }

    /// The watch of everything, or of `scope`, failed.
    pub(super) fn lost(&mut self, scope: Option<&str>) {
        self.mark(scope, true);
    }

    /// The registry answered a question that was asked at `asked` on the table's clock.
    pub(super) fn fetched(&mut self, name: &str, services: Vec<Service>, asked: u64) -> Fetched {
        match self.entries.get_mut(name) {
            // Which of the two is newer cannot be told, but what the watch corrects need not be fetched again.
            Some(entry) if entry.told > asked => {
                entry.refresh_at = Instant::now() + self.options.refresh;
            }
            _ if !services.is_empty() => self.put(name, services),
            Some(entry) if entry.slot.forget_at.is_none() => {
                entry.refresh_at = Instant::now() + self.options.refresh;
                self.vanish(name);
            }
            _ => return Fetched { value: self.remember_unknown(name), watch: false },
        }
        let Some((name, entry)) = self.entries.get_key_value(name) else {
            return Fetched { value: self.remember_unknown(name), watch: false };
        };
        let known = entry.slot.forget_at.is_none();
        let watch = known && self.scope == WatchScope::Name && self.watched.insert(name.clone());
        Fetched { value: entry.slot.value.clone(), watch }
    }

    /// The registry did not answer a question about `name`.
    pub(super) fn fetch_failed(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.refresh_at = Instant::now() + RETRY;
            self.changed |= entry.set_stale(true);
        }
    }

    /// Names in use that were not fetched for long, and missing ones whose grace is over: these go when the registry
    /// says once more that they are not there, and stay if it says nothing.
    pub(super) fn due(&self) -> Vec<String> {
        let now = Instant::now();
        let due = |entry: &Entry| {
            let wanted = entry.missing.is_some() || entry.slot.used.load(Relaxed);
            entry.refresh_at <= now && entry.slot.forget_at.is_none() && wanted
        };
        self.entries.iter().filter(|(_, entry)| due(entry)).map(|(name, _)| name.to_string()).collect()
    }

    /// How long ago the registry said what is known about a name.
    pub(super) fn age(&self, name: &str) -> Option<Duration> {
        self.entries.get(name).map(|entry| entry.said.elapsed())
    }

    /// Drops unknown names whose time is over, when no answer can be on its way any more that knows less.
    pub(super) fn sweep_unknown(&mut self) {
        let now = Instant::now();
        let limit = self.options.fetch_timeout;
        self.retain(|entry| entry.slot.forget_at.is_none_or(|end| now < end + limit));
    }

    /// Begins a new period of use; where names are watched one by one, drops those that nobody used in the last.
    pub(super) fn sweep_idle(&mut self) {
        let one_by_one = self.scope == WatchScope::Name;
        self.retain(|entry| entry.slot.used.swap(false, Relaxed) || !one_by_one);
    }

    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        let before = self.entries.len();
        self.entries.retain(|_, entry| keep(entry));
        self.changed |= self.entries.len() != before;
    }

    /// Whether the watch of `name` should end, because the name was dropped.
    pub(super) fn end_watch(&mut self, name: &str) -> bool {
        let end = !self.entries.contains_key(name);
        if end {
            self.watched.remove(name);
        }
        end
    }

    /// The registry says that these are there.
    fn put(&mut self, name: &str, mut services: Vec<Service>) {
        // Some backends answer in any order, which is no change.
        services.iter_mut().for_each(|service| service.nodes.sort_by(|a, b| a.id.cmp(&b.id)));
        services.sort_by(|a, b| a.version.cmp(&b.version));
        let refresh_at = Instant::now() + self.options.refresh;
        if let Some(entry) = self.entries.get_mut(name) {
            entry.said = Instant::now();
            entry.refresh_at = refresh_at;
            entry.missing = None;
            if *entry.slot.value.services == *services {
                self.changed |= entry.set_stale(false);
                return;
            }
        }
        self.changed = true;
        let value = self.new_value(services);
        match self.entries.get_mut(name) {
            Some(entry) => {
                entry.slot.value = value;
                entry.slot.forget_at = None;
            }
            None => {
                let slot = Slot { value, forget_at: None, used: Arc::default() };
                let entry = Entry { slot, said: Instant::now(), refresh_at, told: 0, missing: None };
                self.entries.insert(name.into(), entry);
            }
        }
    }

    /// The registry does not list the name, but did not say that it left either: kept until the grace period is over
    /// and the registry still does not list it.
    fn vanish(&mut self, name: &str) {
        let Some(entry) = self.entries.get_mut(name).filter(|entry| entry.slot.forget_at.is_none()) else {
            return;
        };
        let (now, grace) = (Instant::now(), self.options.grace);
        let end = *entry.missing.get_or_insert(now) + grace;
        if end <= now {
            self.remember_unknown(name);
        } else {
            entry.refresh_at = entry.refresh_at.min(end);
            self.changed |= entry.set_stale(true);
        }
    }

    fn remember_unknown(&mut self, name: &str) -> Arc<CachedService> {
        let unknown = |entry: &&Entry| entry.slot.forget_at.is_some();
        let full = self.entries.values().filter(unknown).count() >= NEGATIVE_LIMIT;
        let value = self.new_value(Vec::new());
        if full {
            self.changed |= self.entries.remove(name).is_some();
            return value;
        }
        let now = Instant::now();
        let forget_at = Some(now + self.options.negative);
        let slot = Slot { value: value.clone(), forget_at, used: Arc::default() };
        let entry = Entry { slot, said: now, refresh_at: now, told: self.clock, missing: None };
        self.entries.insert(name.into(), entry);
        self.changed = true;
        value
    }

    fn new_value(&mut self, services: Vec<Service>) -> Arc<CachedService> {
        self.generation += 1;
        Arc::new(CachedService { services: services.into(), generation: self.generation, stale: false })
    }

    /// Marks what is in scope as stale or fresh. What is missing stays stale.
    fn mark(&mut self, scope: Option<&str>, stale: bool) {
        let mut changed = false;
        for (name, entry) in &mut self.entries {
            if scope.is_none_or(|scope| **name == *scope) && entry.slot.forget_at.is_none() {
                changed |= entry.set_stale(stale || entry.missing.is_some());
            }
        }
        self.changed |= changed;
    }

    fn in_scope<'a>(&'a self, scope: Option<&'a str>) -> impl Iterator<Item = &'a Arc<str>> {
        self.entries.keys().filter(move |name| scope.is_none_or(|scope| ***name == *scope))
    }
}

impl Entry {
    /// Whether that is new.
    fn set_stale(&mut self, stale: bool) -> bool {
        let changed = self.slot.value.stale != stale;
        if changed {
            self.slot.value = Arc::new(CachedService { stale, ..(*self.slot.value).clone() });
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro_core::Entry as Told;
    use tokio::time::advance;

    const GRACE: Duration = Duration::from_secs(60);

    fn table(scope: WatchScope) -> Table {
        Table::new(CacheOptions::default(), scope)
    }

    fn version(version: &str) -> Vec<Service> {
        vec![Service { name: "a".into(), version: version.into(), ..Service::default() }]
    }

    fn batch(resync: bool, entries: &[(&str, Vec<Service>)]) -> Batch {
        let told = |(name, services): &(&str, Vec<Service>)| Told {
            name: (*name).into(),
            services: services.clone(),
        };
        Batch { cursor: String::new(), resync, entries: entries.iter().map(told).collect() }
    }

    /// What readers see of `a`: its version, or `?` if it is unknown, or `-` if the registry has to be asked; `~` for
    /// stale.
    fn seen(table: &Table) -> String {
        let Some(entry) = table.entries.get("a") else { return "-".into() };
        let value = &entry.slot.value;
        let version = value.services.first().map_or("?", |service| &service.version);
        format!("{version}{}", if value.stale { "~" } else { "" })
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_removes_at_once() {
        let mut table = table(WatchScope::All);
        table.told(None, batch(true, &[("a", version("1"))]));
        assert_eq!(seen(&table), "1");
        table.told(None, batch(false, &[("a", Vec::new())]));
        assert_eq!(seen(&table), "?");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_resync_lacks_is_kept_for_the_grace_period() {
        let mut table = table(WatchScope::All);
        table.told(None, batch(true, &[("a", version("1"))]));
        table.told(None, batch(true, &[]));
        assert_eq!(seen(&table), "1~");
        table.told(None, batch(false, &[]));
        assert_eq!(seen(&table), "1~", "silence does not bring it back");
        advance(GRACE - Duration::from_millis(1)).await;
        table.told(None, batch(true, &[]));
        assert_eq!((seen(&table).as_str(), table.due().len()), ("1~", 0));
        advance(Duration::from_millis(1)).await;
        assert_eq!(table.due(), ["a"]);
        table.fetch_failed("a");
        assert_eq!(seen(&table), "1~", "an error is no confirmation");
        advance(RETRY).await;
        assert_eq!(table.due(), ["a"]);
        let asked = table.now();
        assert!(table.fetched("a", Vec::new(), asked).value.services.is_empty());
        assert_eq!(seen(&table), "?");
    }

    #[tokio::test(start_paused = true)]
    async fn what_left_before_the_watch_began_is_asked_for_again() {
        let mut table = table(WatchScope::All);
        let asked = table.now();
        table.fetched("a", version("1"), asked);
        assert_eq!(seen(&table), "1");
        table.told(None, batch(true, &[]));
        assert_eq!(seen(&table), "-");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_back_within_the_grace_period_is_fresh() {
        let mut table = table(WatchScope::All);
        table.told(None, batch(true, &[("a", version("1"))]));
        let before = table.entries["a"].slot.value.generation;
        table.told(None, batch(true, &[]));
        table.told(None, batch(false, &[("a", version("1"))]));
        assert_eq!(seen(&table), "1");
        assert_eq!(table.entries["a"].slot.value.generation, before, "nothing changed for selectors");
        table.told(None, batch(true, &[]));
        table.told(None, batch(false, &[("a", Vec::new())]));
        assert_eq!(seen(&table), "?", "now it left");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_older_than_the_watch_is_not_believed() {
        let mut table = table(WatchScope::All);
        let asked = table.now();
        table.told(None, batch(true, &[("a", version("2"))]));
        assert_eq!(table.fetched("a", version("1"), asked).value.services[0].version, "2");
        let asked = table.now();
        table.told(None, batch(false, &[("a", Vec::new())]));
        assert!(table.fetched("a", version("2"), asked).value.services.is_empty());
        assert_eq!(seen(&table), "?");
        let asked = table.now();
        assert_eq!(table.fetched("a", version("3"), asked).value.services[0].version, "3");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_registry_makes_everything_stale_and_nothing_vanish() {
        let mut table = table(WatchScope::All);
        table.told(None, batch(true, &[("a", version("1"))]));
        let before = table.entries["a"].slot.value.generation;
        table.lost(None);
        assert_eq!(seen(&table), "1~");
        advance(GRACE * 100).await;
        table.sweep_unknown();
        table.sweep_idle();
        assert_eq!(seen(&table), "1~");
        table.told(None, batch(false, &[]));
        assert_eq!(seen(&table), "1");
        assert_eq!(table.entries["a"].slot.value.generation, before);
    }

    #[tokio::test(start_paused = true)]
    async fn a_scope_of_one_name_leaves_the_others_alone() {
        let mut table = table(WatchScope::Name);
        let fetched = table.fetched("a", version("1"), 0);
        assert!(fetched.watch && !table.fetched("a", version("1"), 0).watch, "one watch");
        table.told(Some("b"), batch(true, &[("b", version("1"))]));
        table.lost(Some("b"));
        assert_eq!(seen(&table), "1");
        table.entries["a"].slot.mark_used();
        table.sweep_idle();
        assert!(!table.end_watch("a"), "it was used");
        table.sweep_idle();
        assert!(table.end_watch("a"));
        assert!(table.fetched("a", version("1"), 0).watch, "a new watch");
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_names_are_bounded_and_forgotten() {
        let mut table = table(WatchScope::All);
        for name in 0..NEGATIVE_LIMIT * 2 {
            assert!(table.fetched(&name.to_string(), Vec::new(), 0).value.services.is_empty());
        }
        assert_eq!(table.entries.len(), NEGATIVE_LIMIT);
        assert!(table.take_changes().is_some() && table.take_changes().is_none());
        advance(Duration::from_secs(10)).await;
        table.sweep_unknown();
        assert!(table.take_changes().is_some_and(|published| published.is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn names_in_use_are_fetched_again_and_others_are_not() {
        let mut table = table(WatchScope::All);
        table.told(None, batch(true, &[("a", version("1")), ("b", version("1"))]));
        table.entries["a"].slot.mark_used();
        advance(Duration::from_secs(60)).await;
        assert_eq!(table.due(), ["a"]);
        let asked = table.now();
        table.fetched("a", version("2"), asked);
        assert_eq!((seen(&table).as_str(), table.due().len()), ("2", 0));
    }
}
