//! Calls to nodes of both kinds.

mod choices;

use super::*;
use crate::handler::Handler;
use crate::payload::{Json, Raw};
use crate::registry::MemoryRegistry;
use crate::selector::RoundRobin;
use crate::service::{RunningService, Service};
use bytes::Bytes;
use micro_core::Node;

/// A service that says in which content type it was called, and with which id.
async fn echo() -> RunningService {
    let handler = Handler::new("Echo")
        .json("How", |cx: crate::Context, (): ()| async move {
            let header = |name| cx.metadata(name).unwrap_or("none").to_owned();
            Ok(format!("{} {} as {}", cx.service(), header("Content-Type"), cx.content_type()))
        })
        .json("Fail", |_cx, text: String| async move { Err::<(), _>(Error::conflict("echo", text)) });
    let service =
        Service::builder("echo").address("127.0.0.1:0").registry(MemoryRegistry::new()).handler(handler);
    let service = service.handle_signals(false).drain_delay(Duration::ZERO);
    service.build().await.expect("builds").start().await.expect("starts")
}

/// A client of a service `old` with these nodes, in turn.
async fn client(nodes: &[(&str, Option<&str>)]) -> ClientBuilder {
    let registry = MemoryRegistry::new();
    let nodes = nodes.iter().map(|(address, protocol)| Node {
        id: format!("old-{address}"),
        address: (*address).to_owned(),
        metadata: protocol.iter().map(|it| ("protocol".to_owned(), (*it).to_owned())).collect(),
        ..Node::default()
    });
    let service = micro_core::Service {
        name: "old".to_owned(),
        version: "1".to_owned(),
        nodes: nodes.collect(),
        ..micro_core::Service::default()
    };
    registry.register(&service, Duration::ZERO).await.expect("memory");
    Client::builder(Arc::new(registry)).selector(Arc::new(RoundRobin))
}

/// An address at which nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

async fn how(client: &Client, options: &CallOptions) -> Result<String, Error> {
    client.call_with("old", "Echo.How", &Json(()), options).await.map(|Json(text)| text)
}

