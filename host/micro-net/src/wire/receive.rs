//! Bytes to messages.

use super::alarm::Alarm;
use super::chunk::{ChunkDecoder, ChunkError};
use super::error::{HeadError, ReceiveError, Waiting};
use super::{Limits, Wire};
use bytes::{BufMut, Bytes};
use http1_core::{Framing, Head, MAX_HEAD, Method, Role};
use micro_core::{Headers, Message};
use std::borrow::Cow;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

/// What a connection starts with, and falls back to after a large message.
const BUFFER: usize = 8 << 10;

/// The most memory that is taken for a body ahead of what arrived.
const AHEAD: usize = 256 << 10;

/// The most interim answers (1xx) before an answer. Servers send one or two; one that sends nothing else would keep its
/// caller busy without an end.
pub(super) const MAX_INTERIM: usize = 16;

/// A request or a response as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// The method of a request; empty for a response.
    pub method: Cow<'static, str>,
    /// The target of a request as it was sent; empty for a response.
    pub path: Cow<'static, str>,
    /// The status of a response; 0 for a request.
    pub status: u16,
    /// The reason phrase of a response that is not 200; else empty.
    pub reason: Cow<'static, str>,
    /// Whether the connection may carry another message.
    pub keep_alive: bool,
    /// Headers without those of the connection (length, coding, host), and the body.
    pub message: Message,
}

impl Incoming {
    /// 1xx, except for 101: nobody asked to switch protocols, so that is the answer.
    pub(super) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

/// The receiving side of a connection: a buffer and how far its first message has been read.
#[derive(Debug)]
pub(super) struct Receiver<W> {
    wire: W,
    limits: Limits,
    buffer: Vec<u8>,
    /// Where the unread bytes start.
    start: usize,
    words: Vec<u32>,
    /// How far the unread bytes have been searched for the end of a head.
    searched: usize,
    pending: Option<Pending>,
    waiting: Waiting,
    alarm: Alarm,
    /// How many interim answers have come since the last other message.
    interim: usize,
    /// The other side will send nothing more.
    ended: bool,
}

/// A message whose head has been read.
#[derive(Debug)]
struct Pending {
    incoming: Incoming,
    expects_continue: bool,
    progress: Progress,
    body: Vec<u8>,
}

#[derive(Debug)]
enum Progress {
    Length(u64),
    Chunked(ChunkDecoder),
    UntilClose,
}

impl<W: Wire> Receiver<W> {
    pub(super) fn new(wire: W, limits: Limits) -> Self {
        let mut receiver = Self {
            wire,
            limits,
            buffer: Vec::with_capacity(BUFFER),
            start: 0,
            words: Vec::with_capacity(64),
            searched: 0,
            pending: None,
            waiting: Waiting::Message,
            alarm: Alarm::default(),
            interim: 0,
            ended: false,
        };
        receiver.alarm.set(limits.head_timeout);
        receiver
    }

    /// Whether a part of the next message is here already.
    pub(super) fn has_started(&self) -> bool {
        self.pending.is_some() || self.start < self.buffer.len()
    }

    /// How long the next message may take to begin, from now on.
    pub(super) fn wait_for_messages(&mut self, limit: Option<Duration>) {
        self.limits.idle_timeout = limit;
        if self.waiting == Waiting::Message {
            self.alarm.set(limit);
        }
    }

    /// The bytes that have been read and belong to no message yet.
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Reads the head of the next message; false if the connection ended instead. Cancel safe.
    pub(super) async fn head(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        role: Role,
        method: Method,
    ) -> Result<bool, ReceiveError> {
        while self.pending.is_none() {
            if self.has_started() {
                self.enter(Waiting::Head, self.limits.head_timeout);
                if self.may_hold_a_head() && self.decode(role, method)? {
                    break;
                }
            }
            if self.fill(io).await? == 0 {
                return if self.unread().is_empty() { Ok(false) } else { Err(ReceiveError::Truncated) };
            }
        }
        Ok(true)
    }

    /// Whether the sender waits for `100 Continue`. Asked once: it is not waiting afterwards.
    pub(super) fn take_expectation(&mut self) -> bool {
        let Some(pending) = &mut self.pending else { return false };
        // Bytes of the body mean that it did not wait.
        std::mem::take(&mut pending.expects_continue) && self.start == self.buffer.len()
    }

