//! Connections with streams: messages of many conversations in both directions, none of them paired.
//!
//! Three things go on at once, in the task of the connection: the streams and calls that run, reading, and writing.
//! Whoever writes waits for its turn, and reading pauses while the stream that a message is for has no room for it. So a
//! caller that does not read holds up the handlers that write to it, and a handler that does not read holds up its
//! caller, along with whatever else is on the same connection; clients use one for each stream.
//!
//! There is no limit on how long a stream may be silent, or its reader slow: what dead peers leave behind is found by
//! the keepalive of TCP. Only what has begun to arrive has to end in time.

use super::receive::Incoming;
use super::server::{Handler, Request};
use super::socket::{SendHalf, Socket};
use super::{Limits, ReceiveError, SendError, Wire};
use crate::stop::Stop;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered, StreamExt};
use http1_core::Start;
use micro_core::Message;
use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// So many streams and calls run on one connection at once.
pub const MOST_STREAMS: usize = 128;
/// So many messages wait for one stream to take them.
const QUEUE: usize = 8;
/// So many bytes of messages wait on one connection, however many streams there are. A larger message waits alone.
const QUEUE_BYTES: usize = 4 << 20;
/// A peer that has finished sending and takes nothing for so long is gone.
const HALF_OPEN: Duration = Duration::from_secs(60);
/// So long before the end of the grace period streams are told that it ends, or a tenth of the period if that is less.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What becomes of a message.
pub enum Answer {
    /// It is answered with this.
    Message(Message),
    /// It opens a stream.
    Stream(Box<Opening>),
    /// It has no answer.
    Nothing,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => f.debug_tuple("Message").field(message).finish(),
            Self::Stream(opening) => f.debug_tuple("Stream").field(opening).finish(),
            Self::Nothing => f.write_str("Nothing"),
        }
    }
}

/// A stream that begins.
pub struct Opening {
    /// Messages with this [`StreamId`] belong to it while it runs.
    pub explicit: bool,
    /// The id's name.
    pub name: String,
    /// From what arrives to what is sent. Dropping the latter ends the stream.
    pub open: Box<dyn FnOnce(Inbox) -> BoxStream<'static, Message> + Send>,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Which conversation of a connection a message is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamId<'m> {
    /// Whether the message says by itself that it is part of a stream.
    pub explicit: bool,
    /// The name of the conversation; empty if it has none.
    pub name: &'m str,
}

/// How the other side came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It finished sending, between two messages.
    Finished,
    /// The connection is lost, or what came was no message.
    Lost,
}

/// What arrives for one stream.
#[derive(Debug)]
pub struct Inbox {
    messages: mpsc::Receiver<Queued>,
    end: Arc<OnceLock<End>>,
    stopping: CancellationToken,
}

/// A message, and the room that it takes.
type Queued = (Message, Option<OwnedSemaphorePermit>);

impl Inbox {
    /// The next message; none when the other side has come to an [end](Self::end).
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        Poll::Ready(ready!(self.messages.poll_recv(cx)).map(|(message, _room)| message))
    }

    /// How it ended, after the last message.
    pub fn end(&self) -> End {
        *self.end.get().unwrap_or(&End::Finished)
    }

    /// Cancelled when the server is about to stop, shortly before the connection is closed.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }
}

/// What is left of a connection when its streams have ended.
pub(super) enum Left<S, W> {
    /// It may carry plain requests again.
    Quiet(Socket<S, W>),
    /// The other side has finished.
    Finished(Socket<S, W>),
    /// What came was no message.
    Malformed(Socket<S, W>, ReceiveError),
    /// What came was a request that is none of a stream.
    Misplaced(Socket<S, W>),
    /// Nothing can be said any more.
    Gone,
}

/// What streams need of their server.
pub(super) struct Setting<'s, H> {
    pub(super) handler: &'s H,
    pub(super) limits: Limits,
    pub(super) stop: &'s Stop,
    pub(super) grace: Duration,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

/// A stream as the reading side sees it.
struct Known {
    explicit: bool,
    name: String,
    serial: u64,
    /// None: it takes no more messages.
    queue: Option<mpsc::Sender<Queued>>,
    end: Arc<OnceLock<End>>,
}