#[tokio::test]
async fn a_node_without_protocol_gets_and_gives_envelopes() {
    let server = echo().await;
    let address = server.address().to_string();
    let options = CallOptions::new();
    let old = client(&[(&address, None)]).await.build();
    let enveloped = Ok("old application/json-rpc as application/json".to_owned());
    for _ in 0..3 {
        assert_eq!(how(&old, &options).await, enveloped);
    }
    let text = "line\nbreak \"😀\"".to_owned();
    let error = old.call::<_, Raw>("old", "Echo.Fail", &Json(text.clone())).await.expect_err("refused");
    assert_eq!((error.code, error.detail), (409, text));

    let new = client(&[(&address, Some("mucp"))]).await.build();
    assert_eq!(how(&new, &options).await, Ok("old application/json as application/json".to_owned()));
    let by_hand = options.clone().address(&address);
    assert_eq!(how(&old, &by_hand).await, Ok("old application/json as application/json".to_owned()));
    assert_eq!(how(&new, &by_hand.enveloped(true)).await, enveloped);
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn protobuf_is_enveloped_too() {
    let server = echo().await;
    let old = client(&[(&server.address().to_string(), None)]).await.build();
    let options = CallOptions::new().format(Format::Protobuf);
    let health: Raw =
        old.call_with("old", "Debug.Health", &Raw::default(), &options).await.expect("an answer");
    assert_eq!(&health.0[..], b"\n\x02ok");
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn envelopes_can_be_asked_for() {
    let server = echo().await;
    let new = client(&[(&server.address().to_string(), Some("mucp"))]).await.build();
    let head = RpcHead::new("old", "Echo.How", "application/json-rpc");
    let request = RpcRequest { head, body: Body::Unary(Bytes::from_static(b"null")) };
    let answer = new.send(request, &CallOptions::new()).await.expect("an answer");
    assert_eq!(answer.content_type, "application/json");
    let value = answer.body.into_unary().await.expect("one");
    assert_eq!(value, "\"old application/json-rpc as application/json\"");
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn a_retry_may_meet_a_node_of_the_other_kind() {
    let server = echo().await;
    let address = server.address().to_string();
    for (dead, alive, answer) in [
        (None, Some("mucp"), "old application/json as application/json"),
        (Some("mucp"), None, "old application/json-rpc as application/json"),
    ] {
        for layered in [false, true] {
            let mut builder = client(&[(&nobody().await, dead), (&address, alive)]).await;
            if layered {
                builder = builder.call_layer(tower::layer::layer_fn(|inner: RpcService| inner));
            }
            let client = builder.build();
            for _ in 0..4 {
                assert_eq!(how(&client, &CallOptions::new()).await.as_deref(), Ok(answer), "{alive:?}");
            }
            assert_eq!(
                client.nodes().iter().filter(|node| node.ejected).count(),
                1,
                "the dead one was tried"
            );
        }
    }
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn calls_over_grpc_reach_the_same_handlers() {
    let server = echo().await;
    let address = server.address().to_string();
    let rules = ProtocolRules::default().with("old", Protocol::GrpcJson);
    let client = client(&[(&address, None)]).await.protocols(rules).build();
    let options = CallOptions::new();
    assert_eq!(how(&client, &options).await, Ok("old none as application/json".to_owned()));
    let by_hand = options.clone().address(&address);
    assert_eq!(how(&client, &by_hand).await, Ok("old none as application/json".to_owned()));
    let mucp = options.clone().protocol(Protocol::Mucp);
    assert_eq!(how(&client, &mucp).await, Ok("old application/json as application/json".to_owned()));

    let text = "line\nbreak \"😀\" 100%".to_owned();
    let error = client.call::<_, Raw>("old", "Echo.Fail", &Json(text.clone())).await.expect_err("refused");
    assert_eq!((&*error.id, error.code, error.detail), ("echo", 409, text));
    for (endpoint, code, detail) in [
        ("Echo.Nope", 501, "unknown method Nope of old.Echo"),
        ("Nope.How", 501, "unknown service old.Nope"),
        ("other.Echo/Fail", 409, ""),
        ("Echo", 501, "unknown service"),
    ] {
        let outcome = client.call::<_, Raw>("old", endpoint, &Json(String::new())).await;
        let error = outcome.expect_err(endpoint);
        assert!(error.code == code && error.detail.contains(detail), "{endpoint}: {error}");
    }
    let protobuf = options.clone().format(Format::Protobuf);
    let health: Raw =
        client.call_with("old", "Debug.Health", &Raw::default(), &protobuf).await.expect("healthy");
    assert_eq!(&health.0[..], b"\n\x02ok");
    let endpoint = crate::grpc::HealthCheckResponse::ENDPOINT;
    let health: Raw = client.call_with("old", endpoint, &Raw::default(), &protobuf).await.expect("healthy");
    assert_eq!(&health.0[..], b"\x08\x01");
    assert!(client.nodes().iter().all(|node| node.errors == 0 && !node.ejected), "{:?}", client.nodes());
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn content_types_over_grpc() {
    let server = echo().await;
    let client = client(&[(&server.address().to_string(), Some("grpc"))]).await.build();
    let options = CallOptions::new().protocol(Protocol::GrpcJson);
    for (content_type, answer) in [
        ("application/json; charset=utf-8", Ok("application/json")),
        ("application/json-rpc", Ok("application/json")),
        ("application/grpc+json", Ok("application/json")),
        ("text/plain", Err(415)),
        ("application/grpc-web", Err(415)),
    ] {
        let head = RpcHead::new("old", "Echo.How", content_type);
        let request = RpcRequest { head, body: Body::Unary(Bytes::from_static(b"null")) };
        let said = client.send(request, &options).await;
        let said = said.map(|answer| answer.content_type).map_err(|error| error.code);
        assert_eq!(said.as_deref().map_err(|code| *code), answer, "{content_type}");
    }
    // What takes protobuf only says itself how JSON can be put into it; this one does not.
    let error = how(&client, &CallOptions::new()).await.expect_err("not described");
    assert_eq!(error.code, 404);
    for part in ["no method", "not described", "--proto", "grpc+json"] {
        assert!(error.detail.contains(part), "{part}: {error}");
    }
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn nodes_that_are_called_in_grpc_are_retried_and_ejected_like_others() {
    let server = echo().await;
    let address = server.address().to_string();
    let rules = ProtocolRules::default().with("old", Protocol::GrpcJson);
    for (dead, alive) in [(Some("grpc"), Some("mucp")), (Some("mucp"), Some("grpc"))] {
        for layered in [false, true] {
            let mut builder =
                client(&[(&nobody().await, dead), (&address, alive)]).await.protocols(rules.clone());
            if layered {
                builder = builder.call_layer(tower::layer::layer_fn(|inner: RpcService| inner));
            }
            let client = builder.build();
            for _ in 0..4 {
                assert!(how(&client, &CallOptions::new()).await.is_ok(), "{alive:?}");
            }
            let ejected = client.nodes().iter().filter(|node| node.ejected).count();
            assert_eq!(ejected, 1, "the dead one was tried");
        }
    }
    // A node that does not answer in time.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let silent_address = silent.local_addr().expect("bound").to_string();
    let client = client(&[(&silent_address, Some("grpc"))]).await.protocols(rules).build();
    let options = CallOptions::new().timeout(Duration::from_millis(50));
    let error = how(&client, &options).await.expect_err("nobody answers");
    assert!(error.code == 408 && error.detail.contains(&silent_address), "{error}");
    server.stop().await.expect("stops");
}
