//! An open watch: bytes of an answer without end in, events out; and the cursor, which says what was seen.

use crate::client::{Fault, MAX_ANSWER, Patience};
use crate::gateway::{Event, Frame, Status, WatchResult, code, range, shorten};
use crate::http::{Body, Chunk, HttpError, Origin};
use crate::read::Look;
use serde_json::json;
use std::fmt;
use std::time::Instant;

/// Up to where a consumer knows everything. As text: `cluster-revision:keys-revision:keys`, one pair for each prefix,
/// since the watches of two prefixes do not advance together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    cluster: u64,
    pub(crate) positions: Vec<Position>,
}

/// What is known of one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) revision: u64,
    /// Keys under the prefix at that revision.
    pub(crate) keys: u64,
}

impl Cursor {
    pub(crate) fn new(cluster: u64, revision: u64, keys: impl IntoIterator<Item = u64>) -> Self {
        let positions = keys.into_iter().map(|keys| Position { revision, keys }).collect();
        Self { cluster, positions }
    }

    /// Reads a cursor for so many prefixes. None: somebody else's, or of other settings.
    pub(crate) fn parse(text: &str, prefixes: usize) -> Option<Self> {
        let mut parts = text.split('-');
        let cluster = u64::from_str_radix(parts.next()?, 16).ok()?;
        let position = |part: &str| {
            let (revision, keys) = part.split_once(':')?;
            Some(Position { revision: revision.parse().ok()?, keys: keys.parse().ok()? })
        };
        let positions: Vec<Position> = parts.map(position).collect::<Option<_>>()?;
        (positions.len() == prefixes).then_some(Self { cluster, positions })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.cluster)?;
        self.positions.iter().try_for_each(|it| write!(f, "-{}:{}", it.revision, it.keys))
    }
}

/// The watches of all prefixes of one scope, in one answer.
pub(crate) struct Watch<B> {
    pub(crate) scope: Vec<String>,
    pub(crate) cursor: Cursor,
    /// When the server was last heard of, on this connection or about it.
    pub(crate) heard: Instant,
    /// When somebody last asked for events.
    pub(crate) asked: Instant,
    origin: Origin,
    body: B,
    lines: Lines,
    /// etcd's number for the watch of each prefix, in the order of creation.
    ids: Vec<i64>,
    ready: Vec<Event>,
}

/// What an open watch brought.
#[derive(Debug)]
pub(crate) enum Progress {
    /// At least one.
    Events(Vec<Event>),
    /// Nothing in time.
    Idle,
    /// The server ended the watch, for instance since a compaction overtook it: start anew.
    Gone,
    /// The connection ended: go on from the cursor.
    Ended(String),
}

impl<B: Body> Watch<B> {
    /// The requests that open it. The gateway reads one after the other from a single body.
    pub(crate) fn request(scope: &[String], cursor: &Cursor) -> Vec<u8> {
        let create = |(prefix, position): (&String, &Position)| {
            let mut create = range(prefix, None);
            create["start_revision"] = json!(position.revision.saturating_add(1).to_string());
            create["prev_kv"] = json!(true);
            // Moves the cursor of an idle watch, so that a compaction does not overtake it.
            create["progress_notify"] = json!(true);
            format!("{}\n", json!({ "create_request": create }))
        };
        scope.iter().zip(&cursor.positions).map(create).collect::<String>().into_bytes()
    }

