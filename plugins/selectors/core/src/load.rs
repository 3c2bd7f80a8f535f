//! By load.

use crate::random::draw;
use crate::{Nodes, below};
use std::cmp::Ordering;

/// Load of a node, as the caller's process sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Calls that are running.
    pub in_flight: u32,
    /// Moving average of the latency in microseconds; 0 while unknown.
    pub latency_us: u32,
}

/// The node with the fewest running calls for its weight. Those that are equal take turns by `sequence`, so that a burst
/// of calls that all see the same numbers does not go to one node.
pub fn least_conn<W: Fn(usize) -> u32>(
    nodes: &Nodes<'_, W>,
    load: impl Fn(usize) -> Load,
    sequence: u64,
) -> Option<usize> {
    let burden = |(at, weight): (usize, u32)| Burden { in_flight: load(at).in_flight, weight };
    let (mut least, mut equal) = (None, 0);
    for node in nodes.usable() {
        match least.map_or(Ordering::Less, |least| burden(node).cmp(least)) {
            Ordering::Less => (least, equal) = (Some(burden(node)), 1),
            Ordering::Equal => equal += 1,
            Ordering::Greater => {}
        }
    }
    let least = least?;
    let turn = below(sequence, equal);
    nodes.usable().filter(|node| burden(*node).cmp(least) == Ordering::Equal).map(|(at, _)| at).nth(turn)
}

/// Draws two nodes in proportion to their weights and chooses the one with fewer running calls for its weight; of equals
/// the one that answers faster, where one that nobody has measured counts as fast. Nearly as even as [`least_conn`], and
/// many callers that see the same old numbers do not all go to the same node.
pub fn power_of_two<W: Fn(usize) -> u32>(
    nodes: &Nodes<'_, W>,
    load: impl Fn(usize) -> Load,
    key: u64,
) -> Option<usize> {
    let first = draw(nodes.usable(), mix(key))?;
    let others = nodes.usable().filter(|(at, _)| *at != first);
    let Some(second) = draw(others, mix(key ^ SECOND)) else { return Some(first) };
    let rank = |at: usize| (Burden { in_flight: load(at).in_flight, weight: (nodes.weight)(at) }, load(at));
    let ((one, load_one), (two, load_two)) = (rank(first), rank(second));
    let order = two.cmp(one).then(load_two.latency_us.cmp(&load_one.latency_us));
    Some(if order == Ordering::Less { second } else { first })
}

/// Running calls per weight, compared without dividing.
#[derive(Clone, Copy)]
struct Burden {
    in_flight: u32,
    weight: u32,
}

impl Burden {
    fn cmp(self, other: Self) -> Ordering {
        // Weights are all 0 or all above: those without one share evenly.
        let scaled = |calls: u32, weight: u32| u64::from(calls) * u64::from(weight.max(1));
        scaled(self.in_flight, other.weight).cmp(&scaled(other.in_flight, self.weight))
    }
}

/// Makes a second draw of the same key another one.
const SECOND: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads a key over all its bits: shard keys may be small numbers. The finalizer of SplitMix64 (Steele, Lea and Flood,
/// 2014).
fn mix(key: u64) -> u64 {
    let key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(in_flight: u32, latency_us: u32) -> Load {
        Load { in_flight, latency_us }
    }

    #[test]
    fn the_least_loaded_for_its_weight_is_chosen() {
        let weights = [1000, 4000, 1000];
        let nodes = Nodes { count: 3, weight: |at| weights[at], avoid: &[] };
        let pick = |calls: [u32; 3]| least_conn(&nodes, |at| load(calls[at], 0), 0);
        assert_eq!(pick([2, 7, 3]), Some(1), "7 calls on four times the weight are less than 2");
        assert_eq!(pick([2, 9, 3]), Some(0));
        assert_eq!(pick([u32::MAX, u32::MAX, u32::MAX]), Some(1));
    }

    #[test]
    fn equals_take_turns() {
        let nodes = Nodes { count: 4, weight: |_| 1000, avoid: &[3] };
        let calls = [1, 0, 0, 0];
        let picks: Vec<_> =
            (0..4).map(|sequence| least_conn(&nodes, |at| load(calls[at], 0), sequence)).collect();
        assert_eq!(picks, [1, 2, 1, 2].map(Some));
    }

    /// Calls that arrive one by one and never end are spread by weight.
    #[test]
    fn counts_come_to_follow_the_weights() {
        let weights = [1000, 3000, 2000];
        let nodes = Nodes { count: 3, weight: |at| weights[at], avoid: &[] };
        let mut calls = [0_u32; 3];
        for sequence in 0..600 {
            let at = least_conn(&nodes, |at| load(calls[at], 0), sequence).expect("some");
            calls[at] += 1;
        }
        for (calls, expected) in calls.into_iter().zip([100, 300, 200]) {
            assert!(calls.abs_diff(expected) <= 2, "{calls} instead of {expected}");
        }
    }

    #[test]
    fn of_two_the_idle_one_and_then_the_faster_one() {
        let nodes = Nodes { count: 2, weight: |_| 1000, avoid: &[] };
        for key in 0..200 {
            let pick = |loads: [Load; 2]| power_of_two(&nodes, |at| loads[at], key);
            assert_eq!(pick([load(3, 10), load(2, 90)]), Some(1));
            assert_eq!(pick([load(2, 10), load(2, 90)]), Some(0));
            assert_eq!(pick([load(2, 10), load(2, 0)]), Some(1), "nobody knows how fast it is");
        }
        let alone = Nodes { count: 2, weight: |_| 1000, avoid: &[0] };
        assert_eq!(power_of_two(&alone, |_| load(9, 9), 7), Some(1));
    }

    #[test]
    fn small_keys_draw_from_all_nodes_by_weight() {
        let weights = [1000, 1000, 2000, 4000];
        let nodes = Nodes { count: 4, weight: |at| weights[at], avoid: &[] };
        let mut hits = [0_u32; 4];
        for key in 0..8000 {
            hits[power_of_two(&nodes, |_| Load::default(), key).expect("some")] += 1;
        }
        for (hits, expected) in hits.into_iter().zip([1000, 1000, 2000, 4000]) {
            assert!(hits.abs_diff(expected) < expected / 8, "{hits} instead of {expected}");
        }
        // The busiest of all is chosen only against itself, so never.
        let busy = |at| load(u32::from(at == 3) * 100, 0);
        assert!((0..1000).all(|key| power_of_two(&nodes, busy, key) != Some(3)));
    }

    #[test]
    fn a_key_is_a_choice() {
        let nodes = Nodes { count: 9, weight: |_| 1, avoid: &[] };
        let picks = || (0..50).map(|key| power_of_two(&nodes, |_| Load::default(), key)).collect::<Vec<_>>();
        assert_eq!(picks(), picks());
    }
}
