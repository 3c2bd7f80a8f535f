//! What stands between a socket and hyper: every request head is read strictly before hyper sees it.
//!
//! hyper repairs where two readers of one connection could disagree about where a message ends: it takes a body with
//! both `Content-Length` and `Transfer-Encoding`, a list of transfer codings, a line feed alone for the end of a line.
//! Behind a proxy that decides otherwise this is request smuggling. So heads go through the decoder of the RPC port,
//! which refuses all that, and bodies are followed to their end to find the next head.
//!
//! The guard also gives up on clients that take nothing of an answer, and reads on for a moment when a connection is
//! closed under a client that still sends, so that the answer is not thrown away together with what it did not read.

use crate::listen::Slot;
use crate::wire::ChunkDecoder;
use bytes::{Buf, BytesMut};
use http1_core::names::HOST;
use http1_core::{Error, Framing, Head, Method, Role, decode};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How much is read at a time.
const READ: usize = 8 << 10;
/// How long, and for how many bytes, a client that still sends is listened to after the answer.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 4 << 20);
/// hyper answers 400 to this and closes, behind the answers that are still due.
const NO_REQUEST: &[u8] = b"\0\r\n\r\n";

/// A connection of a server.
#[derive(Debug)]
pub(super) struct Guard<I> {
    io: I,
    reader: Reader,
    /// hyper has agreed to another protocol, and the bytes are no longer HTTP.
    upgraded: Arc<AtomicBool>,
    write_timeout: Duration,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    closing: Closing,
    /// Held until the connection is closed, upgraded or not.
    _slot: Option<Slot>,
}

#[derive(Debug)]
enum Closing {
    No,
    /// Our side is closed; looks whether the client still sends.
    Look,
    /// It does: bytes that may still be thrown away, and for how long.
    Linger(usize, Pin<Box<Sleep>>),
}

impl<I> Guard<I> {
    pub(super) fn new(io: I, write_timeout: Duration, slot: Option<Slot>) -> Self {
        Self {
            io,
            reader: Reader::default(),
            upgraded: Arc::default(),
            write_timeout,
            stalled: None,
            closing: Closing::No,
            _slot: slot,
        }
    }