    /// Reads until the server has confirmed all watches. None: the cursor is no longer good.
    pub(crate) async fn open(
        origin: &Origin,
        body: B,
        patience: Patience,
        scope: &[String],
        cursor: Cursor,
    ) -> Result<Option<Self>, Fault> {
        let mut watch = Self {
            scope: scope.to_vec(),
            cursor,
            heard: Instant::now(),
            asked: Instant::now(),
            origin: origin.clone(),
            body,
            lines: Lines::default(),
            ids: Vec::new(),
            ready: Vec::new(),
        };
        while watch.ids.len() < scope.len() {
            let Some(line) = watch.lines.next() else {
                let Some(bytes) = patience.read(origin, &mut watch.body).await? else {
                    let reason = "the watch ended before it began".to_owned();
                    return Err(Fault::down(origin, HttpError::Unreachable(reason)));
                };
                watch.lines.push(&bytes);
                if watch.lines.pending() > MAX_ANSWER {
                    return Err(Fault::TooLong { origin: origin.to_string(), limit: MAX_ANSWER });
                }
                continue;
            };
            let frame = parse(origin, &line)?;
            if let Some(status) = frame.status() {
                return Err(Fault::Refused { origin: origin.to_string(), status });
            }
            let Some(result) = frame.result else { continue };
            if result.canceled {
                return match result.compact_revision {
                    0 => Err(Fault::Refused { origin: origin.to_string(), status: refusal(&result) }),
                    _ => Ok(None),
                };
            }
            if result.created {
                if result.header.cluster_id != watch.cursor.cluster {
                    return Ok(None);
                }
                watch.ids.push(result.watch_id);
            } else if !watch.apply(result) {
                return Ok(None);
            }
        }
        Ok(Some(watch))
    }

    /// Waits for events until a point in time.
    pub(crate) async fn next(&mut self, until: Instant) -> Result<Progress, Fault> {
        loop {
            while let Some(line) = self.lines.next() {
                let frame = parse(&self.origin, &line)?;
                if let Some(status) = frame.status() {
                    return Ok(Progress::Ended(format!("{}: {}", self.origin, status.message)));
                }
                if let Some(result) = frame.result
                    && (result.canceled || !self.apply(result))
                {
                    return Ok(Progress::Gone);
                }
            }
            if !self.ready.is_empty() {
                return Ok(Progress::Events(std::mem::take(&mut self.ready)));
            }
            // Events that do not fit are dropped with the watch, and read as records instead.
            if self.lines.pending() > MAX_ANSWER {
                return Ok(Progress::Gone);
            }
            match self.body.read(until.saturating_duration_since(Instant::now())).await {
                Ok(Chunk::Bytes(bytes)) => {
                    self.heard = Instant::now();
                    self.lines.push(&bytes);
                }
                Ok(Chunk::Idle) => return Ok(Progress::Idle),
                Ok(Chunk::End) => {
                    return Ok(Progress::Ended(format!("{}: the watch was closed", self.origin)));
                }
                Err(HttpError::Denied(why) | HttpError::Unreachable(why)) => {
                    return Ok(Progress::Ended(format!("{}: {}", self.origin, shorten(&why))));
                }
            }
        }
    }

    /// Puts events back that came while something else was going on.
    pub(crate) fn unread(&mut self, events: Vec<Event>) {
        self.ready.splice(0..0, events);
    }

    /// Moves the cursor over a frame. False: it belongs to no watch of ours.
    fn apply(&mut self, result: WatchResult) -> bool {
        let Some(index) = self.ids.iter().position(|id| *id == result.watch_id) else { return false };
        let position = &mut self.cursor.positions[index];
        if result.events.is_empty() {
            // A progress report. Only these may move the cursor by their header: that of other frames names the
            // revision of the store, not of what was delivered.
            position.revision = position.revision.max(result.header.revision);
        }
        for event in &result.events {
            position.revision = position.revision.max(event.kv.mod_revision);
            position.keys = match (event.is_delete(), event.kv.version) {
                (true, _) => position.keys.saturating_sub(1),
                (false, 1) => position.keys.saturating_add(1),
                (false, _) => position.keys,
            };
        }
        self.ready.extend(result.events);
        true
    }
}

impl Cursor {
    /// Compares with what the cluster says, after silence. If no key is newer and none is missing, the prefixes are at
    /// the look's revision what they were at the cursor's, and the cursor moves there. Otherwise events are under way,
    /// or were lost.
    pub(crate) fn agree(&mut self, look: &Look) -> bool {
        let same = |(position, (newest, keys)): (&Position, &(u64, u64))| {
            *newest <= position.revision && *keys == position.keys
        };
        let agree = self.positions.len() == look.prefixes.len()
            && self.positions.iter().zip(&look.prefixes).all(same);
        if agree {
            self.positions.iter_mut().for_each(|it| it.revision = it.revision.max(look.revision));
        }
        agree
    }

