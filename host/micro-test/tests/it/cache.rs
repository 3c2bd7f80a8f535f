//! The cache over a registry that fails, hangs and forgets. Time is paused: waiting costs nothing and is exact.

use async_trait::async_trait;
use futures::future::join_all;
use micro::registry::{Cache, MemoryRegistry};
use micro_core::{Batch, Node, Registry, RegistryError, Service, Snapshot, WatchScope};
use micro_test::doubles::{Fault, FaultyRegistry};
use micro_test::eventually;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);
const NEVER: Duration = Duration::ZERO;

fn service(name: &str, node: &str) -> Service {
    let node = Node { id: node.into(), address: "127.0.0.1:1".into(), ..Node::default() };
    Service { name: name.into(), version: "1".into(), nodes: vec![node], ..Service::default() }
}

/// A cache over a registry that knows `a` with the node `n`, already asked for it.
async fn warm(scope: WatchScope) -> (Arc<FaultyRegistry>, Cache) {
    let registry = Arc::new(FaultyRegistry::with_scope(scope));
    registry.register(&service("a", "n"), NEVER).await.expect("register");
    let cache = Cache::new(registry.clone());
    assert_eq!(nodes(&cache, "a").await, ["n"]);
    (registry, cache)
}

async fn nodes(cache: &Cache, name: &str) -> Vec<String> {
    let found = cache.get(name).await.expect("the cache answers");
    found.services.iter().flat_map(|service| &service.nodes).map(|node| node.id.clone()).collect()
}

fn is_stale(cache: &Cache, name: &str) -> bool {
    cache.cached(name).expect("known").stale
}

