//! Against a real etcd, whose address is in `ETCD_ADDR`; `cargo xtask test` starts one. Each case has a prefix of its own.

mod alone;
mod native;

use etcd_core::{Batch, Config, Endpoint, Etcd, Metadata, Node, Service};
use futures::executor::block_on;
use native::Native;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_secs(5);
const TTL: Duration = Duration::from_secs(30);

fn address() -> String {
    std::env::var("ETCD_ADDR").expect("ETCD_ADDR is the address of an etcd")
}

fn etcd(prefix: &str) -> Etcd<Native> {
    let unique = format!("/test/{prefix}-{}-{:?}", std::process::id(), std::thread::current().id());
    etcd_at(&unique.replace(['(', ')'], ""))
}

fn etcd_at(prefix: &str) -> Etcd<Native> {
    let prefix = (!prefix.is_empty()).then(|| prefix.to_owned());
    let config = Config { addresses: vec![address()], prefix, ..Config::default() };
    Etcd::new(config, Native, |warning| eprintln!("{warning}")).expect("valid settings")
}

fn service(name: &str, version: &str, node: &str) -> Service {
    let node = Node { id: node.to_owned(), address: "127.0.0.1:1".to_owned(), ..Node::default() };
    let endpoint = Endpoint {
        name: "Say.Hello".to_owned(),
        request: r#"{"name":"Request","type":"Request","values":[]}"#.to_owned(),
        response: "null".to_owned(),
        metadata: Metadata::new(),
    };
    Service {
        name: name.to_owned(),
        version: version.to_owned(),
        endpoints: vec![endpoint],
        nodes: vec![node],
        ..Service::default()
    }
}

async fn register(etcd: &Etcd<Native>, service: &Service, ttl: Duration) {
    etcd.register(service, ttl, TIMEOUT).await.expect("register");
}

async fn get(etcd: &Etcd<Native>, name: &str) -> Vec<Service> {
    etcd.get_service(name, TIMEOUT).await.expect("get").services
}

async fn changes(etcd: &Etcd<Native>, name: Option<&str>, after: Option<&str>, wait: Duration) -> Batch {
    etcd.changes(name, after, wait, TIMEOUT).await.expect("changes")
}

/// Names with the ids of their nodes.
fn nodes(batch: &Batch) -> Vec<(&str, Vec<&str>)> {
    batch
        .entries
        .iter()
        .map(|entry| {
            let nodes = entry.services.iter().flat_map(|it| it.nodes.iter().map(|node| node.id.as_str()));
            (entry.name.as_str(), nodes.collect())
        })
        .collect()
}

#[test]
#[ignore = "needs a real etcd at ETCD_ADDR"]
fn what_is_registered_is_found_until_it_is_not() {
    let etcd = etcd("life");
    block_on(async {
        let (one, two) = (service("go.micro/greeter", "1", "a"), service("go.micro/greeter", "2", "b"));
        register(&etcd, &one, TTL).await;
        register(&etcd, &two, Duration::ZERO).await;
        assert_eq!(get(&etcd, "go.micro/greeter").await, [one.clone(), two.clone()]);
        assert_eq!(get(&etcd, "go.micro-greeter").await, []);
        assert_eq!(etcd.list_services(TIMEOUT).await.expect("list"), ["go.micro/greeter"]);
        etcd.health(TIMEOUT).await.expect("health");
        for gone in [&one, &two] {
            etcd.deregister(gone, TIMEOUT).await.expect("deregister");
        }
        assert_eq!(get(&etcd, "go.micro/greeter").await, []);
        etcd.deregister(&one, TIMEOUT).await.expect("unknown nodes are fine");
    });
}

#[test]
#[ignore = "needs a real etcd at ETCD_ADDR"]
fn a_watch_sees_puts_deletes_and_expiry() {
    let etcd = etcd("watch");
    block_on(async {
        let (a, b) = (service("a", "1", "x"), service("b", "1", "y"));
        register(&etcd, &a, TTL).await;
        let all = changes(&etcd, None, None, WAIT).await;
        assert!(all.resync);
        assert_eq!(nodes(&all), [("a", vec!["x"])]);

        let idle = changes(&etcd, None, Some(&all.cursor), Duration::from_millis(50)).await;
        assert_eq!((idle.resync, idle.entries.len()), (false, 0));

        register(&etcd, &a, TTL).await;
        register(&etcd, &b, Duration::from_secs(2)).await;
        let put = changes(&etcd, None, Some(&idle.cursor), WAIT).await;
        assert!(!put.resync, "a renewal is no change, so b is the first one");
        assert_eq!(nodes(&put), [("b", vec!["y"])]);

        let expired = changes(&etcd, None, Some(&put.cursor), WAIT).await;
        assert_eq!((expired.resync, nodes(&expired)), (false, vec![("b", vec![])]));

        etcd.deregister(&a, TIMEOUT).await.expect("deregister");
        // The cursor works on an instance that has no open watch.
        etcd.close();
        let deleted = changes(&etcd, None, Some(&expired.cursor), WAIT).await;
        assert_eq!((deleted.resync, nodes(&deleted)), (false, vec![("a", vec![])]));
    });
}

