//! A server to talk to, and raw connections to talk with.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use micro_core::{Headers, Message};
use micro_net::grpc::{Answer, Code, Incoming, Outgoing, Status};
use micro_net::wire::{Handler, Limits, Request, serve_rpc};
use micro_net::{Listener, Stop};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Longer than anything here takes: a test that gets here hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Held by whoever starts a process, and by whoever frees a port to take it again: until it is another program, a new
/// process has a copy of every socket of ours, and so keeps ports taken that we have freed.
pub(crate) static FORKS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Awaits something that must come soon.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("took too long")
}

/// Answers with the body it got. The header `Do` asks for more: `wait` until released, `panic`, `method` for the
/// method and path instead, `inject` for an answer that cannot be sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Echo {
    pub(crate) state: Arc<EchoState>,
}

#[derive(Debug, Default)]
pub(crate) struct EchoState {
    pub(crate) started: Counter,
    pub(crate) finished: Counter,
    pub(crate) dropped: Counter,
    pub(crate) release: Notify,
}

/// A number to wait for.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    count: AtomicUsize,
    changed: Notify,
}

impl Counter {
    pub(crate) fn add(&self) {
        self.count.fetch_add(1, SeqCst);
        self.changed.notify_waiters();
    }

    pub(crate) fn get(&self) -> usize {
        self.count.load(SeqCst)
    }

    pub(crate) async fn reach(&self, count: usize) {
        soon(async {
            loop {
                let changed = self.changed.notified();
                if self.get() >= count {
                    return;
                }
                changed.await;
            }
        })
        .await;
    }
}

struct OnDrop<'a>(&'a EchoState);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.dropped.add();
    }
}

impl Handler for Echo {
    async fn handle(&self, request: Request) -> Message {
        let state = &self.state;
        state.started.add();
        let guard = OnDrop(state);
        let mut answer = Message { headers: Headers::new(), body: request.message.body };
        match request.message.headers.get("Do") {
            Some("wait") => state.release.notified().await,
            Some("panic") => panic!("as asked"),
            Some("method") => answer.body = format!("{} {}", request.method, request.path).into(),
            Some("inject") => answer.headers.append("X", "a\r\nInjected: yes"),
            _ => {}
        }
        for (name, value) in request.message.headers.iter().filter(|(name, _)| name.starts_with("Micro-")) {
            answer.headers.append(name, value);
        }
        std::mem::forget(guard);
        state.finished.add();
        answer
    }

    async fn call(&self, call: Incoming) -> Result<Outgoing, Status> {
        match call.metadata.get("do").and_then(|what| what.strip_prefix("stream-")) {
            Some(what) => {
                let what = what.to_owned();
                Ok(self.stream(&what, call))
            }
            None => self.respond(call).await,
        }
    }
}

/// The messages of a stream, `state.started` counting those that were made.
impl Echo {
    fn stream(&self, what: &str, call: Incoming) -> Outgoing {
        let state = self.state.clone();
        let metadata = call.metadata.iter().filter(|(name, _)| name.starts_with("x-")).collect();
        let made = state.clone();
        let messages = match what {
            // Each message as it comes.
            "echo" => call.messages.inspect(move |_| made.started.add()).boxed(),
            // All of them as one, at the end.
            "join" => stream::once(call.messages.try_fold(Vec::new(), |mut all, message| async move {
                all.extend_from_slice(&message);
                Ok(all)
            }))
            .map_ok(Bytes::from)
            .boxed(),
            // More than anybody takes.
            "flood" => stream::repeat_with(move || {
                made.started.add();
                Ok(Bytes::from_static(&[b'x'; 1 << 10]))
            })
            .boxed(),
            // Two messages, and how it ended.
            "fail" => {
                let status = Status::new(Code::ABORTED, "after two");
                let two = [Ok(Bytes::from_static(b"1")), Ok(Bytes::from_static(b"2"))];
                stream::iter(two.into_iter().chain([Err(status)])).boxed()
            }
            "refuse" => stream::iter([Err(Status::new(Code::NOT_FOUND, "before any"))]).boxed(),
            "none" => stream::empty().boxed(),
            // Reads nothing, says nothing.
            "wait" => {
                made.started.add();
                stream::pending().boxed()
            }
            other => panic!("no stream {other:?}"),
        };
        let guard = DropCount(state);
        let messages = messages.inspect(move |_| _ = &guard).boxed();
        let trailers = [("x-end", "over")].into_iter().collect();
        Outgoing { metadata, answer: Answer::Many(messages), trailers }
    }
}

