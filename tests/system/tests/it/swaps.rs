//! Every kind of plugin is swapped again and again under 64 connections. No request fails, both kinds of generations are
//! seen at work, and the registry never loses a record.

use crate::world::{Connection, Etcd, SOON, World, plugin};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use micro_test::eventually;
use micro_test::process::{Program, Signal};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const SWAPS: usize = 20;

/// One zero byte in base64: as the start of a range the first key there is, as its end the last.
const ALL_KEYS: &str = "AA==";

/// What the connections saw: answers of the first kind of generation, and of the second.
#[derive(Default)]
struct Seen {
    filter: [AtomicU64; 2],
    wire: [AtomicU64; 2],
    codec: [AtomicU64; 2],
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd"]
async fn twenty_swaps_of_each_kind_fail_no_request_and_remove_no_record() {
    let etcd = Etcd::start().await;
    let world = World::new();
    let flags = ["--registry=etcd", &etcd.flag(), "--register_interval=2", "--register_ttl=6"];
    let greeter = world.greeter(&flags).await;
    let mut other = world.greeter(&flags).await;
    let deletes = watch_deletes(&etcd).await;
    let more = ["--selector=roundrobin", "--filter=header", "--api_namespace=go.micro.srv"];
    let gateway = world.gateway(&[&flags[..], &more].concat()).await;
    gateway.greets("John").await;

    let seen = Arc::new(Seen::default());
    let stop = Arc::new(AtomicBool::new(false));
    let mut connections = JoinSet::new();
    let address = world.admin(&greeter, "/info").await["address"].as_str().expect("an address").to_owned();
    for number in 0..64 {
        let (seen, stop) = (seen.clone(), stop.clone());
        match number % 3 {
            0 => connections.spawn(through_the_gateway(gateway.address.clone(), seen, stop)),
            1 => connections.spawn(straight_to_the_port(address.clone(), seen, stop)),
            _ => connections.spawn(in_envelopes(address.clone(), seen, stop)),
        };
    }

    let dist = |name: &str| world.dist().join("plugins").join(format!("{name}.wasm"));
    let swaps: [(&str, &Program, [_; 2]); 5] = [
        ("registry", &gateway.program, [plugin("etcd-two"), dist("etcd-registry")]),
        ("selector", &gateway.program, [plugin("selector-two"), dist("roundrobin-selector")]),
        ("filter", &gateway.program, [plugin("header-two"), dist("header-filter")]),
        ("wire", &greeter, [plugin("wire-two"), dist("http-transport")]),
        ("codec:jsonrpc", &greeter, [plugin("codec-two"), dist("jsonrpc-codec")]),
    ];
    let mut shares = [0, 0];
    for round in 0..SWAPS {
        for (kind, program, files) in &swaps {
            let file = files[round % 2].to_string_lossy().into_owned();
            let pid = program.pid().to_string();
            let answer = world
                .succeed("micro", &["plugin", "swap", kind, &file, "--process", &pid, "--output=json"])
                .await;
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            assert_eq!(answer["to"]["generation"], json!(round + 2), "{kind}: {answer}");
            assert_ne!(answer["to"]["digest"], answer["from"]["digest"], "{kind}");
        }
        // Which strategy chooses is seen from what the nodes got: all, or half.
        shares[round % 2] += share_of_the_last(&world, &gateway.program).await;
    }
    stop.store(true, Relaxed);
    let calls: u64 = connections.join_all().await.into_iter().sum();

    assert!(calls > 5_000, "only {calls} calls");
    for (kind, seen) in [("filter", &seen.filter), ("wire", &seen.wire), ("codec", &seen.codec)] {
        let seen = seen.each_ref().map(|count| count.load(Relaxed));
        assert!(seen.iter().all(|count| *count > 50), "{kind}: both generations serve: {seen:?}");
    }
    let rounds = (SWAPS / 2) as u64;
    assert!(shares[0] > 90 * rounds && shares[1] < 70 * rounds, "percent for the last node: {shares:?}");
    for program in [&greeter, &gateway.program] {
        let plugins = world.admin(program, "/plugins").await;
        for plugin in plugins.as_array().expect("a list") {
            assert_eq!(
                (&plugin["restarts"], &plugin["state"]["state"]),
                (&json!(0), &json!("ready")),
                "{plugin}"
            );
        }
    }

    // The watch sees a record go, so it would have seen one before.
    assert_eq!(deletes.load(Relaxed), 0, "records were removed during the swaps");
    other.signal(Signal::TERM);
    other.exit(SOON).await;
    eventually("the watch sees a removal", SOON, async || deletes.load(Relaxed) > 0).await;
}

/// Greetings through the gateway, until told to stop. Which filter served is in a field of the answer.
async fn through_the_gateway(address: String, seen: Arc<Seen>, stop: Arc<AtomicBool>) -> u64 {
    let mut connection = Connection::open(&address).await;
    let mut calls = 0;
    while !stop.load(Relaxed) {
        let headers = [("content-type", "application/json")];
        let asked = connection.ask("/greeter/say/hello", &headers, r#"{"name":"John"}"#).await;
        let (head, body) = asked.unwrap_or_else(|error| panic!("gateway, call {calls}: {error}"));
        let greeting = &br#"{"msg":"Hello John"}"#[..];
        assert_eq!((head.status.as_u16(), body.trim_ascii()), (200, greeting), "call {calls}");
        seen.filter[usize::from(head.headers.contains_key("x-filter"))].fetch_add(1, Relaxed);
        calls += 1;
    }
    calls
}

/// Calls of a service without a gateway. Which wire answered is in a field of the answer.
async fn straight_to_the_port(address: String, seen: Arc<Seen>, stop: Arc<AtomicBool>) -> u64 {
    let mut connection = Connection::open(&address).await;
    let mut calls = 0;
    while !stop.load(Relaxed) {
        let headers = [
            ("content-type", "application/json"),
            ("micro-service", "go.micro.srv.greeter"),
            ("micro-endpoint", "Say.Hello"),
        ];
        let asked = connection.ask("/", &headers, r#"{"name":"John"}"#).await;
        let (head, body) = asked.unwrap_or_else(|error| panic!("port, call {calls}: {error}"));
        assert_eq!(
            (head.status.as_u16(), body.trim_ascii()),
            (200, &br#"{"msg":"Hello John"}"#[..]),
            "{head:?}"
        );
        seen.wire[usize::from(head.headers.contains_key("x-wire"))].fetch_add(1, Relaxed);
        calls += 1;
    }
    calls
}

/// JSON-RPC as a client of 2016 speaks it. Which codec answered is in a member of the answer.
async fn in_envelopes(address: String, seen: Arc<Seen>, stop: Arc<AtomicBool>) -> u64 {
    let mut connection = Connection::open(&address).await;
    let mut calls = 0;
    while !stop.load(Relaxed) {
        let body = json!({ "method": "Say.Hello", "params": [{ "name": "John" }], "id": calls }).to_string();
        let asked = connection.ask("/", &[("content-type", "application/json-rpc")], &body).await;
        let (head, body) = asked.unwrap_or_else(|error| panic!("envelope, call {calls}: {error}"));
        let answer: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {body:?}"));
        assert_eq!((head.status.as_u16(), &answer["result"]["msg"]), (200, &json!("Hello John")), "{answer}");
        assert_eq!(answer["id"], json!(calls));
        seen.codec[usize::from(answer.get("x_codec").is_some())].fetch_add(1, Relaxed);
        calls += 1;
    }
    calls
}

/// How many percent of the next calls go to one of the two nodes.
async fn share_of_the_last(world: &World, gateway: &Program) -> u64 {
    let before = calls(&world.admin(gateway, "/nodes").await);
    let mut after = before.clone();
    eventually("a hundred calls", SOON, async || {
        after = calls(&world.admin(gateway, "/nodes").await);
        after.iter().sum::<u64>() >= before.iter().sum::<u64>() + 100
    })
    .await;
    let new: Vec<u64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    100 * new.iter().max().expect("two nodes") / new.iter().sum::<u64>()
}

fn calls(nodes: &Value) -> Vec<u64> {
    let nodes = nodes.as_array().expect("a list").iter();
    let greeters = nodes.filter(|node| node["name"].as_str().is_some_and(|it| it.contains("srv.greeter")));
    greeters.map(|node| node["calls"].as_u64().expect("a number")).collect()
}

/// Counts the keys that are removed from etcd from now on.
async fn watch_deletes(etcd: &Etcd) -> Arc<AtomicU64> {
    let stream = TcpStream::connect(&etcd.address).await.expect("etcd listens");
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.expect("HTTP/1.1");
    tokio::spawn(connection);
    let body = json!({ "create_request": { "key": ALL_KEYS, "range_end": ALL_KEYS } }).to_string();
    let request = Request::post("/v3/watch").header("host", &etcd.address).body(Full::new(Bytes::from(body)));
    let response = sender.send_request(request.expect("valid")).await.expect("an answer");
    let mut frames = response.into_body();
    let created = frames.frame().await.expect("a frame").expect("whole").into_data().expect("data");
    assert!(String::from_utf8_lossy(&created).contains("created"), "{created:?}");
    let deletes = Arc::new(AtomicU64::new(0));
    let counted = deletes.clone();
    tokio::spawn(async move {
        let mut text = String::new();
        while let Some(Ok(frame)) = frames.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            text.push_str(&String::from_utf8_lossy(&data));
            // One message a line; a frame may hold a part of one.
            while let Some(end) = text.find('\n') {
                counted.fetch_add(text[..end].matches("\"DELETE\"").count() as u64, Relaxed);
                text.drain(..=end);
            }
        }
        // Keeps the connection while there is something to hear.
        drop(sender);
    });
    deletes
}
