//! Which node gets the next call, as pure functions over what is known of the nodes: no state, no clock, no randomness,
//! no allocation. So the same code serves linked natively and in components.
//!
//! | function | chooses | looks at |
//! |---|---|---|
//! | [`round_robin`] | each node in turn | `sequence` |
//! | [`random()`] | any node, in proportion to its weight | `key`, weights |
//! | [`least_conn`] | the node with the fewest running calls for its weight | load, weights, `sequence` |
//! | [`power_of_two`] | the less busy one of two that are drawn in proportion to their weights | `key`, load, weights |
//!
//! All of them keep to the same rules:
//!
//! - a node that is to be avoided is never chosen, and if all of them are, there is none;
//! - a node of weight 0 is chosen only if there is no other;
//! - the answer depends on the arguments alone.
//!
//! ```
//! use selector_core::{Nodes, round_robin};
//! let weights = [1000, 1000, 0];
//! let nodes = Nodes { count: weights.len(), weight: |at| weights[at], avoid: &[] };
//! let picks: Vec<_> = (0..4).filter_map(|sequence| round_robin(&nodes, sequence)).collect();
//! assert_eq!(picks, [0, 1, 0, 1]);
//! ```
#![warn(missing_docs)]

mod load;
mod random;
mod rotation;

pub use load::{Load, least_conn, power_of_two};
pub use random::random;
pub use rotation::round_robin;

/// The nodes of one set. They are only asked about, so that nobody has to copy them for a call.
#[derive(Clone, Copy, Debug)]
pub struct Nodes<'a, W> {
    /// How many there are.
    pub count: usize,
    /// The weight of the node at a position below `count`: a share of the calls, in any unit that is the same for all.
    pub weight: W,
    /// Positions of nodes that must not be chosen. May name positions that do not exist.
    pub avoid: &'a [u32],
}

impl<W: Fn(usize) -> u32> Nodes<'_, W> {
    /// Whether the node at a position may be chosen.
    fn is_open(&self, at: usize) -> bool {
        self.avoid.is_empty() || !self.avoid.iter().any(|avoided| *avoided as usize == at)
    }

    /// The positions that may be chosen: those with a weight, or all if none has one.
    fn usable(&self) -> impl Iterator<Item = (usize, u32)> + Clone + '_ {
        let open = (0..self.count).filter(|at| self.is_open(*at)).map(|at| (at, (self.weight)(at)));
        let none_weighs = open.clone().all(|(_, weight)| weight == 0);
        open.filter(move |(_, weight)| *weight > 0 || none_weighs)
    }
}

/// A number below `bound`, which is not 0.
fn below(number: u64, bound: usize) -> usize {
    // The remainder is below a `usize`.
    (number % bound as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules that hold for all strategies, over many random sets.
    #[test]
    fn strategies_keep_to_the_rules() {
        for seed in 0..2000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let count = random.usize(..12);
            let mut weight = || [0, 0, 1, 1000, 1000, 5000, u32::MAX][random.usize(..7)];
            let weights: Vec<u32> = (0..count).map(|_| weight()).collect();
            let avoid: Vec<u32> = (0..random.usize(..6)).map(|_| random.u32(..14)).collect();
            let loads: Vec<Load> = (0..count)
                .map(|_| Load { in_flight: random.u32(..5), latency_us: random.u32(..3) })
                .collect();
            let nodes = Nodes { count, weight: |at| weights[at], avoid: &avoid };
            let load = |at: usize| loads[at];
            let (sequence, key) = (random.u64(..), random.u64(..));

            let open = |at: usize| !avoid.contains(&(at as u32));
            let somebody = (0..count).any(open);
            let somebody_weighs = (0..count).any(|at| open(at) && weights[at] > 0);
            for (name, pick) in [
                ("round_robin", round_robin(&nodes, sequence)),
                ("random", super::random(&nodes, key)),
                ("least_conn", least_conn(&nodes, load, sequence)),
                ("power_of_two", power_of_two(&nodes, load, key)),
            ] {
                assert_eq!(pick.is_some(), somebody, "{name}, seed {seed}");
                let Some(at) = pick else { continue };
                assert!(at < count && open(at), "{name} chose {at}, seed {seed}");
                assert!(weights[at] > 0 || !somebody_weighs, "{name} chose a node of no weight, seed {seed}");
            }
        }
    }
}
