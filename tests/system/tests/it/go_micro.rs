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

/// A record that names no protocol, so that callers use envelopes.
fn nameless(name: &str, address: &str) -> String {
    let node = json!({ "id": format!("{name}-1"), "address": address });
    json!({ "name": name, "version": "1", "nodes": [node] }).to_string()
}

/// The address that a server says when it is ready.
async fn ready(server: &Program) -> String {
    let line = server.line("ready ", SOON).await;
    line.rsplit(' ').next().expect("words").to_owned()
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn newer_go_and_we_use_envelopes_where_the_record_names_no_protocol() {
    let (peers, etcd) = (peers(), Etcd::start().await);
    let world = World::new();
    let registry = ["--registry=etcd", &etcd.flag()];
    let micro = async |arguments: &[&str]| world.succeed("micro", &[&registry[..], arguments].concat()).await;
    // Ours, under a second name.
    let greeter = world.start("greeter-srv", &["--server_address=127.0.0.1:0", "--drain_delay=0s"]);
    let line = greeter.line("registered", SOON).await;
    let address = line.split_whitespace().find_map(|word| word.strip_prefix("address=")).expect("logged");
    micro(&["register", "service", &nameless("plain", address.trim_matches('"'))]).await;
    for version in VERSIONS {
        let peer = peers.join(version);
        for content_type in ["application/json", "application/protobuf"] {
            let call = ["--registry", &etcd.address, "--content-type", content_type];
            let call = [&call[..], &["call", "plain", "Say.Hello", r#"{"name":"Go"}"#]].concat();
            assert_eq!(
                parsed(&go(&peer, &call).await),
                json!({ "msg": "Hello Go" }),
                "{version} {content_type}"
            );
        }
        let call = ["--registry", &etcd.address, "call", "plain", "Say.Nope", "{}"];
        let output = Command::new(&peer).args(call).output().await.expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains("can't find method Nope"), "{version}: {errors}");

        let mut server = Command::new(&peer);
        server.args(["--registry", &etcd.address, "--name", "with-protocol", "server"]);
        let server = Program::start(server);
        let name = format!("plain{version}");
        let record = nameless(&format!("go.micro.srv.{name}"), &ready(&server).await);
        micro(&["register", "service", &record]).await;
        check_envelopes(&world, &registry, &name).await;
    }
}

#[tokio::test]
#[ignore = "needs Go Micro"]
async fn the_oldest_go_and_we_understand_each_other() {
    let (peer, world) = (peers().join("v0"), World::new());
    let server = Program::start({
        let mut server = Command::new(&peer);
        server.arg("server");
        server
    });
    let address = ready(&server).await;
    world.succeed("micro", &["register", "service", &nameless("go.micro.srv.oldest", &address)]).await;
    check_envelopes(&world, &[], "oldest").await;
    assert!(world.succeed("micro", &["health", "go.micro.srv.oldest"]).await.contains("\t\tok"));
    // By address it counts as a newer one, and says that it does not understand.
    let direct = format!("--address={address}");
    let refused = world.succeed("micro", &["call", &direct, "oldest", "Say.Hello", r#"{"name":"x"}"#]).await;
    assert!(refused.contains("ill-formed"), "{refused}");

    let greeter = world.start("greeter-srv", &["--server_address=127.0.0.1:0", "--drain_delay=0s"]);
    let line = greeter.line("registered", SOON).await;
    let address = line.split_whitespace().find_map(|word| word.strip_prefix("address=")).expect("logged");
    let address = address.trim_matches('"');
    for content_type in [
        "application/json",
        "application/json-rpc",
        "application/protobuf",
        "application/proto-rpc",
        "application/octet-stream",
    ] {
        let json = ["--address", address, "--content-type", content_type];
        // Of JSON the peer knows only this spelling; the other content types need its greeter's types.
        for name in ["Go", "Jörg \\\"😀\\\"\\n"] {
            let request = format!(r#"{{"name":"{name}"}}"#);
            let call = [&json[..], &["call", "any", "Say.Hello", &request]].concat();
            let expected = format!("Hello {}", parsed(&request)["name"].as_str().expect("a text"));
            assert_eq!(parsed(&go(&peer, &call).await), json!({ "msg": expected }), "{content_type}");
        }
        let call = [&json[..], &["call", "any", "Say.Nope", "{}"]].concat();
        let output = Command::new(&peer).args(call).output().await.expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && errors.contains("can't find method Nope"),
            "{content_type}: {errors}"
        );
    }
}

/// Calls the Go greeter `go.micro.srv.NAME`, which is registered without a protocol, in JSON and protobuf, and sees its
/// answers and its errors.
async fn check_envelopes(world: &World, registry: &[&str], name: &str) {
    let service = format!("go.micro.srv.{name}");
    let call = [registry, &["call", &service, "Say.Hello", r#"{"name":"Jörg \"😀\""}"#]].concat();
    let answer = world.succeed("micro", &call).await;
    assert_eq!(parsed(&answer), json!({ "msg": "Hello Jörg \"😀\"" }), "{name}");
    let call =
        [registry, &["call", "--metadata=Greeting=Hi", &service, "Say.Hello", r#"{"name":"x"}"#]].concat();
    assert_eq!(parsed(&world.succeed("micro", &call).await), json!({ "msg": "Hi x" }), "{name}");
    let call = [registry, &["call", &service, "Say.Fail", r#"{"name":"x"}"#]].concat();
    let refused = world.fail("micro", &call).await;
    assert!(refused.contains("409") && refused.contains("no x"), "{name}: {refused}");

    // `greeter.Request{name: "Go"}` and its answer.
    let gateway = world.gateway(&[registry, &["--api_namespace=go.micro.srv"]].concat()).await;
    let path = format!("/{name}/say/hello");
    let (status, body) =
        gateway.ask("POST", &path, "application/protobuf", "\n\x02Go").await.expect("an answer");
    assert_eq!((status.as_u16(), &*body), (200, "\n\x08Hello Go"), "{name}");
    let (status, body) =
        gateway.ask("POST", &path, "application/json", r#"{"name":"Go"}"#).await.expect("an answer");
    assert_eq!((status.as_u16(), parsed(&body)), (200, json!({ "msg": "Hello Go" })), "{name}");
    let refused = gateway.ask("POST", &format!("/{name}/say/fail"), "application/json", "{}").await;
    assert_eq!(refused.expect("an answer").0.as_u16(), 409, "{name}");
}
