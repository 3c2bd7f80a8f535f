//! The component in the programs that ship.

use crate::server::{Kind, Server, http};
use crate::world::{SOON, World};
use hyper::StatusCode;
use micro_test::eventually;
use micro_test::process::Signal;
use serde_json::{Value, json};

const GREETER: &str = "go.micro.srv.greeter";
const HEARTBEAT: [&str; 2] = ["--register_interval=1", "--register_ttl=4"];

/// The component by file name, and where its agent is.
fn registry(world: &World, server: &Server) -> [String; 2] {
    let from = world.dist().join("plugins/consul-registry.wasm");
    std::fs::copy(from, world.path().join("consul.wasm")).expect("cargo xtask dist lays it out");
    ["--registry=consul.wasm".to_owned(), format!("--registry_address={}", server.address)]
}

/// The ids under which consul has a service.
async fn ids(server: &Server, name: &str) -> Vec<String> {
    let (status, body) =
        http(&server.address, "GET", &format!("/v1/catalog/service/{name}"), "", &Value::Null).await;
    assert_eq!(status, 200, "{body}");
    let found: Vec<Value> = serde_json::from_str(&body).expect("JSON");
    found.iter().filter_map(|it| it["ServiceID"].as_str()).map(str::to_owned).collect()
}

#[tokio::test]
#[ignore = "needs consul"]
async fn http_requests_reach_a_service_that_was_found_in_consul() {
    let server = Server::start(Kind::Consul).await;
    let world = World::new();
    let [registry, address] = &registry(&world, &server);
    let flags = [registry.as_str(), address.as_str()];
    let mut greeter = world.greeter(&flags).await;
    let gateway = world.gateway(&[&flags[..], &["--api_namespace=go.micro.srv"]].concat()).await;
    gateway.greets("John").await;
    let (status, body) =
        gateway.ask("POST", "/nobody/say/hello", "application/json", "{}").await.expect("an answer");
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");

    greeter.signal(Signal::TERM);
    assert!(greeter.exit(SOON).await.success(), "{greeter}");
    assert_eq!(ids(&server, GREETER).await, [""; 0], "it has deregistered");
    eventually("nobody answers", SOON, async || {
        gateway.greet("Nobody").await.is_ok_and(|(status, _)| status == StatusCode::NOT_FOUND)
    })
    .await;
}