struct DropCount(Arc<EchoState>);

impl Drop for DropCount {
    fn drop(&mut self) {
        self.0.dropped.add();
    }
}

/// What a caller over gRPC asks for with the metadata `do`; otherwise it gets its message back, and its metadata.
impl Echo {
    async fn respond(&self, mut call: Incoming) -> Result<Outgoing, Status> {
        let state = &self.state;
        let message = call.messages.only().await?;
        // From here to where it waits nothing is awaited, so whoever sees that it has started can release it.
        state.started.add();
        let guard = OnDrop(state);
        let mut answer = Outgoing { answer: message.into(), ..Outgoing::default() };
        match call.metadata.get("do") {
            Some("wait") => state.release.notified().await,
            Some("panic") => panic!("as asked"),
            Some("fail") => return Err(Status::new(Code::NOT_FOUND, "größer\nas asked")),
            Some("inject") => answer.metadata.append("x", "a\r\nb"),
            Some("path") => answer.answer = Bytes::from(call.path).into(),
            Some("deadline") => answer.answer = Bytes::from(format!("{}", call.deadline.is_some())).into(),
            _ => {}
        }
        for (name, value) in call.metadata.iter().filter(|(name, _)| name.starts_with("x-")) {
            answer.metadata.append(name, value);
        }
        std::mem::forget(guard);
        state.finished.add();
        Ok(answer)
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) stop: Stop,
    pub(crate) task: JoinHandle<()>,
    pub(crate) echo: Echo,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default(), PATIENCE, |listener| listener).await
    }

    pub(crate) async fn with(
        limits: Limits,
        grace: Duration,
        tune: impl FnOnce(Listener) -> Listener,
    ) -> Self {
        let listener = tune(Listener::bind("127.0.0.1:0").await.expect("a free port"));
        let (addr, stop, echo) = (listener.local_addr(), Stop::new(), Echo::default());
        let task = tokio::spawn(serve_rpc(listener, echo.clone(), limits, stop.clone(), grace));
        Self { addr, stop, task, echo }
    }

    pub(crate) fn address(&self) -> String {
        self.addr.to_string()
    }

    pub(crate) async fn connect(&self) -> Raw {
        Raw { tcp: connect(self.addr).await }
    }

    pub(crate) async fn stopped(self) {
        self.stop.soon.cancel();
        soon(self.task).await.expect("the server does not panic");
    }
}

/// A connection from an address of its own: where hundreds of clients take ports of 127.0.0.1, one of them would now and
/// then get the port that a server has just freed and is about to take again.
pub(crate) async fn connect(server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 2], 0).into()).expect("a free port");
    soon(socket.connect(server)).await.expect("connects")
}

/// A connection for bytes that no client of ours would send.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) tcp: TcpStream,
}

impl Raw {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.tcp.write_all(bytes.as_ref()).await.expect("written");
    }

    /// All that comes until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset ends it as well.
        let _ = soon(self.tcp.read_to_end(&mut bytes)).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What comes until it ends with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        soon(async {
            while !bytes.ends_with(end.as_bytes()) {
                let byte = self.tcp.read_u8().await;
                bytes.push(
                    byte.unwrap_or_else(|_| panic!("closed after {:?}", String::from_utf8_lossy(&bytes))),
                );
            }
        })
        .await;
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

pub(crate) fn message(headers: &[(&str, &str)], body: impl Into<bytes::Bytes>) -> Message {
    Message { headers: headers.iter().copied().collect(), body: body.into() }
}