    /// Whether a look comes from a cluster that cannot have issued this cursor: another one, or one that was set back.
    pub(crate) fn is_foreign_to(&self, look: &Look) -> bool {
        look.cluster != self.cluster || self.positions.iter().any(|it| it.revision > look.revision)
    }
}

fn parse(origin: &Origin, line: &[u8]) -> Result<Frame<WatchResult>, Fault> {
    serde_json::from_slice(line).map_err(|e| Fault::malformed(origin, format!("/v3/watch: {e}")))
}

/// A watch that is refused comes as one that is created and canceled at once, with the reason in words.
fn refusal(result: &WatchResult) -> Status {
    let denied = result.cancel_reason.contains("permission denied");
    let code = if denied { code::PERMISSION_DENIED } else { code::UNAVAILABLE };
    let message = if result.cancel_reason.is_empty() {
        "the watch was canceled".to_owned()
    } else {
        format!("the watch was canceled: {}", shorten(&result.cancel_reason))
    };
    Status { code, message }
}

/// Cuts bytes into lines, looking at each byte once.
#[derive(Debug, Default)]
struct Lines {
    buffer: Vec<u8>,
    /// Before it everything was taken.
    start: usize,
    /// From `start` to here there is no end of line.
    searched: usize,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start >= self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes of the line that is not complete, as far as it is known.
    fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The next line that is complete and not empty.
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let Some(length) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                return None;
            };
            let end = self.searched + length;
            let line = self.buffer[self.start..end].trim_ascii().to_vec();
            self.start = end + 1;
            self.searched = self.start;
            if !line.is_empty() {
                return Some(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_they_come_in() {
        let text = b"one\n\n two \r\nthree\nrest";
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for piece in text.chunks(size) {
                lines.push(piece);
                while let Some(line) = lines.next() {
                    found.push(String::from_utf8(line).expect("text"));
                }
            }
            assert_eq!(found, ["one", "two", "three"], "in pieces of {size}");
            assert_eq!(lines.pending(), 4);
        }
    }

    #[test]
    fn cursors_survive_being_written() {
        let cursor = Cursor::new(u64::MAX, 7, [3, 0]);
        assert_eq!(cursor.to_string(), "ffffffffffffffff-7:3-7:0");
        assert_eq!(Cursor::parse(&cursor.to_string(), 2), Some(cursor));
        for wrong in [
            "",
            "7",
            "x-1:1-1:1",
            "1-1:1",
            "1-1:1-1:1-1:1",
            "1-1-1",
            "1--1:1",
            "1-1:-1-1:1",
            "1-99999999999999999999:1-1:1",
        ] {
            assert_eq!(Cursor::parse(wrong, 2), None, "{wrong}");
        }
    }

    #[test]
    fn a_silent_watch_agrees_with_the_cluster_or_has_missed_something() {
        let look = |newest, keys| Look { cluster: 1, revision: 20, prefixes: vec![(newest, keys)] };
        let mut cursor = Cursor::new(1, 10, [3]);
        assert!(!cursor.agree(&look(11, 3)), "a put");
        assert!(!cursor.agree(&look(9, 2)), "a delete");
        assert_eq!(cursor.to_string(), "1-10:3");
        assert!(cursor.agree(&look(9, 3)));
        assert_eq!(cursor.to_string(), "1-20:3");
        assert!(!cursor.is_foreign_to(&look(9, 3)));
        assert!(Cursor::new(1, 21, [3]).is_foreign_to(&look(9, 3)), "set back");
        assert!(Cursor::new(2, 10, [3]).is_foreign_to(&look(9, 3)), "another cluster");
    }
}
