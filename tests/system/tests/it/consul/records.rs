//! What is in consul afterwards, and what others have put there.

use super::native::Native;
use crate::server::{Kind, Server, http};
use micro_core::{Node, NodeStatus, Registry, Service};
use micro_test::eventually;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
const TTL: Duration = Duration::from_secs(30);

/// Names that a path or a database may mix up.
const NAMES: [&str; 16] = [
    "/a",
    "/a/b",
    "-a-b",
    ".a.b",
    "_a",
    " a",
    "a ",
    "%2Fa",
    "/../a",
    "//a",
    "?a=b#c",
    ":1",
    "*",
    "\\a",
    "日本語",
    "🦀",
];

async fn get(address: &str, path: &str) -> Value {
    let (status, body) = http(address, "GET", path, "", &Value::Null).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

async fn put(address: &str, path: &str, body: &Value) {
    let (status, text) = http(address, "PUT", path, "", body).await;
    assert_eq!(status, 200, "{path}: {text}");
}

fn service(name: &str, node: &str) -> Service {
    let node = Node { id: node.to_owned(), address: "127.0.0.1:4242".to_owned(), ..Node::default() };
    Service { name: name.to_owned(), version: "1".to_owned(), nodes: vec![node], ..Service::default() }
}

async fn nodes(consul: &Native, name: &str) -> Vec<Node> {
    let found = consul.get_service(name).await.expect("found").services;
    found.into_iter().flat_map(|service| service.nodes).collect()
}

#[tokio::test]
#[ignore = "needs consul"]
async fn a_node_is_one_service_with_a_check_of_its_own() {
    let server = Server::start(Kind::Consul).await;
    let (consul, address) = (Native::at(&server.address), &server.address);
    let mut it = service("greeter", "greeter-1");
    it.nodes[0].metadata.insert("protocol".to_owned(), "mucp".to_owned());
    it.nodes[0].metadata.insert("not a key".to_owned(), "x".repeat(600));
    it.nodes[0].tags = vec!["blue".to_owned()];
    it.nodes[0].zone = Some("east".to_owned());
    consul.register(&it, TTL).await.expect("registered");

    let agent = get(address, "/v1/agent/service/greeter-1").await;
    assert_eq!((&agent["Service"], &agent["Address"]), (&json!("greeter"), &json!("127.0.0.1")));
    assert_eq!(
        (&agent["Port"], &agent["Meta"]),
        (&json!(4242), &json!({ "protocol": "mucp", "zone": "east" }))
    );
    let tags: Vec<&str> =
        agent["Tags"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let kinds: Vec<&str> = tags.iter().map(|tag| &tag[..2]).collect();
    assert_eq!(kinds, ["t-", "t-", "v-", "bl"]);
    let checks = get(address, "/v1/agent/checks").await;
    let check = &checks["service:greeter-1"];
    assert_eq!((&check["Type"], &check["Status"]), (&json!("ttl"), &json!("passing")), "{checks}");

    // Nothing that was not written is lost, and nothing comes twice.
    let found = nodes(&consul, "greeter").await;
    assert_eq!(found, it.nodes);
    // A heartbeat writes nothing.
    let before = get(address, "/v1/catalog/service/greeter").await[0]["ModifyIndex"].clone();
    consul.register(&it, TTL).await.expect("registered again");
    assert_eq!(get(address, "/v1/catalog/service/greeter").await[0]["ModifyIndex"], before);
    consul.deregister(&it).await.expect("deregistered");
    assert_eq!(get(address, "/v1/agent/services").await, json!({}));
}

#[tokio::test]
#[ignore = "needs consul"]
async fn unusual_names_come_back() {
    let server = Server::start(Kind::Consul).await;
    let consul = Native::at(&server.address);
    let long = format!("-{}", "x".repeat(300));
    for name in NAMES.iter().copied().chain([long.as_str()]) {
        let it = service(name, &format!("{name}-1"));
        consul.register(&it, TTL).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        eventually("found", SOON, async || nodes(&consul, name).await == it.nodes).await;
        assert!(consul.list_services().await.expect("listed").contains(&name.to_owned()), "{name}");
        consul.register(&it, TTL).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        consul.deregister(&it).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        eventually("gone", SOON, async || nodes(&consul, name).await.is_empty()).await;
    }
    for name in ["", ".", ".."] {
        assert!(consul.register(&service(name, "a"), TTL).await.is_err(), "{name:?}");
        assert!(consul.register(&service("a", name), TTL).await.is_err(), "{name:?}");
    }
}

#[tokio::test]
#[ignore = "needs consul"]
async fn health_is_what_consul_says() {
    let server = Server::start(Kind::Consul).await;
    let (consul, address) = (Native::at(&server.address), &server.address);
    let it = service("greeter", "greeter-1");
    consul.register(&it, TTL).await.expect("registered");
    let is = async |status: NodeStatus| {
        eventually("the status", SOON, async || {
            nodes(&consul, "greeter").await.iter().map(|node| node.status).eq([status])
        })
        .await;
    };
    is(NodeStatus::Passing).await;
    for (verb, status) in
        [("warn", NodeStatus::Warning), ("fail", NodeStatus::Critical), ("pass", NodeStatus::Passing)]
    {
        put(address, &format!("/v1/agent/check/{verb}/service:greeter-1"), &Value::Null).await;
        is(status).await;
    }
    // An operator takes it out of service; heartbeats do not bring it back, he does.
    put(address, "/v1/agent/service/maintenance/greeter-1?enable=true", &Value::Null).await;
    is(NodeStatus::Critical).await;
    consul.register(&it, TTL).await.expect("a heartbeat");
    let changed = Service { version: "2".to_owned(), ..it.clone() };
    consul.register(&changed, TTL).await.expect("registered with another version");
    is(NodeStatus::Critical).await;
    put(address, "/v1/agent/service/maintenance/greeter-1?enable=false", &Value::Null).await;
    is(NodeStatus::Passing).await;
    // A whole machine that is not well.
    let check = json!({ "Name": "disk", "ID": "disk", "TTL": "60s", "Status": "warning" });
    put(address, "/v1/agent/check/register", &check).await;
    is(NodeStatus::Warning).await;
}

#[tokio::test]
#[ignore = "needs consul"]
async fn a_forgotten_node_is_registered_again_by_its_heartbeat() {
    let server = Server::start(Kind::Consul).await;
    let (consul, address) = (Native::at(&server.address), &server.address);
    for ttl in [TTL, Duration::ZERO] {
        let it = service("greeter", "greeter-1");
        consul.register(&it, ttl).await.expect("registered");
        put(address, "/v1/agent/service/deregister/greeter-1", &Value::Null).await;
        eventually("gone", SOON, async || nodes(&consul, "greeter").await.is_empty()).await;
        consul.register(&it, ttl).await.expect("a heartbeat");
        eventually("back", SOON, async || nodes(&consul, "greeter").await == it.nodes).await;
    }
}

#[tokio::test]
#[ignore = "needs consul"]
async fn services_of_others_are_read_in_their_own_terms() {
    let server = Server::start(Kind::Consul).await;
    let address = &server.address;
    let config = consul_core::Config {
        addresses: vec![address.clone()],
        foreign: consul_core::ForeignConfig {
            protocol: "http".to_owned(),
            protocol_for: vec!["billing=grpc".to_owned()],
            protocol_tag: vec!["rpc=mucp".to_owned()],
            zone_meta: "az".to_owned(),
        },
        ..consul_core::Config::default()
    };
    let consul = Native::new(config);
    // A definition, as from a file of the agent.
    let definition = json!({
        "Name": "billing", "Port": 50051, "Tags": ["primary", "v-2"], "Meta": { "version": "2.1", "az": "a" },
    });
    put(address, "/v1/agent/service/register", &definition).await;
    let found = consul.get_service("billing").await.expect("found").services;
    assert_eq!((found.len(), found[0].version.as_str()), (1, "2.1"), "{found:?}");
    let node = &found[0].nodes[0];
    assert_eq!((node.id.as_str(), node.address.as_str()), ("billing@test", "127.0.0.1:50051"));
    assert_eq!((node.tags.join(" "), node.zone.as_deref()), ("primary v-2".to_owned(), Some("a")));
    assert_eq!(node.metadata["protocol"], "grpc");

    // Machines without an agent, entered by hand, with the same id on each.
    for (machine, ip, tags) in [("ext1", "10.0.0.1", json!(["rpc"])), ("ext2", "fd00::2", json!(null))] {
        let entry = json!({
            "Node": machine, "Address": ip, "NodeMeta": { "external-node": "true", "az": machine },
            "Service": { "Service": "stock", "Port": 80, "Tags": tags },
            "Check": { "Name": "c", "CheckID": "c", "Status": if machine == "ext1" { "passing" } else { "critical" } },
        });
        put(address, "/v1/catalog/register", &entry).await;
    }
    let found = nodes(&consul, "stock").await;
    let shown: Vec<_> = found
        .iter()
        .map(|node| {
            (node.id.as_str(), node.address.as_str(), node.status, node.metadata["protocol"].as_str())
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("stock@ext1", "10.0.0.1:80", NodeStatus::Passing, "mucp"),
            ("stock@ext2", "[fd00::2]:80", NodeStatus::Critical, "http"),
        ]
    );
    assert_eq!(found[0].zone.as_deref(), Some("ext1"));
    let listed = consul.list_services().await.expect("listed");
    assert_eq!(listed, ["billing", "consul", "stock"]);
}

#[tokio::test]
#[ignore = "needs consul"]
async fn bad_entries_hide_no_others() {
    let server = Server::start(Kind::Consul).await;
    let (consul, address) = (Native::at(&server.address), &server.address);
    consul.register(&service("greeter", "greeter-1"), TTL).await.expect("registered");
    for (id, port, tags) in [
        ("bad-port", json!(70_000), json!(["v=1"])),
        ("bad-tags", json!(1), json!(["v-zz", "t-00", "e-789c", "t=7", "e=[]"])),
        ("large", json!(2), json!([format!("v={}", "x".repeat(2000))])),
        ("many", json!(3), (0..5000).map(|at| format!("t={{\"{at}\":\"\"}}")).collect::<Vec<_>>().into()),
    ] {
        let it = json!({ "ID": id, "Name": "greeter", "Address": "127.0.0.2", "Port": port, "Tags": tags });
        put(address, "/v1/agent/service/register", &it).await;
    }
    eventually("those that can be used", SOON, async || {
        let ids: Vec<String> = nodes(&consul, "greeter").await.into_iter().map(|node| node.id).collect();
        ids == ["bad-tags@test", "greeter-1"]
    })
    .await;
}

#[tokio::test]
#[ignore = "needs consul"]
async fn thousands_of_nodes_are_read_at_once() {
    const COUNT: usize = 2000;
    let server = Server::start(Kind::Consul).await;
    let consul = Native::at(&server.address);
    let mut it = service("greeter", "x");
    it.nodes = (0..COUNT).map(|at| Node { id: format!("greeter-{at:04}"), ..it.nodes[0].clone() }).collect();
    for nodes in it.nodes.chunks(COUNT / 8) {
        let some = Service { nodes: nodes.to_vec(), ..it.clone() };
        consul.register(&some, Duration::ZERO).await.expect("registered");
    }
    eventually("all", SOON, async || nodes(&consul, "greeter").await.len() == COUNT).await;
    assert_eq!(nodes(&consul, "greeter").await, it.nodes);
}

#[tokio::test]
#[ignore = "needs consul"]
async fn the_agent_can_look_itself() {
    let server = Server::start_with(Kind::Consul, &[("CONSUL_ARGS", "-enable-script-checks")]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (open, closed) = (listener.local_addr().expect("bound").to_string(), "127.0.0.1:1".to_owned());
    let check = |kind: &str, args: &[&str]| consul_core::CheckConfig {
        kind: kind.to_owned(),
        interval: Duration::from_millis(200),
        timeout: Duration::from_secs(1),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        ..consul_core::CheckConfig::default()
    };
    for check in
        [check("tcp", &[]), check("script", &["sh", "-c", &format!("test {{address}} = {open} || exit 2")])]
    {
        let config = consul_core::Config {
            addresses: vec![server.address.clone()],
            check,
            ..consul_core::Config::default()
        };
        let consul = Native::new(config);
        let mut it = service("looked-at", "looked-at-1");
        it.nodes[0].address.clone_from(&open);
        let other = Node { id: "looked-at-2".to_owned(), address: closed.clone(), ..Node::default() };
        it.nodes.push(other);
        consul.register(&it, TTL).await.expect("registered");
        consul.register(&it, TTL).await.expect("a heartbeat");
        eventually("one is well and one is not", SOON, async || {
            let status = nodes(&consul, "looked-at").await.into_iter().map(|node| node.status);
            status.eq([NodeStatus::Passing, NodeStatus::Critical])
        })
        .await;
        consul.deregister(&it).await.expect("deregistered");
        eventually("gone", SOON, async || nodes(&consul, "looked-at").await.is_empty()).await;
    }
}

/// More than may wait at consul at the same time.
#[tokio::test]
#[ignore = "needs consul"]
async fn hundreds_of_names_are_watched_and_heartbeats_go_on() {
    const COUNT: usize = 220;
    let server = Server::start(Kind::Consul).await;
    let consul = Native::at(&server.address);
    let steady = service("steady", "steady-1");
    consul.register(&steady, Duration::from_secs(3)).await.expect("registered");
    let watch = async |at: usize| {
        let (name, mut cursor) = (format!("name-{at}"), None);
        loop {
            let batch = consul.changes(Some(&name), cursor.as_deref(), Duration::from_secs(5)).await;
            let batch = batch.unwrap_or_else(|error| panic!("{name}: {error}"));
            cursor = Some(batch.cursor);
            if batch.entries.iter().any(|entry| !entry.services.is_empty()) {
                return;
            }
        }
    };
    let others = async {
        for round in 0..10 {
            consul.register(&steady, Duration::from_secs(3)).await.expect("a heartbeat");
            assert_eq!(nodes(&consul, "steady").await.len(), 1, "gone in round {round}");
            for at in (0..COUNT).filter(|at| at % 10 == round) {
                let it = service(&format!("name-{at}"), &format!("name-{at}-1"));
                consul.register(&it, TTL).await.expect("registered");
            }
        }
    };
    let all = futures::future::join_all((0..COUNT).map(watch));
    let all = tokio::time::timeout(SOON * 3, futures::future::join(all, others));
    all.await.expect("every watcher is told");
}
