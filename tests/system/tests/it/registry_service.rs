//! `micro registry` over etcd, and Go Micro programs that nobody has adapted to it: their registry is a variable.
//!
//! A program of v1.18 can look things up through it and watch, but not register: its own client of the service ends the
//! process with a nil pointer, whoever answers.

use crate::world::{Etcd, SOON, World, plugin, toolkits};
use micro_test::eventually;
use micro_test::process::{Program, Signal};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// The stock programs renew their registrations every 2 s.
const TTL: Duration = Duration::from_secs(6);

/// A running `micro registry`, and what stands around it.
struct Lab {
    world: World,
    etcd: Etcd,
    registry: Program,
    address: String,
}

impl Lab {
    async fn new(address: &str) -> Self {
        let (world, etcd) = (World::new(), Etcd::start().await);
        let address = format!("--address={address}");
        let registry = world
            .start("micro", &["--registry=etcd", &etcd.flag(), "--drain_delay=0s", "registry", &address]);
        let line = registry.line("serving", SOON).await;
        let word = line.split_whitespace().find_map(|word| word.strip_prefix("address="));
        let address = word.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        Self { world, etcd, registry, address }
    }

    /// A stock program with the variables that its makers told people to set.
    fn stock(&self, version: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(toolkits().join(version));
        command.args(arguments).env("MICRO_REGISTRY", "service").env("MICRO_BROKER_ADDRESS", "127.0.0.1:0");
        command.env("MICRO_REGISTRY_ADDRESS", &self.address);
        // The variables' defaults, a minute and half of it, would win over what the program says.
        command.env("MICRO_REGISTER_TTL", TTL.as_secs().to_string()).env("MICRO_REGISTER_INTERVAL", "2");
        command
    }

