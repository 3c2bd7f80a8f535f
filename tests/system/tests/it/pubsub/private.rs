//! The first Go Micro with its defaults: it listens on all addresses, and registers the first private one that its machine
//! has. The test runs in a network of its own that has one.

use super::{Topic, Who, all, got};
use crate::server::{Kind, Server};
use crate::world::{SOON, World, folder};
use micro_test::process::Program;
use std::process::Stdio;
use tokio::process::Command;

/// Set in the network of its own.
const INSIDE: &str = "MICRO_TEST_PRIVATE_NETWORK";

/// The only address there, besides loopback.
const ADDRESS: &str = "10.93.0.1";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs consul, Go Micro and a network namespace"]
async fn the_first_version_finds_us_at_a_private_address() {
    if std::env::var_os(INSIDE).is_some() {
        return exchange().await;
    }
    let mut command = Command::new(folder("MICRO_TEST_NETWORK_SCRIPT"));
    command.args(["run", ADDRESS]).arg(std::env::current_exe().expect("this program"));
    command.args(["--exact", "pubsub::private::the_first_version_finds_us_at_a_private_address"]);
    command.args(["--include-ignored", "--nocapture"]).env(INSIDE, "yes").kill_on_drop(true);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
    let output = tokio::time::timeout(4 * SOON, output).await.expect("in time").expect("the script runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn exchange() {
    let server = Server::start(Kind::Consul).await;
    let world = World::new();
    let topic = Topic { world: &world, server: &server, name: "private".to_owned() };
    let [registry, address] = server.flags();
    let everywhere = ["--broker_address=0.0.0.0:0", "subscribe", &topic.name];
    let ours = world.start("micro", &[&[&*registry, &*address][..], &everywhere].concat());
    ours.line("subscribed to", SOON).await;
    let mut theirs = topic.peer("v0");
    theirs.args(["--address", ":0", "subscribe", &topic.name]);
    let theirs = Program::start(theirs);
    theirs.line("ready", SOON).await;
    topic.registered(3 + 1).await;
    for node in topic.nodes().await {
        assert_eq!(node["Address"], ADDRESS, "{node}");
    }
    topic.publish(Who::Go("v0"), "go", "application/json").await;
    topic.publish(Who::Micro, "ours", "application/json").await;
    let expected = all(&["go", "ours"]);
    got("ours", &[ours], &expected).await;
    got("theirs", &[theirs], &expected).await;
}
