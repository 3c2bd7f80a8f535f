//! Events between our programs and Go Micro of every layout, with the http broker and consul.
//!
//! Go's publishers are paced: at full speed they lose what does not fit into a backlog of 64.

mod private;

use crate::server::{Kind, Server, http};
use crate::world::{SOON, World, broker_peers};
use micro_test::eventually;
use micro_test::process::{Program, Signal};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Output, Stdio};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// One of each layout, and two of the current one.
const VERSIONS: [&str; 4] = ["v0", "v1", "v2", "v4"];

/// Events of each publisher.
const EVENTS: usize = 20;

/// A topic, its publishers and its subscribers.
struct Topic<'a> {
    world: &'a World,
    server: &'a Server,
    name: String,
}

/// Who subscribes.
#[derive(Clone, Copy)]
enum Who {
    /// `micro subscribe`, which has a port of its own.
    Micro,
    /// A service of ours, which takes events at its RPC port.
    Service,
    /// Go Micro of this version.
    Go(&'static str),
}

impl Topic<'_> {
    fn peer(&self, version: &str) -> Command {
        let mut command = Command::new(broker_peers().join(version));
        command.args(["--registry", &format!("consul:{}", self.server.address)]);
        command
    }

    /// Starts a subscriber and waits until publishers can find it.
    async fn subscribe(&self, who: Who, queue: &str) -> Program {
        let [registry, address] = self.server.flags();
        let queue = format!("--queue={queue}");
        let program = match who {
            Who::Micro => {
                let own = ["--broker_address=127.0.0.1:0", "subscribe", &self.name, &queue];
                self.world.start("micro", &[&[&*registry, &*address][..], &own].concat())
            }
            Who::Service => {
                let topic = format!("--topic={}", self.name);
                let own = ["--server_address=127.0.0.1:0", "--drain_delay=0s", &topic, &queue];
                self.world.start("greeter-sub", &[&[&*registry, &*address][..], &own].concat())
            }
            Who::Go(version) => {
                let mut command = self.peer(version);
                command.args([&queue, "subscribe", &self.name]);
                Program::start(command)
            }
        };
        let word = match who {
            Who::Micro => "subscribed to",
            Who::Service => "subscribed",
            Who::Go(_) => "ready",
        };
        program.line(word, SOON).await;
        program
    }

    /// The nodes that stand under the service names of all layouts, as consul has them.
    async fn nodes(&self) -> Vec<Value> {
        let names = [
            "micro.http.broker".to_owned(),
            "go.micro.http.broker".to_owned(),
            format!("topic:{}", self.name),
        ];
        let mut nodes = Vec::new();
        for name in &names {
            let path = format!("/v1/health/service/{name}?passing=1");
            let (_, text) = http(&self.server.address, "GET", &path, "", &Value::Null).await;
            let entries: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
            // Ids have the topic in them, or the service's name has.
            let of_topic = |node: &Value| {
                let id = node["ID"].as_str().unwrap_or_default();
                name.starts_with("topic:") || id.starts_with(&format!("{}-", self.name))
            };
            nodes.extend(entries.into_iter().map(|mut entry| entry["Service"].take()).filter(of_topic));
        }
        nodes
    }

    /// Waits until this many nodes stand under the service names of all layouts together.
    async fn registered(&self, nodes: usize) {
        let all = async || self.nodes().await.len() == nodes;
        eventually("the subscribers are in the catalog", SOON, all).await;
    }

    /// Publishes `{"name": "PREFIX0"}` and so on.
    async fn publish(&self, who: Who, prefix: &str, content_type: &str) {
        let Who::Go(version) = who else { return self.publish_ours(prefix).await };
        let count = EVENTS.to_string();
        let mut command = self.peer(version);
        command.args([
            "--count",
            &count,
            "--prefix",
            prefix,
            "--content-type",
            content_type,
            "--header",
            "Colour=red",
        ]);
        let output = tokio::time::timeout(SOON, command.args(["publish", &self.name]).output()).await;
        let output = output.expect("in time").expect("it runs");
        assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&output.stderr));
    }

    async fn publish_ours(&self, prefix: &str) {
        let [registry, address] = self.server.flags();
        let lines: String =
            (0..EVENTS).map(|number| format!("{{\"name\":\"{prefix}{number}\"}}\n")).collect();
        let flags = [&*registry, &*address, "publish", "--lines", "--header=Colour=red", &self.name];
        let output = with_input(self.world.command("micro", &flags), &lines).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{errors}");
    }
}

async fn with_input(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).await.expect("it reads");
    drop(stdin);
    tokio::time::timeout(SOON, child.wait_with_output()).await.expect("in time").expect("it ran")
}

/// The names in what a subscriber printed, in whatever form its kind prints them.
fn names(program: &Program) -> Vec<String> {
    let name = |line: &String| {
        if let Some(rest) = line.strip_prefix("event ") {
            return rest.split(' ').next().map(str::to_owned);
        }
        let event: Value = serde_json::from_str(line).ok()?;
        event["name"].as_str().map(str::to_owned)
    };
    program.lines().iter().filter_map(name).collect()
}

