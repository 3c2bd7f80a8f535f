//! What has arrived for a subscription and was not settled yet.

use micro_core::Message;
use micro_core::broker::{Delivery, SubscribeOptions};
use parking_lot::Mutex;
use std::collections::HashMap;
use tokio::sync::{Notify, mpsc, oneshot};

/// The near end of a subscription. Whoever brings a message waits until the consumer has settled it, unless it need not
/// be.
#[derive(Debug)]
pub(super) struct Inbox {
    options: SubscribeOptions,
    /// None when nothing more is taken. Those who are waiting with a clone are still let in.
    entrance: Mutex<Option<mpsc::Sender<Arrival>>>,
    arrived: tokio::sync::Mutex<mpsc::Receiver<Arrival>>,
    given: Mutex<Given>,
    /// Something was settled.
    settled: Notify,
}

#[derive(Debug)]
struct Arrival {
    message: Message,
    /// None where arriving is enough.
    settle: Option<oneshot::Sender<Result<(), String>>>,
}

/// What the consumer has and did not settle.
#[derive(Debug, Default)]
struct Given {
    next_id: u64,
    unsettled: HashMap<u64, oneshot::Sender<Result<(), String>>>,
}

/// What became of a message that was brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The consumer processed it.
    Processed,
    /// The consumer got it, and could not process it.
    Refused(String),
    /// The subscription had ended.
    Closed,
}

impl Inbox {
    pub(super) fn new(options: &SubscribeOptions) -> Self {
        let (entrance, arrived) = mpsc::channel(options.in_flight.clamp(1, MOST_IN_FLIGHT));
        Self {
            options: options.clone(),
            entrance: Mutex::new(Some(entrance)),
            arrived: tokio::sync::Mutex::new(arrived),
            given: Mutex::default(),
            settled: Notify::new(),
        }
    }

    /// Brings a message, and waits until it is settled. Dropping the future after the message was let in changes nothing
    /// for the consumer.
    pub(super) async fn offer(&self, message: Message) -> Outcome {
        let Some(entrance) = self.entrance.lock().clone() else { return Outcome::Closed };
        if self.options.auto_ack {
            return match entrance.send(Arrival { message, settle: None }).await {
                Ok(()) => Outcome::Processed,
                Err(_) => Outcome::Closed,
            };
        }
        let (settle, settled) = oneshot::channel();
        if entrance.send(Arrival { message, settle: Some(settle) }).await.is_err() {
            return Outcome::Closed;
        }
        // The consumer sees the end of the subscription when nobody can bring anything any more.
        drop(entrance);
        match settled.await {
            Ok(Ok(())) => Outcome::Processed,
            Ok(Err(reason)) => Outcome::Refused(reason),
            Err(_dropped) => Outcome::Refused("the subscriber ended before it was done".to_owned()),
        }
    }

    /// Waits for something to arrive; empty when the end is reached. Cancel safe.
    pub(super) async fn next(&self, max: usize) -> Vec<Delivery> {
        // Held while waiting: consumers that ask at the same time are served one after the other.
        let mut arrived = self.arrived.lock().await;
        let room = self.room().await;
        let mut batch = Vec::new();
        arrived.recv_many(&mut batch, max.clamp(1, room)).await;
        let mut given = self.given.lock();
        let give = |Arrival { message, settle }| {
            let id = given.next_id;
            given.next_id += 1;
            if let Some(settle) = settle {
                given.unsettled.insert(id, settle);
            }
            Delivery { id, message }
        };
        batch.into_iter().map(give).collect()
    }

    /// Waits until the consumer may have another delivery; how many more.
    async fn room(&self) -> usize {
        loop {
            let settled = self.settled.notified();
            let unsettled = self.given.lock().unsettled.len();
            match self.options.in_flight.clamp(1, MOST_IN_FLIGHT).saturating_sub(unsettled) {
                0 => settled.await,
                room => return room,
            }
        }
    }

    pub(super) fn settle(&self, ids: &[u64], outcome: Result<(), &str>) {
        let mut given = self.given.lock();
        for settle in ids.iter().filter_map(|id| given.unsettled.remove(id)) {
            // The one who waited may be gone.
            _ = settle.send(outcome.map_err(str::to_owned));
        }
        drop(given);
        self.settled.notify_one();
    }

