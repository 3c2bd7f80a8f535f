//! The broker of one process.

use super::inbox::{Inbox, Outcome};
use super::{
    Broker, BrokerError, Delivery, Published, SubscribeOptions, Subscription, check_name, check_subscription,
};
use async_trait::async_trait;
use futures::future::join_all;
use micro_core::Message;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::timeout;

const NAME: &str = "memory";

/// How long a publisher waits for subscribers to be done.
const PATIENCE: Duration = Duration::from_secs(30);

/// Queues in this process. Clones are the same broker.
///
/// Unlike Go Micro's, it knows queues: of the subscriptions that share one, each message goes to one, in turn.
#[derive(Clone, Debug, Default)]
pub struct MemoryBroker {
    topics: Arc<Mutex<HashMap<String, Topic>>>,
}

#[derive(Debug, Default)]
struct Topic {
    members: Vec<Member>,
    /// For whose turn it is in a queue.
    published: usize,
}

#[derive(Clone, Debug)]
struct Member {
    queue: Option<String>,
    inbox: Arc<Inbox>,
}

impl MemoryBroker {
    /// A broker that nobody subscribes to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Who gets the next message: all without a queue, and for each queue its members, the one whose turn it is first.
    fn audience(&self, topic: &str) -> Vec<Vec<Member>> {
        let mut topics = self.topics.lock();
        let Some(topic) = topics.get_mut(topic) else { return Vec::new() };
        let turn = topic.published;
        topic.published = turn.wrapping_add(1);
        let mut groups: Vec<Vec<Member>> = Vec::new();
        for member in &topic.members {
            let same = |group: &&mut Vec<Member>| member.queue.is_some() && group[0].queue == member.queue;
            match groups.iter_mut().find(same) {
                Some(group) => group.push(member.clone()),
                None => groups.push(vec![member.clone()]),
            }
        }
        for group in &mut groups {
            let turn = turn % group.len();
            group.rotate_left(turn);
        }
        groups
    }

    async fn publish_one(&self, topic: &str, message: Message) -> Result<Published, BrokerError> {
        let deliveries = self.audience(topic).into_iter().map(|group| {
            let message = message.clone();
            async move {
                for member in group {
                    match member.inbox.offer(message.clone()).await {
                        // It left in between: the next member's turn.
                        Outcome::Closed => {}
                        outcome => return Some(outcome),
                    }
                }
                None
            }
        });
        let outcomes = timeout(PATIENCE, join_all(deliveries)).await;
        let outcomes =
            outcomes.map_err(|_| BrokerError::Timeout { broker: NAME.to_owned(), after: PATIENCE })?;
        let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().flatten().filter(|it| wanted(it)).count();
        Ok(Published {
            delivered: Some(count(|it| *it == Outcome::Processed)),
            refused: count(|it| matches!(it, Outcome::Refused(_))),
            missed: 0,
        })
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    fn name(&self) -> &str {
        NAME
    }

    async fn publish(&self, topic: &str, batch: Vec<Message>) -> Vec<Result<Published, BrokerError>> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for message in batch {
            let outcome = match check_name(NAME, "topic", topic) {
                Ok(()) => self.publish_one(topic, message).await,
                Err(error) => Err(error),
            };
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn subscribe(
        &self,
        topic: &str,
        options: &SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, BrokerError> {
        check_subscription(NAME, topic, options)?;
        let inbox = Arc::new(Inbox::new(options));
        let member = Member { queue: options.queue.clone(), inbox: inbox.clone() };
        self.topics.lock().entry(topic.to_owned()).or_default().members.push(member);
        let topics = Arc::downgrade(&self.topics);
        Ok(Box::new(MemorySubscription { topic: topic.to_owned(), inbox, topics }))
    }

    async fn health(&self) -> Result<(), BrokerError> {
        Ok(())
    }
}

#[derive(Debug)]
struct MemorySubscription {
    topic: String,
    inbox: Arc<Inbox>,
    topics: Weak<Mutex<HashMap<String, Topic>>>,
}

impl MemorySubscription {
    fn leave(&self) {
        self.inbox.close();
        let Some(topics) = self.topics.upgrade() else { return };
        let mut topics = topics.lock();
        let Some(topic) = topics.get_mut(&self.topic) else { return };
        topic.members.retain(|member| !Arc::ptr_eq(&member.inbox, &self.inbox));
        if topic.members.is_empty() {
            topics.remove(&self.topic);
        }
    }
}

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        self.leave();
        self.inbox.abandon();
    }
}

#[async_trait]
impl Subscription for MemorySubscription {
    fn topic(&self) -> &str {
        &self.topic
    }

    async fn next(&self, max: usize) -> Result<Vec<Delivery>, BrokerError> {
        Ok(self.inbox.next(max).await)
    }

    async fn ack(&self, ids: &[u64]) -> Result<(), BrokerError> {
        self.inbox.settle(ids, Ok(()));
        Ok(())
    }

    async fn nack(&self, ids: &[u64], reason: &str) -> Result<(), BrokerError> {
        self.inbox.settle(ids, Err(reason));
        Ok(())
    }

    async fn close(&self) -> Result<(), BrokerError> {
        self.leave();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_publisher_does_not_wait_for_ever() {
        let broker = MemoryBroker::new();
        let options = SubscribeOptions::new().auto_ack(false);
        let subscription = broker.subscribe("a", &options).await.expect("memory");
        let outcomes = broker.publish("a", vec![Message::default()]).await;
        assert!(matches!(outcomes[0], Err(BrokerError::Timeout { .. })), "{outcomes:?}");
        assert_eq!(subscription.next(1).await.expect("memory").len(), 1);
    }

    #[tokio::test]
    async fn topics_that_nobody_is_left_in_are_forgotten() {
        let broker = MemoryBroker::new();
        let options = SubscribeOptions::new();
        let a = broker.subscribe("a", &options).await.expect("memory");
        let b = broker.subscribe("b", &options).await.expect("memory");
        a.close().await.expect("memory");
        drop(b);
        assert!(broker.topics.lock().is_empty());
    }
}
