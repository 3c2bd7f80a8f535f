//! Events as the HTTP broker carries them (`go-micro-wire` §§9.1, 9.2).

use crate::connection::{first, send};
use crate::{RUNTIME, parts};
use bytes::Bytes;
use futures::FutureExt;
use micro::broker::http::decode;
use micro::broker::{Broker, HttpBroker, HttpBrokerSettings, SubscribeOptions, Subscription};
use micro::registry::{Cache, MemoryRegistry};
use micro::{Headers, Message, Registry, fuzzing};
use micro_net::wire::{Plain, Request, Role, Start};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

const TOPIC: &str = "t";
/// What stands in an input for the id of the subscription, which is another one in each process.
const ID: &str = "SUBSCRIPTION";
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// A broker with one subscription.
struct Subscribed {
    broker: HttpBroker,
    subscription: Box<dyn Subscription>,
    /// Of the newest layout.
    id: String,
}

static SUBSCRIBED: LazyLock<Subscribed> = LazyLock::new(|| {
    RUNTIME.block_on(async {
        let registry: Arc<dyn Registry> = Arc::new(MemoryRegistry::new());
        let cache = Arc::new(Cache::new(registry.clone()));
        let broker = HttpBroker::new(registry.clone(), cache, HttpBrokerSettings::default());
        fuzzing::attach(&broker, "127.0.0.1:1");
        let subscription = broker.subscribe(TOPIC, &SubscribeOptions::new()).await.expect("room for one");
        let found = registry.get_service("micro.http.broker").await.expect("a map");
        let id = found.services[0].nodes[0].id.clone();
        Subscribed { broker, subscription, id }
    })
});

/// The answer to a request, and what came to the subscription. None if the request is no delivery.
fn deliver(request: &mut Request) -> Option<(Plain, Option<Message>)> {
    let Subscribed { broker, subscription, .. } = &*SUBSCRIBED;
    RUNTIME.block_on(async {
        let answer = fuzzing::delivery(broker, request)?.await;
        let arrived = subscription.next(8).now_or_never();
        let mut arrived =
            arrived.map(|deliveries| deliveries.expect("an open subscription")).unwrap_or_default();
        assert!(arrived.len() <= 1, "delivered more than once");
        Some((answer, arrived.pop().map(|delivery| delivery.message)))
    })
}

fn request(method: &str, path: String, message: Message) -> Request {
    Request { message, method: method.to_owned().into(), path: path.into(), peer: NOBODY, local: NOBODY }
}

/// Whether it was processed.
fn succeeded(answer: &Plain) -> bool {
    answer.status == 200 && answer.message.headers.get_bytes("Micro-Error").is_none()
}

fn is_topic(name: &str) -> bool {
    name.eq_ignore_ascii_case("Micro-Topic") || name == ":topic" || name.eq_ignore_ascii_case(":topic")
}

/// The layout in the first byte, then names and values of headers, a topic, and behind an empty text the body. What is
/// published is what subscribers get, and those of another topic get nothing.
pub(crate) fn event(data: &[u8]) {
    let Some((layout, rest)) = data.split_first() else { return };
    let old = layout % 2 == 1;
    let (texts, body) = parts(rest);
    let texts: Vec<&str> = texts.into_iter().filter_map(|text| std::str::from_utf8(text).ok()).collect();
    let topic = if texts.len() % 2 == 1 { texts[texts.len() - 1] } else { TOPIC };
    let headers: Headers = texts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let published = Message { headers, body: Bytes::copy_from_slice(body) };
    let posted = fuzzing::event(topic, &published, old).expect("all of it is text");

    let path = format!("{}?id={}", if old { "/_sub" } else { "/" }, SUBSCRIBED.id);
    let mut posted = request("POST", path, Message { headers: Headers::new(), body: posted });
    let (answer, arrived) = deliver(&mut posted).expect("a delivery");
    assert_eq!(succeeded(&answer), arrived.is_some());
    assert_eq!(arrived.is_some(), topic == TOPIC, "delivered to {TOPIC:?} and published under {topic:?}");
    let Some(Message { headers, body }) = arrived else { return };
    assert_eq!(body, published.body);
    let own = published.headers.get("Micro-Topic").filter(|own| old && !own.is_empty());
    assert_eq!(headers.get("Micro-Topic"), Some(own.unwrap_or(topic)));
    // An object has each name once, and the first value counts.
    let mut expected = Headers::new();
    for (name, value) in published.headers.iter() {
        if !expected.contains(name) && !is_topic(name) {
            expected.append(name, value);
        }
    }
    let arrived: Headers = headers.iter().filter(|(name, _)| !is_topic(name)).collect();
    assert_eq!(arrived, expected);
}

/// A request as it comes to a port where events are delivered. Calls stay what they were; what is delivered says so, and
/// is what the request held.
pub(crate) fn delivery(data: &[u8]) {
    let Some(incoming) = first(Role::Request, data) else { return };
    let path = incoming.path.replace(ID, &SUBSCRIBED.id);
    let asked = incoming.message.clone();
    let mut request = request(&incoming.method, path.clone(), incoming.message);
    let Some((answer, arrived)) = deliver(&mut request) else {
        return assert_eq!(request.message, asked, "a call that is none of the broker's was changed");
    };
    let names = ["Micro-Service", "Micro-Endpoint", "Micro-Method", "X-Micro-Service", "X-Micro-Topic"];
    let is_call = |name: &&str| asked.headers.get_bytes(name).is_some_and(|value| !value.is_empty());
    assert!(!names.iter().any(is_call), "a call was delivered as an event");
    let start = Start::Response { status: answer.status, reason: b"" };
    assert!(send(start, &answer.message).is_some(), "the answer cannot be sent: {answer:?}");
    assert_eq!(succeeded(&answer), arrived.is_some(), "{answer:?}");
    let Some(arrived) = arrived else { return };
    assert!(path.contains(&SUBSCRIBED.id) && incoming.method == "POST");
    let held = decode(&asked.body).expect("it was delivered");
    assert_eq!(arrived.body, held.body);
    let user =
        |headers: &Headers| -> Headers { headers.iter().filter(|(name, _)| !is_topic(name)).collect() };
    assert_eq!(user(&arrived.headers), user(&held.headers));
    let topics = [":topic", "Micro-Topic"].map(|name| held.headers.get(name));
    assert!(topics.contains(&Some(TOPIC)), "an event of another topic was delivered: {topics:?}");
}
