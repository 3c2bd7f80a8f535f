use super::*;
use crate::registry::MemoryRegistry;
use bytes::Bytes;
use micro_core::Service;
use std::future::Future;

/// Longer than anything here takes on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A broker on loopback, as another process would have it.
fn broker(registry: &MemoryRegistry) -> HttpBroker {
    let registry: Arc<dyn Registry> = Arc::new(registry.clone());
    let settings =
        HttpBrokerSettings { address: Some("127.0.0.1:0".to_owned()), ..HttpBrokerSettings::default() };
    HttpBroker::new(registry.clone(), Arc::new(Cache::new(registry)), settings)
}

fn event(body: &str) -> Message {
    let headers = [("Foo", "bar")].into_iter().collect();
    Message { headers, body: Bytes::copy_from_slice(body.as_bytes()) }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("within half a minute")
}

async fn publish(broker: &HttpBroker, topic: &str, body: &str) -> Result<Published, BrokerError> {
    soon(broker.publish(topic, vec![event(body)])).await.remove(0)
}

/// Publishes until the broker has heard of so many subscribers; their events are those of `body`.
async fn heard_by(broker: &HttpBroker, topic: &str, subscribers: usize) {
    let heard = async {
        loop {
            let audience = broker.inner.audiences.find(topic).await.expect("memory");
            let members: usize = audience.queues.iter().map(Vec::len).sum();
            if audience.all.len() + members == subscribers {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(heard).await;
}

async fn bodies(subscription: &dyn Subscription, count: usize) -> Vec<Bytes> {
    let mut bodies = Vec::new();
    while bodies.len() < count {
        let batch = soon(subscription.next(10)).await.expect("open");
        assert!(!batch.is_empty(), "ended after {bodies:?}");
        bodies.extend(batch.into_iter().map(|it| it.message.body));
    }
    bodies
}

#[tokio::test]
async fn everybody_gets_an_event_once_and_of_a_queue_one() {
    let registry = MemoryRegistry::new();
    let (here, there, publisher) = (broker(&registry), broker(&registry), broker(&registry));
    let all = SubscribeOptions::new();
    let shared = SubscribeOptions::new().queue("workers");
    let first = here.subscribe("t", &all).await.expect("registered");
    let second = here.subscribe("t", &all).await.expect("registered");
    let third = there.subscribe("t", &all).await.expect("registered");
    let workers = [
        here.subscribe("t", &shared).await.expect("registered"),
        there.subscribe("t", &shared).await.expect("registered"),
    ];
    let other = there.subscribe("other", &all).await.expect("registered");
    heard_by(&publisher, "t", 5).await;
    let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    for name in &names {
        let published = publish(&publisher, "t", name).await.expect("delivered");
        assert_eq!(published, Published { delivered: Some(4), ..Published::default() });
    }
    for subscription in [&first, &second, &third] {
        assert_eq!(bodies(&**subscription, names.len()).await, names);
    }
    for worker in &workers {
        worker.close().await.expect("closed");
    }
    let mut worked = Vec::new();
    for worker in &workers {
        loop {
            let batch = soon(worker.next(10)).await.expect("open");
            if batch.is_empty() {
                break;
            }
            worked.extend(
                batch
                    .into_iter()
                    .map(|it| String::from_utf8_lossy(&it.message.body).parse::<u32>().expect("a number")),
            );
        }
    }
    worked.sort_unstable();
    assert_eq!(worked, (0..20).collect::<Vec<_>>());
    assert!(publish(&publisher, "other", "x").await.expect("delivered").delivered == Some(1));
    assert_eq!(bodies(&*other, 1).await, ["x"]);
    assert!(publish(&publisher, "nobody", "x").await.expect("no error").is_unheard());
    for broker in [here, there, publisher] {
        soon(broker.shutdown()).await;
    }
    assert_eq!(registry.list_services().await.expect("memory"), Vec::<String>::new());
}

#[tokio::test]
async fn a_publisher_hears_what_became_of_it() {
    let registry = MemoryRegistry::new();
    let (consumer, publisher) = (broker(&registry), broker(&registry));
    let options = SubscribeOptions::new().auto_ack(false);
    let subscription = consumer.subscribe("t", &options).await.expect("registered");
    heard_by(&publisher, "t", 1).await;
    let publishing = publisher.publish("t", vec![event("a"), event("b")]);
    let consuming = async {
        let mut got = Vec::new();
        while got.len() < 2 {
            got.extend(subscription.next(10).await.expect("open"));
        }
        for delivery in got {
            assert_eq!(delivery.message.headers.get("Foo"), Some("bar"));
            assert_eq!(delivery.message.headers.get("Micro-Topic"), Some("t"));
            match &delivery.message.body[..] {
                b"a" => subscription.ack(&[delivery.id]).await,
                _ => subscription.nack(&[delivery.id], "no\nthanks").await,
            }
            .expect("open");
        }
    };
    let (outcomes, ()) = soon(async { tokio::join!(publishing, consuming) }).await;
    let taken = Published { delivered: Some(1), ..Published::default() };
    let refused = Published { delivered: Some(0), refused: 1, missed: 0 };
    assert_eq!(outcomes, [Ok(taken), Ok(refused)]);

    let mut odd = event("x");
    odd.headers.append("Odd", b"\xff");
    let outcomes = publisher.publish("t", vec![odd]).await;
    assert!(matches!(outcomes[0], Err(BrokerError::Invalid { .. })), "{outcomes:?}");
    let long = "t".repeat(super::super::MAX_NAME + 1);
    for topic in ["", "a\nb", &long] {
        assert!(matches!(publish(&publisher, topic, "x").await, Err(BrokerError::Invalid { .. })), "{topic}");
        assert!(
            matches!(consumer.subscribe(topic, &options).await, Err(BrokerError::Invalid { .. })),
            "{topic}"
        );
    }
}

/// A subscriber that is registered and not there.
async fn dead(registry: &MemoryRegistry, queue: Option<&str>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let identity = layout::Identity { topic: "t", queue, address: &address, secure: false, broker: "dead" };
    for record in identity.records() {
        registry.register(&record, Duration::ZERO).await.expect("memory");
    }
    address
}

#[tokio::test]
async fn a_queue_goes_on_without_a_dead_member_and_losses_are_told() {
    let registry = MemoryRegistry::new();
    let (consumer, publisher) = (broker(&registry), broker(&registry));
    let address = dead(&registry, Some("q")).await;
    heard_by(&publisher, "t", 1).await;
    let lost = publish(&publisher, "t", "x").await.expect_err("nobody is there");
    assert!(
        matches!(&lost, BrokerError::Undelivered { wanted: 1, missed: 1, reason, .. } if reason.contains(&address)),
        "{lost}"
    );

    let subscription =
        consumer.subscribe("t", &SubscribeOptions::new().queue("q")).await.expect("registered");
    heard_by(&publisher, "t", 2).await;
    for number in 0..20 {
        let published = publish(&publisher, "t", &number.to_string()).await.expect("the other member has it");
        assert_eq!(published.delivered, Some(1));
    }
    assert_eq!(bodies(&*subscription, 20).await.len(), 20);
    // Of those without a queue some may be away.
    dead(&registry, None).await;
    heard_by(&publisher, "t", 3).await;
    let lost = publish(&publisher, "t", "x").await.expect_err("nobody without a queue has it");
    assert!(matches!(&lost, BrokerError::Undelivered { wanted: 2, missed: 1, .. }), "{lost}");
    let _all = consumer.subscribe("t", &SubscribeOptions::new()).await.expect("registered");
    heard_by(&publisher, "t", 4).await;
    let published = publish(&publisher, "t", "x").await.expect("somebody has it");
    assert_eq!(published, Published { delivered: Some(2), refused: 0, missed: 1 });
}

#[tokio::test]
async fn a_closed_subscription_leaves_nothing_behind_and_gives_what_came() {
    let registry = MemoryRegistry::new();
    let (consumer, publisher) = (broker(&registry), broker(&registry));
    let options = SubscribeOptions::new().linger(SOON);
    let lingering = consumer.subscribe("t", &options).await.expect("registered");
    heard_by(&publisher, "t", 1).await;
    let audience = publisher.inner.audiences.find("t").await.expect("memory");
    soon(lingering.close()).await.expect("closed");
    assert_eq!(registry.list_services().await.expect("memory"), Vec::<String>::new());
    // As a publisher does that has not heard of it.
    let late = soon(publisher.inner.publish_to("t", event("late"), &audience)).await.expect("taken");
    assert_eq!(late.delivered, Some(1));
    assert_eq!(bodies(&*lingering, 1).await, ["late"]);
    drop(lingering);
    soon(async {
        while !consumer.inner.subscribers.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let after = soon(publisher.inner.publish_to("t", event("after"), &audience)).await.expect_err("too late");
    assert!(
        matches!(&after, BrokerError::Undelivered { reason, .. } if reason.contains("has ended")),
        "{after}"
    );
}

#[tokio::test]
async fn subscriptions_wait_for_a_registry_that_is_down() {
    #[derive(Debug)]
    struct Down(MemoryRegistry, std::sync::atomic::AtomicBool);
    #[async_trait]
    impl Registry for Down {
        fn name(&self) -> &str {
            "down"
        }
        async fn register(&self, service: &Service, ttl: Duration) -> Result<(), micro_core::RegistryError> {
            match self.1.load(std::sync::atomic::Ordering::Relaxed) {
                true => self.0.register(service, ttl).await,
                false => Err(micro_core::RegistryError::Unavailable {
                    registry: "down".to_owned(),
                    reason: "on purpose".to_owned(),
                    retry_after: Duration::ZERO,
                }),
            }
        }
        async fn deregister(&self, service: &Service) -> Result<(), micro_core::RegistryError> {
            self.0.deregister(service).await
        }
        async fn get_service(&self, name: &str) -> Result<micro_core::Snapshot, micro_core::RegistryError> {
            self.0.get_service(name).await
        }
        async fn list_services(&self) -> Result<Vec<String>, micro_core::RegistryError> {
            self.0.list_services().await
        }
        async fn changes(
            &self,
            name: Option<&str>,
            after: Option<&str>,
            wait: Duration,
        ) -> Result<micro_core::Batch, micro_core::RegistryError> {
            self.0.changes(name, after, wait).await
        }
        async fn health(&self) -> Result<(), micro_core::RegistryError> {
            Ok(())
        }
    }
    let memory = MemoryRegistry::new();
    let registry = Arc::new(Down(memory.clone(), false.into()));
    let settings =
        HttpBrokerSettings { address: Some("127.0.0.1:0".to_owned()), ..HttpBrokerSettings::default() };
    let consumer = HttpBroker::new(registry.clone(), Arc::new(Cache::new(registry.clone())), settings);
    let subscription = soon(consumer.subscribe("t", &SubscribeOptions::new())).await.expect("tries on");
    let publisher = broker(&memory);
    assert!(publish(&publisher, "t", "x").await.expect("no error").is_unheard());
    registry.1.store(true, std::sync::atomic::Ordering::Relaxed);
    heard_by(&publisher, "t", 1).await;
    assert_eq!(publish(&publisher, "t", "x").await.expect("delivered").delivered, Some(1));
    assert_eq!(bodies(&*subscription, 1).await, ["x"]);
}
