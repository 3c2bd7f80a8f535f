//! Our client, and a peer that answers it.

use super::dumb::Message;
use super::script::{Script, Step};
use crate::world::SOON;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use micro::client::Protocol;
use micro::registry::MemoryRegistry;
use micro::{Body, CallOptions, Client, Error, RpcHead, RpcRequest, RpcResponse};
use std::sync::Arc;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What our client is doing.
#[derive(Default)]
struct Ours {
    calling: Option<JoinHandle<Result<RpcResponse, Error>>>,
    sender: Option<mpsc::Sender<Bytes>>,
    answers: Option<BoxStream<'static, Result<Bytes, Error>>>,
}

impl Ours {
    /// The next answer; none at the end of a stream.
    async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        if let Some(calling) = self.calling.take() {
            match calling.await.expect("no panic") {
                Ok(RpcResponse { body: Body::Unary(body), .. }) => return Some(Ok(body)),
                Ok(RpcResponse { body: Body::Stream(answers), .. }) => self.answers = Some(answers),
                Err(error) => return Some(Err(error)),
            }
        }
        self.answers.as_mut()?.next().await
    }
}

/// The peer's end of a connection.
struct Peer {
    reading: BufReader<OwnedReadHalf>,
    writing: OwnedWriteHalf,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        let (reading, writing) = stream.into_split();
        Self { reading: BufReader::new(reading), writing }
    }
}

/// # Errors
/// The line that did not come true, and why.
pub(super) async fn replay(script: &Script) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let client = Client::builder(Arc::new(MemoryRegistry::new())).retries(0).build();
    let (mut ours, mut peer) = (Ours::default(), None);
    for (line, step) in &script.steps {
        let at = |why: String| format!("line {line}: {why}");
        let taking_place = take(step, &client, &listener, &address, &mut ours, &mut peer);
        match timeout(SOON, taking_place).await {
            Ok(outcome) => outcome.map_err(at)?,
            Err(_elapsed) => return Err(at("nothing happened".to_owned())),
        }
    }
    Ok(())
}

async fn take(
    step: &Step,
    client: &Client,
    listener: &TcpListener,
    address: &str,
    ours: &mut Ours,
    peer: &mut Option<Peer>,
) -> Result<(), String> {
    match step {
        Step::Call { legacy, stream, endpoint, content_type, body } => {
            let head = RpcHead { stream: *stream, ..RpcHead::new("greeter", endpoint, content_type) };
            let body = if *stream {
                let (sender, mut said) = mpsc::channel(1);
                ours.sender = Some(sender);
                Body::Stream(futures::stream::poll_fn(move |cx| said.poll_recv(cx)).map(Ok).boxed())
            } else {
                Body::Unary(body.clone().into())
            };
            let protocol = if *legacy { Protocol::Envelopes } else { Protocol::Mucp };
            let options = CallOptions::new().address(address).protocol(protocol).timeout(SOON);
            let options = options.metadata("Foo", "bar").metadata("X-Request-Id", "9");
            let client = client.clone();
            ours.calling =
                Some(tokio::spawn(async move { client.send(RpcRequest { head, body }, &options).await }));
            Ok(())
        }
        Step::Say(message) => {
            let sender = ours.sender.as_ref().ok_or("there is no stream")?;
            sender.send(message.clone().into()).await.map_err(|_| "nobody takes it".to_owned())
        }
        Step::Pause(time) => {
            tokio::time::sleep(*time).await;
            Ok(())
        }
        Step::HangUp => ours.sender.take().map(drop).ok_or_else(|| "there is no stream".to_owned()),
        Step::Send(bytes) => {
            let peer = peer.as_mut().ok_or("nobody has called yet")?;
            peer.writing.write_all(bytes).await.map_err(|error| error.to_string())
        }
        Step::Receive(checks) => {
            let peer = connected(peer, listener).await;
            let message = Message::read(&mut peer.reading).await?.ok_or("the connection ended")?;
            checks.iter().try_for_each(|check| check.of(&message))
        }
        Step::Closed => {
            let peer = connected(peer, listener).await;
            match Message::read(&mut peer.reading).await? {
                None => Ok(()),
                Some(message) => Err(format!("another message\n{message}")),
            }
        }
        Step::Answer(expected) => match ours.next().await {
            Some(Ok(body)) if body == *expected => Ok(()),
            other => Err(format!("it got {other:?}")),
        },
        Step::Failure { code, id, detail } => match ours.next().await {
            Some(Err(error))
                if error.code == *code && error.id == *id && error.detail.contains(detail.as_str()) =>
            {
                Ok(())
            }
            other => Err(format!("it got {other:?}")),
        },
        Step::End => match ours.next().await {
            None => Ok(()),
            other => Err(format!("it got {other:?}")),
        },
    }
}

async fn connected<'a>(peer: &'a mut Option<Peer>, listener: &TcpListener) -> &'a mut Peer {
    if peer.is_none() {
        *peer = Some(Peer::new(listener.accept().await.expect("accepted").0));
    }
    peer.as_mut().expect("just set")
}
