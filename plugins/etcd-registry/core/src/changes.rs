//! Watching: from an open watch to entries that consumers can put in place of what they had.

use crate::gateway::Event;
use crate::http::HttpClient;
use crate::model::{Batch, Entry, merge};
use crate::read::Freshness;
use crate::watch::{Cursor, Progress, Watch};
use crate::{Error, Etcd};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A watch that was silent for so long is compared with the cluster: its server may hang, its connection may be dead.
const LOOK_AFTER: Duration = Duration::from_secs(5);
/// Events that the cluster knows of and the watch has not brought may be under way for so long.
const GRACE: Duration = Duration::from_secs(1);
/// A watch that nobody asked for its events is closed after so long.
const KEEP: Duration = Duration::from_secs(30);
/// Open watches, at most. More scopes than that are watched by opening anew each time.
const MAX_WATCHES: usize = 64;
/// When more names changed at once, reading everything is cheaper.
const MAX_NAMES: usize = 32;

impl<H: HttpClient> Etcd<H> {
    /// Waits for changes after a cursor, of everything or of one service. Answers at the first change, at the latest
    /// after `wait`; without a cursor, or with one that is no longer good, at once with everything.
    ///
    /// # Errors
    /// What etcd refuses, and no answer within `timeout`, which includes the waiting. The same cursor can be used again.
    pub async fn changes(
        &self,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
        timeout: Duration,
    ) -> Result<Batch, Error> {
        let deadline = self.deadline(timeout);
        let scope = self.layout.prefixes(name)?;
        let Some(cursor) = after.and_then(|text| Cursor::parse(text, scope.len())) else {
            return self.resync(deadline, name, &scope).await;
        };
        // What is found has to be read as well before the time is over.
        let rest = deadline.saturating_duration_since(Instant::now());
        let until = Instant::now() + wait.min(rest - rest / 4);

        let Some(mut watch) = self.watch(deadline, &scope, cursor).await? else {
            return self.resync(deadline, name, &scope).await;
        };
        let mut reopened = false;
        let events = loop {
            if watch.heard.elapsed() >= LOOK_AFTER && !self.is_complete(deadline, &mut watch).await? {
                return self.resync(deadline, name, &scope).await;
            }
            match watch.next(until).await? {
                Progress::Events(events) => break events,
                Progress::Idle => break Vec::new(),
                Progress::Gone => return self.resync(deadline, name, &scope).await,
                Progress::Ended(reason) if reopened => return Err(Error::Unavailable(reason)),
                Progress::Ended(_) => {
                    reopened = true;
                    match self.open(deadline, &scope, watch.cursor).await? {
                        Some(again) => watch = again,
                        None => return self.resync(deadline, name, &scope).await,
                    }
                }
            }
        };
        let Some(names) = self.names(&events, name).filter(|names| names.len() <= MAX_NAMES) else {
            return self.resync(deadline, name, &scope).await;
        };
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            // Consumers replace, so a reading that is newer than the event does no harm. One that is older would.
            let prefixes = self.layout.prefixes(Some(&name))?;
            let reading = self.read(deadline, &prefixes, Freshness::Cluster).await?;
            entries.push(Entry { services: reading.services_of(&name), name });
        }
        let cursor = watch.cursor.to_string();
        self.keep(watch);
        Ok(Batch { cursor, resync: false, entries })
    }

    /// Everything in scope.
    async fn resync(&self, deadline: Instant, name: Option<&str>, scope: &[String]) -> Result<Batch, Error> {
        let reading = self.read(deadline, scope, Freshness::Cluster).await?;
        let cursor = reading.cursor.to_string();
        let names = merge(reading.records).into_iter();
        let entries = names
            .filter(|(found, _)| name.is_none_or(|name| name == found))
            .map(|(name, services)| Entry { name, services })
            .collect();
        Ok(Batch { cursor, resync: true, entries })
    }

    /// The open watch that is at this cursor, or a new one. None: the cursor is no longer good.
    async fn watch(
        &self,
        deadline: Instant,
        scope: &[String],
        cursor: Cursor,
    ) -> Result<Option<Watch<H::Body>>, Error> {
        let kept = {
            let mut watches = self.watches.borrow_mut();
            watches.retain(|watch| watch.asked.elapsed() < KEEP);
            let index = watches.iter().position(|watch| watch.scope == scope && watch.cursor == cursor);
            index.map(|index| watches.swap_remove(index))
        };
        match kept {
            Some(watch) => Ok(Some(watch)),
            None => self.open(deadline, scope, cursor).await,
        }
    }

    async fn open(
        &self,
        deadline: Instant,
        scope: &[String],
        cursor: Cursor,
    ) -> Result<Option<Watch<H::Body>>, Error> {
        let request = Watch::<H::Body>::request(scope, &cursor);
        let open = async |origin: &_, body, patience| {
            Watch::open(origin, body, patience, scope, cursor.clone()).await
        };
        let Some(mut watch) = self.client.ask(deadline, "/v3/watch", request, open).await? else {
            return Ok(None);
        };
        // A cursor of a store that was set back since would wait for ever.
        Ok(self.is_complete(deadline, &mut watch).await?.then_some(watch))
    }

    fn keep(&self, mut watch: Watch<H::Body>) {
        watch.asked = Instant::now();
        let mut watches = self.watches.borrow_mut();
        if watches.len() < MAX_WATCHES {
            watches.push(watch);
        }
    }

    /// Whether a watch has brought everything that the cluster knows of, or does so within the grace time.
    async fn is_complete(&self, deadline: Instant, watch: &mut Watch<H::Body>) -> Result<bool, Error> {
        let look = self.look(deadline, &watch.scope).await?;
        watch.heard = Instant::now();
        if watch.cursor.is_foreign_to(&look) {
            return Ok(false);
        }
        if watch.cursor.agree(&look) {
            return Ok(true);
        }
        match watch.next(deadline.min(Instant::now() + GRACE)).await? {
            Progress::Events(events) => {
                watch.unread(events);
                Ok(true)
            }
            Progress::Idle | Progress::Gone => Ok(false),
            // The caller meets the end again, and deals with it.
            Progress::Ended(_) => Ok(true),
        }
    }

    /// The services that events are about. None: they do not tell.
    fn names(&self, events: &[Event], only: Option<&str>) -> Option<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for event in events {
            let before = event.prev_kv.as_ref().and_then(|kv| self.record(kv));
            if event.is_delete() {
                // Without the record that was there, the name may have been any that has this key.
                event.prev_kv.as_ref()?;
            } else {
                names.extend(self.record(&event.kv).map(|record| record.name));
            }
            names.extend(before.map(|record| record.name));
        }
        names.retain(|name| only.is_none_or(|only| only == name));
        Some(names)
    }
}