    /// Takes nothing more. What is here can still be had.
    pub(super) fn close(&self) {
        self.entrance.lock().take();
    }

    /// The consumer is gone: what is here is refused, so that nobody waits for it.
    pub(super) fn abandon(&self) {
        self.close();
        // Whoever asks for deliveries holds the subscription, which is gone.
        if let Ok(mut arrived) = self.arrived.try_lock() {
            arrived.close();
            while arrived.try_recv().is_ok() {}
        }
        self.given.lock().unsettled.clear();
    }
}

/// The most that may wait for a consumer, however much it asks for.
const MOST_IN_FLIGHT: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::sync::Arc;
    use std::time::Duration;

    fn message(body: &'static str) -> Message {
        Message { body: Bytes::from_static(body.as_bytes()), ..Message::default() }
    }

    fn offer(inbox: &Arc<Inbox>, body: &'static str) -> tokio::task::JoinHandle<Outcome> {
        let inbox = inbox.clone();
        tokio::spawn(async move { inbox.offer(message(body)).await })
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_brings_a_message_waits_until_it_is_settled() {
        let inbox = Arc::new(Inbox::new(&SubscribeOptions::new().auto_ack(false)));
        let (first, second) = (offer(&inbox, "a"), offer(&inbox, "b"));
        let mut got = inbox.next(10).await;
        if got.len() < 2 {
            got.extend(inbox.next(10).await);
        }
        assert_eq!(got.iter().map(|it| &it.message.body[..]).collect::<Vec<_>>(), [b"a", b"b"]);
        inbox.settle(&[got[0].id, 99], Ok(()));
        inbox.settle(&[got[1].id, got[0].id], Err("no"));
        assert_eq!(first.await.expect("no panic"), Outcome::Processed);
        assert_eq!(second.await.expect("no panic"), Outcome::Refused("no".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_allowed_is_unsettled() {
        let inbox = Arc::new(Inbox::new(&SubscribeOptions::new().auto_ack(false).in_flight(2)));
        let offers: Vec<_> = ["a", "b", "c", "d", "e"].map(|body| offer(&inbox, body)).into();
        let mut got = inbox.next(10).await;
        while got.len() < 2 {
            got.extend(inbox.next(10).await);
        }
        assert_eq!(got.len(), 2);
        let more = tokio::time::timeout(Duration::from_secs(1), inbox.next(10)).await;
        more.expect_err("two are unsettled");
        inbox.settle(&[got[0].id], Ok(()));
        assert_eq!(inbox.next(10).await.len(), 1, "one was settled");
        drop(inbox);
        drop(offers);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_comes_behind_what_had_arrived() {
        let inbox = Arc::new(Inbox::new(&SubscribeOptions::new().in_flight(1)));
        let (first, second) = (offer(&inbox, "a"), offer(&inbox, "b"));
        tokio::task::yield_now().await;
        inbox.close();
        assert_eq!(inbox.offer(message("late")).await, Outcome::Closed);
        let mut bodies = Vec::new();
        loop {
            let batch = inbox.next(10).await;
            if batch.is_empty() {
                break;
            }
            bodies.extend(batch.into_iter().map(|it| it.message.body));
        }
        assert_eq!(bodies, ["a", "b"]);
        assert_eq!(first.await.expect("no panic"), Outcome::Processed);
        assert_eq!(second.await.expect("no panic"), Outcome::Processed);
        assert!(inbox.next(1).await.is_empty(), "and stays the end");
    }

    #[tokio::test]
    async fn a_consumer_that_ends_refuses_what_it_has() {
        let inbox = Arc::new(Inbox::new(&SubscribeOptions::new().auto_ack(false)));
        let waiting = offer(&inbox, "a");
        assert_eq!(inbox.next(1).await.len(), 1);
        let unseen = offer(&inbox, "b");
        tokio::task::yield_now().await;
        inbox.abandon();
        for waiting in [waiting, unseen] {
            assert!(matches!(waiting.await.expect("no panic"), Outcome::Refused(_)));
        }
        assert_eq!(inbox.offer(message("c")).await, Outcome::Closed);
    }
}
