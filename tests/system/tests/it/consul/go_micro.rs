//! Both directions against Go Micro programs, through consul.

use crate::server::{Kind, Server, http};
use crate::world::{SOON, World, peers};
use micro_test::eventually;
use micro_test::process::{Program, Signal};
use serde_json::{Value, json};
use std::path::Path;
use tokio::process::Command;

/// mucp and consul are in all of these.
const VERSIONS: [&str; 3] = ["v1", "v2", "v4"];
const GREETER: &str = "go.micro.srv.greeter";
const HEARTBEAT: [&str; 2] = ["--register_interval=1", "--register_ttl=4"];

/// A peer of one version, and its consul.
struct Go<'a> {
    program: &'a Path,
    registry: String,
}

impl Go<'_> {
    async fn output(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(self.program);
        command.args(["--registry", &self.registry]).args(arguments);
        let output = tokio::time::timeout(SOON, command.output()).await;
        output.unwrap_or_else(|_| panic!("{:?} {arguments:?} hangs", self.program)).expect("it runs")
    }

    async fn says(&self, arguments: &[&str]) -> Value {
        let output = self.output(arguments).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?} {arguments:?}: {errors}", self.program);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn start(&self, arguments: &[&str]) -> Program {
        let mut command = Command::new(self.program);
        command.args(["--registry", &self.registry]).args(arguments);
        Program::start(command)
    }

    /// Nodes that it sees under a name, of all versions.
    async fn nodes(&self, name: &str) -> Vec<Value> {
        let found = self.says(&["get", name]).await;
        let services = found.as_array().cloned().unwrap_or_default();
        services.iter().filter_map(|service| service["nodes"].as_array().cloned()).flatten().collect()
    }
}

fn go<'a>(program: &'a Path, server: &Server) -> Go<'a> {
    Go { program, registry: format!("consul:{}", server.address) }
}

async fn maintenance(server: &Server, id: &str, on: bool) {
    let path = format!("/v1/agent/service/maintenance/{id}?enable={on}");
    let (status, text) = http(&server.address, "PUT", &path, "", &Value::Null).await;
    assert_eq!(status, 200, "{text}");
}

#[tokio::test]
#[ignore = "needs consul and Go Micro"]
async fn go_finds_our_record_and_calls_us_with_json_and_protobuf() {
    let (peers, server) = (peers(), Server::start(Kind::Consul).await);
    let world = World::new();
    let own = server.flags();
    let _greeter = world.greeter(&[&own[0], &own[1], "--server_version=1.2.3"]).await;
    for version in VERSIONS {
        let program = peers.join(version);
        let go = go(&program, &server);
        let listed = go.says(&["list"]).await;
        assert!(
            listed.as_array().is_some_and(|names| names.contains(&json!(GREETER))),
            "{version}: {listed}"
        );
        let found = go.says(&["get", GREETER]).await;
        let record = &found[0];
        assert_eq!(
            (&record["name"], &record["version"]),
            (&json!(GREETER), &json!("1.2.3")),
            "{version}: {found}"
        );
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
            let call = ["--content-type", content_type, "call", GREETER, "Say.Hello", r#"{"name":"Go"}"#];
            assert_eq!(go.says(&call).await, json!({ "msg": "Hello Go" }), "{version} {content_type}");
        }
    }
}

