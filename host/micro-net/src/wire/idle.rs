//! Idle connections, by address, and which of them is used next.
//!
//! Servers of Go Micro v4.10 and later answer before they are ready for another request on the same connection: one that
//! comes too soon is never answered (`go-micro-wire` §1.1, "the reuse race"). They betray themselves by their first answer,
//! and from then on connections to that address [rest](REST) between two requests.

use super::client::Connection;
use super::pool::PoolConfig;
use crate::stream::Stream;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a connection is left alone after an answer, where that is needed. Go's scheduler needs microseconds for what
/// has to happen then, and some milliseconds when all processors are busy.
const REST: Duration = Duration::from_millis(5);

/// Connections that wait for a request.
#[derive(Debug)]
pub(super) struct Idle<W> {
    by_address: HashMap<String, Place<W>>,
    total: usize,
    swept: Instant,
}

/// Those to one address.
#[derive(Debug)]
struct Place<W> {
    /// The oldest first.
    kept: Vec<Kept<W>>,
    /// Whether they rest before they are used again.
    resting: bool,
}

#[derive(Debug)]
struct Kept<W> {
    connection: Connection<Stream, W>,
    since: Instant,
}

/// Connections that were kept too long. Dropping them closes sockets, which needs no lock.
pub(super) type Expired<W> = Vec<Connection<Stream, W>>;

impl<W> Idle<W> {
    pub(super) fn new() -> Self {
        Self { by_address: HashMap::new(), total: 0, swept: Instant::now() }
    }

    /// How many there are, over all addresses.
    pub(super) fn len(&self) -> usize {
        self.total
    }

    /// The connection to use next, if there is one.
    pub(super) fn take(
        &mut self,
        address: &str,
        config: &PoolConfig,
    ) -> (Option<Connection<Stream, W>>, Expired<W>) {
        let Some(place) = self.by_address.get_mut(address) else { return (None, Vec::new()) };
        let now = Instant::now();
        let Some(next) = place.next(now, config.size) else { return (None, Vec::new()) };
        let Kept { connection, since } = place.kept.remove(next);
        self.total -= 1;
        if now.saturating_duration_since(since) < config.ttl {
            return (Some(connection), Vec::new());
        }
        // Those before it are older still.
        let mut expired: Expired<W> = place.kept.drain(..next).map(|kept| kept.connection).collect();
        self.total -= expired.len();
        expired.push(connection);
        (None, expired)
    }

    /// Keeps a connection, if there is room. `forgetful`: its last answer showed that it needs rest.
    pub(super) fn keep(
        &mut self,
        address: &str,
        connection: Connection<Stream, W>,
        forgetful: bool,
        config: &PoolConfig,
    ) -> Expired<W> {
        let since = Instant::now();
        let expired = self.sweep(since, config.ttl);
        let place = match self.by_address.get_mut(address) {
            Some(place) => place,
            None => self.by_address.entry(address.to_owned()).or_default(),
        };
        place.resting |= forgetful;
        if place.kept.len() < config.size && self.total < config.max_idle {
            place.kept.push(Kept { connection, since });
            self.total += 1;
        }
        expired
    }

    /// Takes out what has expired at addresses that nobody calls any more, once per `ttl`.
    fn sweep(&mut self, now: Instant, ttl: Duration) -> Expired<W> {
        if now.saturating_duration_since(self.swept) < ttl {
            return Vec::new();
        }
        self.swept = now;
        let mut expired = Vec::new();
        self.by_address.retain(|_, place| {
            let fresh = place.kept.partition_point(|kept| now.saturating_duration_since(kept.since) >= ttl);
            expired.extend(place.kept.drain(..fresh).map(|kept| kept.connection));
            !place.kept.is_empty()
        });
        self.total -= expired.len();
        expired
    }
}

impl<W> Default for Place<W> {
    fn default() -> Self {
        Self { kept: Vec::new(), resting: false }
    }
}

impl<W> Place<W> {
    /// The one that was used last, of those that have rested if they have to. Where half of all that may be kept are
    /// here and none has rested, the one that has rested longest: more connections would not help.
    fn next(&self, now: Instant, size: usize) -> Option<usize> {
        if !self.resting {
            return self.kept.len().checked_sub(1);
        }
        let rested = self.kept.partition_point(|kept| now.saturating_duration_since(kept.since) >= REST);
        let crowded = self.kept.len() >= size.div_ceil(2);
        rested.checked_sub(1).or((crowded && !self.kept.is_empty()).then_some(0))
    }
}
