//! What every selector must do.

use super::{Verdict, ensure};
use fastrand::Rng;
use micro_core::Selector;
use micro_core::selector::{Candidate, Candidates, Load};
use std::collections::BTreeSet;

/// Picks over which shares are counted.
const PICKS: u64 = 10_000;

/// A check of a selector; the number is where random things begin.
pub(crate) type Check = fn(&dyn Selector, u64) -> Verdict;

/// The rules and their checks.
pub(crate) const CASES: &[(&str, Check)] = &[
    ("selector.pick.member", members),
    ("selector.pick.avoids", avoids),
    ("selector.pick.nobody", nobody),
    ("selector.weight.zero", zero_weight),
    ("selector.set.replaced", replaced),
    ("selector.set.large", large),
    ("selector.avoid.nonsense", nonsense),
    ("selector.pick.fair", fair),
    ("selector.pick.weighted", weighted),
    ("selector.pick.random", anything),
];

/// Checks all rules that selectors can be held to natively; the first that does not hold is named.
///
/// # Errors
/// The rule and what was seen.
pub fn conforms(selector: &dyn Selector, seed: u64) -> Result<(), String> {
    CASES.iter().try_for_each(|(rule, check)| {
        check(selector, seed).map(drop).map_err(|failure| format!("{rule}: {failure}"))
    })
}

/// A set under test. Sets are told by version, so each change is another one.
struct Set<'a> {
    selector: &'a dyn Selector,
    number: u32,
    version: u64,
    nodes: Vec<Candidate>,
    sequence: u64,
}

impl<'a> Set<'a> {
    fn new(selector: &'a dyn Selector, number: u32, weights: &[u32]) -> Self {
        let mut set = Self { selector, number, version: 0, nodes: Vec::new(), sequence: 0 };
        set.replace(weights);
        set
    }

    fn replace(&mut self, weights: &[u32]) {
        let node = |(at, weight): (usize, &u32)| Candidate {
            id: at as u32 + 1,
            weight: *weight,
            metadata: [("weight".to_owned(), weight.to_string())].into_iter().collect(),
            ..Candidate::default()
        };
        self.nodes = weights.iter().enumerate().map(node).collect();
        self.version += 1;
    }

    /// One pick with nothing going on.
    fn pick(&mut self, key: u64, avoid: &[u32]) -> Option<usize> {
        self.pick_under(&vec![Load::default(); self.nodes.len()], key, avoid)
    }

    fn pick_under(&mut self, load: &[Load], key: u64, avoid: &[u32]) -> Option<usize> {
        let load = if self.selector.needs_load() { load } else { &[] };
        let candidates = Candidates { set: self.number, version: self.version, nodes: &self.nodes };
        self.sequence += 1;
        self.selector.pick(candidates, load, self.sequence, key, avoid)
    }

    /// How often each node is picked.
    fn shares(&mut self, random: &mut Rng) -> Result<Vec<u64>, super::Failure> {
        let mut shares = vec![0; self.nodes.len()];
        for _ in 0..PICKS {
            let picked = self.pick(random.u64(..), &[]);
            let share = picked.and_then(|at| shares.get_mut(at));
            let Some(share) = share else {
                return Err(super::Failure(format!(
                    "of {} nodes it picked {}",
                    self.nodes.len(),
                    position(picked)
                )));
            };
            *share += 1;
        }
        Ok(shares)
    }
}

/// A position for people: where a plugin failed, nobody picked.
fn position(picked: Option<usize>) -> String {
    match picked {
        None => "none".to_owned(),
        Some(usize::MAX) => "nothing that there is".to_owned(),
        Some(at) => format!("position {at}"),
    }
}

fn members(selector: &dyn Selector, seed: u64) -> Verdict {
    let mut random = Rng::with_seed(seed);
    for count in [1, 2, 3, 10, 100] {
        let mut set = Set::new(selector, 1, &vec![1000; count]);
        for _ in 0..100 {
            let picked = set.pick(random.u64(..), &[]);
            ensure!(picked.is_some_and(|at| at < count), "of {count} nodes it picked {}", position(picked));
        }
    }
    Ok(None)
}

