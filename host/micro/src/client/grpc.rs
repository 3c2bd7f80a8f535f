//! Calls over gRPC (`go-micro-wire` §7.5).

mod reflection;
mod stream;

pub(super) use reflection::Reflected;

use super::nodes::NodeState;
use super::speaks::Protocol;
use super::{Core, ID, explain, note_ejection, security};
use crate::client::{CallOptions, Reached};
use crate::context::is_protocol;
use crate::grpc::{Descriptors, Method, error_of, path_of};
use crate::payload::Format;
use crate::rpc::{Body, RpcHead, RpcResponse};
use bytes::Bytes;
use micro_core::{Error, Headers};
use micro_net::grpc::{Call, CallError, Codec, Reply};
use std::sync::Arc;
use std::time::Duration;

/// The id of errors about what messages hold.
const CODEC: &str = "go.micro.client.codec";
/// A callee that gives up so long before the deadline does so because of it.
const ALMOST: Duration = Duration::from_millis(100);

impl Core {
    /// One request to one node, one answer.
    pub(super) async fn exchange_grpc(
        &self,
        node: &Arc<NodeState>,
        head: &RpcHead,
        message: &Bytes,
        options: &CallOptions,
    ) -> Result<RpcResponse, (Error, Reached)> {
        let format = self.format_of(&head.content_type).map_err(|error| (error, Reached::Handler))?;
        let path = path_of(&head.service, &head.endpoint);
        let connect_timeout = options.connect_timeout.unwrap_or(self.settings.connect_timeout);
        let method = match self.descriptors(node, format, options, connect_timeout).await? {
            Some(descriptors) => {
                let method = descriptors.method(&path);
                Some(method.map_err(|error| (undescribed(error, options), Reached::Handler))?)
            }
            None => None,
        };
        let converted;
        let (path, codec, message) = match &method {
            Some(method) => {
                converted = method.request(message).map_err(|error| (error, Reached::Handler))?;
                (&method.path, Codec::Proto, &converted)
            }
            None if format == Format::Json => (&path, Codec::Json, message),
            None => (&path, Codec::Proto, message),
        };
        let timeout = head.remaining();
        let metadata = self.grpc_metadata(head, format, timeout, &options.metadata);
        let call = Call { path, codec, metadata: &metadata, timeout, message };
        let line = self.lines.of(node.security).map_err(|error| (error, Reached::Handler))?;
        options.tell(|| explain::call(node, &call, codec.content_type()));
        let running = node.start();
        let reply = match line.channels.call(&node.address, &call, connect_timeout).await {
            Ok(reply) => reply,
            Err(CallError::Status(status)) => {
                running.answered();
                options.tell(|| explain::status(&status));
                // What has no id of its own is the service's, as handlers of Go Micro have it.
                let id = if head.service.is_empty() { &node.name } else { &head.service };
                return Err((error_of(status, id), Reached::Handler));
            }
            // Its clock was ahead of ours, which ends the call in the same way, with an error that says so.
            Err(error) if error.is_cancelled() && head.remaining().is_some_and(|left| left < ALMOST) => {
                return std::future::pending().await;
            }
            Err(error) => return Err(failed(node, &error)),
        };
        running.answered();
        options.tell(|| explain::reply(&reply));
        answer(reply, method.as_ref(), format).map_err(|error| (error, Reached::Handler))
    }

    /// What a method takes has to be known where JSON goes to somebody who takes protobuf only.
    async fn descriptors(
        &self,
        node: &Arc<NodeState>,
        format: Format,
        options: &CallOptions,
        connect_timeout: Duration,
    ) -> Result<Option<Descriptors>, (Error, Reached)> {
        match (format, &options.descriptors) {
            (Format::Protobuf, _) => Ok(None),
            (Format::Json, Some(descriptors)) => Ok(Some(descriptors.clone())),
            (Format::Json, None) if node.protocol == Protocol::Grpc => {
                self.reflect(node, connect_timeout).await.map(Some)
            }
            (Format::Json, None) => Ok(None),
        }
    }

    /// JSON or protobuf, by itself or as what an envelope would hold.
    fn format_of(&self, content_type: &str) -> Result<Format, Error> {
        let inner = || self.codecs.find(content_type).and_then(|sealer| Format::of(&sealer.format().value));
        let codec = || Codec::of(content_type);
        let of_codec = |codec| match codec {
            Codec::Json => Format::Json,
            Codec::Proto => Format::Protobuf,
        };
        let format = Format::of(content_type).or_else(inner).or_else(|| codec().map(of_codec));
        format.ok_or_else(|| {
            let detail =
                format!("{content_type} does not go over gRPC: use application/json or application/protobuf");
            Error::new(CODEC, 415, detail)
        })
    }

