//! Which node gets the next call.

use crate::registry::Metadata;
use std::fmt;

/// A node that may be chosen. Built by the client from the registry's records; its position in the set is what
/// [`Selector::pick`] answers with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Issued by the node table; the same node keeps its number while the process lives.
    pub id: u32,
    /// Share of the calls in per mille of a normal node; 1000 unless the node's metadata `weight` says otherwise.
    pub weight: u32,
    /// Where the node runs.
    pub zone: Option<String>,
    /// The node's metadata.
    pub metadata: Metadata,
}

/// Load of a candidate, as this process sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Calls that are running.
    pub in_flight: u32,
    /// Moving average of the latency in microseconds; 0 while unknown.
    pub latency_us: u32,
}

/// The nodes that a call may go to.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// The set's number, unique in this process. A service without filters is one set, whatever nodes come and go.
    pub set: u32,
    /// Another number means that the nodes are others.
    pub version: u64,
    /// The nodes themselves.
    pub nodes: &'a [Candidate],
}

/// The bits of a key that strategies see: what a language whose numbers are doubles can tell apart.
pub const KEYS: u64 = (1 << 53) - 1;

/// A strategy: pure and synchronous, because it runs for every call.
pub trait Selector: Send + Sync + fmt::Debug {
    /// The strategy's name: `random`, `roundrobin`.
    fn name(&self) -> &str;

    /// Whether [`Selector::pick`] looks at the load, which then has to be collected for each call.
    fn needs_load(&self) -> bool {
        false
    }

    /// The position in `candidates.nodes` of the node for the next call; none if all of them are in `avoid` or there are
    /// none. `load` has an item for each node if [`Selector::needs_load`], else it is empty. `sequence` counts the picks
    /// of this set, so that rotation is strict over all threads. `key` is the caller's shard key, or a random number,
    /// below 2^53. `avoid` holds positions.
    fn pick(
        &self,
        candidates: Candidates<'_>,
        load: &[Load],
        sequence: u64,
        key: u64,
        avoid: &[u32],
    ) -> Option<usize>;
}
