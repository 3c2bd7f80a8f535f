//! The registry is a component that is given by file name, and its backend is a real etcd.

use crate::world::{Etcd, World};
use hyper::StatusCode;
use serde_json::{Value, json};

/// A working directory with the component under another name.
fn world() -> World {
    let world = World::new();
    let from = world.dist().join("plugins/etcd-registry.wasm");
    std::fs::copy(from, world.path().join("etcd.wasm")).expect("cargo xtask dist lays it out");
    world
}

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn http_requests_reach_a_service_that_was_found_in_etcd() {
    let etcd = Etcd::start().await;
    let world = world();
    let registry = ["--registry=etcd.wasm", &etcd.flag()];
    let _greeter = world.greeter(&registry).await;
    let gateway = world.gateway(&[&registry[..], &["--api_namespace=go.micro.srv"]].concat()).await;
    gateway.greets("John").await;

    let (status, body) = gateway.ask("GET", "/greeter/say/hello?name=John", "", "").await.expect("an answer");
    assert_eq!((status, json_of(&body)), (StatusCode::OK, json!({ "msg": "Hello John" })));
    let (status, body) =
        gateway.ask("POST", "/greeter/say/nope", "application/json", "{}").await.expect("an answer");
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    let (status, body) =
        gateway.ask("POST", "/nobody/say/hello", "application/json", "{}").await.expect("an answer");
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    assert_eq!(json_of(&body)["code"], 404);
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn the_default_namespace_goes_through_an_api_service() {
    let etcd = Etcd::start().await;
    let world = world();
    let registry = ["--registry=etcd.wasm", &etcd.flag()];
    let _greeter = world.greeter(&registry).await;
    let api = world.start(
        "greeter-api",
        &[&registry[..], &["--server_address=127.0.0.1:0", "--drain_delay=0s"]].concat(),
    );
    api.line("registered", crate::world::SOON).await;
    let gateway = world.gateway(&registry).await;

    let (status, body) = gateway.ask("GET", "/greeter/say/hello?name=John", "", "").await.expect("an answer");
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(json_of(&body), json!({ "message": "Hello John" }));
    let (status, body) = gateway.ask("GET", "/greeter/say/hello", "", "").await.expect("an answer");
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn the_command_line_lists_describes_and_calls() {
    let etcd = Etcd::start().await;
    let world = world();
    let registry = ["--registry=etcd.wasm".to_owned(), etcd.flag()];
    let flags = [registry[0].as_str(), registry[1].as_str()];
    let micro = async |arguments: &[&str]| world.succeed("micro", &[&flags[..], arguments].concat()).await;
    let _greeter = world.greeter(&flags).await;

    assert_eq!(micro(&["list", "services"]).await, "go.micro.srv.greeter\n");
    let described = micro(&["get", "service", "go.micro.srv.greeter"]).await;
    for part in ["service  go.micro.srv.greeter", "Endpoint: Say.Hello", "\tname string", "\tmsg string"] {
        assert!(described.contains(part), "{part:?} in {described}");
    }
    let answer = micro(&["call", "go.micro.srv.greeter", "Say.Hello", r#"{"name":"John"}"#]).await;
    assert_eq!(answer, "{\n\t\"msg\": \"Hello John\"\n}\n");
    assert!(micro(&["health", "go.micro.srv.greeter"]).await.contains("\t\tok"));

    let record = r#"{"name":"by.hand","version":"1","nodes":[{"id":"by.hand-1","address":"127.0.0.1:1"}]}"#;
    assert_eq!(micro(&["register", "service", record]).await, "ok\n");
    assert_eq!(micro(&["list", "services"]).await, "by.hand\ngo.micro.srv.greeter\n");
    assert_eq!(micro(&["deregister", "service", record]).await, "ok\n");
    assert_eq!(micro(&["list", "services"]).await, "go.micro.srv.greeter\n");
}
