//! What every broker must do: the contract of [`Broker`] as cases that run.
//!
//! ```
//! use micro::broker::MemoryBroker;
//! use micro_core::Broker;
//! use micro_test::broker::{Pair, contract};
//! use std::sync::Arc;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! contract(async || {
//!     let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
//!     Pair { publisher: broker.clone(), consumer: broker }
//! })
//! .await;
//! # });
//! ```
//!
//! Every case uses topics of its own, so all of them may share one backend. A publisher may hear of a subscription later
//! than at once; that is waited for.

use crate::eventually;
use bytes::Bytes;
use micro_core::broker::{Broker, BrokerError, Delivery, SubscribeOptions, Subscription};
use micro_core::{Headers, Message};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// How long it is waited for something that should not come.
const NEVER: Duration = Duration::from_millis(200);

/// What is published until a subscription is heard of; consumers pass over it.
const PROBE: &str = "probe";

/// The two sides of a broker, as two processes would have them, or one broker twice.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Publishes.
    pub publisher: Arc<dyn Broker>,
    /// Subscribes.
    pub consumer: Arc<dyn Broker>,
}

/// Runs the suite. `new` gives brokers for each case; they may be the same ones.
///
/// # Panics
/// A case failed.
pub async fn contract(new: impl AsyncFn() -> Pair) {
    everybody_gets_every_message(&new().await).await;
    of_a_queue_one_gets_it(&new().await).await;
    topics_are_apart(&new().await).await;
    messages_come_back_as_they_were(&new().await).await;
    there_is_an_outcome_for_each_message(&new().await).await;
    no_more_is_given_than_was_asked_for(&new().await).await;
    refusals_are_settled(&new().await).await;
    an_abandoned_wait_loses_nothing(&new().await).await;
    the_end_comes_behind_what_has_arrived(&new().await).await;
    bad_names_are_refused(&new().await).await;
}

fn topic() -> String {
    format!("topic.{}/ü", uuid::Uuid::new_v4())
}

fn message(body: impl Into<Bytes>) -> Message {
    Message { headers: Headers::new(), body: body.into() }
}

impl Pair {
    async fn subscribe(&self, topic: &str, options: &SubscribeOptions) -> Box<dyn Subscription> {
        let subscribed = timeout(SOON, self.consumer.subscribe(topic, options)).await;
        subscribed.expect("in time").expect("subscribed")
    }

    /// Publishes until so many subscribers take it. Those must not have to settle anything.
    async fn heard_by(&self, topic: &str, subscribers: usize) {
        eventually("the publisher has heard of the subscribers", SOON, async || {
            let outcome = self.publisher.publish(topic, vec![message(PROBE)]).await.remove(0);
            outcome.is_ok_and(|published| published.delivered.is_none_or(|taken| taken == subscribers))
        })
        .await;
    }

    async fn publish(&self, topic: &str, bodies: &[String]) {
        let batch: Vec<_> = bodies.iter().map(|body| message(body.clone())).collect();
        let outcomes = timeout(SOON, self.publisher.publish(topic, batch)).await.expect("in time");
        assert_eq!(outcomes.len(), bodies.len(), "one outcome for each message");
        for outcome in outcomes {
            outcome.expect("published");
        }
    }
}

/// What arrives next that is no probe.
async fn next(subscription: &dyn Subscription, max: usize) -> Vec<Delivery> {
    loop {
        let batch = timeout(SOON, subscription.next(max)).await.expect("in time").expect("open");
        assert!(batch.len() <= max, "{} were given, and {max} asked for", batch.len());
        let end = batch.is_empty();
        let real: Vec<_> = batch.into_iter().filter(|it| it.message.body != PROBE).collect();
        if end || !real.is_empty() {
            return real;
        }
    }
}

async fn bodies(subscription: &dyn Subscription, count: usize) -> BTreeSet<String> {
    let mut bodies = BTreeSet::new();
    while bodies.len() < count {
        let batch = next(subscription, 16).await;
        assert!(!batch.is_empty(), "it ended after {bodies:?}");
        for delivery in batch {
            let body = String::from_utf8_lossy(&delivery.message.body).into_owned();
            assert!(bodies.insert(body.clone()), "{body} came twice");
        }
    }
    bodies
}

