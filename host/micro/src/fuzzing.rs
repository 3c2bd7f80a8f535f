//! What reads and writes messages here, as plain functions: for programs that make up what there is to read. No part of
//! the API.

use crate::broker::HttpBroker;
use crate::broker::http::message;
use crate::client::protocol;
use crate::registry_service::ServiceRecord;
use crate::rpc::{RpcHead, RpcResponse};
use bytes::Bytes;
use futures::future::BoxFuture;
use micro_core::{Error, Headers, Message, Service};
use micro_net::wire::{Plain, Request};

/// The headers with which a client calls.
pub fn request(head: &RpcHead, id: u64) -> Headers {
    protocol::request(head, &head.content_type, id, None, &Headers::new())
}

/// What a client makes of an answer to a request of this content type.
///
/// # Errors
/// The one that the answer says.
pub fn response(answer: Message, content_type: &str) -> Result<RpcResponse, Error> {
    protocol::response(answer, content_type)
}

/// An event as publishers post it; `old` for subscribers of the first versions. None for headers that have no JSON form.
pub fn event(topic: &str, event: &Message, old: bool) -> Option<Bytes> {
    message::encode(topic, event, old).ok()
}

/// Subscriptions of a broker are told to others with this address, at which nobody listens.
pub fn attach(broker: &HttpBroker, address: &str) {
    broker.attach(address.to_owned(), false);
}

/// What a port answers to a delivery; none for requests that are none.
pub fn delivery(broker: &HttpBroker, request: &mut Request) -> Option<BoxFuture<'static, Plain>> {
    broker.divert(request)
}

/// A record of the registry's service as what is registered.
///
/// # Errors
/// What the record lacks.
pub fn service(record: ServiceRecord) -> Result<Service, Error> {
    record.into_service()
}
