//! The less busy one of two nodes that are drawn by weight: the component around
//! [`selector_core::power_of_two`]. It has no options.

use micro_sdk::hot::{Context, Invalid, NoOptions};
use micro_sdk::selector::{Candidate, LoadSelector, Loads, Pick, Selector, Sets};
use selector_core::{Load, Nodes};

/// The weights of each set.
#[derive(Debug, Default)]
struct PowerOfTwo(Sets<Vec<u32>>);

impl Selector for PowerOfTwo {
    type Options = NoOptions;

    fn configure(_: &Context, _: NoOptions) -> Result<Self, Invalid> {
        Ok(Self::default())
    }

    fn set_candidates(&mut self, set: u32, candidates: Vec<Candidate>) {
        self.0.replace(set, &candidates, |all| all.iter().map(|it| it.weight).collect());
    }

    fn pick(&mut self, pick: Pick<'_>) -> Option<u32> {
        self.pick_by_load(pick, Loads::default())
    }
}

impl LoadSelector for PowerOfTwo {
    fn pick_by_load(&mut self, pick: Pick<'_>, loads: Loads<'_>) -> Option<u32> {
        let weights = self.0.get(pick.set)?;
        let nodes = Nodes { count: weights.len(), weight: |at| weights[at], avoid: pick.avoid };
        let load = |at| {
            let load = loads.get(at);
            Load { in_flight: load.in_flight, latency_us: load.latency_us }
        };
        selector_core::power_of_two(&nodes, load, pick.key).map(|at| at as u32)
    }
}

micro_sdk::register_load_selector!(PowerOfTwo);
