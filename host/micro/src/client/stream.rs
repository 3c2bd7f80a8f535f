//! Streams: opening them, on a node that is chosen as for any other call.
//!
//! The timeout of a call is for opening it. Afterwards only a deadline that the caller has set ends the stream: that of
//! the options, or of the head.

use super::nodes::NodeState;
use super::{Client, Core, ID, explain};
use crate::client::{CallOptions, Failure, Protocol, Reached};
use crate::payload::Payload;
use crate::rpc::{self, Body, RpcHead, RpcRequest, RpcResponse};
use crate::stream::{self, ClientStream, Messages, StreamReceiver, until};
use futures::stream::StreamExt;
use micro_core::Error;
use parking_lot::Mutex;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

impl Client {
    /// Opens a stream to a method of any streaming kind.
    ///
    /// ```no_run
    /// # async fn example(client: micro::Client) -> Result<(), micro::Error> {
    /// use micro::{CallOptions, ClientStream, Json};
    ///
    /// let mut chat: ClientStream<Json<String>, Json<String>> =
    ///     client.open_stream("go.micro.srv.chat", "Chat.Talk", &CallOptions::new()).await?;
    /// chat.send(&Json("hello".to_owned())).await?;
    /// chat.close_send();
    /// while let Some(answer) = chat.next().await {
    ///     println!("{}", answer?.0);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// The options' timeout is for opening; their deadline, if there is one, ends the stream.
    ///
    /// # Errors
    /// As [`Client::call`], for what goes wrong before the stream is open. That the node knows no such method is said
    /// by the first response.
    pub async fn open_stream<Req: Payload, Res: Payload>(
        &self,
        service: &str,
        endpoint: &str,
        options: &CallOptions,
    ) -> Result<ClientStream<Req, Res>, Error> {
        let format = options.format.unwrap_or(self.core.settings.format);
        let (requests, body) = stream::requests(format);
        let head = RpcHead { stream: true, ..RpcHead::new(service, endpoint, format.content_type()) };
        let response = self.send(RpcRequest { head, body }, options).await?;
        Ok(stream::client_stream(requests, stream::responses(response.body, format)))
    }

    /// Sends one request to a method that answers with a stream.
    ///
    /// # Errors
    /// As [`Client::open_stream`]; id `go.micro.client.codec` for a request that cannot be encoded.
    pub async fn server_stream<Req: Payload, Res: Payload>(
        &self,
        service: &str,
        endpoint: &str,
        request: &Req,
        options: &CallOptions,
    ) -> Result<StreamReceiver<Res>, Error> {
        let mut stream = self.open_stream::<Req, Res>(service, endpoint, options).await?;
        stream.send(request).await?;
        stream.close_send();
        Ok(stream.split().1)
    }
}

impl Core {
    /// Opens a stream: all attempts, against the clock.
    pub(super) async fn open(
        &self,
        mut request: RpcRequest,
        options: &CallOptions,
    ) -> Result<RpcResponse, Error> {
        let limit = Instant::now() + options.timeout.unwrap_or(self.settings.timeout);
        let deadline = [options.deadline, request.head.deadline].into_iter().flatten().min();
        request.head.deadline = deadline;
        let opening = deadline.map_or(limit, |deadline| deadline.min(limit));
        let late = || Error::timeout(ID, "call timeout: context deadline exceeded");
        match timeout_at(opening, self.open_attempts(request, options)).await {
            Ok(opened) => {
                let RpcResponse { metadata, content_type, body } = opened?;
                let messages = until(body.into_messages(), deadline, late());
                let messages = match &options.trace {
                    Some(trace) => explain::follow(messages, trace),
                    None => messages,
                };
                Ok(RpcResponse { metadata, content_type, body: Body::Stream(messages) })
            }
            Err(_elapsed) => Err(late()),
        }
    }

    async fn open_attempts(&self, request: RpcRequest, options: &CallOptions) -> Result<RpcResponse, Error> {
        let RpcRequest { head, body } = request;
        let messages = Untouched(Arc::new(Mutex::new(Some(body.into_messages()))));
        let retries = self.retries(options);
        let mut tried = Vec::new();
        let mut pause = Duration::ZERO;
        for attempt in 0.. {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let node = self.pick(&head, options, &tried).await?;
            let failure = match self.open_attempt(&node, &head, messages.body(), options).await {
                Ok(response) => return Ok(response),
                Err((error, reached)) => Failure { error, reached, attempt },
            };
            options.tell_failure(&failure.error, failure.reached);
            // Messages that were taken cannot be sent again.
            if !self.again(options, &failure) || attempt >= retries || messages.are_taken() {
                return Err(failure.error);
            }
            tracing::debug!(service = head.service, endpoint = head.endpoint, node = node.name, error = %failure.error, "another attempt to open a stream");
            pause = self.pause_after(options, &failure);
            options.tell(|| explain::retry(attempt + 1, pause));
            tried.push(node.id);
        }
        unreachable!("the loop ends by returning")
    }

    async fn open_attempt(
        &self,
        node: &Arc<NodeState>,
        head: &RpcHead,
        body: Body,
        options: &CallOptions,
    ) -> Result<RpcResponse, (Error, Reached)> {
        let Some(layered) = self.attempt_layers(options) else {
            return self.open_on(node, head, body, options).await;
        };
        let (head, reached) = Self::packed(node, head, options);
        let outcome = rpc::call(&layered, RpcRequest { head, body }).await;
        let reached = *reached.lock();
        outcome.map_err(|error| (error, reached))
    }

    /// Opens a stream on one node, in what it speaks.
    pub(super) async fn open_on(
        &self,
        node: &Arc<NodeState>,
        head: &RpcHead,
        body: Body,
        options: &CallOptions,
    ) -> Result<RpcResponse, (Error, Reached)> {
        match node.protocol {
            Protocol::Grpc | Protocol::GrpcJson => self.open_grpc(node, head, body, options).await,
            Protocol::Mucp | Protocol::Envelopes | Protocol::MucpOverGrpc => {
                self.open_mucp(node, head, body, options).await
            }
        }
    }
}

/// Messages that the attempts of a call hand to each other until one begins to send them.
struct Untouched(Arc<Mutex<Option<Messages>>>);

impl Untouched {
    /// Takes the messages when it is polled first.
    fn body(&self) -> Body {
        let shared = self.0.clone();
        let mut own: Option<Messages> = None;
        let messages = futures::stream::poll_fn(move |cx| {
            if own.is_none() {
                own = shared.lock().take();
            }
            match &mut own {
                Some(messages) => messages.poll_next_unpin(cx),
                None => Poll::Ready(Some(Err(Error::internal(ID, "another attempt has sent the messages")))),
            }
        });
        Body::Stream(messages.boxed())
    }

    fn are_taken(&self) -> bool {
        self.0.lock().is_none()
    }
}