fn avoids(selector: &dyn Selector, seed: u64) -> Verdict {
    let mut random = Rng::with_seed(seed);
    let mut set = Set::new(selector, 2, &[1000; 5]);
    for avoid in [&[0][..], &[4], &[0, 1, 2, 3], &[1, 3], &[4, 0]] {
        for _ in 0..100 {
            let picked = set.pick(random.u64(..), avoid);
            let good = picked.is_some_and(|at| at < 5 && !avoid.contains(&(at as u32)));
            ensure!(good, "of 5 nodes, avoiding {avoid:?}, it picked {}", position(picked));
        }
    }
    for _ in 0..10 {
        let picked = set.pick(random.u64(..), &[0, 1, 2, 3, 4]);
        ensure!(picked.is_none(), "all 5 were to be avoided, and it picked {}", position(picked));
    }
    Ok(None)
}

fn nobody(selector: &dyn Selector, _: u64) -> Verdict {
    let mut set = Set::new(selector, 3, &[]);
    let picked = set.pick(7, &[]);
    ensure!(picked.is_none(), "from an empty set it picked {}", position(picked));
    set.replace(&[1000]);
    let picked = set.pick(7, &[]);
    ensure!(picked == Some(0), "after the set had a node again it picked {}", position(picked));
    set.replace(&[]);
    let picked = set.pick(7, &[]);
    ensure!(picked.is_none(), "after its only node had gone it picked {}", position(picked));
    Ok(None)
}

fn zero_weight(selector: &dyn Selector, seed: u64) -> Verdict {
    let mut random = Rng::with_seed(seed);
    let mut set = Set::new(selector, 4, &[0, 1000, 0, 1000]);
    // One after the other: a rotation that is asked for both in turn would only ever show its one half.
    for _ in 0..200 {
        let picked = set.pick(random.u64(..), &[]);
        let good = matches!(picked, Some(1 | 3));
        ensure!(good, "of the weights 0, 1000, 0, 1000 it picked {}", position(picked));
    }
    for _ in 0..200 {
        let picked = set.pick(random.u64(..), &[1, 3]);
        let good = matches!(picked, Some(0 | 2));
        ensure!(good, "with all but those of weight 0 to be avoided it picked {}", position(picked));
    }
    set.replace(&[0, 0]);
    let picked = set.pick(random.u64(..), &[]);
    ensure!(matches!(picked, Some(0 | 1)), "of two nodes of weight 0 it picked {}", position(picked));
    Ok(None)
}

fn replaced(selector: &dyn Selector, seed: u64) -> Verdict {
    let mut random = Rng::with_seed(seed);
    let (mut large, mut small) = (Set::new(selector, 5, &[1000; 50]), Set::new(selector, 6, &[1000; 2]));
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let picked = small.pick(random.u64(..), &[]);
        ensure!(
            picked.is_some_and(|at| at < 2),
            "of 2 nodes, beside a set of 50, it picked {}",
            position(picked)
        );
        let picked = large.pick(random.u64(..), &[]);
        ensure!(picked.is_some_and(|at| at < 50), "of 50 nodes it picked {}", position(picked));
        seen.extend(picked);
    }
    ensure!(seen.len() > 2, "of a set of 50 nodes, beside one of 2, it only ever picked {seen:?}");
    for count in [3, 1, 20, 2] {
        large.replace(&vec![1000; count]);
        for _ in 0..50 {
            let picked = large.pick(random.u64(..), &[]);
            let good = picked.is_some_and(|at| at < count);
            ensure!(good, "a set that had shrunk to {count} nodes gave {}", position(picked));
        }
    }
    Ok(None)
}

