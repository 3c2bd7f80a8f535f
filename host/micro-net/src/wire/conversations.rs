//! The conversations of one connection: which message belongs to which, and what becomes of it. What carries the
//! messages is not known here.

use super::server::{Handler, Request};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered, StreamExt};
use micro_core::Message;
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// So many streams and calls run on one connection at once.
pub const MOST_STREAMS: usize = 128;
/// So many messages wait for one stream to take them.
const QUEUE: usize = 8;
/// So many bytes of messages wait on one connection, however many streams there are. A larger message waits alone.
const QUEUE_BYTES: usize = 4 << 20;

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

/// A stream as the reading side sees it.
struct Known {
    explicit: bool,
    name: String,
    serial: u64,
    /// None: it takes no more messages.
    queue: Option<mpsc::Sender<Queued>>,
    end: Arc<OnceLock<End>>,
}

/// Who talks with whom on a connection.
pub(super) struct Ends<'h, H> {
    pub(super) handler: &'h H,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

/// Streams and calls that run on one connection.
pub(super) struct Conversations<'h, H> {
    ends: Ends<'h, H>,
    known: Vec<Known>,
    /// Each says which stream has ended; none: it was a call.
    tasks: FuturesUnordered<BoxFuture<'h, Option<u64>>>,
    out: mpsc::Sender<Message>,
    room: Arc<Semaphore>,
    stopping: CancellationToken,
    serial: u64,
}

/// Something that has to happen before the next message is read.
pub(super) type Pending = Option<BoxFuture<'static, ()>>;

impl<'h, H: Handler> Conversations<'h, H> {
    /// None yet. What they say goes to `out`.
    pub(super) fn new(ends: Ends<'h, H>, out: mpsc::Sender<Message>) -> Self {
        Self {
            ends,
            known: Vec::new(),
            tasks: FuturesUnordered::new(),
            out,
            room: Arc::new(Semaphore::new(QUEUE_BYTES)),
            stopping: CancellationToken::new(),
            serial: 0,
        }
    }

    /// Whether none runs.
    pub(super) fn is_quiet(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Goes on with all of them until one has ended; never ends while there are none. Cancel safe.
    pub(super) async fn run(&mut self) {
        match self.tasks.next().await {
            Some(ended) => self.known.retain(|stream| Some(stream.serial) != ended),
            None => std::future::pending().await,
        }
    }

    /// Cancelled to tell all streams that the server stops.
    pub(super) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// What a message is for: a stream that runs, a new one, or a call.
    pub(super) async fn take(
        &mut self,
        message: Message,
        method: Cow<'static, str>,
        path: Cow<'static, str>,
    ) -> Pending {
        let Ends { handler, peer, local } = self.ends;
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

    pub(super) fn open(&mut self, Opening { explicit, name, open }: Opening) {
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
    pub(super) fn ended(&mut self, end: End) {
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

/// What has to happen first has happened. Never ends if there is nothing.
pub(super) async fn wait(pending: &mut Pending) {
    match pending.as_mut() {
        Some(waiting) => {
            waiting.await;
            *pending = None;
        }
        None => std::future::pending().await,
    }
}
