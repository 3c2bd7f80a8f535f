//! Registries whose calls take long, under watch, drain and swap: nothing that they do may hold up the host.

use crate::world::{Connection, SOON, World, plugin};
use micro_test::eventually;
use micro_test::process::{Program, Signal};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::task::JoinSet;

const SWAPS: usize = 6;

/// Every call blocks its instance for 200 ms, and the long poll for as long as it waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_whose_calls_block_is_watched_drained_and_swapped_without_a_stuck_host() {
    let world = World::new();
    let records = world.path().join("records");
    std::fs::create_dir(&records).expect("writable");
    let folder = records.display();
    let flags = [format!("--registry_allow=fs:rw:{folder}"), format!("--registry_opt=folder={folder}")];
    let more = ["--registry_opt=delay=200ms".to_owned()];
    serves(&world, [plugin("blocking-registry"), plugin("blocking-two")], &[&flags[..], &more].concat())
        .await;
    assert_eq!(records.read_dir().expect("readable").count(), 0, "who ends takes his record away");
}

/// Two versions of one plugin serve a gateway and two services, and take turns while requests run.
pub(crate) async fn serves(world: &World, versions: [PathBuf; 2], flags: &[String]) {
    let registry = format!("--registry={}", versions[0].display());
    let mut all = vec![registry.as_str(), "--register_interval=1", "--register_ttl=5"];
    all.extend(flags.iter().map(String::as_str));
    let mut greeter = world.greeter(&all).await;
    let namespace = ["--api_namespace=go.micro.srv"];
    let mut gateway = world.gateway(&[&all[..], &namespace].concat()).await;
    gateway.greets("John").await;

    // Watching goes on beside calls: a node that comes is seen, and so is one that goes without a word.
    let mut other = world.greeter(&all).await;
    eventually("the gateway sees two nodes", SOON, async || nodes(world, &gateway.program).await == 2).await;
    other.signal(Signal::KILL);
    other.exit(SOON).await;
    eventually("the record of a dead node expires", SOON, async || nodes(world, &gateway.program).await == 1)
        .await;

    let stop = Arc::new(AtomicBool::new(false));
    let mut connections = JoinSet::new();
    for _ in 0..8 {
        connections.spawn(greetings(gateway.address.clone(), stop.clone()));
    }
    for round in 0..SWAPS {
        let file = versions[(round + 1) % 2].to_string_lossy().into_owned();
        for program in [&gateway.program, &greeter] {
            let pid = program.pid().to_string();
            let swap = ["plugin", "swap", "registry", &file, "--process", &pid, "--output=json"];
            let answer: Value = serde_json::from_str(&world.succeed("micro", &swap).await).expect("JSON");
            assert_eq!(answer["to"]["generation"], json!(round + 2), "{answer}");
        }
    }
    stop.store(true, Relaxed);
    let calls: u64 = connections.join_all().await.into_iter().sum();
    assert!(calls > 100, "only {calls} calls");
    assert_eq!(nodes(world, &gateway.program).await, 1, "the record outlived the swaps");
    for program in [&gateway.program, &greeter] {
        let plugins = world.admin(program, "/plugins").await;
        let registry = plugins.as_array().expect("a list").iter().find(|it| it["kind"] == json!("registry"));
        let registry = registry.expect("it has one");
        assert_eq!(
            (&registry["restarts"], &registry["state"]["state"]),
            (&json!(0), &json!("ready")),
            "{plugins}"
        );
    }

    for program in [&mut greeter, &mut gateway.program] {
        program.signal(Signal::TERM);
        assert!(program.exit(SOON).await.success(), "{program}");
    }
}

async fn nodes(world: &World, gateway: &Program) -> usize {
    let nodes = world.admin(gateway, "/nodes").await;
    let nodes = nodes.as_array().expect("a list").iter();
    nodes.filter(|node| node["name"].as_str().is_some_and(|it| it.ends_with("greeter"))).count()
}

/// Greets until told to stop; how often.
async fn greetings(address: String, stop: Arc<AtomicBool>) -> u64 {
    let mut connection = Connection::open(&address).await;
    let mut calls = 0;
    while !stop.load(Relaxed) {
        let headers = [("content-type", "application/json")];
        let asked = connection.ask("/greeter/say/hello", &headers, r#"{"name":"John"}"#).await;
        let (head, body) = asked.unwrap_or_else(|error| panic!("call {calls}: {error}"));
        assert_eq!(head.status.as_u16(), 200, "call {calls}: {body:?}");
        calls += 1;
    }
    calls
}
