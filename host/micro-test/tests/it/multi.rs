//! Several registries of which some fail. Time is paused.

use micro::registry::MultiRegistry;
use micro_core::{Node, Registry, Service};
use micro_test::doubles::{Fault, FaultyRegistry};
use micro_test::registry::Replica;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const NEVER: Duration = Duration::ZERO;

fn service(node: &str) -> Service {
    let node = Node { id: node.into(), address: "127.0.0.1:1".into(), ..Node::default() };
    Service { name: "a".into(), version: "1".into(), nodes: vec![node], ..Service::default() }
}

fn two() -> (Arc<FaultyRegistry>, Arc<FaultyRegistry>, Arc<MultiRegistry>) {
    let (first, second) = (Arc::new(FaultyRegistry::new()), Arc::new(FaultyRegistry::new()));
    let both = MultiRegistry::new(vec![first.clone(), second.clone()]);
    (first, second, Arc::new(both))
}

fn ids(services: &[Service]) -> Vec<&str> {
    services.iter().flat_map(|service| &service.nodes).map(|node| node.id.as_str()).collect()
}

async fn found(registry: &MultiRegistry) -> Vec<String> {
    let services = registry.get_service("a").await.expect("an answer").services;
    ids(&services).into_iter().map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn all_members_get_it_and_any_is_enough() {
    let (first, second, both) = two();
    both.register(&service("n"), NEVER).await.expect("register");
    for member in [&first, &second] {
        assert_eq!(ids(&member.get_service("a").await.expect("an answer").services), ["n"]);
    }
    for (down, up) in [(&first, &second), (&second, &first)] {
        down.set(Fault::Unavailable);
        up.set(Fault::None);
        both.register(&service("n"), NEVER).await.expect("one is enough");
        assert_eq!(found(&both).await, ["n"]);
        assert_eq!(both.list_services().await.expect("a list"), ["a"]);
        both.health().await.expect("one is enough");
        let failing: Vec<bool> =
            both.members_health().await.iter().map(|(_, result)| result.is_err()).collect();
        assert_eq!(failing.iter().filter(|failing| **failing).count(), 1);
    }
    first.set(Fault::Unavailable);
    second.set(Fault::Unavailable);
    both.register(&service("n"), NEVER).await.expect_err("nobody is there");
    both.get_service("a").await.expect_err("nobody is there");
    both.changes(None, None, SECOND).await.expect_err("nobody is there");
    both.health().await.expect_err("nobody is there");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_hangs_holds_nobody_up_for_long() {
    let (first, second, both) = two();
    second.register(&service("n"), NEVER).await.expect("register");
    first.set(Fault::Hang);
    let start = Instant::now();
    assert_eq!(found(&both).await, ["n"]);
    assert!(start.elapsed() <= 6 * SECOND, "{:?}", start.elapsed());
    let start = Instant::now();
    let batch = both.changes(None, None, 5 * SECOND).await.expect("what is known");
    assert!(batch.resync && batch.entries.len() == 1);
    assert!(start.elapsed() <= 2 * SECOND, "{:?}", start.elapsed());
    // What the other one knows follows when it is back.
    first.set(Fault::None);
    first.register(&service("m"), NEVER).await.expect("register");
    let mut after = batch.cursor;
    let latest = loop {
        let batch = both.changes(None, Some(&after), 30 * SECOND).await.expect("changes");
        after = batch.cursor;
        if let Some(entry) = batch.entries.into_iter().next() {
            break entry;
        }
        assert!(start.elapsed() < 60 * SECOND, "it was never told");
    };
    assert_eq!(ids(&latest.services), ["m", "n"]);
}

#[tokio::test(start_paused = true)]
async fn what_one_member_forgets_the_other_still_knows() {
    let (first, second, both) = two();
    both.register(&service("n"), NEVER).await.expect("register");
    second.register(&service("m"), NEVER).await.expect("register");
    let mut replica = Replica::new(both.clone(), None, "");
    while replica.step(SECOND).await.expect("changes").entries.is_empty() {}
    first.deregister(&service("n")).await.expect("deregister");
    // The union is the same, so there is nothing to tell.
    let batch = replica.step(SECOND).await.expect("changes");
    assert!(!batch.resync && batch.entries.is_empty(), "{batch:?}");
    second.deregister(&service("n")).await.expect("deregister");
    let batch = replica.step(SECOND).await.expect("changes");
    assert_eq!(ids(&batch.entries[0].services), ["m"]);
    second.deregister(&service("m")).await.expect("deregister");
    let batch = replica.step(SECOND).await.expect("changes");
    assert!(!batch.resync && batch.entries[0].services.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_member_that_lost_its_data_is_told_from_nodes_that_left() {
    let (first, second, both) = two();
    first.register(&service("n"), NEVER).await.expect("register");
    let batch = both.changes(None, None, SECOND).await.expect("everything");
    assert_eq!(batch.entries.len(), 1);
    first.restart_empty();
    let batch = both.changes(None, Some(&batch.cursor), 30 * SECOND).await.expect("changes");
    assert!(batch.resync && batch.entries.is_empty(), "{batch:?}");
    second.register(&service("m"), NEVER).await.expect("register");
    let batch = both.changes(None, Some(&batch.cursor), 30 * SECOND).await.expect("changes");
    assert_eq!((batch.resync, ids(&batch.entries[0].services)), (false, vec!["m"]));
}

#[tokio::test(start_paused = true)]
async fn what_a_silent_member_said_is_still_found() {
    let (first, second, both) = two();
    first.register(&service("n"), NEVER).await.expect("register");
    second.register(&service("m"), NEVER).await.expect("register");
    both.changes(None, None, SECOND).await.expect("everything");
    first.set(Fault::Unavailable);
    assert_eq!(found(&both).await, ["m", "n"]);
}

#[tokio::test(start_paused = true)]
async fn tasks_end_with_the_registry() {
    let (first, _second, both) = two();
    both.changes(None, None, SECOND).await.expect("everything");
    both.changes(Some("a"), None, SECOND).await.expect("everything");
    drop(both);
    micro_test::eventually("nobody holds a member", SECOND, async || Arc::strong_count(&first) == 1).await;
}
