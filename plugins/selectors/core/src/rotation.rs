//! In turn.

use crate::{Nodes, below};

/// Each node in turn, strictly by `sequence`: over as many calls as there are nodes, each gets one. Weights do not count,
/// except that a node of weight 0 has no turn while there is another.
///
/// The turn of a node that is to be avoided goes to the next one; the order of the others stays.
pub fn round_robin<W: Fn(usize) -> u32>(nodes: &Nodes<'_, W>, sequence: u64) -> Option<usize> {
    // Who has a turn must not depend on who is avoided, or the order would jump whenever that changes.
    let has_turn = |at: &usize| (nodes.weight)(*at) > 0;
    let turns = (0..nodes.count).filter(has_turn).count();
    next(nodes, (0..nodes.count).filter(has_turn), turns, sequence)
        .or_else(|| next(nodes, 0..nodes.count, nodes.count, sequence))
}

fn next<W: Fn(usize) -> u32>(
    nodes: &Nodes<'_, W>,
    order: impl Iterator<Item = usize> + Clone,
    turns: usize,
    sequence: u64,
) -> Option<usize> {
    if turns == 0 {
        return None;
    }
    order.cycle().skip(below(sequence, turns)).take(turns).find(|at| nodes.is_open(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(weights: &[u32], avoid: &[u32]) -> Vec<Option<usize>> {
        let nodes = Nodes { count: weights.len(), weight: |at| weights[at], avoid };
        (0..6).map(|sequence| round_robin(&nodes, sequence)).collect()
    }

    #[test]
    fn turns_are_strict_and_step_over_avoided_nodes() {
        assert_eq!(picks(&[1000; 3], &[]), [0, 1, 2, 0, 1, 2].map(Some));
        assert_eq!(picks(&[1000; 3], &[1]), [0, 2, 2, 0, 2, 2].map(Some));
        assert_eq!(picks(&[1000; 3], &[0, 1, 2]), [None; 6]);
        assert_eq!(picks(&[], &[]), [None; 6]);
    }

    #[test]
    fn a_node_without_weight_has_no_turn_while_there_is_another() {
        assert_eq!(picks(&[1000, 0, 7], &[]), [0, 2, 0, 2, 0, 2].map(Some));
        assert_eq!(picks(&[1000, 0, 7], &[0, 2]), [Some(1); 6]);
        assert_eq!(picks(&[0, 0], &[]), [0, 1, 0, 1, 0, 1].map(Some));
    }

    #[test]
    fn over_a_round_every_node_gets_one_wherever_it_starts() {
        for start in [0, 5, u64::MAX - 2] {
            let nodes = Nodes { count: 7, weight: |_| 1, avoid: &[] };
            // The sequence wraps once in the life of a universe; a round that contains the wrap may repeat a node.
            let round = (0..7).filter_map(|step| start.checked_add(step));
            let mut seen: Vec<_> = round.filter_map(|sequence| round_robin(&nodes, sequence)).collect();
            let picked = seen.len();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), picked);
        }
    }
}