#[tokio::test]
#[ignore = "needs consul and Go Micro"]
async fn go_sees_ours_come_go_die_and_be_taken_out() {
    let (peers, server) = (peers(), Server::start(Kind::Consul).await);
    let world = World::new();
    let own = server.flags();
    let flags = [&own[0], &own[1], HEARTBEAT[0], HEARTBEAT[1]];
    let programs = VERSIONS.map(|version| peers.join(version));
    let all: Vec<Go<'_>> = programs.iter().map(|program| go(program, &server)).collect();
    // Their watch begins with what is there; this one makes it known that it has begun.
    let before = world.greeter(&flags).await;
    // v4's plugin asks consul for one service and takes the answer for a list of all, so that its watch tells nothing.
    let watching = all.iter().filter(|go| !go.program.ends_with("v4"));
    let watches: Vec<Program> = watching.map(|go| go.start(&["watch", GREETER])).collect();
    for watch in &watches {
        watch.line(r#""action":"create""#, SOON).await;
    }
    let mut greeter = world.greeter(&[&flags[..], &["--server_version=later"]].concat()).await;
    for watch in &watches {
        watch.line(r#""version":"later""#, SOON).await;
    }
    greeter.signal(Signal::TERM);
    assert!(greeter.exit(SOON).await.success());
    for watch in &watches {
        watch.line(r#""action":"delete""#, SOON).await;
    }
    drop(watches);

    let id = all[0].nodes(GREETER).await[0]["id"].as_str().expect("a text").to_owned();
    maintenance(&server, &id, true).await;
    for go in &all {
        eventually("taken out", SOON, async || go.nodes(GREETER).await.is_empty()).await;
        let refused = go.output(&["call", GREETER, "Say.Hello", "{}"]).await;
        assert!(!refused.status.success(), "{:?} called it", go.program);
    }
    maintenance(&server, &id, false).await;
    for go in &all {
        eventually("back", SOON, async || go.nodes(GREETER).await.len() == 1).await;
    }
    // Dropping kills it.
    drop(before);
    for go in &all {
        eventually("expired", SOON, async || go.nodes(GREETER).await.is_empty()).await;
    }
}

#[tokio::test]
#[ignore = "needs consul and Go Micro"]
async fn we_list_describe_and_call_go_services_until_they_go_or_die() {
    let (peers, server) = (peers(), Server::start(Kind::Consul).await);
    let own = server.flags();
    for version in VERSIONS {
        let world = World::new();
        let micro = async |arguments: &[&str]| {
            world.succeed("micro", &[&[own[0].as_str(), own[1].as_str()], arguments].concat()).await
        };
        let program = peers.join(version);
        let go = go(&program, &server);
        let name = format!("go.micro.srv.go{version}");
        let serve = ["--name", &name, "server"];
        let mut service = go.start(&serve);
        service.line("ready", SOON).await;

        assert!(micro(&["list", "services"]).await.lines().any(|line| line == name), "{version}");
        let described = micro(&["get", "service", &name]).await;
        assert!(described.contains("Endpoint: Say.Hello"), "{version}: {described}");
        let call = ["call", &name, "Say.Hello", r#"{"name":"Rust"}"#];
        let answer: Value = serde_json::from_str(&micro(&call).await).expect("JSON");
        assert_eq!(answer, json!({ "msg": "Hello Rust" }), "{version}");
        let gateway = world.gateway(&[&own[0], &own[1], "--api_namespace=go.micro.srv"]).await;
        let ask = async |method: &str| {
            let path = format!("/go{version}/say/{method}");
            gateway.ask("POST", &path, "application/json", r#"{"name":"HTTP"}"#).await.expect("an answer")
        };
        let is = async |what: &str, status: u16| {
            eventually(what, SOON, async || ask("hello").await.0.as_u16() == status).await;
        };
        is("it answers", 200).await;
        assert_eq!(ask("fail").await.0.as_u16(), 409, "{version}");

        // Taken out, and back.
        let id = go.nodes(&name).await[0]["id"].as_str().expect("a text").to_owned();
        maintenance(&server, &id, true).await;
        eventually("not called", SOON, async || ask("hello").await.0.as_u16() != 200).await;
        let refused = world.fail("micro", &[&[own[0].as_str(), own[1].as_str()][..], &call].concat()).await;
        assert!(refused.contains("critical"), "{version}: {refused}");
        maintenance(&server, &id, false).await;
        is("it answers again", 200).await;

        // Gone with a word, and without.
        service.signal(Signal::TERM);
        service.exit(SOON).await;
        is("it is gone", 404).await;
        let mut service = go.start(&serve);
        service.line("ready", SOON).await;
        is("another one answers", 200).await;
        service.signal(Signal::KILL);
        service.exit(SOON).await;
        is("it has died", 404).await;
    }
}

#[tokio::test]
#[ignore = "needs consul and Go Micro"]
async fn the_oldest_go_and_we_find_and_understand_each_other() {
    let (peers, server) = (peers(), Server::start(Kind::Consul).await);
    let (world, own) = (World::new(), server.flags());
    let flags = [own[0].as_str(), own[1].as_str()];
    let program = peers.join("v0");
    let go = go(&program, &server);
    let watch = go.start(&["watch", GREETER]);
    let mut service = go.start(&["--name", "go.micro.srv.oldest", "server"]);
    service.line("ready", SOON).await;
    // No node of that time names a protocol: callers take it for what it is.
    let call = ["call", "go.micro.srv.oldest", "Say.Hello", r#"{"name":"Rust"}"#];
    let answer = world.succeed("micro", &[&flags[..], &call].concat()).await;
    assert_eq!(serde_json::from_str::<Value>(&answer).expect("JSON"), json!({ "msg": "Hello Rust" }));
    service.signal(Signal::TERM);
    service.exit(SOON).await;
    let error = world.fail("micro", &[&flags[..], &call].concat()).await;
    assert!(error.contains("not found"), "{error}");

    let mut greeter = world.greeter(&flags).await;
    let found = go.says(&["get", GREETER]).await;
    assert_eq!(found[0]["endpoints"][0]["name"], "Say.Hello", "{found}");
    for content_type in ["application/json", "application/protobuf"] {
        let call = ["--content-type", content_type, "call", GREETER, "Say.Hello", r#"{"name":"Go"}"#];
        assert_eq!(go.says(&call).await, json!({ "msg": "Hello Go" }), "{content_type}");
    }
    watch.line(r#""action":"create""#, SOON).await;
    greeter.signal(Signal::TERM);
    greeter.exit(SOON).await;
    watch.line(r#""action":"delete""#, SOON).await;
}