#[tokio::test]
#[ignore = "needs consul"]
async fn the_command_line_lists_describes_calls_and_registers() {
    let server = Server::start(Kind::Consul).await;
    let world = World::new();
    let [registry, address] = &registry(&world, &server);
    let flags = [registry.as_str(), address.as_str()];
    let micro = async |arguments: &[&str]| world.succeed("micro", &[&flags[..], arguments].concat()).await;
    let _greeter = world.greeter(&flags).await;

    assert_eq!(micro(&["list", "services"]).await, format!("consul\n{GREETER}\n"));
    let described = micro(&["get", "service", GREETER]).await;
    for part in ["service  go.micro.srv.greeter", "Endpoint: Say.Hello", "\tname string", "\tmsg string"] {
        assert!(described.contains(part), "{part:?} in {described}");
    }
    let answer = micro(&["call", GREETER, "Say.Hello", r#"{"name":"John"}"#]).await;
    assert_eq!(answer, "{\n\t\"msg\": \"Hello John\"\n}\n");
    assert!(micro(&["health", GREETER]).await.contains("\t\tok"));

    let record = r#"{"name":"by.hand","version":"1","nodes":[{"id":"by.hand-1","address":"127.0.0.1:1"}]}"#;
    assert_eq!(micro(&["register", "service", record]).await, "ok\n");
    eventually("listed", SOON, async || micro(&["list", "services"]).await.starts_with("by.hand\n")).await;
    assert_eq!(micro(&["deregister", "service", record]).await, "ok\n");
    eventually("gone", SOON, async || !micro(&["list", "services"]).await.contains("by.hand")).await;
}

#[tokio::test]
#[ignore = "needs consul"]
async fn who_falls_silent_or_is_taken_out_is_called_no_more() {
    let server = Server::start(Kind::Consul).await;
    let world = World::new();
    let [registry, address] = &registry(&world, &server);
    let flags = [&[registry.as_str(), address.as_str()][..], &HEARTBEAT].concat();
    let mut greeter = world.greeter(&flags).await;
    let gateway = world.gateway(&[&flags[..], &["--api_namespace=go.micro.srv"]].concat()).await;
    gateway.greets("John").await;
    let id = ids(&server, GREETER).await.remove(0);

    // Its operator takes it out, and heartbeats do not bring it back; it is shown, with its status.
    let maintenance = async |on: bool| {
        let path = format!("/v1/agent/service/maintenance/{id}?enable={on}");
        assert_eq!(http(&server.address, "PUT", &path, "", &Value::Null).await.0, 200);
    };
    maintenance(true).await;
    eventually("not called", SOON, async || {
        gateway.greet("Nobody").await.is_ok_and(|(status, _)| status != StatusCode::OK)
    })
    .await;
    let shown =
        world.succeed("micro", &[&flags[..], &["--output=json", "get", "service", GREETER]].concat()).await;
    assert!(shown.contains("critical"), "{shown}");
    let error = world.fail("micro", &[&flags[..], &["call", GREETER, "Say.Hello", "{}"]].concat()).await;
    assert!(error.contains("critical"), "{error}");
    maintenance(false).await;
    gateway.greets("John").await;

    // It dies without a word: consul keeps it for a while, and nobody calls it.
    greeter.signal(Signal::KILL);
    greeter.exit(SOON).await;
    eventually("expired", SOON, async || {
        let (status, body) = gateway.greet("Nobody").await.expect("an answer");
        status == StatusCode::NOT_FOUND && body.contains("not found")
    })
    .await;
    assert_eq!(ids(&server, GREETER).await, [id], "consul still has it");
    let error = world.fail("micro", &[&flags[..], &["get", "service", GREETER]].concat()).await;
    assert!(error.contains("not found"), "{error}");
}

#[tokio::test]
#[ignore = "needs consul"]
async fn a_token_with_the_documented_policy_is_enough() {
    const ROOT: &str = "3c1f5e0a-0000-4000-8000-000000000001";
    const OURS: &str = "3c1f5e0a-0000-4000-8000-000000000002";
    let readme = include_str!("../../../../../plugins/consul-registry/README.md");
    let rules = readme.split("```hcl\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a policy");
    let server = Server::start_with(Kind::Consul, &[("CONSUL_TOKEN", ROOT)]).await;
    let header = format!("X-Consul-Token: {ROOT}");
    for (path, body) in [
        ("/v1/acl/policy", json!({ "Name": "micro", "Rules": rules })),
        ("/v1/acl/token", json!({ "SecretID": OURS, "Policies": [{ "Name": "micro" }] })),
    ] {
        let (status, text) = http(&server.address, "PUT", path, &header, &body).await;
        assert_eq!(status, 200, "{text}");
    }

    let world = World::new();
    let [registry, address] = &registry(&world, &server);
    let open = [registry.as_str(), address.as_str()];
    let nobody = world.fail("micro", &[&open[..], &["list", "services"]].concat()).await;
    assert!(nobody.contains("set the option token"), "{nobody}");
    std::fs::write(world.path().join("token"), OURS).expect("written");
    let flags = [&open[..], &["--registry_opt=token=file:token"]].concat();
    let _greeter = world.greeter(&flags).await;
    let gateway = world.gateway(&[&flags[..], &["--api_namespace=go.micro.srv"]].concat()).await;
    gateway.greets("John").await;
    let foreign = r#"{"name":"other.team","version":"1","nodes":[{"id":"other-1","address":"127.0.0.1:1"}]}"#;
    let error = world.fail("micro", &[&flags[..], &["register", "service", foreign]].concat()).await;
    assert!(error.contains("denied") && error.contains("service:write"), "{error}");
}
