//! Streams to nodes that speak gRPC.

use super::super::nodes::{NodeState, Running};
use super::super::{Core, ID};
use super::{ALMOST, answered, failed};
use crate::client::{CallOptions, Reached, explain};
use crate::grpc::{Method, error_of, path_of};
use crate::payload::Format;
use crate::rpc::{Body, RpcHead, RpcResponse};
use crate::stream::Messages;
use bytes::Bytes;
use futures::FutureExt;
use futures::stream::{Stream, StreamExt};
use micro_core::{Error, Headers};
use micro_net::grpc::{CallError, Codec, Opening, Receiving, Sending, Unsent};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

impl Core {
    /// Opens a stream on one node. The caller's messages are sent by a task of the answer's: dropping that ends the call.
    pub(in crate::client) async fn open_grpc(
        &self,
        node: &Arc<NodeState>,
        head: &RpcHead,
        body: Body,
        options: &CallOptions,
    ) -> Result<RpcResponse, (Error, Reached)> {
        let own = |error| (error, Reached::Handler);
        let format = self.format_of(&head.content_type).map_err(own)?;
        let path = path_of(&head.service, &head.endpoint);
        let connect_timeout = options.connect_timeout.unwrap_or(self.settings.connect_timeout);
        let method = match self.descriptors(node, format, options, connect_timeout).await? {
            Some(descriptors) => Some(descriptors.stream(&path).map_err(own)?),
            None => None,
        };
        let (path, codec) = match &method {
            Some(method) => (&method.path, Codec::Proto),
            None if format == Format::Json => (&path, Codec::Json),
            None => (&path, Codec::Proto),
        };
        let timeout = head.remaining();
        let metadata = self.grpc_metadata(head, format, timeout, &options.metadata);
        let opening = Opening { path, codec, metadata: &metadata, timeout };
        let line = self.lines.of(node.security).map_err(own)?;
        options.tell(|| explain::opening(node, &opening));
        let running = node.start();
        let opened = line.channels.open_stream(&node.address, &opening, connect_timeout).await;
        let (sending, receiving) = opened.map_err(|error| failed(node, &error))?;
        let sent = tokio::spawn(send(sending, body.into_messages(), method.clone()));
        let service = if head.service.is_empty() { &node.name } else { &head.service };
        let answer = Answer {
            sent: Some(AbortOnDropHandle::new(sent)),
            receiving,
            running: Some(running),
            node: node.clone(),
            service: service.clone(),
            deadline: head.deadline,
            method,
            format,
        };
        // What the callee says beside its messages comes with the first of them, which nobody has asked for yet.
        Ok(RpcResponse {
            metadata: Headers::new(),
            content_type: format.content_type().to_owned(),
            body: Body::Stream(answer.boxed()),
        })
    }
}

/// Sends messages until their end or that of the call. An error among them is the call's.
async fn send(mut sending: Sending, mut messages: Messages, method: Option<Method>) -> Result<(), Error> {
    loop {
        let message = tokio::select! {
            biased;
            () = sending.closed() => return Ok(()),
            message = messages.next() => message,
        };
        let message = match (message, &method) {
            (None, _) => {
                sending.end();
                return Ok(());
            }
            (Some(Ok(message)), None) => Ok(message),
            (Some(Ok(message)), Some(method)) => method.request(&message),
            (Some(Err(error)), _) => Err(error),
        };
        match message {
            Ok(message) => match sending.send(&message).await {
                Ok(()) => {}
                Err(Unsent::Ended) => return Ok(()),
                Err(error) => return Err(Error::bad_request(ID, error.to_string())),
            },
            Err(error) => {
                sending.cancel();
                return Err(error);
            }
        }
    }
}

/// The callee's messages.
struct Answer {
    /// None: all was sent, or there is nobody to send to.
    sent: Option<AbortOnDropHandle<Result<(), Error>>>,
    receiving: Receiving,
    /// None: the node has answered.
    running: Option<Running>,
    node: Arc<NodeState>,
    /// Errors without an id of their own are its.
    service: String,
    deadline: Option<Instant>,
    method: Option<Method>,
    format: Format,
}

impl Stream for Answer {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(sent) = &mut this.sent
            && let Poll::Ready(outcome) = sent.poll_unpin(cx)
        {
            this.sent = None;
            // The task is ended by nobody else, and has nothing to panic about.
            let lost = |_| Err(Error::internal(ID, "the sending of requests was lost"));
            if let Err(error) = outcome.unwrap_or_else(lost) {
                return Poll::Ready(Some(Err(error)));
            }
        }
        let next = ready!(this.receiving.poll_next_unpin(cx));
        let next = match next {
            None => None,
            Some(Ok(message)) => {
                let content_type = this.receiving.content_type();
                let message = answered(content_type, message, this.method.as_ref(), this.format);
                Some(message.map(|(_, message)| message))
            }
            Some(Err(CallError::Status(status))) => Some(Err(error_of(status, &this.service))),
            // Its clock was ahead of ours: ours ends the stream with an error that says so.
            Some(Err(error)) if error.is_cancelled() && this.is_almost_over() => return Poll::Pending,
            Some(Err(error)) => {
                this.running = None;
                Some(Err(failed(&this.node, &error).0))
            }
        };
        if let Some(running) = this.running.take() {
            running.answered();
        }
        Poll::Ready(next)
    }
}

impl Answer {
    fn is_almost_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline.saturating_duration_since(Instant::now()) < ALMOST)
    }
}
