//! Both directions against Go Micro programs, through etcd.

use crate::world::{Etcd, SOON, World, peers};
use micro_test::process::Program;
use serde_json::{Value, json};
use std::path::Path;
use tokio::process::Command;

/// mucp and etcd are in all of these.
const VERSIONS: [&str; 3] = ["v1", "v2", "v4"];

async fn go(program: &Path, arguments: &[&str]) -> String {
    let output = tokio::time::timeout(SOON, Command::new(program).args(arguments).output()).await;
    let output = output.unwrap_or_else(|_| panic!("{program:?} {arguments:?} hangs")).expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program:?} {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn go_finds_our_record_and_calls_us_with_json_and_protobuf() {
    let (peers, etcd) = (peers(), Etcd::start().await);
    let world = World::new();
    let _greeter = world.greeter(&["--registry=etcd", &etcd.flag(), "--server_version=1.2.3"]).await;
    let service = "go.micro.srv.greeter";
    for version in VERSIONS {
        let peer = peers.join(version);
        let found = parsed(&go(&peer, &["--registry", &etcd.address, "get", service]).await);
        let record = &found[0];
        assert_eq!(record["name"], service, "{version}: {found}");
        assert_eq!(record["version"], "1.2.3", "{version}");
        assert_eq!(record["nodes"][0]["metadata"]["protocol"], "mucp", "{version}: {found}");
        let endpoint = &record["endpoints"][0];
        assert_eq!(endpoint["name"], "Say.Hello", "{version}: {found}");
        let field = &endpoint["request"]["values"][0];
        assert_eq!(
            (&field["name"], &field["type"]),
            (&json!("name"), &json!("string")),
            "{version}: {found}"
        );
        for content_type in ["application/json", "application/protobuf"] {
            let call = ["--registry", &etcd.address, "--content-type", content_type];
            let answer =
                go(&peer, &[&call[..], &["call", service, "Say.Hello", r#"{"name":"Go"}"#]].concat()).await;
            assert_eq!(parsed(&answer), json!({ "msg": "Hello Go" }), "{version} {content_type}");
        }
    }
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn we_list_describe_and_call_go_services() {
    let (peers, etcd) = (peers(), Etcd::start().await);
    for version in VERSIONS {
        let world = World::new();
        let name = format!("go.micro.srv.go{version}");
        let mut server = Command::new(peers.join(version));
        server.args(["--registry", &etcd.address, "--name", &name, "server"]);
        let server = Program::start(server);
        server.line("ready", SOON).await;
        let flags = ["--registry=etcd".to_owned(), etcd.flag()];
        let micro = async |arguments: &[&str]| {
            world.succeed("micro", &[&[flags[0].as_str(), flags[1].as_str()], arguments].concat()).await
        };

        assert!(micro(&["list", "services"]).await.lines().any(|line| line == name), "{version}");
        let described = micro(&["get", "service", &name]).await;
        assert!(described.contains("Endpoint: Say.Hello"), "{version}: {described}");
        let answer = micro(&["call", &name, "Say.Hello", r#"{"name":"Rust"}"#]).await;
        assert_eq!(parsed(&answer), json!({ "msg": "Hello Rust" }), "{version}");

        let gateway = world.gateway(&[&flags[0], &flags[1], "--api_namespace=go.micro.srv"]).await;
        let path = format!("/go{version}/say/hello");
        let answer =
            gateway.ask("POST", &path, "application/json", r#"{"name":"HTTP"}"#).await.expect("an answer");
        assert_eq!(parsed(&answer.1), json!({ "msg": "Hello HTTP" }), "{version}");
        let refused =
            gateway.ask("POST", &path.replace("hello", "fail"), "application/json", r#"{"name":"x"}"#).await;
        let refused = refused.expect("an answer");
        assert_eq!(refused.0.as_u16(), 409, "{version}: {refused:?}");
    }
}
