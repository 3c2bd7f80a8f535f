//! `micro explain` with Go Micro on the other side: what it says of each version's nodes, and of their failures.

use crate::world::{Etcd, SOON, World, peers, toolkits};
use micro_test::process::Program;
use serde_json::{Value, json};
use tokio::process::Command;

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn nodes_of_every_version_are_told_apart() {
    let (world, etcd) = (World::new(), Etcd::start().await);
    let mut servers = Vec::new();
    for version in ["v1", "v2", "v4"] {
        let mut server = Command::new(peers().join(version));
        server.args(["--registry", &etcd.address, "--name", &format!("go.micro.srv.{version}"), "server"]);
        servers.push(Program::start(server));
    }
    let mut stock = Command::new(toolkits().join("stock2"));
    stock.args(["serve", "go.micro.srv.stock"]).env("MICRO_BROKER_ADDRESS", "127.0.0.1:0");
    stock.env("MICRO_REGISTRY", "etcd").env("MICRO_REGISTRY_ADDRESS", &etcd.address);
    servers.push(Program::start(stock));
    for server in &servers {
        server.line("ready", SOON).await;
    }
    let explain = async |arguments: &[&str]| -> Value {
        let flags = ["--registry=etcd", &etcd.flag(), "--output=json", "explain"];
        let output = world.run("micro", &[&flags[..], arguments].concat()).await;
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    };
    let step = |explanation: &Value, name: &str| {
        let steps = explanation["steps"].as_array().expect("a list");
        steps.iter().find(|step| step["step"] == name).unwrap_or(&Value::Null).clone()
    };
    for (name, protocol, path) in [
        ("go.micro.srv.v1", "mucp", Value::Null),
        ("go.micro.srv.v2", "mucp", Value::Null),
        ("go.micro.srv.v4", "mucp", Value::Null),
        ("go.micro.srv.stock", "grpc+json", json!("/go.micro.srv.stock.Say/Hello")),
    ] {
        let called = explain(&[name, "Say.Hello", r#"{"name":"Go"}"#]).await;
        assert_eq!(called["answer"], json!({ "msg": "Hello Go" }), "{name}: {called}");
        let because = step(&called, "candidates")["nodes"][0]["because"].clone();
        let because = because.as_str().unwrap_or_default();
        assert!(because.contains("its record says protocol="), "{name}: {because}");
        let request = step(&called, "request");
        assert_eq!((&request["protocol"], &request["path"]), (&json!(protocol), &path), "{name}");
        assert_eq!(called["plugin"]["name"], "etcd-registry", "{name}");

        let refused = explain(&[name, "Say.Fail", r#"{"name":"Go"}"#]).await;
        assert_eq!(
            (&refused["failed"], &refused["error"]["code"]),
            (&json!("decode"), &json!(409)),
            "{name}: {refused}"
        );
        let warned = refused["notes"].to_string().contains("never see this error");
        assert_eq!(warned, protocol == "mucp", "{name}: {refused}");
    }
}