    /// What a stock program prints that has to succeed.
    async fn ask(&self, version: &str, arguments: &[&str]) -> Value {
        let output = tokio::time::timeout(SOON, self.stock(version, arguments).output()).await;
        let output = output.unwrap_or_else(|_| panic!("{version} {arguments:?} hangs")).expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{version} {arguments:?}: {errors}\n{}", self.registry);
        // v2 logs to the same place.
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// A Go service that has registered.
    async fn serve(&self, name: &str) -> Program {
        let program = Program::start(self.stock("stock2", &["serve", name]));
        program.line("ready ", SOON).await;
        program
    }

    async fn micro(&self, arguments: &[&str]) -> std::process::Output {
        self.world.run("micro", &[&["--registry=etcd", &self.etcd.flag()], arguments].concat()).await
    }

    async fn is_registered(&self, name: &str) -> bool {
        self.micro(&["get", "service", name]).await.status.success()
    }

    /// What a stock watcher says of a service's nodes from now on.
    async fn watch(&self, version: &str, name: &str) -> Program {
        let program = Program::start(self.stock(version, &["watch", name]));
        program.line("watching", SOON).await;
        program
    }
}

/// The events that a watcher has printed, with the service's name.
fn events(watcher: &Program) -> Vec<(String, String)> {
    let event = |line: String| {
        let event: Value = serde_json::from_str(&line).ok()?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Some((text(&event["Action"]), text(&event["Service"]["name"])))
    };
    watcher.lines().into_iter().filter_map(event).collect()
}

fn event(action: &str, name: &str) -> (String, String) {
    (action.to_owned(), name.to_owned())
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn a_go_program_registers_is_called_and_calls_while_the_plugin_is_swapped() {
    let lab = Lab::new("127.0.0.1:0").await;
    let _greeter = lab.world.greeter(&["--registry=etcd", &lab.etcd.flag()]).await;
    let name = "go.micro.srv.stock";
    let watcher = lab.watch("stock2", name).await;
    let mut server = lab.serve(name).await;

    assert_eq!(lab.ask("stock2", &["get", "go.micro.srv.nobody"]).await, json!([]));
    let names = lab.ask("stock2", &["list"]).await;
    for known in [name, "go.micro.srv.greeter", "go.micro.registry"] {
        assert!(names.as_array().is_some_and(|names| names.contains(&json!(known))), "{known}: {names}");
    }
    let records = lab.ask("stock2", &["get", name]).await;
    let endpoints = records[0]["endpoints"].as_array().expect("a list");
    assert!(
        endpoints.iter().any(|it| it["name"] == "Say.Hello" && it["request"]["values"] != json!([])),
        "{records}"
    );
    assert_eq!(records[0]["nodes"][0]["metadata"]["registry"], "service", "{records}");
    let greeting =
        lab.ask("stock2", &["call", "go.micro.srv.greeter", "Say.Hello", r#"{"name":"Go"}"#]).await;
    assert_eq!(greeting, json!({ "msg": "Hello Go" }));
    eventually("the watcher hears of the server", SOON, async || {
        events(&watcher).contains(&event("create", name))
    })
    .await;

    let pid = lab.registry.pid().to_string();
    let files = [plugin("etcd-two"), lab.world.dist().join("plugins/etcd-registry.wasm")];
    let swapped = Instant::now();
    for round in 0.. {
        // At least two swaps each way, and until every registration from before them would have ended.
        if round >= 4 && swapped.elapsed() > TTL + Duration::from_secs(1) {
            break;
        }
        let file = files[round % 2].to_string_lossy().into_owned();
        let swap = lab.micro(&["plugin", "swap", "registry", &file, "--process", &pid]).await;
        assert!(swap.status.success(), "{}", String::from_utf8_lossy(&swap.stderr));
        let answer = lab.micro(&["call", name, "Say.Hello", r#"{"name":"Rust"}"#]).await;
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        assert!(
            text.contains("Hello Rust"),
            "round {round}: {text}{}",
            String::from_utf8_lossy(&answer.stderr)
        );
    }
    let said = events(&watcher);
    assert!(!said.contains(&event("delete", name)), "lost during a swap: {said:?}");

    server.signal(Signal::TERM);
    server.exit(SOON).await;
    assert!(!lab.is_registered(name).await, "it deregisters when it ends");
    eventually("the watcher hears of the end", SOON, async || {
        events(&watcher).contains(&event("delete", name))
    })
    .await;
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn a_go_program_that_dies_is_forgotten_and_namespaces_are_apart() {
    let lab = Lab::new("127.0.0.1:0").await;
    let name = "go.micro.srv.mortal";
    let mut server = lab.serve(name).await;
    assert!(lab.is_registered(name).await);
    server.signal(Signal::KILL);
    server.exit(SOON).await;

    let mut foreign = lab.stock("stock2", &["serve", "go.micro.srv.apart"]);
    foreign.env("MICRO_AUTH_NAMESPACE", "foo");
    let foreign = Program::start(foreign);
    foreign.line("ready ", SOON).await;
    assert_eq!(lab.ask("stock2", &["get", "go.micro.srv.apart"]).await, json!([]));
    let mut inside = lab.stock("stock2", &["get", "go.micro.srv.apart"]);
    let inside = inside.env("MICRO_AUTH_NAMESPACE", "foo").output().await.expect("it runs");
    let inside = String::from_utf8_lossy(&inside.stdout).into_owned();
    assert!(inside.contains("Say.Hello") && !inside.contains("foo/"), "{inside}");
    assert!(lab.is_registered("foo/go.micro.srv.apart").await);

    eventually("its registration ends", SOON, async || !lab.is_registered(name).await).await;
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn a_program_of_the_first_version_finds_calls_and_watches() {
    // It looks at port 8000 of its machine, whatever it is told.
    let lab = Lab::new("127.0.0.1:8000").await;
    let watcher = lab.watch("stock1", "go.micro.srv.greeter").await;
    let mut greeter = lab.world.greeter(&["--registry=etcd", &lab.etcd.flag()]).await;
    let name = "go.micro.srv.greeter";
    let names = lab.ask("stock1", &["list"]).await;
    assert!(names.as_array().is_some_and(|names| names.contains(&json!(name))), "{names}");
    let records = lab.ask("stock1", &["get", name]).await;
    assert_eq!(records[0]["nodes"][0]["metadata"]["protocol"], "mucp", "{records}");
    let greeting = lab.ask("stock1", &["call", name, "Say.Hello", r#"{"name":"Go"}"#]).await;
    assert_eq!(greeting, json!({ "msg": "Hello Go" }));
    let _go = lab.serve("go.micro.srv.stock").await;
    let unknown = lab.stock("stock1", &["get", "go.micro.srv.nobody"]).output().await.expect("it runs");
    let errors = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(errors.contains("service not found") && errors.contains("404"), "{errors}");

    greeter.signal(Signal::TERM);
    greeter.exit(SOON).await;
    eventually("the watcher hears of both", SOON, async || {
        let said = events(&watcher);
        said.contains(&event("create", name)) && said.contains(&event("delete", name))
    })
    .await;
}
