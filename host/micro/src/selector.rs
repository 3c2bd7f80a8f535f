//! The native selectors: adapters over the logic that the selector plugins are made of. They are what runs where no plugin
//! is, and the reference for those that are.

use micro_core::Selector;
use micro_core::selector::{Candidates, Load};
use selector_core::{Load as CoreLoad, Nodes};
use std::sync::Arc;

/// Each node in turn, strictly: the sequence is the set's, not the thread's.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

/// Any node, in proportion to its weight. Go Micro's default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

/// The node with the fewest running calls for its weight; of equal ones each in turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastConn;

/// The less busy one of two nodes that are drawn by weight; of equal ones the faster.
#[derive(Clone, Copy, Debug, Default)]
pub struct P2c;

/// The native selector of a name that Go Micro's users know.
pub fn native(name: &str) -> Option<Arc<dyn Selector>> {
    match name {
        "random" | "default" | "cache" | "registry" => Some(Arc::new(Random)),
        "roundrobin" | "round_robin" | "round-robin" => Some(Arc::new(RoundRobin)),
        "leastconn" | "least_conn" | "least-conn" => Some(Arc::new(LeastConn)),
        "p2c" => Some(Arc::new(P2c)),
        _ => None,
    }
}

/// A set as the strategies see it.
fn nodes<'a>(candidates: Candidates<'a>, avoid: &'a [u32]) -> Nodes<'a, impl Fn(usize) -> u32 + 'a> {
    let nodes = candidates.nodes;
    Nodes { count: nodes.len(), weight: |at: usize| nodes.get(at).map_or(0, |node| node.weight), avoid }
}

/// The load of each position; nothing where none was collected.
fn loads(load: &[Load]) -> impl Fn(usize) -> CoreLoad + '_ {
    |at| {
        let load = load.get(at).copied().unwrap_or_default();
        CoreLoad { in_flight: load.in_flight, latency_us: load.latency_us }
    }
}

impl Selector for RoundRobin {
    fn name(&self) -> &str {
        "roundrobin"
    }

    fn pick(
        &self,
        candidates: Candidates<'_>,
        _: &[Load],
        sequence: u64,
        _: u64,
        avoid: &[u32],
    ) -> Option<usize> {
        selector_core::round_robin(&nodes(candidates, avoid), sequence)
    }
}

impl Selector for Random {
    fn name(&self) -> &str {
        "random"
    }

    fn pick(&self, candidates: Candidates<'_>, _: &[Load], _: u64, key: u64, avoid: &[u32]) -> Option<usize> {
        selector_core::random(&nodes(candidates, avoid), key)
    }
}

impl Selector for LeastConn {
    fn name(&self) -> &str {
        "leastconn"
    }

    fn needs_load(&self) -> bool {
        true
    }

    fn pick(
        &self,
        candidates: Candidates<'_>,
        load: &[Load],
        sequence: u64,
        _: u64,
        avoid: &[u32],
    ) -> Option<usize> {
        selector_core::least_conn(&nodes(candidates, avoid), loads(load), sequence)
    }
}

impl Selector for P2c {
    fn name(&self) -> &str {
        "p2c"
    }

    fn needs_load(&self) -> bool {
        true
    }

    fn pick(
        &self,
        candidates: Candidates<'_>,
        load: &[Load],
        _: u64,
        key: u64,
        avoid: &[u32],
    ) -> Option<usize> {
        selector_core::power_of_two(&nodes(candidates, avoid), loads(load), key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro_core::selector::Candidate;

    fn weighing(weights: &[u32]) -> Vec<Candidate> {
        let node = |(id, &weight): (usize, &u32)| Candidate { id: id as u32, weight, ..Candidate::default() };
        weights.iter().enumerate().map(node).collect()
    }

    fn set(nodes: &[Candidate]) -> Candidates<'_> {
        Candidates { set: 1, version: 1, nodes }
    }

    fn busy(in_flight: &[u32]) -> Vec<Load> {
        in_flight.iter().map(|&in_flight| Load { in_flight, latency_us: 0 }).collect()
    }

    #[test]
    fn round_robin_is_strict_and_steps_over_avoided_nodes() {
        let nodes = weighing(&[1000; 3]);
        let picks = |avoid: &[u32]| {
            (0..6).map(|at| RoundRobin.pick(set(&nodes), &[], at, 0, avoid)).collect::<Vec<_>>()
        };
        assert_eq!(picks(&[]), [0, 1, 2, 0, 1, 2].map(Some));
        assert_eq!(picks(&[1]), [0, 2, 2, 0, 2, 2].map(Some));
        assert_eq!(picks(&[0, 1, 2]), [None; 6]);
        assert_eq!(RoundRobin.pick(set(&[]), &[], 7, 0, &[]), None);
    }

    #[test]
    fn random_follows_the_weights() {
        let weighted = weighing(&[1000, 0, 3000]);
        let pick = |nodes: &[Candidate], key, avoid: &[u32]| Random.pick(set(nodes), &[], 0, key, avoid);
        let mut hits = [0; 3];
        for key in 0..4000 {
            hits[pick(&weighted, key, &[]).expect("some")] += 1;
        }
        assert_eq!(hits, [1000, 0, 3000]);
        assert_eq!(pick(&weighted, 5, &[0, 2]), Some(1), "a weight of zero beats no node at all");
        assert_eq!(pick(&weighing(&[0, 0]), 3, &[]), Some(1));
        assert_eq!(pick(&[], 3, &[]), None);
    }

    #[test]
    fn least_conn_takes_the_idle_node_and_equals_in_turn() {
        let nodes = weighing(&[1000; 3]);
        let pick = |load: &[Load], sequence| LeastConn.pick(set(&nodes), load, sequence, 0, &[]);
        assert!((0..6).all(|sequence| pick(&busy(&[2, 1, 2]), sequence) == Some(1)));
        let picks: Vec<_> = (0..4).map(|sequence| pick(&busy(&[0, 1, 0]), sequence)).collect();
        assert_eq!(picks, [0, 2, 0, 2].map(Some));
        assert_eq!(pick(&[], 4), Some(1), "without a load it is a rotation");
    }

    #[test]
    fn p2c_never_takes_the_busiest_and_depends_on_the_key_alone() {
        let nodes = weighing(&[1000; 3]);
        let load = busy(&[0, 9, 0]);
        let picks = |sequence| {
            (0..300).map(|key| P2c.pick(set(&nodes), &load, sequence, key, &[])).collect::<Vec<_>>()
        };
        assert!(picks(0).iter().all(|pick| pick.is_some_and(|at| at != 1)));
        assert_eq!(picks(0), picks(1));
        assert_eq!(P2c.pick(set(&nodes), &load, 0, 5, &[0, 2]), Some(1));
    }

    #[test]
    fn only_those_that_look_at_the_load_ask_for_it() {
        for (name, needs_load) in
            [("roundrobin", false), ("random", false), ("leastconn", true), ("p2c", true)]
        {
            let selector = native(name).expect("native");
            assert_eq!((selector.name(), selector.needs_load()), (name, needs_load));
        }
        assert!(native("nosuch").is_none());
    }
}
