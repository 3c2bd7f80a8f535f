//! A plugin's log lines and standard error, under the plugin's name.

use crate::probe::{Event, Trace};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt::Write;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// A longer line is cut.
const LONGEST_LINE: usize = 8 << 10;
/// Lines of one plugin in a second; more are counted, not shown.
const LINES_PER_SECOND: u32 = 100;
/// How much of the latest standard error is kept for fault reports.
const TAIL: usize = 4 << 10;
/// Fields of one log line that are shown.
const FIELDS: usize = 32;

/// Where the lines of one instance go: to `tracing`, with target `plugin`.
#[derive(Debug)]
pub(crate) struct GuestLog {
    plugin: String,
    instance: u64,
    rate: Arc<Rate>,
    tail: Mutex<VecDeque<u8>>,
    trace: Option<Arc<Trace>>,
}

/// How many lines of one plugin were let through lately. Shared by its instances, so that restarting does not help.
#[derive(Debug)]
pub(crate) struct Rate {
    state: Mutex<Second>,
}

#[derive(Debug)]
struct Second {
    since: Instant,
    shown: u32,
    dropped: u64,
}

impl Rate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(Second { since: Instant::now(), shown: 0, dropped: 0 }) })
    }

    /// Whether the host may say one more thing about the plugin.
    pub(crate) fn may_speak(&self) -> bool {
        self.admit().is_some()
    }

    /// Whether one more line may be shown, and how many were dropped before it.
    fn admit(&self) -> Option<u64> {
        let mut second = self.state.lock();
        let mut dropped = 0;
        if second.since.elapsed() >= Duration::from_secs(1) {
            dropped = std::mem::take(&mut second.dropped);
            *second = Second { since: Instant::now(), shown: 0, dropped: 0 };
        }
        if second.shown < LINES_PER_SECOND {
            second.shown += 1;
            Some(dropped)
        } else {
            second.dropped += 1;
            None
        }
    }
}

impl GuestLog {
    pub(crate) fn new(plugin: &str, instance: u64, rate: Arc<Rate>) -> Arc<Self> {
        Self::watched(plugin, instance, rate, None)
    }

    /// The same for an instance whose author looks on.
    pub(crate) fn watched(
        plugin: &str,
        instance: u64,
        rate: Arc<Rate>,
        trace: Option<Arc<Trace>>,
    ) -> Arc<Self> {
        Arc::new(Self { plugin: plugin.to_owned(), instance, rate, tail: Mutex::default(), trace })
    }

    /// A function of the system interface was called.
    pub(crate) fn imported(&self, interface: &str, function: &str) {
        if let Some(trace) = &self.trace {
            let (interface, function) = (interface.to_owned(), function.to_owned());
            trace.note(Event::Import { interface, function });
        }
    }

    /// Writes one line, unless there were too many lately.
    pub(crate) fn line(&self, level: tracing::Level, message: &str, fields: &[(String, String)]) {
        if let Some(trace) = &self.trace {
            let level = level.as_str().to_ascii_lowercase();
            let fields = fields.iter().take(FIELDS).cloned().collect();
            trace.note(Event::Log { level, message: printable(cut(message)), fields });
        }
        let Some(dropped) = self.rate.admit() else { return };
        let (plugin, instance) = (self.plugin.as_str(), self.instance);
        if dropped > 0 {
            tracing::warn!(plugin.name = plugin, plugin.instance = instance, "{dropped} lines dropped");
        }
        let message = one_line(cut(message));
        let fields = flat(fields);
        // `tracing` wants the level of an event to be a constant.
        macro_rules! event {
            ($level:ident) => {
                tracing::event!(target: "plugin", tracing::Level::$level, plugin.name = plugin,
                    plugin.instance = instance, fields, "{message}")
            };
        }
        match level {
            tracing::Level::ERROR => event!(ERROR),
            tracing::Level::WARN => event!(WARN),
            tracing::Level::INFO => event!(INFO),
            tracing::Level::DEBUG => event!(DEBUG),
            tracing::Level::TRACE => event!(TRACE),
        }
    }

    /// The latest of what was written to standard error.
    pub(crate) fn tail(&self) -> String {
        let tail: Vec<u8> = self.tail.lock().iter().copied().collect();
        printable(&String::from_utf8_lossy(&tail))
    }

    pub(crate) fn stderr(self: &Arc<Self>) -> Stderr {
        Stderr { log: self.clone(), partial: Arc::default() }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_LINE)]
}

/// A guest's text without what would move the cursor of a terminal.
fn printable(text: &str) -> String {
    let plain =
        |c: char| if c.is_control() && c != '\t' && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
    text.trim_end().chars().map(plain).collect()
}

/// The same without what would forge a second line.
fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}

/// `a=1 b=2`; none if there are none.
fn flat(fields: &[(String, String)]) -> Option<String> {
    let mut text = String::new();
    for (name, value) in fields.iter().take(FIELDS) {
        let separator = if text.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{name}={value}");
    }
    (!text.is_empty()).then(|| one_line(cut(&text)))
}

/// Standard error and output of a guest. Never blocks and never fills up: wasmtime's `MemoryOutputPipe` ends for good
/// when it is full, and its other adapters write in a task of their own, which loses a panic's text with the store.
#[derive(Clone)]
pub(crate) struct Stderr {
    log: Arc<GuestLog>,
    partial: Arc<Mutex<Vec<u8>>>,
}

impl Stderr {
    pub(crate) fn append(&self, bytes: &[u8]) {
        let mut tail = self.log.tail.lock();
        let kept = &bytes[bytes.len().saturating_sub(TAIL)..];
        let excess = (tail.len() + kept.len()).saturating_sub(TAIL);
        tail.drain(..excess);
        tail.extend(kept);
        drop(tail);

        let mut partial = self.partial.lock();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for part in piece.chunks(LONGEST_LINE) {
                partial.extend_from_slice(part);
                if partial.ends_with(b"\n") || partial.len() >= LONGEST_LINE {
                    let line = std::mem::take(&mut *partial);
                    self.log.line(tracing::Level::WARN, &String::from_utf8_lossy(&line), &[]);
                }
            }
        }
    }
}

impl IsTerminal for Stderr {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stderr {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl OutputStream for Stderr {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.append(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LONGEST_LINE)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stderr {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Stderr {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.append(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_keeps_the_end_and_little_else() {
        let log = GuestLog::new("a", 1, Rate::new());
        let stderr = log.stderr();
        for number in 0..100_000 {
            stderr.append(format!("line {number}\n").as_bytes());
        }
        stderr.append(&vec![b'x'; 3 * LONGEST_LINE]);
        stderr.append(b"the end");
        assert!(log.tail().ends_with("the end"));
        assert!(log.tail().len() <= TAIL);
        assert!(stderr.partial.lock().capacity() <= 4 * LONGEST_LINE);
        let second = log.rate.state.lock();
        assert!(second.shown <= LINES_PER_SECOND && second.dropped > 0);
    }

    #[test]
    fn texts_are_cut_and_cannot_move_the_cursor() {
        assert_eq!(cut(&"é".repeat(LONGEST_LINE)).len(), LONGEST_LINE);
        assert_eq!(printable("\u{1b}[2Ja\r\tb\n"), "\u{fffd}[2Ja\u{fffd}\tb");
        assert_eq!(one_line("a\n2026 INFO forged\n"), "a\\n2026 INFO forged");
        assert_eq!(flat(&[("a".into(), "1".into()), ("b".into(), "2".into())]).as_deref(), Some("a=1 b=2"));
    }
}
