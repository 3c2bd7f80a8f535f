//! Messages that go through Go Micro's gRPC transport (`go-micro-wire` §1.8): a stream of gRPC for each call and for each
//! stream, on connections that they share.

use super::link::{Ended, Unsent};
use super::nodes::NodeState;
use crate::grpc::transport::{PATHS, pack, unpack};
use micro_core::{Headers, Message};
use micro_net::grpc::{self, CallError, Channels, Code, Codec, Opening, Receiving, Sending, Status};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Under which of its two names a node has the method.
#[derive(Debug, Default)]
pub(super) struct TransportName {
    /// The position in [`PATHS`], plus 1; 0: nobody knows.
    known: AtomicUsize,
}

impl TransportName {
    fn known(&self) -> Option<usize> {
        self.known.load(Relaxed).checked_sub(1)
    }

    fn learn(&self, at: usize) {
        self.known.store(at + 1, Relaxed);
    }

    fn forget(&self) {
        self.known.store(0, Relaxed);
    }

    /// Both, the likelier one first.
    fn candidates(&self) -> [usize; 2] {
        let first = self.known().unwrap_or_default();
        [first, 1 - first]
    }
}

/// Peers compare names with case here; v4.10 and later spell this one in another way.
pub(super) fn spell(headers: &mut Headers) {
    if let Some(id) = headers.get("Micro-Id").map(str::to_owned) {
        headers.append("Micro-ID", id);
    }
}

/// Sends a request to a node and waits for its answer. Dropping the future ends the stream.
pub(super) async fn exchange(
    channels: &Channels,
    node: &NodeState,
    mut request: Message,
    connect_timeout: Duration,
) -> Result<Message, CallError> {
    spell(&mut request.headers);
    let packet = pack(request);
    let mut refused = None;
    for at in node.transport.candidates() {
        let (mut sending, mut receiving) = open(channels, node, at, connect_timeout).await?;
        // Where that fails, the answer says why.
        _ = sending.send(&packet).await;
        // The direction stays open until the answer is here: its end would be that of the connection to the server.
        match receiving.next().await {
            Ok(Some(packet)) => {
                node.transport.learn(at);
                return unpack(packet).map_err(|error| CallError::Malformed(micro_net::error_chain(&error)));
            }
            Ok(None) => return Err(CallError::Malformed("the stream ends without an answer".to_owned())),
            // Nothing was executed: the peer knows the method by its other name.
            Err(error) if is_unknown(&error) => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    node.transport.forget();
    Err(refused.unwrap_or_else(no_such_method))
}

/// Opens a stream on which `first` was sent. Its own answer may be long in coming, so a node whose name for the method is
/// not known is asked beforehand.
pub(super) async fn link(
    channels: &Channels,
    node: &Arc<NodeState>,
    first: &Message,
    connect_timeout: Duration,
) -> Result<(Sender, Receiver), CallError> {
    let at = match node.transport.known() {
        Some(at) => at,
        None => ask(channels, node, connect_timeout).await?,
    };
    let (mut sending, receiving) = open(channels, node, at, connect_timeout).await?;
    // Where that fails, receiving says why.
    _ = sending.send(&pack(first.clone())).await;
    Ok((Sender { sending }, Receiver { receiving, node: node.clone() }))
}

/// Finds out the name by a connection without messages, which ends well where it is right.
async fn ask(channels: &Channels, node: &NodeState, connect_timeout: Duration) -> Result<usize, CallError> {
    let mut refused = None;
    for at in 0..PATHS.len() {
        let (sending, mut receiving) = open(channels, node, at, connect_timeout).await?;
        sending.end();
        match receiving.next().await {
            Ok(_) => {
                node.transport.learn(at);
                return Ok(at);
            }
            Err(error) if is_unknown(&error) => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or_else(no_such_method))
}

async fn open(
    channels: &Channels,
    node: &NodeState,
    at: usize,
    connect_timeout: Duration,
) -> Result<(Sending, Receiving), CallError> {
    let metadata = Headers::new();
    let opening = Opening { path: PATHS[at], codec: Codec::Proto, metadata: &metadata, timeout: None };
    channels.open_stream(&node.address, &opening, connect_timeout).await
}

fn is_unknown(error: &CallError) -> bool {
    matches!(error, CallError::Status(status) if status.code == Code::UNIMPLEMENTED)
}

fn no_such_method() -> CallError {
    Status::new(Code::UNIMPLEMENTED, "no such method").into()
}

/// The caller's messages.
pub(super) struct Sender {
    sending: Sending,
}

impl Sender {
    /// Not cancel safe.
    pub(super) async fn send(&mut self, message: &Message) -> Result<(), Unsent> {
        self.sending.send(&pack(message.clone())).await.map_err(|error| match error {
            grpc::Unsent::TooLarge => Unsent::Unsendable(error.to_string()),
            grpc::Unsent::Ended => Unsent::Gone,
        })
    }
}

/// The node's messages.
pub(super) struct Receiver {
    receiving: Receiving,
    node: Arc<NodeState>,
}

impl Receiver {
    /// The next message; none when the node has ended the connection. Cancel safe.
    pub(super) async fn receive(&mut self) -> Result<Option<Message>, Ended> {
        let within = |error: &dyn std::error::Error| Ended::Within(micro_net::error_chain(error));
        match self.receiving.next().await {
            Ok(None) => Ok(None),
            Ok(Some(packet)) => unpack(packet).map(Some).map_err(|error| within(&error)),
            Err(error @ (CallError::Broken(_) | CallError::NotTaken(_) | CallError::Mute(_))) => {
                Err(Ended::Between(micro_net::error_chain(&error)))
            }
            Err(error) => {
                if is_unknown(&error) {
                    // Another program has taken the place of the one that was asked.
                    self.node.transport.forget();
                }
                Err(within(&error))
            }
        }
    }
}