#[tokio::test(start_paused = true)]
async fn known_names_are_answered_from_memory() {
    for scope in [WatchScope::All, WatchScope::Name] {
        let (registry, cache) = warm(scope).await;
        let first = cache.cached("a").expect("known");
        for _ in 0..1000 {
            assert_eq!(cache.get("a").await.expect("known"), first);
        }
        assert_eq!(registry.lookups(), 1, "{scope:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_the_same_name_shares_one_question() {
    let (registry, cache) = warm(WatchScope::All).await;
    registry.register(&service("b", "n"), NEVER).await.expect("register");
    registry.set(Fault::Hang);
    let answers = join_all((0..50).map(|_| cache.get("b")));
    let (answers, ()) = tokio::join!(answers, async { registry.set(Fault::None) });
    assert!(answers.iter().all(Result::is_ok));
    assert!(registry.lookups() <= 2, "{} questions", registry.lookups());
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_leaves_the_question_to_the_others() {
    let (registry, cache) = warm(WatchScope::Name).await;
    registry.register(&service("b", "n"), NEVER).await.expect("register");
    registry.set(Fault::Hang);
    assert!(timeout(SECOND, cache.get("b")).await.is_err());
    registry.set(Fault::None);
    let asked = registry.lookups();
    eventually("the answer is kept", SECOND, async || cache.cached("b").is_some()).await;
    assert_eq!(registry.lookups(), asked);
}

#[tokio::test(start_paused = true)]
async fn changes_arrive_without_asking() {
    for scope in [WatchScope::All, WatchScope::Name] {
        let (registry, cache) = warm(scope).await;
        let first = cache.cached("a").expect("known").generation;
        registry.register(&service("a", "n"), NEVER).await.expect("heartbeat");
        sleep(SECOND).await;
        assert_eq!(cache.cached("a").expect("known").generation, first, "a heartbeat is no change");
        registry.register(&service("a", "m"), NEVER).await.expect("register");
        eventually("the new node", SECOND, async || nodes(&cache, "a").await == ["m", "n"]).await;
        assert!(cache.cached("a").expect("known").generation > first);
        registry.deregister(&service("a", "n")).await.expect("deregister");
        eventually("one left", SECOND, async || nodes(&cache, "a").await == ["m"]).await;
        registry.deregister(&service("a", "m")).await.expect("deregister");
        eventually("both left", SECOND, async || nodes(&cache, "a").await.is_empty()).await;
        assert!(registry.lookups() <= 2, "{scope:?}: {} questions", registry.lookups());
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_away_fails_no_call() {
    for scope in [WatchScope::All, WatchScope::Name] {
        for fault in [Fault::Hang, Fault::Unavailable] {
            let (registry, cache) = warm(scope).await;
            registry.set(fault);
            // Longer than every period of the cache together.
            let end = Instant::now() + 600 * SECOND;
            while Instant::now() < end {
                let found =
                    timeout(SECOND / 1000, cache.get("a")).await.expect("at once").expect("no failure");
                assert_eq!(found.services.len(), 1);
                sleep(SECOND / 10).await;
            }
            assert!(is_stale(&cache, "a"));
            registry.set(Fault::None);
            registry.register(&service("a", "m"), NEVER).await.expect("register");
            eventually("news after the outage", 10 * SECOND, async || nodes(&cache, "a").await == ["m", "n"])
                .await;
            eventually("fresh again", 10 * SECOND, async || !is_stale(&cache, "a")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_not_remembered() {
    let registry = Arc::new(FaultyRegistry::new());
    let cache = Cache::new(registry.clone());
    registry.set(Fault::Unavailable);
    let error = cache.get("a").await.expect_err("nothing is known");
    assert!(error.may_heal() && cache.cached("a").is_none());
    registry.set(Fault::None);
    registry.register(&service("a", "n"), NEVER).await.expect("register");
    assert_eq!(nodes(&cache, "a").await, ["n"]);
    registry.set(Fault::Hang);
    let start = Instant::now();
    assert!(matches!(cache.get("b").await, Err(RegistryError::Timeout { .. })));
    assert!(start.elapsed() <= 5 * SECOND + SECOND / 10, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn unknown_names_are_remembered_for_a_second() {
    for scope in [WatchScope::All, WatchScope::Name] {
        let (registry, cache) = warm(scope).await;
        let before = registry.lookups();
        for _ in 0..100 {
            assert!(nodes(&cache, "unknown").await.is_empty());
        }
        assert_eq!(registry.lookups(), before + 1);
        sleep(SECOND + SECOND / 10).await;
        assert!(nodes(&cache, "unknown").await.is_empty());
        assert_eq!(registry.lookups(), before + 2);
        registry.register(&service("unknown", "n"), NEVER).await.expect("register");
        // With a watch of everything that is heard; else the second has to pass.
        let within = if scope == WatchScope::All { SECOND / 10 } else { SECOND };
        eventually("it is known now", within, async || nodes(&cache, "unknown").await == ["n"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_lost_its_data_is_given_time() {
    for scope in [WatchScope::All, WatchScope::Name] {
        let (registry, cache) = warm(scope).await;
        registry.restart_empty();
        eventually("it is noticed", 5 * SECOND, async || is_stale(&cache, "a")).await;
        let end = Instant::now() + 50 * SECOND;
        while Instant::now() < end {
            assert_eq!(nodes(&cache, "a").await, ["n"]);
            sleep(SECOND / 10).await;
        }
        registry.register(&service("a", "n"), NEVER).await.expect("the heartbeat");
        eventually("fresh again", SECOND, async || !is_stale(&cache, "a")).await;
        sleep(120 * SECOND).await;
        assert_eq!(nodes(&cache, "a").await, ["n"]);
        assert!(!is_stale(&cache, "a"), "{scope:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_never_comes_back_is_dropped_after_the_grace_period() {
    for scope in [WatchScope::All, WatchScope::Name] {
        let (registry, cache) = warm(scope).await;
        registry.restart_empty();
        let start = Instant::now();
        eventually("it is dropped", 90 * SECOND, async || nodes(&cache, "a").await.is_empty()).await;
        let took = start.elapsed();
        assert!(took >= 60 * SECOND && took < 70 * SECOND, "{scope:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_within_the_grace_period_is_gone_at_once() {
    let (registry, cache) = warm(WatchScope::All).await;
    registry.restart_empty();
    eventually("it is noticed", 5 * SECOND, async || is_stale(&cache, "a")).await;
    registry.register(&service("a", "n"), NEVER).await.expect("register");
    eventually("it is back", SECOND, async || !is_stale(&cache, "a")).await;
    registry.deregister(&service("a", "n")).await.expect("deregister");
    eventually("it left", SECOND / 10, async || nodes(&cache, "a").await.is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn names_that_nobody_uses_are_watched_no_more() {
    let (registry, cache) = warm(WatchScope::Name).await;
    sleep(130 * SECOND).await;
    assert!(cache.cached("a").is_none());
    let watches = registry.watches();
    sleep(60 * SECOND).await;
    assert!(registry.watches() <= watches + 1, "the watch goes on");
    assert_eq!(nodes(&cache, "a").await, ["n"]);
    registry.register(&service("a", "m"), NEVER).await.expect("register");
    eventually("watched again", SECOND, async || nodes(&cache, "a").await == ["m", "n"]).await;
}

#[tokio::test(start_paused = true)]
async fn tasks_end_with_the_cache() {
    for scope in [WatchScope::All, WatchScope::Name] {
        let (registry, cache) = warm(scope).await;
        drop(cache);
        eventually("nobody holds the registry", SECOND, async || Arc::strong_count(&registry) == 1).await;
    }
}

/// A registry whose watch is of no use.
#[derive(Debug)]
struct Odd {
    memory: MemoryRegistry,
    watches: AtomicUsize,
    answer: fn(&AtomicUsize) -> Batch,
    wait: bool,
}

#[async_trait]
impl Registry for Odd {
    fn name(&self) -> &str {
        "odd"
    }
    async fn register(&self, service: &Service, ttl: Duration) -> Result<(), RegistryError> {
        self.memory.register(service, ttl).await
    }
    async fn deregister(&self, service: &Service) -> Result<(), RegistryError> {
        self.memory.deregister(service).await
    }
    async fn get_service(&self, name: &str) -> Result<Snapshot, RegistryError> {
        self.memory.get_service(name).await
    }
    async fn list_services(&self) -> Result<Vec<String>, RegistryError> {
        self.memory.list_services().await
    }
    async fn changes(
        &self,
        _: Option<&str>,
        _: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, RegistryError> {
        let batch = (self.answer)(&self.watches);
        if self.wait {
            sleep(wait).await;
        }
        Ok(batch)
    }
    async fn health(&self) -> Result<(), RegistryError> {
        Ok(())
    }
}

fn odd(wait: bool, answer: fn(&AtomicUsize) -> Batch) -> Arc<Odd> {
    Arc::new(Odd { memory: MemoryRegistry::new(), watches: AtomicUsize::new(0), answer, wait })
}

fn count(watches: &AtomicUsize, resync: bool) -> Batch {
    watches.fetch_add(1, SeqCst);
    Batch { cursor: "same".into(), resync, entries: Vec::new() }
}

#[tokio::test(start_paused = true)]
async fn what_the_watch_misses_is_found_within_a_minute() {
    let registry = odd(true, |watches| count(watches, false));
    registry.register(&service("a", "n"), NEVER).await.expect("register");
    let cache = Cache::new(registry.clone());
    assert_eq!(nodes(&cache, "a").await, ["n"]);
    registry.register(&service("a", "m"), NEVER).await.expect("register");
    eventually("the refresh", 65 * SECOND, async || nodes(&cache, "a").await == ["m", "n"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_answers_at_once_does_not_make_the_cache_spin() {
    for answer in
        [|watches: &AtomicUsize| count(watches, false), |watches: &AtomicUsize| count(watches, true)]
    {
        let registry = odd(false, answer);
        registry.register(&service("a", "n"), NEVER).await.expect("register");
        let cache = Cache::new(registry.clone());
        let end = Instant::now() + 60 * SECOND;
        while Instant::now() < end {
            assert_eq!(nodes(&cache, "a").await, ["n"]);
            sleep(SECOND).await;
        }
        let watches = registry.watches.load(SeqCst);
        assert!((5..60).contains(&watches), "asked {watches} times in a minute");
    }
}
