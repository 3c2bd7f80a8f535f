use super::*;
use crate::payload::Format;
use crate::registry::MemoryRegistry;
use crate::rpc::{Body, RpcHead, RpcRequest};
use crate::server::Server;
use futures::stream;
use micro_core::Headers;
use std::time::Duration;

/// A server over a registry of its own, and that registry.
fn server() -> (Server, MemoryRegistry) {
    let registry = MemoryRegistry::new();
    (Server::builder().handler(handler(Arc::new(registry.clone()))).build(), registry)
}

fn record(name: &str, id: &str, ttl: i64) -> ServiceRecord {
    ServiceRecord {
        name: name.to_owned(),
        version: "1".to_owned(),
        nodes: vec![NodeRecord {
            id: id.to_owned(),
            address: "127.0.0.1:9000".to_owned(),
            ..NodeRecord::default()
        }],
        options: Some(RegisterOptions { ttl }),
        ..ServiceRecord::default()
    }
}

async fn ask<Req: Payload, Res: Payload>(
    server: &Server,
    method: &str,
    namespace: &str,
    request: &Req,
) -> Result<Res, Error> {
    let metadata: Headers = [("Micro-Namespace", namespace)].into_iter().collect();
    // Programs of v1.18 ask for another name than later ones.
    let head = RpcHead::new("go.micro.service", format!("Registry.{method}"), "application/protobuf");
    let head = RpcHead { metadata, ..head };
    let body = Body::Unary(request.to_bytes(Format::Protobuf)?);
    let response = server.call(RpcRequest { head, body }).await?;
    Res::from_bytes(Format::Protobuf, &response.body.into_unary().await?)
}

async fn names(server: &Server, namespace: &str) -> Vec<String> {
    let list: ListResponse = ask(server, "ListServices", namespace, &ListRequest {}).await.expect("memory");
    list.services.into_iter().map(|service| service.name).collect()
}

#[tokio::test(start_paused = true)]
async fn registrations_are_found_until_they_end() {
    let (server, registry) = server();
    let get = GetRequest { service: "a".to_owned() };
    let unknown = ask::<_, GetResponse>(&server, "GetService", "", &get).await.expect_err("nobody");
    assert_eq!((unknown.code, &*unknown.id, &*unknown.detail), (404, ID, "service not found"));

    let _: EmptyResponse = ask(&server, "Register", "", &record("a", "a-1", 60)).await.expect("registered");
    let _: EmptyResponse = ask(&server, "Register", "", &record("a", "a-2", 0)).await.expect("registered");
    let found: GetResponse = ask(&server, "GetService", "", &get).await.expect("there");
    let ids: Vec<_> = found.services[0].nodes.iter().map(|node| &*node.id).collect();
    assert_eq!((ids, found.services[0].options.is_some()), (vec!["a-1", "a-2"], true));
    assert_eq!(names(&server, "").await, ["a"]);

    tokio::time::advance(Duration::from_secs(61)).await;
    let found: GetResponse = ask(&server, "GetService", "", &get).await.expect("there");
    assert_eq!(found.services[0].nodes.len(), 1, "nobody renewed the first one");
    let _: EmptyResponse = ask(&server, "Deregister", "", &record("a", "a-2", 0)).await.expect("gone");
    assert!(registry.list_services().await.expect("memory").is_empty());
    let nameless = ask::<_, EmptyResponse>(&server, "Register", "", &record("", "x", 0)).await;
    assert_eq!(nameless.expect_err("no name").code, 400);
}

#[tokio::test]
async fn namespaces_keep_names_apart() {
    let (server, registry) = server();
    for (namespace, name) in [("", "a"), ("go.micro", "b"), ("foo", "a"), ("bar", "c")] {
        let record = record(name, &format!("{namespace}-{name}"), 0);
        let _: EmptyResponse = ask(&server, "Register", namespace, &record).await.expect("registered");
    }
    assert_eq!(registry.list_services().await.expect("memory"), ["a", "b", "bar/c", "foo/a"]);
    assert_eq!(names(&server, "").await, ["a", "b"]);
    assert_eq!(names(&server, "foo").await, ["a", "b"]);
    assert_eq!(names(&server, "bar").await, ["a", "b", "c"]);
    let get = GetRequest { service: "a".to_owned() };
    let found: GetResponse = ask(&server, "GetService", "foo", &get).await.expect("there");
    let nodes: Vec<_> =
        found.services.iter().map(|service| (&*service.name, &*service.nodes[0].id)).collect();
    assert_eq!(nodes, [("a", "-a"), ("a", "foo-a")]);
}

#[tokio::test]
async fn watchers_hear_of_names_that_they_see() {
    let (server, registry) = server();
    let of = |record: ServiceRecord| record.into_service().expect("complete");
    registry.register(&of(record("a", "a-1", 0)), Duration::ZERO).await.expect("memory");
    let watch = async |service: &str| {
        let head = RpcHead { stream: true, ..RpcHead::new("", "Registry.Watch", "application/protobuf") };
        let request = WatchRequest { service: service.to_owned() };
        let message = request.to_bytes(Format::Protobuf).expect("it has a form");
        // Go Micro's client opens with the request, sends it again, and keeps its side open.
        let sent = stream::iter([Ok(message.clone()), Ok(message)]).chain(stream::pending());
        let body = Body::Stream(sent.boxed());
        let response = server.call(RpcRequest { head, body }).await.expect("open");
        let Body::Stream(events) = response.body else { panic!("no stream") };
        events.map(|event| {
            WatchResult::from_bytes(Format::Protobuf, &event.expect("no error")).expect("a result")
        })
    };
    let (mut all, mut one) = (watch("").await, watch("b").await);
    let said = async |events: &mut (dyn futures::Stream<Item = WatchResult> + Send + Unpin)| {
        let event = tokio::time::timeout(Duration::from_secs(30), events.next()).await;
        let WatchResult { action, service, timestamp } = event.expect("in time").expect("an event");
        assert!(timestamp > 0);
        (action, service.expect("a service").nodes.remove(0).id)
    };
    assert_eq!(said(&mut all).await, ("create".to_owned(), "a-1".to_owned()));
    registry.register(&of(record("foo/b", "x", 0)), Duration::ZERO).await.expect("memory");
    registry.register(&of(record("b", "b-1", 0)), Duration::ZERO).await.expect("memory");
    assert_eq!(said(&mut all).await, ("create".to_owned(), "b-1".to_owned()));
    registry.deregister(&of(record("a", "a-1", 0))).await.expect("memory");
    registry.deregister(&of(record("b", "b-1", 0))).await.expect("memory");
    assert_eq!(said(&mut all).await, ("delete".to_owned(), "a-1".to_owned()));
    for action in ["create", "delete"] {
        assert_eq!(said(&mut one).await, (action.to_owned(), "b-1".to_owned()));
    }
}
