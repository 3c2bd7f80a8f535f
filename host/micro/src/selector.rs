//! The native selectors. They are what runs when no selector plugin is there, and the reference for those that are.

use micro_core::Selector;
use micro_core::selector::{Candidates, Load};

/// Each node in turn, strictly: the sequence is the set's, not the thread's.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

/// Any node, in proportion to its weight. Go Micro's default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

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
        let count = candidates.nodes.len();
        let start = (sequence % (count.max(1) as u64)) as usize;
        (start..count).chain(0..start).find(|&at| !avoid.contains(&(at as u32)))
    }
}

impl Selector for Random {
    fn name(&self) -> &str {
        "random"
    }

    fn pick(&self, candidates: Candidates<'_>, _: &[Load], _: u64, key: u64, avoid: &[u32]) -> Option<usize> {
        let usable = || candidates.nodes.iter().enumerate().filter(|(at, _)| !avoid.contains(&(*at as u32)));
        let total: u64 = usable().map(|(_, node)| u64::from(node.weight)).sum();
        if total == 0 {
            // Weights of zero all round: nobody is preferred.
            return usable().nth((key % usable().count().max(1) as u64) as usize).map(|(at, _)| at);
        }
        let mut rest = key % total;
        let chosen = usable().find(|(_, node)| {
            let weight = u64::from(node.weight);
            let here = rest < weight;
            rest = rest.saturating_sub(weight);
            here
        });
        chosen.map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro_core::selector::Candidate;

    fn nodes(weights: &[u32]) -> Vec<Candidate> {
        let node = |(id, &weight): (usize, &u32)| Candidate { id: id as u32, weight, ..Candidate::default() };
        weights.iter().enumerate().map(node).collect()
    }

    fn set(nodes: &[Candidate]) -> Candidates<'_> {
        Candidates { set: 1, version: 1, nodes }
    }

    #[test]
    fn round_robin_is_strict_and_steps_over_avoided_nodes() {
        let nodes = nodes(&[1000; 3]);
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
        let weighted = nodes(&[1000, 0, 3000]);
        let pick = |nodes: &[Candidate], key, avoid: &[u32]| Random.pick(set(nodes), &[], 0, key, avoid);
        let mut hits = [0; 3];
        for key in 0..4000 {
            hits[pick(&weighted, key, &[]).expect("some")] += 1;
        }
        assert_eq!(hits, [1000, 0, 3000]);
        assert_eq!(pick(&weighted, 5, &[0, 2]), Some(1), "a weight of zero beats no node at all");
        assert_eq!(pick(&nodes(&[0, 0]), 3, &[]), Some(1));
        assert_eq!(pick(&[], 3, &[]), None);
    }
}
