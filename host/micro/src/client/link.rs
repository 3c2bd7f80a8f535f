//! Connections for streams of messages: one of HTTP, or a stream of the gRPC transport.

use super::nodes::NodeState;
use super::{Core, grpc, transport};
use crate::client::{Protocol, Reached};
use crate::wire::AnyWire;
use micro_core::{Error, Message};
use micro_net::wire::{self, ExchangeError};
use std::sync::Arc;
use std::time::Duration;

/// What an end of the connection looks like that says nothing else.
const CLOSED: &str = "unexpected EOF: the connection was closed before the end of the stream";

/// Sends messages. Dropping both ends closes the connection.
pub(super) enum LinkSender {
    Http(wire::LinkSender<AnyWire>),
    Grpc(transport::Sender),
}

/// Receives messages.
pub(super) enum LinkReceiver {
    Http(wire::LinkReceiver<AnyWire>),
    Grpc(transport::Receiver),
}

/// A message was not sent.
#[derive(Debug)]
pub(super) enum Unsent {
    /// It cannot be, for this reason. Others may be.
    Unsendable(String),
    /// The connection takes no more.
    Gone,
}

/// There are no more messages, for this reason.
#[derive(Debug)]
pub(super) enum Ended {
    /// The connection ended between two messages.
    Between(String),
    /// It was lost within one, or what came is none.
    Within(String),
}

impl Core {
    /// A connection of its own to a node, on which `first` was sent.
    pub(super) async fn link(
        &self,
        node: &Arc<NodeState>,
        first: &Message,
        connect_timeout: Duration,
    ) -> Result<(LinkSender, LinkReceiver), (Error, Reached)> {
        let line = self.lines.of(node.security).map_err(|error| (error, Reached::Handler))?;
        if node.protocol == Protocol::MucpOverGrpc {
            let linked = transport::link(&line.channels, node, first, connect_timeout).await;
            let (sender, receiver) = linked.map_err(|error| grpc::failed(node, &error))?;
            return Ok((LinkSender::Grpc(sender), LinkReceiver::Grpc(receiver)));
        }
        let linked = line.pool.link(&node.address, connect_timeout).await;
        let (mut sender, receiver) = linked.map_err(|error| self.failed(node, &error))?;
        sender.send(first).await.map_err(|error| self.failed(node, &error))?;
        Ok((LinkSender::Http(sender), LinkReceiver::Http(receiver)))
    }
}

impl LinkSender {
    /// Sends a message, once there is room for it. Not cancel safe.
    pub(super) async fn send(&mut self, message: &Message) -> Result<(), Unsent> {
        match self {
            Self::Http(sender) => sender.send(message).await.map_err(|error| match error {
                ExchangeError::Unsendable(_) => Unsent::Unsendable(micro_net::error_chain(&error)),
                _ => Unsent::Gone,
            }),
            Self::Grpc(sender) => sender.send(message).await,
        }
    }
}

impl LinkReceiver {
    /// The next message. Cancel safe.
    pub(super) async fn receive(&mut self) -> Result<Message, Ended> {
        match self {
            Self::Http(receiver) => match receiver.receive().await {
                Ok(Some(message)) => Ok(message),
                Ok(None) => Err(Ended::Between(CLOSED.to_owned())),
                Err(error @ ExchangeError::NoAnswer { .. }) => {
                    Err(Ended::Between(micro_net::error_chain(&error)))
                }
                Err(error) => Err(Ended::Within(micro_net::error_chain(&error))),
            },
            Self::Grpc(receiver) => {
                let received = receiver.receive().await?;
                received.ok_or_else(|| Ended::Between(CLOSED.to_owned()))
            }
        }
    }
}
