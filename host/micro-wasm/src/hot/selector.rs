//! Selector plugins: which node gets the next call.

use super::generation::HotKind;
use super::slot::{Hot, Slot};
use super::state::State;
use micro_bindings::hot::exports::micro::selector::{load, selector};
use micro_core::Selector;
use micro_core::selector::{Candidates, Load};
use micro_plugin::Kind;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, Instance, InstancePre};

/// Sets that one instance may know. One that knows more is replaced: sets that nobody picks from are never taken back.
const MOST_SETS: usize = 4096;
/// How much more processor time an instance gets for each candidate that it is told about.
const PER_CANDIDATE: Duration = Duration::from_micros(50);
/// And for each that it picks from. A strategy that looks at all of them takes a microsecond for one where it is interpreted.
const PER_CHOICE: Duration = Duration::from_micros(5);
/// Sets of fewer are picked from in the time that every call has.
const LARGE_SET: usize = 200;
/// The interface of strategies that look at the load.
const LOAD: &str = "micro:selector/load@0.1.0";

thread_local! {
    /// The load as it crosses into the guest. Reused: a pick is too short to allocate for.
    static WORDS: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct SelectorKind;

pub(crate) struct Indices {
    selector: selector::GuestIndices,
    load: Option<load::GuestIndices>,
}

pub(crate) struct Exports {
    selector: selector::Guest,
    load: Option<load::Guest>,
}

/// What an instance was told: the version of each set. The set of the last pick is usually that of the next.
#[derive(Default)]
pub(crate) struct Told {
    last: (u32, u64),
    sets: HashMap<u32, u64>,
}

impl HotKind for SelectorKind {
    const KIND: Kind = Kind::Selector;
    const COPIED: usize = 4 << 10;
    type Indices = Indices;
    type Exports = Exports;
    type Memory = Told;

    fn find(pre: &InstancePre<State>) -> wasmtime::Result<Self::Indices> {
        let loaded: Option<ComponentExportIndex> = pre.component().get_export_index(None, LOAD);
        let load = loaded.map(|_| load::GuestIndices::new(pre)).transpose()?;
        Ok(Indices { selector: selector::GuestIndices::new(pre)?, load })
    }

    fn load(
        indices: &Self::Indices,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Exports> {
        let load = indices.load.as_ref().map(|it| it.load(&mut *store, instance)).transpose()?;
        Ok(Exports { selector: indices.selector.load(&mut *store, instance)?, load })
    }

    /// Three nodes, of which the first is to be avoided.
    fn smoke(hot: &mut Hot<Self>) -> wasmtime::Result<Result<(), String>> {
        const COUNT: usize = 3;
        let candidate = |id: u32| selector::Candidate { id, weight: 1000, zone: None, metadata: &[] };
        let candidates: [_; COUNT] = [candidate(1), candidate(2), candidate(3)];
        // A number that no set of the client has.
        let set = 0;
        hot.exports.selector.call_set_candidates(&mut hot.store, set, &candidates)?;
        for sequence in 0..6 {
            let picked = pick(hot, set, &[0; 2 * COUNT], sequence, sequence * 77, &[0])?;
            match picked {
                Some(at) if (1..COUNT as u32).contains(&at) => {}
                other => return Ok(Err(format!("of the positions 1 and 2 it picked {other:?}"))),
            }
        }
        let none = pick(hot, set, &[0; 2 * COUNT], 0, 0, &[0, 1, 2])?;
        Ok(none.map_or(Ok(()), |at| Err(format!("it picked {at} although all were to be avoided"))))
    }
}

/// A selector plugin in service. Where it fails, another strategy that is part of the program picks: a call is never
/// lost to its selector.
#[derive(Debug)]
pub struct PluginSelector {
    pub(crate) slot: Arc<Slot<SelectorKind>>,
    /// The strategy's name, from the first plugin's manifest.
    pub(crate) name: String,
    pub(crate) twin: Arc<dyn Selector>,
}

impl Selector for PluginSelector {
    fn name(&self) -> &str {
        &self.name
    }

    fn needs_load(&self) -> bool {
        self.slot.with_current(|generation| generation.indices().load.is_some())
    }

    fn pick(
        &self,
        candidates: Candidates<'_>,
        load: &[Load],
        sequence: u64,
        key: u64,
        avoid: &[u32],
    ) -> Option<usize> {
        let answer = self.slot.call("pick", |hot| {
            tell(hot, candidates)?;
            let mut words = WORDS.take();
            words.clear();
            words.extend(load.iter().flat_map(|it| [it.in_flight, it.latency_us]));
            if hot.exports.load.is_some() {
                // A strategy that looks at the load took over after the load was, or was not, collected.
                words.resize(2 * candidates.nodes.len(), 0);
            }
            if candidates.nodes.len() >= LARGE_SET {
                hot.allow(super::state::BUDGET + PER_CHOICE * candidates.nodes.len() as u32);
            }
            let picked = pick(hot, candidates.set, &words, sequence, key, avoid);
            WORDS.set(words);
            picked
        });
        match answer {
            Ok(Some(at)) if (at as usize) < candidates.nodes.len() => return Some(at as usize),
            Ok(None) => return None,
            Ok(Some(at)) => {
                let count = candidates.nodes.len();
                self.slot.nonsense(format!("it picked position {at} of {count}"));
            }
            // Noted in the slot already.
            Err(_) => {}
        }
        self.twin.pick(candidates, load, sequence, key, avoid)
    }
}

/// Makes sure that this instance knows the set.
#[inline]
fn tell(hot: &mut Hot<SelectorKind>, candidates: Candidates<'_>) -> wasmtime::Result<()> {
    let wanted = (candidates.set, candidates.version);
    if hot.memory.last == wanted {
        return Ok(());
    }
    if hot.memory.sets.get(&wanted.0) != Some(&wanted.1) {
        tell_all(hot, candidates)?;
    }
    hot.memory.last = wanted;
    Ok(())
}

#[cold]
fn tell_all(hot: &mut Hot<SelectorKind>, candidates: Candidates<'_>) -> wasmtime::Result<()> {
    let budget = super::state::BUDGET + PER_CANDIDATE * candidates.nodes.len() as u32;
    if hot.memory.sets.len() >= MOST_SETS {
        for (set, _) in std::mem::take(&mut hot.memory.sets) {
            hot.allow(budget);
            hot.exports.selector.call_set_candidates(&mut hot.store, set, &[])?;
        }
    }
    let metadata: Vec<Vec<(&str, &str)>> = candidates
        .nodes
        .iter()
        .map(|node| node.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
        .collect();
    let lent: Vec<_> = candidates
        .nodes
        .iter()
        .zip(&metadata)
        .map(|(node, metadata)| selector::Candidate {
            id: node.id,
            weight: node.weight,
            zone: node.zone.as_deref(),
            metadata,
        })
        .collect();
    hot.allow(budget);
    hot.exports.selector.call_set_candidates(&mut hot.store, candidates.set, &lent)?;
    hot.memory.sets.insert(candidates.set, candidates.version);
    hot.allow(super::state::BUDGET);
    Ok(())
}

#[inline]
fn pick(
    hot: &mut Hot<SelectorKind>,
    set: u32,
    load: &[u32],
    sequence: u64,
    key: u64,
    avoid: &[u32],
) -> wasmtime::Result<Option<u32>> {
    match &hot.exports.load {
        Some(loaded) => loaded.call_pick(&mut hot.store, set, sequence, key, avoid, load),
        None => hot.exports.selector.call_pick(&mut hot.store, set, sequence, key, avoid),
    }
}
