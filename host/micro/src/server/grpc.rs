//! Calls over gRPC, to the same handlers as messages (`go-micro-wire` §6.8).

use super::{Server, protocol};
use crate::grpc::{endpoint_of, error_of, status_of, transport};
use crate::handler::Kind;
use crate::payload::Format;
use crate::rpc::{Body, RpcHead, RpcRequest, RpcResponse};
use bytes::Bytes;
use futures::stream::StreamExt;
use micro_core::Error;
use micro_net::grpc::{Answer, Codec, Incoming, Messages, Outgoing, Status};
use tokio::time::{Instant, timeout_at};

/// The id of errors that arise here.
const ID: &str = "go.micro.server";

impl Server {
    /// Answers a call over gRPC. Methods that are not there are refused before their messages are read.
    ///
    /// # Errors
    /// The status that tells what is wrong: [`Server::call`]'s error, as a number, as JSON, and as a detail.
    pub async fn grpc(&self, call: Incoming) -> Result<Outgoing, Status> {
        if transport::PATHS.contains(&&*call.path) {
            return Ok(self.transport(call));
        }
        let outcome = self.answer(call).await;
        outcome.map_err(status_of)
    }

    async fn answer(&self, call: Incoming) -> Result<Outgoing, Error> {
        let Incoming { path, codec, mut metadata, deadline, peer, messages, .. } = call;
        let known = |endpoint: &str| self.inner.methods.contains_key(endpoint);
        let Some((service, endpoint)) = endpoint_of(&path, known) else {
            self.inner.stats.count(false);
            return Err(self.unknown_path(&path));
        };
        let stream = self.kind_of(&endpoint).is_some_and(Kind::is_stream);
        // Go Micro says it in nanoseconds too, with less of a difference to what the caller means. With streams its
        // clients say there how long they wait for each answer, and no server of theirs ends a stream for it.
        let own = metadata.get("Timeout").and_then(protocol::deadline).filter(|_| !stream);
        let deadline = [deadline, own].into_iter().flatten().min();
        for name in ["Timeout", "X-Content-Type"] {
            metadata.remove(name);
        }
        let format = match codec {
            Codec::Proto => Format::Protobuf,
            Codec::Json => Format::Json,
        };
        let head = RpcHead {
            service: service.to_owned(),
            endpoint,
            content_type: format.content_type().to_owned(),
            metadata,
            deadline,
            peer: Some(peer),
            stream,
            ..RpcHead::default()
        };
        let body = match stream {
            true => {
                Body::Stream(messages.map(|message| message.map_err(|status| error_of(status, ID))).boxed())
            }
            false => Body::Unary(self.only(messages, deadline).await?),
        };
        let RpcResponse { metadata, body, .. } = self.call(RpcRequest { head, body }).await?;
        let answer = match body {
            Body::Stream(messages) if stream => {
                Answer::Many(messages.map(|message| message.map_err(status_of)).boxed())
            }
            body => Answer::One(body.into_unary().await?),
        };
        Ok(Outgoing { metadata, answer, ..Outgoing::default() })
    }

    /// The one message of a call.
    async fn only(&self, mut messages: Messages, deadline: Option<Instant>) -> Result<Bytes, Error> {
        let arriving = messages.only();
        let message = match deadline {
            None => arriving.await,
            Some(deadline) => match timeout_at(deadline, arriving).await {
                Ok(message) => message,
                Err(_elapsed) => {
                    self.inner.stats.count(false);
                    let detail = "the caller's deadline passed before its message was here";
                    return Err(Error::timeout(ID, detail));
                }
            },
        };
        message.map_err(|status| {
            self.inner.stats.count(false);
            error_of(status, ID)
        })
    }

    /// In Go's words, so that people find them.
    fn unknown_path(&self, path: &str) -> Error {
        let (name, method) = path.trim_start_matches('/').rsplit_once('/').unwrap_or((path, ""));
        let handler = name.rsplit('.').next().unwrap_or(name);
        let serves =
            |endpoint: &String| endpoint.strip_prefix(handler).is_some_and(|rest| rest.starts_with('.'));
        let detail = match self.inner.methods.keys().any(serves) {
            true => format!("unknown method {method} of {name}"),
            false => format!("unknown service {name}"),
        };
        Error::new(ID, 501, detail)
    }
}