    /// What the callee gets beside the message. Other protocols' fields are no metadata here.
    fn grpc_metadata(
        &self,
        head: &RpcHead,
        format: Format,
        timeout: Option<Duration>,
        more: &Headers,
    ) -> Headers {
        let mut metadata = Headers::with_capacity(4 + more.len() + head.metadata.len(), 512);
        metadata.append("x-content-type", format.content_type());
        if let Some(left) = timeout {
            metadata.append("timeout", nanoseconds(left).to_string());
        }
        if let Some(from) = &self.settings.from {
            metadata.append("micro-from-service", from);
        }
        for (name, value) in head.metadata.iter().chain(more.iter()) {
            if !is_protocol(name) {
                metadata.append(name, value);
            }
        }
        metadata
    }

    /// What the methods of a node take and give: what it said when it was asked last, or what it says now.
    pub(super) async fn reflect(
        &self,
        node: &Arc<NodeState>,
        connect_timeout: Duration,
    ) -> Result<Descriptors, (Error, Reached)> {
        let line = self.lines.of(node.security).map_err(|error| (error, Reached::Handler))?;
        let asked = node.reflected.get(&line.channels, &node.address, connect_timeout).await;
        asked.map_err(|error| match error {
            reflection::ReflectionError::Call(error) => failed(node, &error),
            other => {
                let detail = format!(
                    "cannot convert JSON for {} at {}: {}; {UNDESCRIBED}",
                    node.name,
                    node.address,
                    micro_net::error_chain(&other)
                );
                (Error::new(CODEC, 501, detail), Reached::Handler)
            }
        })
    }
}

/// A timeout as Go Micro writes it. From a second on rounded up to milliseconds: the fields of calls that are alike
/// should be, too, for a connection remembers them.
fn nanoseconds(timeout: Duration) -> u128 {
    const MILLISECOND: u128 = 1_000_000;
    match timeout.as_nanos().max(1) {
        short @ ..1_000_000_000 => short,
        long => long.div_ceil(MILLISECOND) * MILLISECOND,
    }
}

/// What to do about a method that a node does not describe.
const UNDESCRIBED: &str = "give its definitions with --proto FILE or --descriptor_set FILE, call it with \
    application/protobuf, or, if it takes JSON as it is, name its protocol grpc+json";

/// An error about a method, with what to do if it is there and only its definitions are not: handlers that were not made
/// from definitions have none.
fn undescribed(error: Error, options: &CallOptions) -> Error {
    if error.code != 404 || options.descriptors.is_some() {
        return error;
    }
    Error { detail: format!("{}; if it is there and not described, {UNDESCRIBED}", error.detail), ..error }
}

/// What a call without an answer means for the node, the caller, and other attempts.
pub(super) fn failed(node: &NodeState, error: &CallError) -> (Error, Reached) {
    let mut cause = micro_net::error_chain(error);
    if let Some(advice) = security::advice_on(node.security, error, &cause) {
        cause = format!("{cause}; {advice}");
    }
    if error.is_unsendable() {
        return (Error::bad_request(ID, cause), Reached::Handler);
    }
    if error.nothing_executed() {
        note_ejection(node, node.refused(), &cause);
        return (Error::internal(ID, format!("connection error: {cause}")), Reached::Nothing);
    }
    note_ejection(node, node.failed(), &cause);
    let mut detail = format!("{cause} (from {} at {}, called in {})", node.name, node.address, node.protocol);
    if matches!(error, CallError::Mute(_)) {
        detail.push_str("; if it speaks something else, say so: --service_protocol NAME=mucp");
    }
    (Error::internal("go.micro.client.transport", detail), Reached::Unknown)
}

fn answer(reply: Reply, method: Option<&Method>, asked: Format) -> Result<RpcResponse, Error> {
    let Reply { metadata, content_type, message } = reply;
    let (format, message) = answered(&content_type, message, method, asked)?;
    Ok(RpcResponse { metadata, content_type: format.content_type().to_owned(), body: Body::Unary(message) })
}

/// A message of an answer, and what it is in.
fn answered(
    content_type: &str,
    message: Bytes,
    method: Option<&Method>,
    asked: Format,
) -> Result<(Format, Bytes), Error> {
    match (method, Codec::of(content_type)) {
        (Some(method), Some(Codec::Proto)) => Ok((Format::Json, method.response(&message)?)),
        (None, Some(Codec::Proto)) if asked == Format::Protobuf => Ok((Format::Protobuf, message)),
        // Some servers answer JSON with the name of the family alone.
        (None, Some(Codec::Json)) => Ok((Format::Json, message)),
        (None, Some(Codec::Proto)) => Ok((asked, message)),
        (Some(_), Some(Codec::Json)) | (_, None) => {
            let detail = format!("the answer is {content_type}, which is not what was asked for");
            Err(Error::internal(CODEC, detail))
        }
    }
}