/// All names of these publishers.
fn all(prefixes: &[&str]) -> BTreeSet<String> {
    prefixes.iter().flat_map(|prefix| (0..EVENTS).map(move |number| format!("{prefix}{number}"))).collect()
}

/// Waits until the subscribers have these events between them, and sees that none came twice.
async fn got(what: &str, subscribers: &[Program], expected: &BTreeSet<String>) {
    let all = || subscribers.iter().flat_map(names).collect::<Vec<_>>();
    let arrived = micro_test::wait_until(SOON, async || (all().len() >= expected.len()).then_some(())).await;
    let names = all();
    let distinct: BTreeSet<String> = names.iter().cloned().collect();
    let missing: Vec<_> = expected.difference(&distinct).collect();
    assert!(arrived.is_some() && missing.is_empty(), "{what}: without {missing:?}");
    assert_eq!((names.len(), &distinct), (expected.len(), expected), "{what}: {names:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs consul and Go Micro"]
async fn every_version_and_we_exchange_events_exactly_once() {
    let server = Server::start(Kind::Consul).await;
    let world = World::new();
    for version in VERSIONS {
        let topic = Topic { world: &world, server: &server, name: format!("topic-{version}") };
        // Two of each without a queue, and a queue with one of each.
        let kinds = [Who::Micro, Who::Service, Who::Go(version)];
        let mut each = Vec::new();
        for who in kinds.into_iter().chain(kinds) {
            each.push(topic.subscribe(who, "").await);
        }
        let mut shared = Vec::new();
        for who in kinds {
            shared.push(topic.subscribe(who, "workers").await);
        }
        // Ours stand under three names.
        topic.registered(6 * 3 + 3).await;
        topic.publish(Who::Go(version), "go", "application/json").await;
        topic.publish(Who::Micro, "ours", "application/json").await;
        let expected = all(&["go", "ours"]);
        for subscriber in each {
            let one = [subscriber];
            got(&format!("{version}: one without a queue"), &one, &expected).await;
        }
        got(&format!("{version}: a queue"), &shared, &expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs consul and Go Micro"]
async fn metadata_and_protobuf_travel_both_ways() {
    let server = Server::start(Kind::Consul).await;
    let world = World::new();
    for (version, protobuf) in [
        ("v0", "application/octet-stream"),
        ("v1", "application/protobuf"),
        ("v2", "application/protobuf"),
        ("v4", "application/protobuf"),
    ] {
        let topic = Topic { world: &world, server: &server, name: format!("bytes-{version}") };
        let service = [topic.subscribe(Who::Service, "").await];
        let go = topic.subscribe(Who::Go(version), "").await;
        topic.registered(4).await;
        topic.publish(Who::Go(version), "go", protobuf).await;
        got(version, &service, &all(&["go"])).await;
        topic.publish(Who::Micro, "ours", "application/json").await;
        // What they see of ours: our metadata and, from 1.0 on, the topic.
        let line = go.line("event ours0", SOON).await;
        assert!(line.contains("colour=red") && line.contains("micro-from-service=go.micro.cli"), "{line}");
        assert!(line.contains(&format!("micro-topic={}", topic.name)), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_publishes_and_subscribes() {
    let world = World::new();
    let alone = world.run("micro", &["publish", "orders", r#"{"id":1}"#]).await;
    assert!(alone.status.success() && alone.stdout == b"ok\n");
    let remark = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(remark.contains("nobody subscribes to orders"), "{remark}");
    let json = world.succeed("micro", &["--output=json", "publish", "orders", "{}"]).await;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json, json!({ "topic": "orders", "events": 1, "delivered": 0, "refused": 0, "missed": 0 }));

    let own = "--broker_address=127.0.0.1:0";
    let mut lines = world.start("micro", &[own, "subscribe", "orders", "--count=2"]);
    let mut objects = world.start("micro", &[own, "--output=json", "subscribe", "orders", "--queue=q"]);
    for program in [&lines, &objects] {
        program.line("subscribed to orders", SOON).await;
    }
    let publish =
        ["--output=json", "publish", "orders", "--header=Colour=red", r#"{"id": 12345678901234567890}"#];
    let json: Value = serde_json::from_str(&world.succeed("micro", &publish).await).expect("JSON");
    assert_eq!(json["delivered"], 2);
    world.succeed("micro", &["publish", "orders", "--content_type=text/plain", "hello", "there"]).await;
    lines.line("hello there", SOON).await;
    assert_eq!(lines.exit(SOON).await.code(), Some(0), "{lines}");
    assert_eq!(lines.lines()[1..], [r#"{"id": 12345678901234567890}"#, "hello there"]);
    let event: Value = serde_json::from_str(&objects.line("Colour", SOON).await).expect("JSON");
    assert_eq!((&event["topic"], &event["header"]["Colour"]), (&json!("orders"), &json!("red")));
    assert_eq!(event["header"]["Micro-Topic"], "orders");
    objects.line(r#""text":"hello there""#, SOON).await;
    objects.signal(Signal::TERM);
    assert_eq!(objects.exit(SOON).await.code(), Some(0), "{objects}");
    let listed = world.succeed("micro", &["list", "services"]).await;
    assert!(!listed.contains("broker") && !listed.contains("topic:"), "{listed}");

    for (arguments, says) in [
        (&["publish", "orders"][..], "require topic and message"),
        (&["publish", "orders", "{id: 1}"], "MICRO-0004"),
        (&["subscribe"], "require topic"),
        (&["--broker=nats", "publish", "orders", "{}"], "MICRO-0807"),
        (&["--broker=./nats.wasm", "subscribe", "orders"], "MICRO-0807"),
        (&["publish", "", "{}"], "MICRO-0803"),
    ] {
        let complaint = world.fail("micro", arguments).await;
        assert!(complaint.contains(says), "{arguments:?}: {complaint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_has_taken_is_handled_before_it_ends() {
    let world = World::new();
    let mut subscribers = Vec::new();
    for _ in 0..2 {
        let flags = ["--server_address=127.0.0.1:0", "--topic=orders", "--queue=q", "--drain_delay=2s"];
        let program = world.start("greeter-sub", &flags);
        program.line("subscribed", SOON).await;
        subscribers.push(program);
    }
    let lines: String = (0..2000).map(|number| format!("{{\"name\":\"n{number}\"}}\n")).collect();
    let publishing = with_input(world.command("micro", &["publish", "--lines", "orders"]), &lines);
    let stopping = async {
        // In the middle of it.
        subscribers[0].line("event", SOON).await;
        subscribers[0].signal(Signal::TERM);
    };
    let (published, ()) = tokio::join!(publishing, stopping);
    let errors = String::from_utf8_lossy(&published.stderr);
    assert!(published.status.success() && errors.is_empty(), "{errors}");
    assert_eq!(subscribers[0].exit(SOON).await.code(), Some(0), "{}", subscribers[0]);
    let expected: BTreeSet<String> = (0..2000).map(|number| format!("n{number}")).collect();
    got("both together", &subscribers, &expected).await;
}

/// Prints how many events arrive per second, with Go Micro v4 on both sides and with ours: `--nocapture` shows it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs consul and Go Micro"]
async fn how_fast_events_arrive() {
    const OURS: usize = 100_000;
    let server = Server::start(Kind::Consul).await;
    let world = World::new();
    let [registry, address] = server.flags();
    let topic = |name: &str| Topic { world: &world, server: &server, name: name.to_owned() };

    let theirs = topic("rate-go");
    let mut subscriber = theirs.peer("v4");
    subscriber.args(["--quiet", "subscribe", &theirs.name]);
    let mut subscriber = Program::start(subscriber);
    subscriber.line("ready", SOON).await;
    theirs.registered(1).await;
    let mut flood = theirs.peer("v4");
    let flood = flood.args(["--time", "3s", "flood", &theirs.name]).output();
    let flood = tokio::time::timeout(SOON, flood).await.expect("in time").expect("it runs");
    assert!(flood.status.success(), "{}", String::from_utf8_lossy(&flood.stderr));
    subscriber.signal(Signal::TERM);
    let line = subscriber.line("got ", SOON).await;
    let go: usize = line.rsplit(' ').next().and_then(|count| count.parse().ok()).expect("a number");
    assert!(subscriber.exit(SOON).await.success());

    let ours = topic("rate-ours");
    let count = format!("--count={OURS}");
    let flags = ["--broker_address=127.0.0.1:0", "subscribe", &count, &ours.name];
    let mut subscriber = world.command("micro", &[&[&*registry, &*address][..], &flags].concat());
    let mut subscriber = subscriber.stdout(Stdio::null()).kill_on_drop(true).spawn().expect("it starts");
    ours.registered(3).await;
    let lines = "{\"name\":\"flood\"}\n".repeat(OURS);
    let start = std::time::Instant::now();
    let publish = world.command("micro", &[&*registry, &*address, "publish", "--lines", &ours.name]);
    let published = with_input(publish, &lines).await;
    assert!(published.status.success(), "{}", String::from_utf8_lossy(&published.stderr));
    let ended = tokio::time::timeout(SOON, subscriber.wait()).await.expect("in time").expect("it ran");
    assert!(ended.success());
    let seconds = start.elapsed().as_secs_f64();
    let (go, ours) = (go as f64 / 3.0, OURS as f64 / seconds);
    // Not by a macro: those of a test that passes are not shown.
    let line =
        format!("events/s: {ours:.0} of ours, {go:.0} of Go Micro v4, {:.1} times as many\n", ours / go);
    std::io::stderr().write_all(line.as_bytes()).expect("a place for messages");
}