/// Streams and calls that run on one connection.
struct Running<'s, H> {
    setting: &'s Setting<'s, H>,
    known: Vec<Known>,
    /// Each says which stream has ended; none: it was a call.
    tasks: FuturesUnordered<BoxFuture<'s, Option<u64>>>,
    out: mpsc::Sender<Message>,
    room: Arc<Semaphore>,
    stopping: CancellationToken,
    serial: u64,
}

/// Something that has to happen before the next message is read.
type Pending = Option<BoxFuture<'static, ()>>;

/// Serves a connection from the message that opened its first stream on, until no stream and no call runs on it.
/// `keeps` says whether more may come after that message.
pub(super) async fn serve<H, S, W>(
    setting: Setting<'_, H>,
    socket: Socket<S, W>,
    first: Box<Opening>,
    keeps: bool,
) -> Left<S, W>
where
    H: Handler,
    S: AsyncRead + AsyncWrite + Unpin,
    W: Wire,
{
    let (mut receiving, mut sending) = socket.split();
    receiving.wait_for_messages(None);
    sending.write_timeout(None);
    let (out, outgoing) = mpsc::channel(1);
    let written = AtomicU64::new(0);
    let mut writing = pin!(write(sending, outgoing, &written));
    let mut running = Running {
        setting: &setting,
        known: Vec::new(),
        tasks: FuturesUnordered::new(),
        out,
        room: Arc::new(Semaphore::new(QUEUE_BYTES)),
        stopping: CancellationToken::new(),
        serial: 0,
    };
    running.open(*first);
    let mut last_words = pin!(last_words(&setting));
    let mut half_open = pin!(tokio::time::sleep(HALF_OPEN));
    let mut written_before = 0;
    let (mut reading, mut finished) = (keeps, false);
    let (mut pending, mut misplaced, mut failure) = (None, false, None);
    while !running.tasks.is_empty() || pending.is_some() {
        if !reading && !finished && pending.is_none() {
            finished = true;
            running.ended(End::Finished);
            written_before = written.load(Relaxed);
            half_open.as_mut().reset(Instant::now() + HALF_OPEN);
        }
        tokio::select! {
            error = &mut writing => {
                if let Err(error) = error {
                    tracing::debug!(error = crate::error_chain(&error), "the caller of a stream is gone");
                }
                return Left::Gone;
            }
            Some(ended) = running.tasks.next(), if !running.tasks.is_empty() => {
                running.known.retain(|stream| Some(stream.serial) != ended);
            }
            () = wait(&mut pending), if pending.is_some() => pending = None,
            received = receiving.receive(), if reading && pending.is_none() => match received {
                Ok(Some(incoming)) if incoming.method == "CONNECT" || incoming.method == "HEAD" => {
                    misplaced = true;
                    break;
                }
                Ok(Some(incoming)) => {
                    reading = incoming.keep_alive;
                    pending = running.take(incoming).await;
                }
                Ok(None) => reading = false,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            },
            () = &mut last_words, if !running.stopping.is_cancelled() => running.stopping.cancel(),
            () = &mut half_open, if finished => {
                let count = written.load(Relaxed);
                if count == written_before {
                    tracing::debug!("the caller of a stream has left");
                    return Left::Gone;
                }
                written_before = count;
                half_open.as_mut().reset(Instant::now() + HALF_OPEN);
            }
        }
    }
    running.ended(End::Lost);
    if failure.as_ref().is_some_and(|error| error.status().is_none()) {
        return Left::Gone;
    }
    // Whatever still runs was misled by what came; what it has said goes out.
    drop(running);
    let time = setting.limits.write_timeout.unwrap_or(HALF_OPEN);
    let Ok(Ok(mut sending)) = tokio::time::timeout(time, writing).await else { return Left::Gone };
    receiving.wait_for_messages(setting.limits.idle_timeout);
    sending.write_timeout(setting.limits.write_timeout);
    let socket = receiving.unite(sending);
    match failure {
        Some(error) => Left::Malformed(socket, error),
        None if misplaced => Left::Misplaced(socket),
        None if reading => Left::Quiet(socket),
        None => Left::Finished(socket),
    }
}

