//! Each node in turn: the component around [`selector_core::round_robin`]. It has no options.

use micro_sdk::hot::{Context, Invalid, NoOptions};
use micro_sdk::selector::{Candidate, Pick, Selector, Sets};
use selector_core::Nodes;

/// The weights of each set.
#[derive(Debug, Default)]
struct RoundRobin(Sets<Vec<u32>>);

impl Selector for RoundRobin {
    type Options = NoOptions;

    fn configure(_: &Context, _: NoOptions) -> Result<Self, Invalid> {
        Ok(Self::default())
    }

    fn set_candidates(&mut self, set: u32, candidates: Vec<Candidate>) {
        self.0.replace(set, &candidates, |all| all.iter().map(|it| it.weight).collect());
    }

    fn pick(&mut self, pick: Pick<'_>) -> Option<u32> {
        let weights = self.0.get(pick.set)?;
        let nodes = Nodes { count: weights.len(), weight: |at| weights[at], avoid: pick.avoid };
        selector_core::round_robin(&nodes, pick.sequence).map(|at| at as u32)
    }
}

micro_sdk::register_selector!(RoundRobin);
