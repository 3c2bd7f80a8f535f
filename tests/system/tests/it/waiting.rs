//! Registries whose calls take long, under watch, drain and swap: nothing that they do may hold up the host.

use crate::world::{Connection, Gateway, SOON, World, plugin};
use micro_test::eventually;
use micro_test::process::Signal;
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
    let left = records.read_dir().expect("readable").count();
    assert_eq!(left, 1, "who ends takes his record away; who was killed left one, which has expired");
}

/// What is made from the scaffold, with a long wait in each call. Python runs them beside each other, on one thread.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the tools of other languages"]
async fn a_plugin_of_python_with_slow_calls_is_watched_drained_and_swapped_without_a_stuck_host() {
    let world = World::new();
    world.succeed("micro", &["plugin", "new", "--kind", "registry", "--lang", "python", "slow"]).await;
    let folder = world.path().join("slow-registry");
    let source = std::fs::read_to_string(folder.join("plugin.py")).expect("the scaffold has it");
    let slow = source
        .replace("\n        async with Lock(", "\n        await time.sleep(0.2)\n        async with Lock(");
    let slow = slow.replace("(await self.state()", "(await self.slowly()");
    let slow = slow.replace(
        "    async def state(self)",
        "    async def slowly(self) -> dict[str, list[Service]]:\n        await time.sleep(0.2)\n        return await self.state()\n\n    async def state(self)",
    );
    assert_eq!(slow.matches("await time.sleep(0.2)").count(), 3, "{slow}");
    std::fs::write(folder.join("plugin.py"), slow).expect("writable");
    let build = world.command("micro", &["plugin", "build", &folder.display().to_string()]).output();
    let built =
        tokio::time::timeout(10 * SOON, build).await.expect("a build takes seconds").expect("it runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let wasm = world.path().join("slow-registry.wasm");
    // Another version, as far as anybody can tell: of the same file a swap makes a new generation as well.
    let records = world.path().join("records");
    std::fs::create_dir(&records).expect("writable");
    let flags = [
        format!("--registry_allow=fs:rw:{}", records.display()),
        format!("--registry_opt=path={}/services.json", records.display()),
    ];
    serves(&world, [wasm.clone(), wasm], &flags).await;
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
    eventually("the gateway sees two nodes", SOON, async || nodes(world, &gateway).await == 2).await;
    other.signal(Signal::KILL);
    other.exit(SOON).await;
    eventually("the record of a dead node expires", SOON, async || nodes(world, &gateway).await == 1).await;

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
    assert_eq!(nodes(world, &gateway).await, 1, "the record outlived the swaps");
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

/// How many greeters a call through the gateway chooses from.
async fn nodes(world: &World, gateway: &Gateway) -> usize {
    // The next call is what takes up a change; it may meet the node that is gone.
    _ = gateway.greet("John").await;
    let nodes = world.admin(&gateway.program, "/nodes").await;
    let nodes = nodes.as_array().expect("a list").iter();
    nodes.filter(|node| node["name"].as_str().is_some_and(|it| it.contains("srv.greeter"))).count()
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
