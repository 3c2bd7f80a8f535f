//! Watching one name with blocking queries.
//!
//! Consul answers a blocking query when its index has moved, which may be for a reason that concerns nobody here. So a
//! cursor holds a digest of what the caller knows beside the index, and only what differs is told.

use crate::http::HttpClient;
use crate::model::{Batch, Entry};
use crate::read::{Block, Look};
use crate::{Consul, Error};
use std::fmt;
use std::time::{Duration, Instant};

/// Between two questions of which the first brought nothing new. Names that nobody serves wake with every change anywhere.
const PAUSE: Duration = Duration::from_millis(250);
/// For so long after an answer the next question may wait for changes at once. Later, or after a failure, what is there
/// now is read first, since a consul that was started anew would make it wait for an index of its former life.
const FRESH: Duration = Duration::from_secs(10);
/// Names of which no more can wait are looked at so often.
const POLL: Duration = Duration::from_secs(2);
/// Names of which the last answer is remembered.
const MAX_WATCHED: usize = 1024;

/// Up to where a caller knows everything about a name. As text: `index-digest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    index: u64,
    digest: u64,
}

/// The last answer about a name, and when it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    cursor: Cursor,
    answered: Instant,
}

impl Cursor {
    pub(crate) fn of(look: &Look) -> Self {
        Self { index: look.index, digest: look.digest }
    }

    /// None: it is no cursor of this plugin.
    fn parse(text: &str) -> Option<Self> {
        let (index, digest) = text.split_once('-')?;
        let number = |text: &str, radix| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric())
                .then(|| u64::from_str_radix(text, radix).ok())?
        };
        let (index, digest) = (number(index, 10)?, number(digest, 16)?);
        (index > 0).then_some(Self { index, digest })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.index, self.digest)
    }
}

impl<H: HttpClient> Consul<H> {
    /// Waits for changes of one service after a cursor. Answers at the first change, at the latest after `wait`; without
    /// a cursor, or with one that is no longer good, at once with everything.
    ///
    /// # Errors
    /// No name: consul wakes a watcher of everything with every check of every machine. What consul refuses, and no
    /// answer within `timeout`, which includes the waiting. The same cursor can be used again.
    pub async fn changes(
        &self,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
        timeout: Duration,
    ) -> Result<Batch, Error> {
        let Some(name) = name else {
            return Err(Error::Invalid("services in consul are watched one by one; name one".to_owned()));
        };
        let deadline = self.deadline(timeout);
        let outcome = self.follow(deadline, name, after.and_then(Cursor::parse), wait).await;
        if outcome.is_err() {
            self.watched.borrow_mut().remove(name);
        }
        outcome
    }

    async fn follow(
        &self,
        deadline: Instant,
        name: &str,
        after: Option<Cursor>,
        wait: Duration,
    ) -> Result<Batch, Error> {
        // What is found has to arrive as well before the time is over.
        let rest = deadline.saturating_duration_since(Instant::now());
        let until = Instant::now() + wait.min(rest - rest / 4);
        let Some(mut cursor) = after else {
            let look = self.look(deadline, name, None).await?;
            return Ok(self.tell(name, look, true));
        };
        if !self.is_fresh(name, cursor) {
            let look = self.look(deadline, name, None).await?;
            // What is different now may have been forgotten rather than changed: nobody has listened.
            if look.index < cursor.index || look.digest != cursor.digest {
                return Ok(self.tell(name, look, true));
            }
            cursor = Cursor::of(&look);
        }
        loop {
            let wait = until.saturating_duration_since(Instant::now());
            let waiting = self.waiting.try_enter();
            if waiting.is_none() {
                self.client.http.sleep(POLL.min(wait)).await;
            }
            let may_block = waiting.is_some() && !wait.is_zero();
            let block = may_block.then_some(Block { index: cursor.index, wait });
            let look = self.look(deadline, name, block).await?;
            drop(waiting);
            let set_back = look.index < cursor.index;
            if set_back || look.digest != cursor.digest {
                return Ok(self.tell(name, look, set_back));
            }
            cursor = Cursor::of(&look);
            self.remember(name, cursor);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Batch { cursor: cursor.to_string(), resync: false, entries: Vec::new() });
            }
            self.client.http.sleep(PAUSE.min(left)).await;
        }
    }

    fn tell(&self, name: &str, look: Look, resync: bool) -> Batch {
        let cursor = Cursor::of(&look);
        self.remember(name, cursor);
        let gone = look.services.is_empty();
        let entry = Entry { name: name.to_owned(), services: look.services };
        // A resync says by leaving a name out that nothing is known about it.
        let entries = if resync && gone { Vec::new() } else { vec![entry] };
        Batch { cursor: cursor.to_string(), resync, entries }
    }

    pub(crate) fn remember(&self, name: &str, cursor: Cursor) {
        let mut watched = self.watched.borrow_mut();
        if watched.len() >= MAX_WATCHED && !watched.contains_key(name) {
            watched.clear();
        }
        watched.insert(name.to_owned(), Watched { cursor, answered: Instant::now() });
    }

    fn is_fresh(&self, name: &str, cursor: Cursor) -> bool {
        let watched = self.watched.borrow();
        watched.get(name).is_some_and(|it| it.cursor == cursor && it.answered.elapsed() < FRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_being_written() {
        for cursor in [Cursor { index: 1, digest: 0 }, Cursor { index: u64::MAX, digest: u64::MAX }] {
            assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }
        let long = "9".repeat(10_000);
        for wrong in ["", "1", "-", "-1", "1-", "0-1", "1-x", "+1-1", "1-+1", "1-1-1", " 1-1", "a:b:c", &long]
        {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }
}