    /// Reads the body that belongs to the head. Cancel safe.
    pub(super) async fn body(&mut self, io: &mut (impl AsyncRead + Unpin)) -> Result<Incoming, ReceiveError> {
        self.enter(Waiting::Body, self.limits.body_timeout);
        while !self.take_buffered()? {
            if self.read_body(io).await? == 0 {
                let pending = self.pending.as_mut().expect("a body has a head");
                match pending.progress {
                    Progress::UntilClose => break,
                    Progress::Length(_) | Progress::Chunked(_) => return Err(ReceiveError::Truncated),
                }
            }
        }
        let Pending { mut incoming, body, .. } = self.pending.take().expect("a body has a head");
        if !body.is_empty() {
            incoming.message.body = body.into();
        }
        self.enter(Waiting::Message, self.limits.idle_timeout);
        self.interim = if incoming.is_interim() { self.interim + 1 } else { 0 };
        if self.interim > MAX_INTERIM { Err(ReceiveError::Interim) } else { Ok(incoming) }
    }

    /// Reads whatever comes while nobody waits for a message. Ready when the connection broke, or when there is no
    /// point in asking again: the other side has finished, or enough is buffered.
    pub(super) fn poll_ahead(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.ended && self.buffer.len() - self.start < BUFFER {
            ready!(self.poll_fill(io, cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the connection is idle as it should be: open, and nothing to read. Does not wait.
    pub(super) fn poll_quiet(&mut self, io: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>) -> bool {
        !self.has_started() && !self.ended && self.poll_fill(io, cx).is_pending()
    }

    fn enter(&mut self, waiting: Waiting, limit: Option<Duration>) {
        if self.waiting != waiting {
            self.waiting = waiting;
            self.alarm.set(limit);
        }
    }

    /// Whether decoding can say more than last time. Else a head that comes byte by byte would cost quadratic time.
    fn may_hold_a_head(&mut self) -> bool {
        let unread = &self.buffer[self.start..];
        let first_look = self.searched == 0;
        let from = self.searched.saturating_sub(2);
        self.searched = unread.len();
        first_look || unread.len() >= MAX_HEAD || unread[from..].windows(3).any(|bytes| bytes == b"\n\r\n")
    }

    /// Decodes a head from the unread bytes; false if it is not complete.
    fn decode(&mut self, role: Role, method: Method) -> Result<bool, ReceiveError> {
        let data = &self.buffer[self.start..];
        let consumed = self.wire.decode(role, method, data, &mut self.words)?;
        if consumed == 0 {
            // A decoder must give up on a head of this size by itself.
            let too_large = data.len() > MAX_HEAD;
            return if too_large {
                Err(HeadError::from(http1_core::Error::TooLarge).into())
            } else {
                Ok(false)
            };
        }
        let head = Head::new(&self.words, data).filter(|head| head.consumed() == consumed);
        let head = head.ok_or_else(|| self.wire.refuted())?;
        let progress = match head.framing() {
            Framing::None => Progress::Length(0),
            Framing::Length(length) if length > self.limits.max_body as u64 => {
                return Err(ReceiveError::TooLarge(self.limits.max_body));
            }
            Framing::Length(length) => Progress::Length(length),
            Framing::Chunked => Progress::Chunked(ChunkDecoder::new()),
            Framing::UntilClose => Progress::UntilClose,
        };
        let expects_continue = head.expects_continue() && !matches!(progress, Progress::Length(0));
        self.pending =
            Some(Pending { incoming: incoming(&head), expects_continue, progress, body: Vec::new() });
        self.start += consumed;
        self.searched = 0;
        Ok(true)
    }

    /// Moves what is buffered into the body; true if the body is complete.
    fn take_buffered(&mut self) -> Result<bool, ReceiveError> {
        let Pending { incoming, progress, body, .. } = self.pending.as_mut().expect("a body has a head");
        let unread = &self.buffer[self.start..];
        match progress {
            Progress::Length(remaining) => {
                let take = unread.len().min(usize::try_from(*remaining).unwrap_or(usize::MAX));
                *remaining -= take as u64;
                if *remaining == 0 && body.is_empty() {
                    // The usual case: head and body came together. One copy, no growing.
                    incoming.message.body = Bytes::copy_from_slice(&unread[..take]);
                } else {
                    body.extend_from_slice(&unread[..take]);
                }
                self.start += take;
                Ok(*remaining == 0)
            }
            Progress::Chunked(decoder) => {
                let decoded = decoder.decode(unread, body, self.limits.max_body);
                self.start += decoded.map_err(|error| match error {
                    ChunkError::TooLarge => ReceiveError::TooLarge(self.limits.max_body),
                    error => ReceiveError::Chunk(error),
                })?;
                Ok(decoder.is_done())
            }
            Progress::UntilClose => {
                if unread.len() > self.limits.max_body - body.len() {
                    return Err(ReceiveError::TooLarge(self.limits.max_body));
                }
                body.extend_from_slice(unread);
                self.start = self.buffer.len();
                Ok(false)
            }
        }
    }

    /// Reads more of the body: straight into it where its length is known, else into the buffer.
    async fn read_body(&mut self, io: &mut (impl AsyncRead + Unpin)) -> Result<usize, ReceiveError> {
        let pending = self.pending.as_mut().expect("a body has a head");
        let Progress::Length(remaining) = &mut pending.progress else { return self.fill(io).await };
        let body = &mut pending.body;
        let wanted = usize::try_from(*remaining).unwrap_or(usize::MAX);
        if body.len() == body.capacity() {
            // Memory follows what arrived, not what was announced.
            body.reserve(wanted.min(body.len().clamp(BUFFER, AHEAD)));
        }
        let alarm = &mut self.alarm;
        let mut limited = body.limit(wanted);
        let read = poll_fn(|cx| match poll_read_buf(Pin::new(&mut *io), cx, &mut limited) {
            Poll::Pending => alarm.poll(cx).map(|()| Err(ReceiveError::Timeout(Waiting::Body))),
            Poll::Ready(read) => Poll::Ready(read.map_err(ReceiveError::Io)),
        });
        let read = read.await?;
        *remaining -= read as u64;
        self.ended |= read == 0;
        Ok(read)
    }

    /// Reads into the buffer; 0 at the end of the connection.
    async fn fill(&mut self, io: &mut (impl AsyncRead + Unpin)) -> Result<usize, ReceiveError> {
        if self.ended {
            return Ok(0);
        }
        poll_fn(|cx| match self.poll_fill(io, cx) {
            Poll::Pending => self.alarm.poll(cx).map(|()| Err(ReceiveError::Timeout(self.waiting))),
            Poll::Ready(read) => Poll::Ready(read.map_err(ReceiveError::Io)),
        })
        .await
    }

    fn poll_fill(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let read = ready!(poll_read_buf(Pin::new(io), cx, &mut self.buffer))?;
        self.ended |= read == 0;
        Poll::Ready(Ok(read))
    }

    fn make_room(&mut self) {
        if self.start == self.buffer.len() {
            self.start = 0;
            self.buffer.clear();
            if self.buffer.capacity() > MAX_HEAD {
                self.buffer.shrink_to(BUFFER);
            }
        }
        if self.buffer.len() == self.buffer.capacity() {
            if self.start > 0 {
                self.buffer.drain(..self.start);
                self.start = 0;
            } else {
                self.buffer.reserve(self.buffer.len().max(BUFFER));
            }
        }
    }
}

/// The message of a head, without its body.
fn incoming(head: &Head<'_>) -> Incoming {
    let fields = head.fields();
    // Well-known names are not in the head as they are written here, so this is an estimate.
    let mut headers = Headers::with_capacity(fields.len(), head.consumed());
    for (id, name, value) in fields {
        if !http1_core::names::is_connection_field(id) {
            headers.append(name, value);
        }
    }
    let status = head.status();
    Incoming {
        method: text(head.method().as_bytes(), &["POST", "GET"]),
        path: text(head.path(), &["/"]),
        status,
        reason: if status == 200 { Cow::Borrowed("") } else { text(head.reason(), &[]) },
        keep_alive: head.keep_alive(),
        message: Message { headers, body: Bytes::new() },
    }
}

/// A text of its own, unless it is one of the `usual` ones.
fn text(bytes: &[u8], usual: &[&'static str]) -> Cow<'static, str> {
    match usual.iter().find(|usual| usual.as_bytes() == bytes) {
        Some(usual) => Cow::Borrowed(usual),
        None => Cow::Owned(String::from_utf8_lossy(bytes).into_owned()),
    }
}
