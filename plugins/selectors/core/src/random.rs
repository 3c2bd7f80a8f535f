//! By lot.

use crate::{Nodes, below};

/// Any node, in proportion to its weight. The same key chooses the same node while nodes and weights are the same.
pub fn random<W: Fn(usize) -> u32>(nodes: &Nodes<'_, W>, key: u64) -> Option<usize> {
    draw(nodes.usable(), key)
}

/// One of `usable`, in proportion to weights; evenly if none has one.
pub(crate) fn draw(usable: impl Iterator<Item = (usize, u32)> + Clone, key: u64) -> Option<usize> {
    let total: u64 = usable.clone().map(|(_, weight)| u64::from(weight)).sum();
    if total == 0 {
        let count = usable.clone().count().max(1);
        return usable.map(|(at, _)| at).nth(below(key, count));
    }
    let mut rest = key % total;
    for (at, weight) in usable {
        match rest.checked_sub(u64::from(weight)) {
            Some(after) => rest = after,
            None => return Some(at),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_follow_the_weights() {
        let weights = [1000, 0, 3000];
        let pick = |key, avoid: &[u32]| random(&Nodes { count: 3, weight: |at| weights[at], avoid }, key);
        let mut hits = [0; 3];
        for key in 0..4000 {
            hits[pick(key, &[]).expect("some")] += 1;
        }
        assert_eq!(hits, [1000, 0, 3000]);
        assert_eq!(pick(5, &[0, 2]), Some(1), "a weight of zero beats no node at all");
        assert_eq!(pick(u64::MAX, &[0, 1]), Some(2));
    }

    #[test]
    fn nodes_without_weights_share_evenly() {
        let nodes = Nodes { count: 4, weight: |_| 0, avoid: &[1] };
        let picks: Vec<_> = (0..6).map(|key| random(&nodes, key)).collect();
        assert_eq!(picks, [0, 2, 3, 0, 2, 3].map(Some));
    }
}
