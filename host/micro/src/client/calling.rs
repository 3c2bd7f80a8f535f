//! Calls: attempts against the clock, each an exchange with one node.

use super::nodes::NodeState;
use super::options::CallOptions;
use super::retry::{Failure, Reached};
use super::security::{self, Security};
use super::speaks::Protocol;
use super::{Core, ID, envelope, explain, grpc, note_ejection, protocol, transport};
use crate::registry::CachedService;
use crate::rpc::{self, Body, RpcHead, RpcRequest, RpcResponse};
use bytes::Bytes;
use micro_core::{Error, Message};
use micro_net::wire::ExchangeError;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

impl Core {
    /// All attempts of a call, against the clock.
    pub(super) async fn route(
        &self,
        mut request: RpcRequest,
        options: &CallOptions,
    ) -> Result<RpcResponse, Error> {
        let limit = Instant::now() + options.timeout.unwrap_or(self.settings.timeout);
        let deadlines = [options.deadline, request.head.deadline].into_iter().flatten();
        let deadline = deadlines.fold(limit, Instant::min);
        request.head.deadline = Some(deadline);
        let mut chosen = None;
        match timeout_at(deadline, self.attempts(request, options, &mut chosen)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => {
                let node: Option<Arc<NodeState>> = chosen;
                let mut detail = "call timeout: context deadline exceeded".to_owned();
                if let Some(node) = node {
                    note_ejection(&node, node.failed(), "it did not answer in time");
                    detail = format!("{detail} (waiting for {} at {})", node.name, node.address);
                }
                Err(Error::timeout(ID, detail))
            }
        }
    }

    /// `chosen` tells the caller which node an attempt waits for when the time is over.
    async fn attempts(
        &self,
        request: RpcRequest,
        options: &CallOptions,
        chosen: &mut Option<Arc<NodeState>>,
    ) -> Result<RpcResponse, Error> {
        let RpcRequest { head, body } = request;
        // A stream is consumed by its first attempt; a message can be sent again.
        let message = body.into_unary().await?;
        let retries = self.retries(options);
        let mut tried = Vec::new();
        let mut pause = Duration::ZERO;
        for attempt in 0.. {
            if !pause.is_zero() {
                // tokio rounds a sleep of nothing up to a millisecond.
                tokio::time::sleep(pause).await;
            }
            let node = self.pick(&head, options, &tried).await?;
            *chosen = Some(node.clone());
            let failure = match self.attempt(&node, &head, &message, options).await {
                Ok(response) => return Ok(response),
                Err((error, reached)) => Failure { error, reached, attempt },
            };
            options.tell_failure(&failure.error, failure.reached);
            *chosen = None;
            if !self.again(options, &failure) || attempt >= retries {
                return Err(failure.error);
            }
            tracing::debug!(service = head.service, endpoint = head.endpoint, node = node.name, error = %failure.error, "another attempt");
            pause = self.pause_after(options, &failure);
            options.tell(|| explain::retry(attempt + 1, pause));
            tried.push(node.id);
        }
        unreachable!("the loop ends by returning")
    }

    async fn attempt(
        &self,
        node: &Arc<NodeState>,
        head: &RpcHead,
        message: &Bytes,
        options: &CallOptions,
    ) -> Result<RpcResponse, (Error, Reached)> {
        let Some(layered) = self.attempt_layers(options) else {
            return self.exchange(node, head, message, options).await;
        };
        let (head, reached) = Self::packed(node, head, options);
        let outcome = rpc::call(&layered, RpcRequest { head, body: Body::Unary(message.clone()) }).await;
        let reached = *reached.lock();
        outcome.map_err(|error| (error, reached))
    }

    /// The head for the call layers, with what the innermost service needs.
    pub(super) fn packed(
        node: &Arc<NodeState>,
        head: &RpcHead,
        options: &CallOptions,
    ) -> (RpcHead, Arc<parking_lot::Mutex<Reached>>) {
        let mut head = head.clone();
        head.extensions.insert(node.clone());
        head.extensions.insert(options.clone());
        let reached = Arc::new(parking_lot::Mutex::new(Reached::Unknown));
        head.extensions.insert(reached.clone());
        (head, reached)
    }

    /// The innermost service of the call layers: unpacks what [`Core::packed`] packed.
    pub(super) async fn exchange_in_layers(&self, request: RpcRequest) -> Result<RpcResponse, Error> {
        let RpcRequest { mut head, body } = request;
        let node = head.extensions.remove::<Arc<NodeState>>();
        let node =
            node.ok_or_else(|| Error::internal(ID, "a call layer removed the node from the extensions"))?;
        let options = head.extensions.remove::<CallOptions>().unwrap_or_default();
        let reached = head.extensions.remove::<Arc<parking_lot::Mutex<Reached>>>();
        let outcome = if head.stream {
            self.open_on(&node, &head, body, &options).await
        } else {
            let message = body.into_unary().await?;
            self.exchange(&node, &head, &message, &options).await
        };
        outcome.map_err(|(error, how)| {
            if let Some(reached) = reached {
                *reached.lock() = how;
            }
            error
        })
    }

