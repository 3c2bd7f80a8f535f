//! Round robin is strict over all connections and threads.

use crate::world::{Connection, World};
use tokio::task::JoinSet;

const NODES: usize = 3;
const CONNECTIONS: usize = 64;
const CALLS: usize = 9_999;

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_get_a_third_of_the_calls_each() {
    let world = World::new();
    let mut greeters = Vec::new();
    for _ in 0..NODES {
        greeters.push(world.greeter(&[]).await);
    }
    let gateway = world.gateway(&["--selector=roundrobin", "--api_namespace=go.micro.srv"]).await;
    gateway.greets("John").await;
    let nodes = world.admin(&gateway.program, "/nodes").await;
    let before = calls(&nodes);

    let mut connections = JoinSet::new();
    for number in 0..CONNECTIONS {
        let address = gateway.address.clone();
        let share = CALLS / CONNECTIONS + usize::from(number < CALLS % CONNECTIONS);
        connections.spawn(async move {
            let mut connection = Connection::open(&address).await;
            for _ in 0..share {
                let headers = [("content-type", "application/json")];
                let (head, body) =
                    connection.ask("/greeter/say/hello", &headers, "{}").await.expect("an answer");
                assert_eq!(head.status, 200, "{body:?}");
            }
        });
    }
    connections.join_all().await;

    let after = calls(&world.admin(&gateway.program, "/nodes").await);
    let asked: Vec<u64> = after.iter().map(|(name, calls)| calls - before.get(name).unwrap_or(&0)).collect();
    assert_eq!(asked, [(CALLS / NODES) as u64; NODES]);
}

/// Attempts so far, by node of the greeter.
fn calls(nodes: &serde_json::Value) -> std::collections::BTreeMap<String, u64> {
    let nodes = nodes.as_array().expect("a list").iter();
    let greeters = nodes.filter(|node| node["name"].as_str().is_some_and(|it| it.contains("srv.greeter")));
    greeters.map(|node| (node["name"].to_string(), node["calls"].as_u64().expect("a number"))).collect()
}