#[test]
#[ignore = "needs a real etcd at ETCD_ADDR"]
fn one_name_is_watched_alone_from_a_snapshot() {
    let etcd = etcd("name");
    block_on(async {
        let start = etcd.get_service("a", TIMEOUT).await.expect("get").cursor;
        register(&etcd, &service("b", "1", "y"), TTL).await;
        register(&etcd, &service("a", "1", "x"), TTL).await;
        let batch = changes(&etcd, Some("a"), Some(&start), WAIT).await;
        assert_eq!((batch.resync, nodes(&batch)), (false, vec![("a", vec!["x"])]));
    });
}

#[test]
#[ignore = "needs a real etcd at ETCD_ADDR"]
fn a_successor_takes_a_node_over_without_losing_it() {
    let etcd = etcd_at("/test/successor");
    let successor = etcd_at("/test/successor");
    block_on(async {
        let a = service("a", "1", "x");
        register(&etcd, &a, Duration::from_secs(2)).await;
        register(&successor, &a, TTL).await;
        // Longer than the first lease would have lived.
        let gone = changes(&etcd, None, Some(&changes(&etcd, None, None, WAIT).await.cursor), WAIT).await;
        assert_eq!(gone.entries.len(), 0, "{gone:?}");
        assert_eq!(get(&etcd, "a").await, std::slice::from_ref(&a));
        successor.deregister(&a, TIMEOUT).await.expect("deregister");
    });
}

#[test]
#[ignore = "needs a real etcd at ETCD_ADDR"]
fn many_nodes_come_in_pages() {
    let etcd = etcd("pages");
    block_on(async {
        for index in 0..1203 {
            register(&etcd, &service("a", "1", &format!("x{index}")), Duration::ZERO).await;
        }
        assert_eq!(get(&etcd, "a").await[0].nodes.len(), 1203);
        let all = changes(&etcd, None, None, WAIT).await;
        assert!(all.cursor.ends_with(":1203"), "{}", all.cursor);
        let removed = Service { nodes: get(&etcd, "a").await.remove(0).nodes, ..service("a", "1", "") };
        etcd.deregister(&removed, TIMEOUT * 10).await.expect("deregister");
        let gone = changes(&etcd, None, Some(&all.cursor), WAIT).await;
        assert_eq!((gone.resync, nodes(&gone)), (false, vec![("a", vec![])]));
    });
}

#[test]
#[ignore = "needs a real etcd at ETCD_ADDR"]
fn both_prefixes_of_go_micro_are_watched() {
    let (current, legacy) = (etcd_at(""), etcd_at("/micro-registry"));
    block_on(async {
        let name = format!("both-{}", std::process::id());
        let start = changes(&current, Some(&name), None, WAIT).await;
        let (new, old) = (service(&name, "1", "new"), service(&name, "1", "old"));
        register(&legacy, &old, TTL).await;
        let first = changes(&current, Some(&name), Some(&start.cursor), WAIT).await;
        assert_eq!(nodes(&first), [(name.as_str(), vec!["old"])]);
        register(&current, &new, TTL).await;
        let second = changes(&current, Some(&name), Some(&first.cursor), WAIT).await;
        assert_eq!(nodes(&second), [(name.as_str(), vec!["new", "old"])]);
        // Neither wrote both, either removes both.
        current.deregister(&old, TIMEOUT).await.expect("deregister");
        legacy.deregister(&new, TIMEOUT).await.expect("deregister");
        let third = changes(&current, Some(&name), Some(&second.cursor), WAIT).await;
        assert_eq!(nodes(&third).last(), Some(&(name.as_str(), vec![])));
    });
}

#[test]
#[ignore = "needs a real etcd at ETCD_ADDR"]
fn an_idle_watch_moves_on_so_that_compaction_does_not_overtake_it() {
    let etcd = etcd("idle");
    let busy = etcd_at("/test/busy");
    block_on(async {
        let start = changes(&etcd, None, None, WAIT).await.cursor;
        for index in 0..3 {
            register(&busy, &service("a", &index.to_string(), "x"), Duration::ZERO).await;
        }
        let began = Instant::now();
        let moved = changes(&etcd, None, Some(&start), Duration::from_millis(10)).await;
        assert_ne!(moved.cursor, start);
        assert!(moved.entries.is_empty() && !moved.resync && began.elapsed() < WAIT);
    });
}
