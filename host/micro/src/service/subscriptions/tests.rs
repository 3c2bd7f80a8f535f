use crate::backends::{Plugin, PluginTls};
use crate::broker::{Broker, MemoryBroker};
use crate::client::{CallOptions, Client, PublishOptions};
use crate::flags::Flags;
use crate::handler::Handler;
use crate::payload::{Format, Json};
use crate::registry::MemoryRegistry;
use crate::service::{RunningService, Service, ServiceBuilder, ServiceTls};
use crate::subscriber::Subscriber;
use bytes::Bytes;
use micro_core::{Error, Message, Registry};
use micro_net::wire::{ExchangeError, Pool, PoolConfig};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Longer than anything here takes on a busy machine.
const SOON: Duration = Duration::from_secs(30);

fn builder(name: &str, registry: &MemoryRegistry) -> ServiceBuilder {
    Service::builder(name)
        .address("127.0.0.1:0")
        .registry(registry.clone())
        .handle_signals(false)
        .drain_delay(Duration::ZERO)
}

async fn start(builder: ServiceBuilder) -> RunningService {
    builder.build().await.expect("builds").start().await.expect("starts")
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("within half a minute")
}

/// Hands what it gets to the test.
fn noting(topic: &str) -> (Subscriber, mpsc::Receiver<String>) {
    let (notes, seen) = mpsc::channel(4096);
    let subscriber = Subscriber::new(topic, move |cx: crate::Context, Json(text): Json<String>| {
        // The test may have seen enough.
        _ = notes.try_send(format!("{text} {:?}", cx.metadata("Colour")));
        async move { if text == "fail" { Err(Error::conflict("x", "on purpose")) } else { Ok(()) } }
    });
    (subscriber, seen)
}