    /// One request to one node, one answer.
    async fn exchange(
        &self,
        node: &Arc<NodeState>,
        head: &RpcHead,
        message: &Bytes,
        options: &CallOptions,
    ) -> Result<RpcResponse, (Error, Reached)> {
        if node.protocol.is_grpc() {
            // Boxed, so that other calls need no room for it.
            return Box::pin(self.exchange_grpc(node, head, message, options)).await;
        }
        let id = self.next_id.fetch_add(1, Relaxed);
        // For each attempt: the next node may be of the other kind.
        let outbound = envelope::wrap(&self.codecs, node, head, id, message)
            .map_err(|error| (error, Reached::Handler))?;
        let from = self.settings.from.as_deref();
        let headers = protocol::request(head, outbound.content_type, id, from, &options.metadata);
        let request = Message { headers, body: outbound.body };
        options.tell(|| explain::request(node, &request, outbound.content_type));
        let connect_timeout = options.connect_timeout.unwrap_or(self.settings.connect_timeout);
        let line = self.lines.of(node.security).map_err(|error| (error, Reached::Handler))?;
        let running = node.start();
        let exchanged = match node.protocol {
            Protocol::MucpOverGrpc => {
                // Boxed, so that other calls need no room for it.
                let exchange = transport::exchange(&line.channels, node, request, connect_timeout);
                match Box::pin(exchange).await {
                    Ok(answer) => Ok(answer),
                    Err(error) => return Err(grpc::failed(node, &error)),
                }
            }
            _ => line.pool.exchange(&node.address, &request, connect_timeout).await,
        };
        match exchanged {
            Ok(answer) => {
                running.answered();
                options.tell(|| explain::answer(&answer));
                let answer = protocol::response(answer, outbound.content_type);
                let answer = match &outbound.sealer {
                    None => answer,
                    Some(sealer) => answer.and_then(|answer| envelope::unwrap(sealer, answer, node)),
                };
                answer.map_err(|error| (error, Reached::Handler))
            }
            Err(error) => Err(self.failed(node, &error)),
        }
    }

    pub(super) fn failed(&self, node: &NodeState, error: &ExchangeError) -> (Error, Reached) {
        let mut cause = micro_net::error_chain(error);
        if let Some(advice) = security::advice_on(node.security, error, &cause) {
            cause = format!("{cause}; {advice}");
        }
        if error.is_unsendable() {
            // The caller's metadata cannot be a header. The node has done nothing wrong, and another would not help.
            return (Error::bad_request(ID, cause), Reached::Handler);
        }
        if error.nothing_sent() {
            note_ejection(node, node.refused(), &cause);
            return (Error::internal(ID, format!("connection error: {cause}")), Reached::Nothing);
        }
        note_ejection(node, node.failed(), &cause);
        let other = matches!(error, ExchangeError::Malformed(error) if error.status() == Some(505));
        let hint = match (other, node.security) {
            (false, _) => "",
            // An alert of TLS looks like this too.
            (true, Security::Plain) => {
                "; if it speaks gRPC or TLS, say so: --service_protocol NAME=grpc or --service_tls NAME=verify"
            }
            (true, _) => "; if it speaks gRPC, say so: --service_protocol NAME=grpc",
        };
        (Error::internal("go.micro.client.transport", format!("{cause}{hint}")), Reached::Unknown)
    }

    pub(super) async fn look_up(&self, service: &str) -> Result<Arc<CachedService>, Error> {
        if let Some(service) = self.registry.cached(service) {
            return Ok(service);
        }
        self.registry.get(service).await.map_err(|error| {
            Error::internal(ID, format!("error selecting {service} node: {}", micro_net::error_chain(&error)))
        })
    }

    pub(super) async fn pick(
        &self,
        head: &RpcHead,
        options: &CallOptions,
        tried: &[u32],
    ) -> Result<Arc<NodeState>, Error> {
        let (name, addresses) = self.settings.proxy.route(&head.service, &options.addresses);
        let wanted = options.wanted();
        let set = if addresses.is_empty() {
            let known = options.trace.is_some() && self.registry.cached(name).is_some();
            let service = self.look_up(name).await?;
            options.tell(|| explain::registry(&self.registry, name, &head.endpoint, &service, known));
            options.tell(|| explain::candidates(&self.candidates, name, &service, wanted));
            self.candidates.of_service(name, &service, wanted, &self.nodes)
        } else {
            options.tell(|| explain::addresses(&self.candidates, name, addresses, wanted));
            self.candidates.of_addresses(name, addresses, wanted, &self.nodes)
        };
        let selector = options.selector.as_ref().unwrap_or(&self.selector);
        let picked = set.pick(&**selector, options.key, tried);
        if let Some(node) = &picked {
            options.tell(|| explain::pick(&**selector, node, &set, tried.len()));
        }
        picked.ok_or_else(|| set.nobody(name, self.registry.registry().location()))
    }
}
