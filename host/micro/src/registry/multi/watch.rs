//! Watching several registries at once.
//!
//! Each scope (everything, or one name) has one task per member that keeps what the member last said. Their union is a
//! view with cursors of its own; so a name that one member forgets is told as what the others still know.

use super::{Known, Member, any, union};
use crate::registry::follow::Follower;
use crate::registry::view::{View, says_nothing};
use micro_core::{Batch, RegistryError, Service};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The first answer waits this long for members that are slow.
const PATIENCE: Duration = Duration::from_secs(1);
/// A scope that nobody asked for this long ago is given up.
const IDLE: Duration = Duration::from_secs(60);

/// The scopes that are watched.
#[derive(Debug)]
pub(super) struct Scopes {
    members: Arc<[Member]>,
    running: Mutex<HashMap<Option<String>, Running>>,
}

/// A scope with its tasks, which end with it.
#[derive(Debug)]
struct Running {
    scope: Arc<Scope>,
    _stop: DropGuard,
}

#[derive(Debug)]
pub(super) struct Scope {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    started: Instant,
}

#[derive(Debug)]
struct State {
    view: View,
    feeds: Vec<Feed>,
    used: Instant,
    /// Calls that wait now.
    waiting: usize,
}

/// What one member said.
#[derive(Debug, Default)]
struct Feed {
    known: Known,
    /// None before it has spoken.
    last: Option<Result<(), RegistryError>>,
    /// It did answer at some time.
    answered: bool,
}

impl Scopes {
    pub(super) fn new(members: Arc<[Member]>) -> Self {
        Self { members, running: Mutex::default() }
    }

    /// The scope `name`, with its tasks running.
    pub(super) fn get(&self, name: Option<&str>) -> Arc<Scope> {
        let name = name.map(str::to_owned);
        let mut running = self.running.lock();
        running.retain(|it, running| *it == name || !running.scope.is_idle());
        let start = || Running::start(name.clone(), &self.members);
        let scope = running.entry(name.clone()).or_insert_with(start).scope.clone();
        // Still under the lock, so that nobody gives it up before it is used.
        scope.touch();
        scope
    }

    /// What the member at `at` last said about `name`, if that is watched.
    pub(super) fn remembered(&self, at: usize, name: &str) -> Option<Vec<Service>> {
        let running = self.running.lock();
        let scopes = [None, Some(name.to_owned())].into_iter().filter_map(|scope| running.get(&scope));
        let mut said =
            scopes.filter_map(|running| running.scope.state.lock().feeds[at].known.get(name).cloned());
        said.next()
    }
}

impl Running {
    fn start(name: Option<String>, members: &Arc<[Member]>) -> Self {
        let feeds = members.iter().map(|_| Feed::default()).collect();
        let state = State { view: View::new(), feeds, used: Instant::now(), waiting: 0 };
        let scope = Arc::new(Scope {
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
            started: Instant::now(),
        });
        let stop = CancellationToken::new();
        for at in 0..members.len() {
            let feed = feed(scope.clone(), members.clone(), at, name.clone());
            tokio::spawn(stop.clone().run_until_cancelled_owned(feed));
        }
        Self { scope, _stop: stop.drop_guard() }
    }
}

/// Keeps one member's part of a scope up to date, until it is cancelled.
async fn feed(scope: Arc<Scope>, members: Arc<[Member]>, at: usize, name: Option<String>) {
    let mut follower = Follower::new(members[at].registry.clone(), name, None);
    let mut changed = scope.changed.subscribe();
    loop {
        // Nobody asks: let the member be. The cursor waits, too.
        while scope.is_idle() {
            let _ = changed.changed().await;
        }
        let result = follower.next().await;
        members[at].note_reading(&result);
        scope.apply(at, result);
    }
}

impl Scope {
    pub(super) async fn changes(&self, after: Option<&str>, wait: Duration) -> Result<Batch, RegistryError> {
        let _waiting = Waiting::new(self);
        let mut changed = self.changed.subscribe();
        let start = Instant::now();
        loop {
            changed.borrow_and_update();
            let left = wait.saturating_sub(start.elapsed());
            let patience = PATIENCE.saturating_sub(self.started.elapsed());
            let pause = match self.state.lock().answer(after, patience.is_zero()) {
                Some(Ok(batch)) if says_nothing(&batch) && !left.is_zero() => left,
                Some(answer) => return answer,
                None if patience.is_zero() => PATIENCE,
                None => patience,
            };
            tokio::select! {
                _ = changed.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn apply(&self, at: usize, result: Result<Batch, RegistryError>) {
        self.state.lock().apply(at, result);
        self.changed.send_replace(());
    }

    fn is_idle(&self) -> bool {
        self.state.lock().is_idle()
    }

    /// Somebody asks: wakes the tasks if nobody did for long.
    fn touch(&self) {
        let mut state = self.state.lock();
        if state.is_idle() {
            self.changed.send_replace(());
        }
        state.used = Instant::now();
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.waiting == 0 && self.used.elapsed() > IDLE
    }

    /// What to tell a watcher now; none before enough members have spoken.
    fn answer(&self, after: Option<&str>, impatient: bool) -> Option<Result<Batch, RegistryError>> {
        let said: Vec<_> = self.feeds.iter().filter_map(|feed| feed.last.clone()).collect();
        let complete = said.len() == self.feeds.len();
        let enough = complete || impatient && said.iter().any(Result::is_ok);
        if !enough {
            return None;
        }
        let batch = self.view.since(None, after);
        match any(said) {
            // What was learned before they all failed is told first.
            Err(error) if says_nothing(&batch) || !self.feeds.iter().any(|feed| feed.answered) => {
                Some(Err(error))
            }
            _ => Some(Ok(batch)),
        }
    }

    fn apply(&mut self, at: usize, result: Result<Batch, RegistryError>) {
        let batch = match result {
            Ok(batch) => batch,
            Err(error) => {
                self.feeds[at].last = Some(Err(error));
                return;
            }
        };
        let feed = &mut self.feeds[at];
        feed.last = Some(Ok(()));
        feed.answered = true;
        let forgotten = if batch.resync { std::mem::take(&mut feed.known) } else { Known::new() };
        let mut touched: BTreeSet<String> = forgotten.into_keys().collect();
        for entry in batch.entries {
            feed.known.remove(&entry.name);
            touched.insert(entry.name.clone());
            if !entry.services.is_empty() {
                feed.known.insert(entry.name, entry.services);
            }
        }
        let mut lost = false;
        for name in touched {
            let parts = self.feeds.iter().filter_map(|feed| feed.known.get(&name).cloned());
            let services = union::join(parts);
            lost |= services.is_empty() && !self.view.get(&name).is_empty();
            self.view.set(&name, services);
        }
        // That a registry lost its memory is not the same as that everybody left; watchers should be able to tell.
        if batch.resync && lost {
            self.view.expire_cursors();
        }
    }
}

/// Counts a call that waits, however it ends.
struct Waiting<'a>(&'a Scope);

impl<'a> Waiting<'a> {
    fn new(scope: &'a Scope) -> Self {
        scope.state.lock().waiting += 1;
        Self(scope)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.waiting -= 1;
        state.used = Instant::now();
    }
}