fn large(selector: &dyn Selector, seed: u64) -> Verdict {
    const MANY: usize = 10_000;
    let mut random = Rng::with_seed(seed);
    let mut set = Set::new(selector, 7, &vec![1000; MANY]);
    let avoid: Vec<u32> = (0..64).map(|_| random.u32(..MANY as u32)).collect();
    for _ in 0..100 {
        let picked = set.pick(random.u64(..), &avoid);
        let good = picked.is_some_and(|at| at < MANY && !avoid.contains(&(at as u32)));
        ensure!(good, "of {MANY} nodes it picked {}", position(picked));
    }
    Ok(None)
}

fn nonsense(selector: &dyn Selector, seed: u64) -> Verdict {
    let mut random = Rng::with_seed(seed);
    let mut set = Set::new(selector, 8, &[1000; 3]);
    for avoid in [&[3, 4, 100][..], &[u32::MAX], &[0, 0, 0, 0], &[u32::MAX, 2, 2, 99]] {
        for _ in 0..50 {
            let picked = set.pick(random.u64(..), avoid);
            let good = picked.is_some_and(|at| at < 3 && !avoid.contains(&(at as u32)));
            ensure!(good, "of 3 nodes, avoiding {avoid:?}, it picked {}", position(picked));
        }
    }
    Ok(None)
}

fn fair(selector: &dyn Selector, seed: u64) -> Verdict {
    const NODES: u64 = 10;
    let equal = PICKS / NODES;
    let mut set = Set::new(selector, 9, &[1000; NODES as usize]);
    let shares = set.shares(&mut Rng::with_seed(seed))?;
    let good = |share: &u64| (equal / 4..=equal * 4).contains(share);
    ensure!(shares.iter().all(good), "{PICKS} picks of {NODES} nodes that are alike went {shares:?}");
    let (least, most) =
        (shares.iter().min().copied().unwrap_or(0), shares.iter().max().copied().unwrap_or(0));
    Ok(Some(format!("shares of {PICKS} picks over {NODES} nodes: {least} to {most}")))
}

fn weighted(selector: &dyn Selector, seed: u64) -> Verdict {
    let mut set = Set::new(selector, 10, &[3000, 1000, 1000, 1000]);
    let shares = set.shares(&mut Rng::with_seed(seed))?;
    let others = shares[1..].iter().max().copied().unwrap_or(0);
    // A strict rotation counts nodes, not weights; chance gives and takes a tenth.
    ensure!(shares[0] * 10 >= others * 9, "the weights 3000, 1000, 1000, 1000 got {shares:?}");
    let note = if shares[0] * 2 > others * 3 { "weights count" } else { "weights above 0 do not count" };
    Ok(Some(note.to_owned()))
}

fn anything(selector: &dyn Selector, seed: u64) -> Verdict {
    const ROUNDS: u64 = 400;
    for round in 0..ROUNDS {
        let mut random = Rng::with_seed(seed.wrapping_add(round));
        let weights: Vec<u32> = (0..random.usize(1..40)).map(|_| random.u32(..4) * 1000).collect();
        let mut set = Set::new(selector, 20 + (round % 7) as u32, &weights);
        set.version = 1000 + round;
        set.sequence = random.u64(..u64::MAX / 2);
        for _ in 0..10 {
            let mut load = || Load { in_flight: random.u32(..1000), latency_us: random.u32(..) };
            let load: Vec<Load> = weights.iter().map(|_| load()).collect();
            let avoid: Vec<u32> = (0..random.usize(..5)).map(|_| random.u32(..40)).collect();
            let picked = set.pick_under(&load, random.u64(..), &avoid);
            let free = |at: usize| !avoid.contains(&(at as u32));
            let left = || (0..weights.len()).filter(|at| free(*at));
            let good = match picked {
                None => left().next().is_none(),
                Some(at) if at < weights.len() && free(at) => {
                    weights[at] > 0 || left().all(|other| weights[other] == 0)
                }
                Some(_) => false,
            };
            ensure!(
                good,
                "round {round}: of the weights {weights:?}, avoiding {avoid:?}, it picked {}",
                position(picked)
            );
        }
    }
    Ok(Some(format!("{} picks", ROUNDS * 10)))
}
