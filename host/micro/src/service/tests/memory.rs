//! Services and clients of one process, without sockets.

use super::{builder, echo};
use crate::client::{CallOptions, Client, Protocol};
use crate::payload::Json;
use crate::registry::MemoryRegistry;
use crate::service::{RunningService, ServiceError, ServiceTls};
use crate::stream::ClientStream;
use crate::subscriber::Subscriber;
use micro_core::{Error, Registry};
use micro_net::MemoryTransport;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

async fn serve(registry: &MemoryRegistry, memory: &MemoryTransport) -> RunningService {
    let service = builder("echo", registry).address(":0").transport(memory.clone()).handler(echo());
    service.build().await.expect("builds").start().await.expect("starts")
}

fn client(registry: &MemoryRegistry, memory: &MemoryTransport) -> Client {
    Client::builder(Arc::new(registry.clone())).transport(memory.clone()).build()
}

async fn upper(client: &Client, options: &CallOptions) -> Result<String, Error> {
    let called = client.call_with("echo", "Echo.Upper", &Json("a".to_owned()), options).await;
    called.map(|Json(text)| text)
}

#[tokio::test]
async fn calls_and_streams_in_every_protocol() {
    let (registry, memory) = (MemoryRegistry::new(), MemoryTransport::new());
    let server = serve(&registry, &memory).await;
    let found = registry.get_service("echo").await.expect("memory").services;
    let node = &found[0].nodes[0];
    assert_eq!((&*node.address, &*node.metadata["transport"]), (&*server.address().to_string(), "memory"));
    assert!((10_000..30_000).contains(&server.address().port()), "{}", server.address());
    let client = client(&registry, &memory);
    for protocol in [Protocol::Mucp, Protocol::Envelopes, Protocol::GrpcJson, Protocol::MucpOverGrpc] {
        let options = CallOptions::new().protocol(protocol).address(&node.address);
        for _ in 0..3 {
            assert_eq!(upper(&client, &options).await, Ok("A".to_owned()), "{protocol}");
        }
        let opened = client.open_stream("echo", "Echo.Each", &options).await;
        let mut stream: ClientStream<Json<String>, Json<String>> = opened.expect("opens");
        for text in ["a", &"b".repeat(1 << 20)] {
            stream.send(&Json(text.to_owned())).await.expect("open");
            assert_eq!(stream.next().await, Some(Ok(Json(text.to_uppercase()))), "{protocol}");
        }
        stream.close_send();
        assert_eq!(stream.next().await, None, "{protocol}");
    }
    // Services call each other in the same way.
    let caller = builder("caller", &registry).transport(memory.clone()).build().await.expect("builds");
    let from = caller.client().call::<_, Json<String>>("echo", "Echo.From", &Json(())).await;
    assert_eq!(from.expect("an answer").0, r#"Some("caller") None"#);
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn where_nobody_listens_calls_are_refused() {
    let (registry, memory) = (MemoryRegistry::new(), MemoryTransport::new());
    let server = serve(&registry, &memory).await;
    let address = server.address().to_string();
    let taken = builder("other", &registry).address(&address).transport(memory.clone()).build().await;
    let error = taken.expect("builds").start().await.expect_err("the address is taken");
    assert!(matches!(&error, ServiceError::Listen { .. }), "{error}");
    assert!(micro_net::error_chain(&error).contains("already in use"), "{error:?}");

    let once = CallOptions::new().retries(0).address(&address);
    // Another transport of the process knows nothing of it, and says so as a closed port does.
    let error = upper(&client(&registry, &MemoryTransport::new()), &once).await.expect_err("refused");
    assert!(error.code == 500 && error.detail.starts_with("connection error: cannot connect to"), "{error}");
    let client = client(&registry, &memory);
    assert_eq!(upper(&client, &once).await, Ok("A".to_owned()));
    server.stop().await.expect("stops");
    let error = upper(&client, &once).await.expect_err("it has stopped");
    assert!(error.detail.starts_with("connection error: cannot connect to"), "{error}");
    serve_at(&registry, &memory, &address).await.stop().await.expect("stops");

    let tls = builder("echo", &registry).transport(memory).tls(ServiceTls::SelfSigned).build().await;
    assert!(tls.expect_err("no TLS").to_string().contains("no TLS"));
}

async fn serve_at(registry: &MemoryRegistry, memory: &MemoryTransport, address: &str) -> RunningService {
    let service = builder("echo", registry).address(address).transport(memory.clone());
    service.build().await.expect("builds").start().await.expect("the address is free again")
}

#[tokio::test]
async fn a_stop_waits_for_calls() {
    let (registry, memory) = (MemoryRegistry::new(), MemoryTransport::new());
    let (started, release) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let (begun, released) = (started.clone(), release.clone());
    let slow = crate::Handler::new("Slow").json("Wait", move |_cx, (): ()| {
        let (begun, released) = (begun.clone(), released.clone());
        async move {
            begun.notify_one();
            released.notified().await;
            Ok("done".to_owned())
        }
    });
    let service = builder("slow", &registry).transport(memory.clone()).drain_timeout(PATIENCE).handler(slow);
    let server = service.build().await.expect("builds").start().await.expect("starts");
    let options = CallOptions::new().timeout(PATIENCE);
    let client = client(&registry, &memory);
    let calling = client.call_with::<_, Json<String>>("slow", "Slow.Wait", &Json(()), &options);
    let stopping = async {
        started.notified().await;
        let stopping = server.stop();
        tokio::pin!(stopping);
        assert!(timeout(Duration::from_millis(50), &mut stopping).await.is_err(), "a call runs");
        release.notify_one();
        stopping.await.expect("stops");
    };
    let (called, ()) = tokio::join!(calling, stopping);
    assert_eq!(called, Ok(Json("done".to_owned())));
}

#[tokio::test]
async fn events_take_the_same_way() {
    let (registry, memory) = (MemoryRegistry::new(), MemoryTransport::new());
    let (heard, mut hears) = mpsc::channel(8);
    let subscriber = Subscriber::json("news", move |_cx, text: String| {
        let heard = heard.clone();
        async move {
            _ = heard.send(text).await;
            Ok(())
        }
    });
    let reader = builder("reader", &registry).address(":0").transport(memory.clone()).subscriber(subscriber);
    let reader = reader.build().await.expect("builds").start().await.expect("starts");
    let writer = builder("writer", &registry).transport(memory).build().await.expect("builds");
    writer.client().publish("news", &Json("hello".to_owned())).await.expect("published");
    let text = timeout(PATIENCE, hears.recv()).await.expect("in time");
    assert_eq!(text.as_deref(), Some("hello"));
    reader.stop().await.expect("stops");
}
