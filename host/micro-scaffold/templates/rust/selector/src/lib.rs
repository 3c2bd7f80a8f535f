//! @name@: calls with the same shard key go to the same node.
//!
//! Rendezvous hashing: each node has a score for the key, and the highest wins. When a node comes or goes, only the keys
//! that it wins or won move. Calls without a key have a random one, so they are spread. It has no options.

use micro_sdk::hot::{Context, Invalid, NoOptions};
use micro_sdk::selector::{Candidate, Pick, Selector, Sets};

/// The nodes of each set.
#[derive(Debug, Default)]
pub struct Rendezvous(Sets<Vec<Member>>);

#[derive(Clone, Copy, Debug)]
struct Member {
    seed: u64,
    weight: u32,
}

impl Selector for Rendezvous {
    type Options = NoOptions;

    fn configure(_: &Context, _: NoOptions) -> Result<Self, Invalid> {
        Ok(Self::default())
    }

    fn set_candidates(&mut self, set: u32, candidates: Vec<Candidate>) {
        let member = |it: &Candidate| Member { seed: mix(it.id.into()), weight: it.weight };
        self.0.replace(set, &candidates, |all| all.iter().map(member).collect());
    }

    fn pick(&mut self, pick: Pick<'_>) -> Option<u32> {
        let members = self.0.get(pick.set)?;
        best(members, pick.key, pick.avoid)
    }
}

fn best(members: &[Member], key: u64, avoid: &[u32]) -> Option<u32> {
    let free = (0_u32..).zip(members).filter(|(at, _)| !avoid.contains(at));
    let scored = free.map(|(at, member)| (at, member.score(key)));
    scored.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
}

impl Member {
    /// Higher for nodes of more weight, in proportion; below zero for those that are only chosen where there is nobody
    /// else.
    fn score(&self, key: u64) -> f64 {
        // Between 0 and 1, neither of them: 52 bits and a half.
        let uniform = ((mix(key ^ self.seed) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
        match self.weight {
            0 => uniform - 1.0,
            weight => f64::from(weight) / -uniform.ln(),
        }
    }
}

/// Spreads the bits of a number (the finaliser of SplitMix64).
fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

micro_sdk::register_selector!(Rendezvous);

#[cfg(test)]
mod tests {
    use super::*;

    fn members(weights: &[(u64, u32)]) -> Vec<Member> {
        weights.iter().map(|&(id, weight)| Member { seed: mix(id), weight }).collect()
    }

    fn picks(members: &[Member], count: u64, avoid: &[u32]) -> Vec<Option<u32>> {
        (0..count).map(|key| best(members, mix(key), avoid)).collect()
    }

    #[test]
    fn a_key_keeps_its_node_when_others_come_and_go() {
        let before = picks(&members(&[(10, 1000), (11, 1000), (12, 1000)]), 1000, &[]);
        let after = picks(&members(&[(10, 1000), (11, 1000), (12, 1000), (13, 1000)]), 1000, &[]);
        let moved: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
        assert!(moved.iter().all(|(_, now)| **now == Some(3)));
        assert!((150..350).contains(&moved.len()), "{}", moved.len());
    }

    #[test]
    fn keys_are_spread_by_weight() {
        let all = picks(&members(&[(1, 1000), (2, 3000), (3, 0)]), 4000, &[]);
        let times = |at| all.iter().filter(|it| **it == Some(at)).count() as f64;
        let ratio = times(1) / times(0);
        assert!(times(2) == 0.0 && (2.5..3.5).contains(&ratio), "{ratio}");
    }

    #[test]
    fn nodes_to_avoid_are_avoided() {
        let members = members(&[(1, 1000), (2, 1000), (3, 0)]);
        assert!(picks(&members, 100, &[0]).iter().all(|it| *it == Some(1)));
        assert!(picks(&members, 100, &[0, 1]).iter().all(|it| *it == Some(2)));
        assert!(picks(&members, 100, &[0, 1, 2]).iter().all(Option::is_none));
        assert_eq!(best(&[], 1, &[]), None);
    }
}