    /// To be set when the connection becomes something else than HTTP.
    pub(super) fn upgraded(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.upgraded)
    }

    /// Gives up on a client that takes nothing for too long.
    fn patience<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let limit = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing of the answer")))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Guard<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.upgraded.load(Relaxed) {
                this.reader.release();
            }
            if this.reader.give(buf)? || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if this.reader.is_open() {
                return Pin::new(&mut this.io).poll_read(cx, buf);
            }
            let mut bytes = [0; READ];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut read))?;
            this.reader.take(read.filled());
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        this.patience(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.patience(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        this.patience(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.closing, Closing::No) {
            let shut = Pin::new(&mut this.io).poll_shutdown(cx);
            ready!(this.patience(cx, shut))?;
            this.closing = if this.reader.has_unread() { linger(0) } else { Closing::Look };
        }
        loop {
            if let Closing::Linger(left, time) = &mut this.closing
                && (*left == 0 || time.as_mut().poll(cx).is_ready())
            {
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [0; READ];
            let mut read = ReadBuf::new(&mut bytes);
            let more = Pin::new(&mut this.io).poll_read(cx, &mut read);
            let count = read.filled().len();
            match (more, &mut this.closing) {
                (Poll::Ready(Ok(())), Closing::Linger(left, _)) if count > 0 => {
                    *left = left.saturating_sub(count)
                }
                (Poll::Ready(Ok(())), _) if count > 0 => this.closing = linger(count),
                (Poll::Pending, Closing::Linger(..)) => return Poll::Pending,
                // It has closed too, or is silent.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

fn linger(read: usize) -> Closing {
    let (time, bytes) = LINGER;
    Closing::Linger(bytes.saturating_sub(read), Box::pin(tokio::time::sleep_until(Instant::now() + time)))
}

/// Follows the requests of a connection. Cleared bytes are for hyper, the others wait for the end of their head.
#[derive(Debug, Default)]
struct Reader {
    bytes: BytesMut,
    cleared: usize,
    state: State,
    /// The client has closed its side.
    ended: bool,
    /// A head that is not complete is not decoded again before it is this long or has an empty line.
    next_decode: usize,
    words: Vec<u32>,
    data: Vec<u8>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    Length(u64),
    Chunked(ChunkDecoder),
    /// Not looked at any more.
    Open,
    /// Nothing more is read.
    Refused,
    /// The same within a body, which has to end with an error.
    Broken,
}

impl Reader {
    /// Hands out what is cleared, or the end; false if more has to be read.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        if self.cleared > 0 {
            let count = self.cleared.min(buf.remaining());
            buf.put_slice(&self.bytes[..count]);
            self.bytes.advance(count);
            self.cleared -= count;
            return Ok(true);
        }
        match self.state {
            State::Broken => Err(io::Error::new(io::ErrorKind::InvalidData, "malformed chunk")),
            State::Refused => Ok(true),
            _ => Ok(self.ended),
        }
    }

    /// Whether the socket can be read without looking.
    fn is_open(&self) -> bool {
        matches!(self.state, State::Open) && self.bytes.is_empty()
    }

    /// From here on the bytes are not HTTP. What was refused before stays refused.
    fn release(&mut self) {
        if !matches!(self.state, State::Open | State::Refused | State::Broken) {
            self.state = State::Open;
            self.cleared = self.bytes.len();
        }
    }

    /// Whether there is something that hyper did not read.
    fn has_unread(&self) -> bool {
        !self.bytes.is_empty() || matches!(self.state, State::Refused | State::Broken)
    }

    /// What came from the socket; nothing at its end.
    fn take(&mut self, read: &[u8]) {
        if read.is_empty() {
            // A head that was cut off is no request to anybody.
            self.ended = true;
            self.cleared = self.bytes.len();
            return;
        }
        self.bytes.extend_from_slice(read);
        while self.cleared < self.bytes.len() && self.step() {}
    }

    /// Clears a part; false if it takes more bytes to tell, or nothing follows.
    fn step(&mut self) -> bool {
        let rest = &self.bytes[self.cleared..];
        match &mut self.state {
            State::Head => return self.head(),
            State::Length(left) => {
                let count = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= count as u64;
                self.cleared += count;
                if *left == 0 {
                    self.state = State::Head;
                }
            }
            State::Chunked(decoder) => {
                self.data.clear();
                match decoder.decode(rest, &mut self.data, usize::MAX) {
                    Ok(count) => {
                        self.cleared += count;
                        if decoder.is_done() {
                            self.state = State::Head;
                        }
                    }
                    // hyper has the chunks before it.
                    Err(_) => {
                        self.bytes.truncate(self.cleared);
                        self.state = State::Broken;
                    }
                }
            }
            State::Open => self.cleared = self.bytes.len(),
            State::Refused | State::Broken => self.bytes.truncate(self.cleared),
        }
        true
    }

    fn head(&mut self) -> bool {
        let rest = &self.bytes[self.cleared..];
        if rest.len() < self.next_decode && !has_empty_line(rest) {
            return false;
        }
        match decode(Role::Request, Method::NONE, rest, &mut self.words) {
            Ok(0) => {
                self.next_decode = rest.len() * 2;
                return false;
            }
            Ok(length) => {
                let Some(state) = Head::new(&self.words, rest).and_then(|head| after(&head, rest)) else {
                    return self.refuse();
                };
                self.cleared += length;
                self.state = state;
                self.next_decode = 0;
            }
            // hyper's own limits are below: it says 431.
            Err(Error::TooLarge) => self.state = State::Open,
            Err(_) => return self.refuse(),
        }
        true
    }

    fn refuse(&mut self) -> bool {
        self.bytes.truncate(self.cleared);
        self.bytes.extend_from_slice(NO_REQUEST);
        self.cleared = self.bytes.len();
        self.state = State::Refused;
        false
    }
}

/// What follows a head; none if it must not be answered. HTTP/1.1 asks for `Host` (RFC 9112 §3.2).
fn after(head: &Head<'_>, bytes: &[u8]) -> Option<State> {
    let line = bytes[..head.consumed()].split(|&byte| byte == b'\n').find(|line| line.len() > 1)?;
    let is_old = line.ends_with(b"HTTP/1.0\r");
    let hosts = head.fields().filter(|(id, ..)| *id == HOST).count();
    if hosts > 1 || (hosts == 0 && !is_old) {
        return None;
    }
    match head.framing() {
        Framing::None | Framing::Length(0) => Some(State::Head),
        Framing::Length(length) => Some(State::Length(length)),
        Framing::Chunked => Some(State::Chunked(ChunkDecoder::new())),
        Framing::UntilClose => None,
    }
}

/// Whether `bytes` may hold the end of a head, with line feeds alone too.
fn has_empty_line(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

#[cfg(test)]
mod tests;