/// Publishes until somebody takes it, and says how many did.
async fn publish(client: &Client, topic: &str, text: &str) -> crate::broker::Published {
    let options = PublishOptions::new().metadata("Colour", "red");
    soon(async {
        loop {
            let published =
                client.publish_with(topic, &Json(text.to_owned()), &options).await.expect("published");
            if !published.is_unheard() {
                return published;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

#[tokio::test]
async fn events_reach_the_subscribers_of_a_service_at_its_own_port() {
    let registry = MemoryRegistry::new();
    let (first, mut first_seen) = noting("greetings");
    let (second, mut second_seen) = noting("greetings");
    let echo = Handler::new("Echo").json("Upper", |_cx, text: String| async move { Ok(text.to_uppercase()) });
    let service =
        start(builder("greeter", &registry).subscriber(first).subscriber(second).handler(echo)).await;
    let publisher = builder("publisher", &registry).build().await.expect("builds");
    let client = publisher.client();

    assert_eq!(publish(client, "greetings", "hi").await.delivered, Some(2));
    for seen in [&mut first_seen, &mut second_seen] {
        assert_eq!(seen.recv().await.as_deref(), Some("hi Some(\"red\")"));
    }
    assert_eq!(publish(client, "greetings", "fail").await.refused, 2);
    let found = registry.get_service("greeter").await.expect("memory").services;
    assert_eq!(found[0].nodes[0].metadata["broker"], "http");
    let endpoints: Vec<_> = found[0].endpoints.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(endpoints, ["Echo.Upper", "Func", "Func"]);
    let nodes = registry.get_service("micro.http.broker").await.expect("memory").services;
    assert!(nodes[0].nodes.iter().all(|node| node.address == service.address().to_string()), "{nodes:?}");

    let upper: Json<String> =
        client.call("greeter", "Echo.Upper", &Json("a".to_owned())).await.expect("calls work as before");
    assert_eq!(upper.0, "A");
    soon(service.stop()).await.expect("stops");
    assert_eq!(registry.list_services().await.expect("memory"), Vec::<String>::new());
}

/// Whatever is posted to the port, it is answered, and the next request is.
#[tokio::test]
async fn hostile_deliveries_harm_nobody() {
    let registry = MemoryRegistry::new();
    let (subscriber, mut seen) = noting("t");
    let echo = Handler::new("Echo").json("Upper", |_cx, text: String| async move { Ok(text.to_uppercase()) });
    let service = start(builder("greeter", &registry).subscriber(subscriber).handler(echo)).await;
    let address = service.address().to_string();
    let nodes = registry.get_service("micro.http.broker").await.expect("memory").services;
    let id: String = form_urlencoded::byte_serialize(nodes[0].nodes[0].id.as_bytes()).collect();
    let pool = Pool::new(PoolConfig::default());
    let post = async |path: &str, body: &[u8]| {
        let message = Message { body: Bytes::copy_from_slice(body), ..Message::default() };
        soon(pool.exchange_at(&address, path, &message, SOON)).await
    };
    let status = |outcome: Result<Message, ExchangeError>| match outcome {
        Ok(answer) => (200, answer.headers.get("Micro-Error").unwrap_or_default().to_owned()),
        Err(ExchangeError::Status { status, text }) => (status, text),
        Err(error) => panic!("{error}"),
    };
    let good = br#"{"Header":{"Micro-Topic":"t","Content-Type":"application/json"},"Body":"ImhpIg=="}"#;
    let ours = format!("/?id={id}");
    let huge_number_of_headers = format!(
        "{{\"Header\":{{{}\"Micro-Topic\":\"t\"}},\"Body\":\"ImhpIg==\"}}",
        (0..20_000).map(|number| format!("\"h{number}\":\"x\",")).collect::<String>()
    );
    let deep = [b"{\"Header\":".repeat(10_000), b"}".repeat(10_000)].concat();
    for (path, body, expected, says) in [
        (&*ours, &good[..], 200, ""),
        (&ours, b"", 500, "Error parsing request body"),
        (&ours, b"\xff\x00", 500, "Error parsing request body"),
        (&ours, br#"{"Header":{"Micro-Topic":"t"},"Body":"!"}"#, 500, "Error parsing request body"),
        (&ours, br#"{"Header":{"Micro-Topic":["t"]}}"#, 500, "Error parsing request body"),
        (&ours, br#"{"Header":null,"Body":null}"#, 500, "Topic not found"),
        (&ours, &deep, 500, "Error parsing request body"),
        (&ours, br#"{"Header":{"Micro-Topic":"other"},"Body":""}"#, 200, ""),
        (&ours, br#"{"Header":{"Micro-Topic":"t"},"Body":"/w=="}"#, 200, "415"),
        (&ours, huge_number_of_headers.as_bytes(), 200, "415"),
        ("/_sub?id=nobody", br#"{"Header":{":topic":"t"},"Body":""}"#, 200, ""),
        ("/_sub", b"nonsense", 500, "Error parsing request body"),
        // A call in an envelope, which stays one.
        ("/", br#"{"method":"Echo.Upper","params":["a"],"id":1}"#, 200, "router cannot decode"),
    ] {
        let (status, text) = status(post(path, body).await);
        assert!(
            status == expected && text.contains(says),
            "{path} {}: {status} {text}",
            String::from_utf8_lossy(body)
        );
    }
    assert_eq!(seen.recv().await.as_deref(), Some("hi None"));
    // Many at a time: each is answered, and what does not fit waits.
    let flood = (0..500).map(|_| post(&ours, good));
    for outcome in futures::future::join_all(flood).await {
        assert_eq!(status(outcome).0, 200);
    }
    let answered = async {
        for _ in 0..500 {
            seen.recv().await.expect("open");
        }
    };
    soon(answered).await;
    let options = CallOptions::new().address(&address);
    let caller = builder("caller", &registry).build().await.expect("builds");
    let lower = Json("a".to_owned());
    let upper = caller.client().call_with("x", "Echo.Upper", &lower, &options);
    assert_eq!(upper.await.map(|Json(text): Json<String>| text).as_deref(), Ok("A"));
    soon(service.stop()).await.expect("stops");
}

#[tokio::test]
async fn what_was_taken_is_handled_before_the_service_ends() {
    let registry = MemoryRegistry::new();
    let (started, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begun, go_on) = (started.clone(), release.clone());
    let slow = Subscriber::raw("t", move |_cx, _| {
        let (begun, go_on) = (begun.clone(), go_on.clone());
        async move {
            begun.notify_one();
            go_on.notified().await;
            Ok(())
        }
    });
    let service = start(builder("slow", &registry).subscriber(slow)).await;
    let publisher = builder("publisher", &registry).build().await.expect("builds");
    let client = publisher.client().clone();
    let publishing = tokio::spawn(async move { publish(&client, "t", "hi").await });
    soon(started.notified()).await;
    let stopping = tokio::spawn(service.stop());
    soon(async {
        while !registry.list_services().await.expect("memory").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(!stopping.is_finished() && !publishing.is_finished());
    release.notify_one();
    assert_eq!(soon(publishing).await.expect("no panic").delivered, Some(1));
    soon(stopping).await.expect("no panic").expect("stops");
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_cancelled() {
    let registry = MemoryRegistry::new();
    let started = Arc::new(Notify::new());
    let begun = started.clone();
    let hanging = Subscriber::raw("t", move |_cx, _| {
        begun.notify_one();
        std::future::pending()
    });
    let slow = builder("slow", &registry).subscriber(hanging).drain_timeout(Duration::from_millis(50));
    let service = start(slow).await;
    let publisher = builder("publisher", &registry).build().await.expect("builds");
    let client = publisher.client().clone();
    let publishing = tokio::spawn(async move { client.publish("t", &Json(1)).await });
    let begun = tokio::time::timeout(SOON, started.notified());
    begun.await.expect("it was found at once");
    soon(service.stop()).await.expect("stops");
    let outcome = soon(publishing).await.expect("no panic");
    assert!(outcome.as_ref().is_err() || outcome.as_ref().is_ok_and(|it| it.refused == 1), "{outcome:?}");
}

#[tokio::test]
async fn a_handler_may_acknowledge_by_itself() {
    let (registry, broker) = (MemoryRegistry::new(), MemoryBroker::new());
    let subscriber = Subscriber::json("t", |cx, early: bool| async move {
        if early {
            cx.acknowledge().await?;
        }
        Err(Error::conflict("x", "too late to matter"))
    });
    let lazy = Subscriber::json("lazy", |_cx, (): ()| async { Ok(()) }).manual_ack();
    let service = builder("acks", &registry).broker(broker.clone()).subscriber(subscriber).subscriber(lazy);
    let service = start(service).await;
    let client = service.client();
    let published =
        |outcome: Result<crate::broker::Published, Error>| outcome.map(|it| (it.delivered, it.refused));
    assert_eq!(published(client.publish("t", &Json(true)).await), Ok((Some(1), 0)));
    assert_eq!(published(client.publish("t", &Json(false)).await), Ok((Some(0), 1)));
    assert_eq!(published(client.publish("lazy", &Json(())).await), Ok((Some(0), 1)));
    assert_eq!(client.broker().map(|it| it.name()), Some("memory"));
    let bytes = PublishOptions::new().format(Format::Protobuf).content_type("application/octet-stream");
    let raw = crate::payload::Raw(Bytes::from_static(b"x"));
    assert_eq!(published(client.publish_with("t", &raw, &bytes).await), Ok((Some(0), 1)), "JSON only");
    soon(service.stop()).await.expect("stops");
    assert!(broker.publish("t", vec![Message::default()]).await[0].as_ref().is_ok_and(|it| it.is_unheard()));
}

#[tokio::test]
async fn subscribers_that_speak_tls_are_checked_unless_somebody_says_otherwise() {
    let registry = MemoryRegistry::new();
    let (subscriber, mut seen) = noting("t");
    let service =
        start(builder("secret", &registry).subscriber(subscriber).tls(ServiceTls::SelfSigned)).await;
    let nodes = registry.get_service("micro.http.broker").await.expect("memory").services;
    assert_eq!(nodes[0].nodes[0].metadata["secure"], "true");

    let careful = builder("careful", &registry).build().await.expect("builds");
    let refused = soon(careful.client().publish("t", &Json("hi".to_owned()))).await.expect_err("not trusted");
    assert!(refused.code == 500 && refused.detail.contains("certificate"), "{refused}");
    let tls = PluginTls { skip_verify: true, ..PluginTls::default() };
    let careless = builder("careless", &registry).broker(Plugin::named("http").tls(tls));
    let careless = careless.build().await.expect("builds");
    assert_eq!(publish(careless.client(), "t", "hi").await.delivered, Some(1));
    assert_eq!(seen.recv().await.as_deref(), Some("hi Some(\"red\")"));
    soon(service.stop()).await.expect("stops");
}

#[tokio::test]
async fn brokers_are_chosen_by_name() {
    for (name, says) in
        [("nats", "no broker of this program"), ("./x.wasm", "no plugin kind for brokers yet")]
    {
        let unknown = builder("a", &MemoryRegistry::new()).broker(Plugin::named(name)).build().await;
        let text = micro_net::error_chain(&unknown.expect_err("unknown"));
        assert!(text.contains(says), "{text}");
    }
    let flags = Flags {
        broker_address: Some("127.0.0.1:0,127.0.0.1:1".to_owned()),
        log_level: Some("off".to_owned()),
        ..Flags::default()
    };
    let (subscriber, _seen) = noting("t");
    let registry = MemoryRegistry::new();
    let service = start(builder("apart", &registry).subscriber(subscriber).flags(&flags)).await;
    let nodes = registry.get_service("micro.http.broker").await.expect("memory").services;
    assert_ne!(nodes[0].nodes[0].address, service.address().to_string(), "a port of its own");
    assert_eq!(publish(service.client(), "t", "hi").await.delivered, Some(1));
    soon(service.stop()).await.expect("stops");
    let flags = Flags { broker_tls_skip_verify: Some(true), ..Flags::default() };
    let own = builder("own", &registry).broker(MemoryBroker::new()).flags(&flags).build().await;
    assert!(micro_net::error_chain(&own.expect_err("whose?")).contains("--broker"));
}