/// Nothing comes but probes.
async fn silent(subscription: &dyn Subscription) {
    let waited = timeout(NEVER, next(subscription, 1)).await;
    assert!(waited.is_err(), "unexpected: {waited:?}");
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

async fn everybody_gets_every_message(pair: &Pair) {
    let (topic, options) = (topic(), SubscribeOptions::new());
    let subscriptions = [pair.subscribe(&topic, &options).await, pair.subscribe(&topic, &options).await];
    pair.heard_by(&topic, 2).await;
    let expected = numbers(50);
    pair.publish(&topic, &expected).await;
    for subscription in &subscriptions {
        assert_eq!(subscription.topic(), topic);
        assert_eq!(bodies(&**subscription, 50).await, expected.iter().cloned().collect());
        silent(&**subscription).await;
    }
}

async fn of_a_queue_one_gets_it(pair: &Pair) {
    let topic = topic();
    let queue = SubscribeOptions::new().queue("q");
    let members = [pair.subscribe(&topic, &queue).await, pair.subscribe(&topic, &queue).await];
    let other = pair.subscribe(&topic, &SubscribeOptions::new().queue("other")).await;
    pair.heard_by(&topic, 2).await;
    let expected = numbers(50);
    pair.publish(&topic, &expected).await;
    assert_eq!(bodies(&*other, 50).await.len(), 50);
    let mut got = BTreeSet::new();
    for member in &members {
        member.close().await.expect("closed");
        loop {
            let batch = next(&**member, 16).await;
            if batch.is_empty() {
                break;
            }
            for delivery in batch {
                let body = String::from_utf8_lossy(&delivery.message.body).into_owned();
                assert!(got.insert(body.clone()), "{body} came twice");
            }
        }
    }
    assert_eq!(got, expected.into_iter().collect());
}

async fn topics_are_apart(pair: &Pair) {
    let (one, other) = (topic(), topic());
    let subscription = pair.subscribe(&one, &SubscribeOptions::new()).await;
    pair.heard_by(&one, 1).await;
    let outcome =
        pair.publisher.publish(&other, vec![message("x")]).await.remove(0).expect("nobody is no error");
    assert!(outcome.delivered.is_none_or(|taken| taken == 0), "{outcome:?}");
    silent(&*subscription).await;
}

async fn messages_come_back_as_they_were(pair: &Pair) {
    let topic = topic();
    let subscription = pair.subscribe(&topic, &SubscribeOptions::new()).await;
    pair.heard_by(&topic, 1).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    for body in [Vec::new(), every_byte, vec![0; 1 << 20]] {
        let headers: Headers =
            [("Content-Type", "application/x"), ("Empty", ""), ("Quote", "\"\\ü\u{1F600}")]
                .into_iter()
                .collect();
        let sent = Message { headers, body: body.into() };
        let publishing = pair.publisher.publish(&topic, vec![sent.clone()]);
        let outcomes = timeout(SOON, publishing).await.expect("in time");
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let got = next(&*subscription, 1).await.remove(0).message;
        assert_eq!(got.body, sent.body);
        for (name, value) in sent.headers.iter_str() {
            assert_eq!(got.headers.get(name), Some(value), "{name}");
        }
    }
}

async fn there_is_an_outcome_for_each_message(pair: &Pair) {
    let topic = topic();
    let subscription = pair.subscribe(&topic, &SubscribeOptions::new()).await;
    pair.heard_by(&topic, 1).await;
    assert!(pair.publisher.publish(&topic, Vec::new()).await.is_empty());
    let batch = (0..500).map(|number| message(number.to_string())).collect();
    let consuming = bodies(&*subscription, 500);
    let (outcomes, got) = tokio::join!(pair.publisher.publish(&topic, batch), consuming);
    assert_eq!((outcomes.len(), got.len()), (500, 500));
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

async fn no_more_is_given_than_was_asked_for(pair: &Pair) {
    let topic = topic();
    let options = SubscribeOptions::new().auto_ack(false).in_flight(2);
    let subscription = pair.subscribe(&topic, &options).await;
    let settling = async {
        let mut seen = 0;
        while seen < 6 {
            let batch = timeout(SOON, subscription.next(1)).await.expect("in time").expect("open");
            assert_eq!(batch.len(), 1);
            subscription.ack(&[batch[0].id]).await.expect("taken note");
            // Twice, and what there never was.
            subscription.ack(&[batch[0].id, u64::MAX]).await.expect("no harm");
            seen += usize::from(batch[0].message.body != PROBE);
        }
    };
    let publishing = async {
        pair.heard_by(&topic, 1).await;
        pair.publish(&topic, &numbers(6)).await;
    };
    timeout(SOON, async { tokio::join!(publishing, settling) }).await.expect("in time");
}

async fn refusals_are_settled(pair: &Pair) {
    let topic = topic();
    let options = SubscribeOptions::new().auto_ack(false);
    let subscription = pair.subscribe(&topic, &options).await;
    let settling = async {
        loop {
            let batch = timeout(SOON, subscription.next(4)).await.expect("in time").expect("open");
            let ids: Vec<u64> = batch.iter().map(|delivery| delivery.id).collect();
            if batch.iter().any(|delivery| delivery.message.body == "refuse") {
                return subscription.nack(&ids, "on purpose").await.expect("taken note");
            }
            subscription.ack(&ids).await.expect("taken note");
        }
    };
    let publishing = async {
        pair.heard_by(&topic, 1).await;
        pair.publisher.publish(&topic, vec![message("refuse")]).await.remove(0)
    };
    let (outcome, ()) = timeout(SOON, async { tokio::join!(publishing, settling) }).await.expect("in time");
    let published = outcome.expect("that is the subscriber's affair");
    assert!(
        published.delivered.is_none() || (published.delivered, published.refused) == (Some(0), 1),
        "{published:?}"
    );
}

async fn an_abandoned_wait_loses_nothing(pair: &Pair) {
    let topic = topic();
    let subscription = pair.subscribe(&topic, &SubscribeOptions::new()).await;
    pair.heard_by(&topic, 1).await;
    let expected = numbers(100);
    let publishing = pair.publish(&topic, &expected);
    let consuming = async {
        let mut got = BTreeSet::new();
        while got.len() < expected.len() {
            // Dropped in the middle of waiting, again and again.
            if let Ok(batch) = timeout(Duration::from_micros(50), subscription.next(3)).await {
                let batch = batch.expect("open").into_iter();
                let real = batch.filter(|delivery| delivery.message.body != PROBE);
                got.extend(real.map(|it| String::from_utf8_lossy(&it.message.body).into_owned()));
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, async { tokio::join!(publishing, consuming) }).await.expect("all of them arrive");
}

async fn the_end_comes_behind_what_has_arrived(pair: &Pair) {
    let topic = topic();
    let subscription = pair.subscribe(&topic, &SubscribeOptions::new()).await;
    pair.heard_by(&topic, 1).await;
    let last = ["last".to_owned()];
    let publishing = pair.publish(&topic, &last);
    let closing = async {
        let first = next(&*subscription, 1).await;
        assert_eq!(first[0].message.body, "last");
        timeout(SOON, subscription.close()).await.expect("in time").expect("closed");
        assert!(next(&*subscription, 1).await.is_empty(), "the end");
        assert!(next(&*subscription, 1).await.is_empty(), "and it stays");
    };
    tokio::join!(publishing, closing);
    eventually("publishers have heard of the end", SOON, async || {
        let outcome = pair.publisher.publish(&topic, vec![message("late")]).await.remove(0);
        outcome.is_ok_and(|published| published.delivered.is_none_or(|taken| taken == 0))
    })
    .await;
    timeout(SOON, subscription.close()).await.expect("in time").expect("once more does no harm");
}

async fn bad_names_are_refused(pair: &Pair) {
    let long = "x".repeat(100_000);
    for topic in ["", "a\nb", "a\0", &long] {
        let outcome = pair.publisher.publish(topic, vec![message("x"), message("y")]).await;
        assert!(
            matches!(&outcome[..], [Err(BrokerError::Invalid { .. }), Err(BrokerError::Invalid { .. })]),
            "{topic:?}: {outcome:?}"
        );
        let refused = pair.consumer.subscribe(topic, &SubscribeOptions::new()).await;
        assert!(matches!(refused, Err(BrokerError::Invalid { .. })), "{topic:?}");
    }
    let refused = pair.consumer.subscribe("a", &SubscribeOptions::new().queue("q\r\n")).await;
    assert!(matches!(refused, Err(BrokerError::Invalid { .. })), "a queue");
}
