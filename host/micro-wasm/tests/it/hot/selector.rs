//! Selectors: strict rotation, hostile answers, large sets.

use crate::support::Lab;
use micro_core::Selector;
use micro_core::selector::{Candidate, Candidates, Load};
use micro_wasm::PluginSelector;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Serves where the plugin cannot: always the first node.
#[derive(Debug)]
struct First;

impl Selector for First {
    fn name(&self) -> &str {
        "first"
    }

    fn pick(&self, candidates: Candidates<'_>, _: &[Load], _: u64, _: u64, _: &[u32]) -> Option<usize> {
        (!candidates.nodes.is_empty()).then_some(0)
    }
}

async fn load(lab: &Lab, file: &str, options: &[(&str, &str)]) -> PluginSelector {
    let request = lab.hot("selector", file, file, options);
    lab.host.load_selector(request, |_| Arc::new(First)).await.expect("it loads")
}

fn nodes(count: u32) -> Vec<Candidate> {
    let node = |id| Candidate {
        id,
        weight: 1000,
        zone: Some("a".to_owned()),
        metadata: [("protocol".to_owned(), "mucp".to_owned())].into(),
    };
    (0..count).map(node).collect()
}

fn set(nodes: &[Candidate]) -> Candidates<'_> {
    Candidates { set: 7, version: nodes.len() as u64, nodes }
}

/// Loads for strategies that look at them.
fn idle(count: usize) -> Vec<Load> {
    vec![Load::default(); count]
}

#[tokio::test]
async fn rotation_is_strict_over_threads() {
    const CALLS: u64 = 9_999;
    let lab = Lab::new();
    let selector = load(&lab, "roundrobin-selector", &[]).await;
    let nodes = nodes(3);
    let (next, hits) = (AtomicU64::new(0), [const { AtomicU64::new(0) }; 3]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let sequence = next.fetch_add(1, Ordering::Relaxed);
                    if sequence >= CALLS {
                        return;
                    }
                    let at = selector.pick(set(&nodes), &[], sequence, 0, &[]).expect("a node");
                    hits[at].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(hits.map(AtomicU64::into_inner), [CALLS / 3; 3]);
    assert_eq!(lab.status().restarts, 0);
}

#[tokio::test]
async fn all_that_ship_choose_and_avoid() {
    let lab = Lab::new();
    for file in ["roundrobin-selector", "random-selector", "leastconn-selector", "p2c-selector"] {
        let selector = load(&lab, file, &[]).await;
        let nodes = nodes(4);
        assert_eq!(selector.needs_load(), file.starts_with("leastconn") || file.starts_with("p2c"), "{file}");
        for sequence in 0..100 {
            let key = sequence * 7919;
            let at = selector.pick(set(&nodes), &idle(4), sequence, key, &[0, 2]).expect("a node");
            assert!([1, 3].contains(&at), "{file}: {at}");
        }
        assert_eq!(selector.pick(set(&nodes), &idle(4), 0, 0, &[0, 1, 2, 3]), None, "{file}");
        assert_eq!(selector.pick(set(&[]), &[], 0, 0, &[]), None, "{file}");
        assert_eq!(lab.status().restarts, 0, "{file}");
    }
}

#[tokio::test]
async fn the_load_is_that_of_the_call() {
    let lab = Lab::new();
    let selector = load(&lab, "leastconn-selector", &[]).await;
    let nodes = nodes(3);
    for idle in 0..3 {
        let load: Vec<Load> =
            (0..3).map(|at| Load { in_flight: if at == idle { 1 } else { 9 }, latency_us: 0 }).collect();
        for sequence in 0..10 {
            assert_eq!(selector.pick(set(&nodes), &load, sequence, 0, &[]), Some(idle));
        }
    }
    // Collected for a strategy that does not look at it: nobody is surprised.
    assert!(selector.pick(set(&nodes), &[], 0, 0, &[]).is_some());
}

#[tokio::test]
async fn ten_thousand_nodes() {
    const COUNT: u32 = 10_000;
    let lab = Lab::new();
    for file in ["roundrobin-selector", "leastconn-selector"] {
        let selector = load(&lab, file, &[]).await;
        let nodes = nodes(COUNT);
        let load = idle(nodes.len());
        let mut seen = vec![false; nodes.len()];
        for sequence in 0..u64::from(COUNT) {
            seen[selector.pick(set(&nodes), &load, sequence, 0, &[]).expect("a node")] = true;
        }
        assert!(seen.iter().all(|it| *it), "{file} reaches every node");
        assert_eq!(lab.status().restarts, 0, "{file}");
    }
}

#[tokio::test]
async fn thousands_of_sets_are_told_and_forgotten() {
    let lab = Lab::new();
    let selector = load(&lab, "roundrobin-selector", &[]).await;
    let nodes = nodes(2);
    for number in 1..10_000 {
        let set = Candidates { set: number, version: 1, nodes: &nodes };
        assert_eq!(selector.pick(set, &[], 1, 0, &[]), Some(1));
    }
    let status = lab.status();
    assert_eq!(status.restarts, 0);
    assert!(status.memory_bytes < 32 << 20, "{}", status.memory_bytes);
}

/// A call is never lost to its selector: where the plugin fails, its twin picks.
#[tokio::test]
async fn whatever_a_selector_answers_there_is_a_node() {
    for fault in [
        "pick:trap",
        "pick:spin",
        "pick:outside",
        "pick:largest",
        "set-candidates:trap",
        "set-candidates:spin",
    ] {
        let lab = Lab::new();
        let selector = load(&lab, "fault-selector", &[("fault", &format!("{fault}#1@2"))]).await;
        let nodes = nodes(3);
        assert_eq!(selector.pick(set(&nodes), &[], 1, 0, &[]), Some(0), "{fault}: the twin");
        assert_eq!(selector.pick(set(&nodes), &[], 1, 0, &[]), Some(1), "{fault}: a fresh instance");
        assert_eq!(lab.status().restarts, 1, "{fault}");
    }
}
