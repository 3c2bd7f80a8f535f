//! Deliveries that arrive on a port.
//!
//! The RPC port takes messages of any method and path, and events are delivered to the same port, so the two have to be
//! told apart. A request is a delivery if it has none of the headers that calls have (`Micro-Service`, `Micro-Method`,
//! `Micro-Endpoint`, `Micro-Target`, `Micro-Protocol`, `Micro-Topic`, `Micro-Stream`, or those with `X-` in front), and
//!
//! - its path is `/_sub`, where subscribers of the older layouts are called, or
//! - its path is `/` with a query whose `id` is that of a subscription of this process, or
//! - its path is `/` with another `id`, and it is a `POST` of an object with a member `Header`: for a subscription that is
//!   gone.
//!
//! Calls in envelopes have no such headers either, but they are posted to `/` without a query by every Go Micro program.

use super::message::{self, OLD_TOPIC, TOPIC};
use crate::broker::inbox::{Inbox, Outcome};
use futures::FutureExt;
use futures::future::BoxFuture;
use micro_core::{Error, Headers, Message};
use micro_net::wire::{Plain, Request};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// The id of errors that arise here.
pub(super) const ID: &str = "go.micro.broker";

/// The subscriptions of this process by the ids of their nodes.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    by_id: RwLock<HashMap<String, Arc<Subscriber>>>,
}

#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) topic: String,
    pub(super) inbox: Inbox,
}

impl Subscribers {
    pub(super) fn insert(&self, ids: impl IntoIterator<Item = String>, subscriber: &Arc<Subscriber>) {
        self.by_id.write().extend(ids.into_iter().map(|id| (id, subscriber.clone())));
    }

    pub(super) fn remove(&self, subscriber: &Arc<Subscriber>) {
        self.by_id.write().retain(|_, known| !Arc::ptr_eq(known, subscriber));
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.read().is_empty()
    }

    fn find(&self, id: &str) -> Option<Arc<Subscriber>> {
        self.by_id.read().get(id).cloned()
    }

    /// The answer to a delivery; none for everything else. See the module for the rule.
    pub(super) fn divert(&self, request: &mut Request) -> Option<BoxFuture<'static, Plain>> {
        // What nearly all calls have, so that they are not looked at any further.
        if request.path == "/" {
            return None;
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        if !matches!(path, "/" | "/_sub") || is_call(&request.message.headers) {
            return None;
        }
        let id = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "id").map(|(_, id)| id);
        let subscriber = id.as_deref().and_then(|id| self.find(id));
        if subscriber.is_none() && path == "/" {
            let posted = id.is_some() && request.method == "POST";
            if !posted || !message::is_message(&request.message.body) {
                return None;
            }
        }
        if request.method != "POST" {
            let refused = Error::method_not_allowed(ID, "Method not allowed");
            return Some(std::future::ready(refusal(405, &refused)).boxed());
        }
        let delivery = std::mem::take(&mut request.message.body);
        let is_old = path != "/";
        Some(async move { deliver(subscriber, &delivery, is_old).await }.boxed())
    }
}

/// Whether a request is for the RPC server, wherever it was sent to.
fn is_call(headers: &Headers) -> bool {
    const NAMES: [&str; 7] = ["Service", "Method", "Endpoint", "Target", "Protocol", "Topic", "Stream"];
    headers.iter().any(|(name, value)| {
        let name = strip(name, "X-").unwrap_or(name);
        let own = strip(name, "Micro-");
        !value.is_empty() && own.is_some_and(|own| NAMES.iter().any(|name| name.eq_ignore_ascii_case(own)))
    })
}

fn strip<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Hands a delivery to its subscription and waits until it was settled. As in Go, the answer is 200 and empty even if there
/// is no such subscription, or if its handler failed; a header says so to whoever wants to know.
async fn deliver(subscriber: Option<Arc<Subscriber>>, delivery: &[u8], is_old: bool) -> Plain {
    let Message { mut headers, body } = match message::decode(delivery) {
        Ok(message) => message,
        Err(error) => return refusal(500, &Error::internal(ID, error.to_string())),
    };
    let names = if is_old { [OLD_TOPIC, TOPIC] } else { [TOPIC, OLD_TOPIC] };
    let topic = names.into_iter().find_map(|name| headers.get(name).filter(|topic| !topic.is_empty()));
    let Some(topic) = topic.map(str::to_owned) else {
        return refusal(500, &Error::internal(ID, "Topic not found"));
    };
    headers.remove(OLD_TOPIC);
    if headers.get(TOPIC).is_none_or(str::is_empty) {
        headers.insert(TOPIC, &topic);
    }
    let outcome = match subscriber.filter(|it| it.topic == topic) {
        Some(subscriber) => subscriber.inbox.offer(Message { headers, body }).await,
        None => Outcome::Closed,
    };
    let mut answer = Message::default();
    let error = match outcome {
        Outcome::Processed => return Plain { status: 200, message: answer },
        Outcome::Refused(reason) => reason,
        Outcome::Closed => Error::not_found(ID, "this subscription has ended").to_string(),
    };
    // Neither header values nor their readers like line breaks, and no other such character can be sent.
    answer.headers.append("Micro-Error", error.replace(char::is_control, " "));
    Plain { status: 200, message: answer }
}

fn refusal(status: u16, error: &Error) -> Plain {
    let mut message = Message { body: error.to_string().into(), ..Message::default() };
    message.headers.append("Content-Type", "text/plain; charset=utf-8");
    Plain { status, message }
}

#[cfg(test)]
mod tests;
