//! Plugins of the kind `selector`: which node gets the next call.
//!
//! The host keeps the nodes of each service as a *set* with a number, tells each instance what is in it, and counts the
//! picks. What an instance remembers of its picks is known to one thread only.
//!
//! ```
//! use micro_sdk::hot::{Context, Invalid, NoOptions};
//! use micro_sdk::selector::{Candidate, Pick, Selector, Sets};
//!
//! /// The first node that is not to be avoided.
//! #[derive(Default)]
//! struct First(Sets<u32>);
//!
//! impl Selector for First {
//!     type Options = NoOptions;
//!
//!     fn configure(_: &Context, _: NoOptions) -> Result<Self, Invalid> {
//!         Ok(Self::default())
//!     }
//!
//!     fn set_candidates(&mut self, set: u32, candidates: Vec<Candidate>) {
//!         self.0.replace(set, &candidates, |all| all.len() as u32);
//!     }
//!
//!     fn pick(&mut self, pick: Pick<'_>) -> Option<u32> {
//!         (0..*self.0.get(pick.set)?).find(|position| !pick.avoid.contains(position))
//!     }
//! }
//!
//! micro_sdk::register_selector!(First);
//! # fn main() {}
//! ```

use crate::bindings::hot::load::exports::micro::selector::load;
use crate::bindings::hot::selector::exports::micro::selector::selector as wit;
use crate::hot::export::{Exported, Slot, call};
use crate::hot::{Context, Invalid};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// A selector. [`pick`](Self::pick) runs for each call: it should allocate nothing.
pub trait Selector: Sized + 'static {
    /// The options of the manifest, in the types of [`crate::options`]; [`NoOptions`](crate::hot::NoOptions) if it has
    /// none.
    type Options: DeserializeOwned;

    /// Takes the options, for each fresh instance.
    ///
    /// # Errors
    /// [`Invalid`] ends the attempt to put the plugin into service.
    fn configure(context: &Context, options: Self::Options) -> Result<Self, Invalid>;

    /// What is in a set now, in place of what was. No candidates: the set is gone and its number may come back.
    fn set_candidates(&mut self, set: u32, candidates: Vec<Candidate>);

    /// The position of the chosen node in the list that [`set_candidates`](Self::set_candidates) had for this set; none if
    /// every position is to be avoided.
    fn pick(&mut self, pick: Pick<'_>) -> Option<u32>;
}

/// A selector that looks at the load. Registered with [`register_load_selector!`](crate::register_load_selector), it is
/// asked here and not in [`Selector::pick`].
pub trait LoadSelector: Selector {
    /// As [`Selector::pick`], with the load of each candidate.
    fn pick_by_load(&mut self, pick: Pick<'_>, load: Loads<'_>) -> Option<u32>;
}

/// A node that may be chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The same node keeps its number while the host runs.
    pub id: u32,
    /// Share of the calls in per mille of a normal node: 1000 unless the node's metadata `weight` says otherwise. 0: only
    /// if there is nobody else.
    pub weight: u32,
    /// Where it runs, if that is known.
    pub zone: Option<String>,
    /// The node's metadata.
    pub metadata: Vec<(String, String)>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick<'a> {
    /// The number of the set.
    pub set: u32,
    /// Counts the picks of this set over all threads of the host.
    pub sequence: u64,
    /// The caller's shard key, or a random number.
    pub key: u64,
    /// Positions of nodes that were tried for this call or are known to be in trouble.
    pub avoid: &'a [u32],
}

/// The load of one candidate, as the host's process sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Calls that are running.
    pub in_flight: u32,
    /// Moving average of the latency in microseconds; 0 while unknown.
    pub latency_us: u32,
}

/// The loads of all candidates of a set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loads<'a>(&'a [u32]);

impl<'a> Loads<'a> {
    /// Two words for each candidate, in their order: calls that are running, and latency in microseconds.
    pub fn new(words: &'a [u32]) -> Self {
        Self(words)
    }

    /// The load of the candidate at a position. Nothing, if the host did not say.
    pub fn get(&self, position: usize) -> Load {
        match self.0.get(position.saturating_mul(2)..).unwrap_or_default() {
            [in_flight, latency_us, ..] => Load { in_flight: *in_flight, latency_us: *latency_us },
            _ => Load::default(),
        }
    }
}

/// What a selector keeps of each set between [`Selector::set_candidates`] and [`Selector::pick`]: the weights, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sets<T>(BTreeMap<u32, T>);

impl<T> Sets<T> {
    /// Keeps something of a set in place of what was kept; of a set that is gone, nothing.
    pub fn replace(&mut self, set: u32, candidates: &[Candidate], keep: impl FnOnce(&[Candidate]) -> T) {
        if candidates.is_empty() {
            self.0.remove(&set);
        } else {
            self.0.insert(set, keep(candidates));
        }
    }

    /// What is kept of a set; none if it has no candidates.
    pub fn get(&self, set: u32) -> Option<&T> {
        self.0.get(&set)
    }
}

impl<T> Default for Sets<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S: Slot<Plugin: Selector>> wit::Guest for Exported<S> {
    fn set_candidates(set: u32, candidates: Vec<wit::Candidate>) {
        let candidates = candidates.into_iter().map(Candidate::from).collect();
        call::<S, _>(|selector, _| selector.set_candidates(set, candidates));
    }

    fn pick(set: u32, sequence: u64, key: u64, avoid: Vec<u32>) -> Option<u32> {
        call::<S, _>(|selector, _| selector.pick(Pick { set, sequence, key, avoid: &avoid }))
    }
}

impl<S: Slot<Plugin: LoadSelector>> load::Guest for Exported<S> {
    fn pick(set: u32, sequence: u64, key: u64, avoid: Vec<u32>, load: Vec<u32>) -> Option<u32> {
        let pick = Pick { set, sequence, key, avoid: &avoid };
        call::<S, _>(|selector, _| selector.pick_by_load(pick, Loads::new(&load)))
    }
}

impl From<wit::Candidate> for Candidate {
    fn from(candidate: wit::Candidate) -> Self {
        let wit::Candidate { id, weight, zone, metadata } = candidate;
        Self { id, weight, zone, metadata }
    }
}

/// Makes a type that implements [`Selector`](crate::selector::Selector) the plugin:
/// `micro_sdk::register_selector!(MySelector);`, once, in the root of a `cdylib` crate. Natively it exports nothing, so that
/// the crate's tests link.
#[macro_export]
macro_rules! register_selector {
    ($plugin:ty) => {
        $crate::__register_hot!($plugin, $crate::selector::Selector, selector);
    };
}

/// Makes a type that implements [`LoadSelector`](crate::selector::LoadSelector) the plugin, as
/// [`register_selector!`](crate::register_selector) does for one that does not look at the load.
#[macro_export]
macro_rules! register_load_selector {
    ($plugin:ty) => {
        $crate::__register_hot!($plugin, $crate::selector::Selector, selector, load);
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_pairs_and_missing_ones_are_nothing() {
        let loads = Loads::new(&[1, 20, 3, 40, 5]);
        assert_eq!(loads.get(1), Load { in_flight: 3, latency_us: 40 });
        assert_eq!([loads.get(2), loads.get(3), loads.get(usize::MAX)], [Load::default(); 3]);
    }
}