impl<'s, H: Handler> Running<'s, H> {
    /// What a message is for: a stream that runs, a new one, or a call.
    async fn take(&mut self, incoming: Incoming) -> Pending {
        let Incoming { method, path, message, .. } = incoming;
        let Setting { handler, peer, local, .. } = *self.setting;
        let id = handler.stream_of(&message);
        if let Some(stream) = self.known.iter_mut().find(|known| known.is(id)) {
            return stream.deliver(message, &self.room);
        }
        if self.tasks.len() >= MOST_STREAMS {
            return self.say(handler.busy(&message));
        }
        let mut receiving = Box::pin(handler.receive(Request { message, method, path, peer, local }));
        match futures::poll!(&mut receiving) {
            Poll::Ready(Answer::Message(message)) => return self.say(message),
            Poll::Ready(Answer::Nothing) => {}
            Poll::Ready(Answer::Stream(opening)) => self.open(*opening),
            Poll::Pending => {
                let out = self.out.clone();
                self.tasks.push(Box::pin(async move {
                    if let Answer::Message(message) = receiving.await {
                        _ = out.send(message).await;
                    }
                    None
                }));
            }
        }
        None
    }

    fn open(&mut self, Opening { explicit, name, open }: Opening) {
        let (queue, messages) = mpsc::channel(QUEUE);
        let (end, serial) = (Arc::<OnceLock<End>>::default(), self.serial);
        self.serial += 1;
        let inbox = Inbox { messages, end: end.clone(), stopping: self.stopping.clone() };
        self.known.push(Known { explicit, name, serial, queue: Some(queue), end });
        let out = self.out.clone();
        self.tasks.push(Box::pin(async move {
            let mut messages = open(inbox);
            while let Some(message) = messages.next().await {
                if out.send(message).await.is_err() {
                    break;
                }
            }
            Some(serial)
        }));
    }

    /// Says something in answer to a message; the next one is read when that is on its way.
    fn say(&self, message: Message) -> Pending {
        let out = self.out.clone();
        Some(Box::pin(async move {
            _ = out.send(message).await;
        }))
    }

    /// Tells all streams that nothing more will come.
    fn ended(&mut self, end: End) {
        for stream in &mut self.known {
            if stream.queue.is_some() {
                // Only fails if it was told before.
                _ = stream.end.set(end);
                stream.queue = None;
            }
        }
    }
}

impl Known {
    fn is(&self, id: StreamId<'_>) -> bool {
        self.explicit == id.explicit && self.name == id.name
    }

    /// Puts a message into the queue, or says what has to be waited for. Messages that the stream no longer wants are
    /// dropped.
    fn deliver(&mut self, message: Message, room: &Arc<Semaphore>) -> Pending {
        let queue = self.queue.clone().filter(|queue| !queue.is_closed());
        let Some(queue) = queue else {
            self.queue = None;
            return None;
        };
        // At most QUEUE_BYTES, which fits.
        let bytes = message.body.len().min(QUEUE_BYTES) as u32;
        let space = if bytes == 0 { Ok(None) } else { room.clone().try_acquire_many_owned(bytes).map(Some) };
        match (queue.try_reserve(), space) {
            (Ok(place), Ok(space)) => {
                place.send((message, space));
                None
            }
            (_, space) => {
                let (queue, room) = (queue.clone(), room.clone());
                Some(Box::pin(async move {
                    let space = match space {
                        Ok(space) => space,
                        Err(_) => tokio::select! {
                            space = room.acquire_many_owned(bytes) => space.ok(),
                            () = queue.closed() => return,
                        },
                    };
                    _ = queue.send((message, space)).await;
                }))
            }
        }
    }
}

async fn wait(pending: &mut Pending) {
    if let Some(pending) = pending {
        pending.await;
    }
}

/// Ends when streams should come to their end because the server does.
async fn last_words<H>(setting: &Setting<'_, H>) {
    setting.stop.soon.cancelled().await;
    let time = setting.grace.saturating_sub(LAST_WORDS.min(setting.grace / 10));
    tokio::time::sleep(time).await;
}

/// Writes messages until there are none.
async fn write<S: AsyncWrite, W: Wire>(
    mut sending: SendHalf<S, W>,
    mut outgoing: mpsc::Receiver<Message>,
    written: &AtomicU64,
) -> Result<SendHalf<S, W>, SendError> {
    let start = Start::Response { status: 200, reason: b"OK" };
    while let Some(message) = outgoing.recv().await {
        match sending.send(start, &message, false).await {
            Ok(()) => _ = written.fetch_add(1, Relaxed),
            // Without one of its messages a stream is not what was said.
            Err(error) => return Err(error),
        }
    }
    Ok(sending)
}
