//! The node table: what this process knows about each node that it calls. Selection, retries and statistics read it.

use super::grpc::Reflected;
use super::security::Security;
use super::speaks::Protocol;
use super::transport::TransportName;
use micro_core::Node;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// How long a node is left alone after it was found dead; doubles each time, up to [`LONGEST_EJECTION`].
const FIRST_EJECTION: Duration = Duration::from_secs(1);
const LONGEST_EJECTION: Duration = Duration::from_secs(30);
/// Failures in a row after which a node that still accepts connections is ejected.
const FAILURES: u32 = 3;
/// With fewer than this share of the nodes left, ejection is ignored: then the trouble is more likely here, and the
/// few that are left could not carry everybody's load.
const PANIC_PERCENT: usize = 10;

/// What this process knows about one node.
#[derive(Debug)]
pub struct NodeState {
    /// Unique in this process; the same while the node is known.
    pub id: u32,
    /// The id under which it is registered; the address where it was given by address.
    pub name: String,
    /// Where it is called.
    pub address: String,
    /// What it is called in.
    pub protocol: Protocol,
    /// What its connections are secured with.
    pub security: Security,
    /// What it said of its gRPC methods.
    pub(super) reflected: Reflected,
    /// The name that its gRPC transport goes by.
    pub(super) transport: TransportName,
    started: Instant,
    in_flight: AtomicU32,
    latency_us: AtomicU32,
    calls: AtomicU64,
    errors: AtomicU64,
    failures: AtomicU32,
    ejections: AtomicU32,
    /// Milliseconds since `started`; 0: not ejected.
    ejected_until: AtomicU64,
}

/// Figures about one node, for pages and statistics.
#[derive(Clone, Debug, serde::Serialize)]
pub struct NodeFigures {
    /// The registered id.
    pub name: String,
    /// Where it is called.
    pub address: String,
    /// Calls that are running.
    pub in_flight: u32,
    /// Moving average in microseconds; 0 before the first answer.
    pub latency_us: u32,
    /// Attempts so far.
    pub calls: u64,
    /// Attempts that got no answer.
    pub errors: u64,
    /// Whether it is left alone at the moment.
    pub ejected: bool,
}

impl NodeState {
    fn new(id: u32, name: &str, address: &str, way: Way) -> Self {
        Self {
            id,
            name: name.to_owned(),
            address: address.to_owned(),
            protocol: way.protocol,
            security: way.security,
            reflected: Reflected::default(),
            transport: TransportName::default(),
            started: Instant::now(),
            in_flight: AtomicU32::new(0),
            latency_us: AtomicU32::new(0),
            calls: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            ejections: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
        }
    }

    /// Calls that are running on it.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Moving average of its latency in microseconds; 0 before the first answer.
    pub fn latency_us(&self) -> u32 {
        self.latency_us.load(Relaxed)
    }

    /// Whether it is left alone at the moment.
    pub fn is_ejected(&self) -> bool {
        let until = self.ejected_until.load(Relaxed);
        until != 0 && until > self.age_ms()
    }

    /// Counts a call that starts now; the guard ends it.
    pub(crate) fn start(self: &Arc<Self>) -> Running {
        self.in_flight.fetch_add(1, Relaxed);
        self.calls.fetch_add(1, Relaxed);
        Running { node: self.clone(), since: Instant::now() }
    }

    /// It could not be reached at all. True when this ejects it.
    pub(crate) fn refused(&self) -> bool {
        self.errors.fetch_add(1, Relaxed);
        self.eject()
    }

    /// It was reached and did not answer. True when this ejects it.
    pub(crate) fn failed(&self) -> bool {
        self.errors.fetch_add(1, Relaxed);
        self.failures.fetch_add(1, Relaxed) + 1 >= FAILURES && self.eject()
    }

    fn eject(&self) -> bool {
        if self.is_ejected() {
            return false; // Calls that were under way say nothing new.
        }
        let times = self.ejections.fetch_add(1, Relaxed).min(16);
        let pause = FIRST_EJECTION.saturating_mul(1 << times).min(LONGEST_EJECTION);
        self.ejected_until.store(self.age_ms() + pause.as_millis() as u64, Relaxed);
        true
    }

    fn succeeded(&self, latency: Duration) {
        let sample = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX).max(1);
        let old = self.latency_us.load(Relaxed);
        // Weight 1/8 for the newest; two threads that race lose one sample, which an average can bear.
        let new = if old == 0 { sample } else { old - old / 8 + sample / 8 };
        self.latency_us.store(new.max(1), Relaxed);
        self.is_well();
    }

    /// It says something, so what it failed in before is forgiven.
    fn is_well(&self) {
        if self.failures.load(Relaxed) != 0 || self.ejections.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
            self.ejections.store(0, Relaxed);
            self.ejected_until.store(0, Relaxed);
        }
    }

    /// At least 1, so that 0 can mean "never".
    fn age_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64 + 1
    }

    fn figures(&self) -> NodeFigures {
        NodeFigures {
            name: self.name.clone(),
            address: self.address.clone(),
            in_flight: self.in_flight(),
            latency_us: self.latency_us(),
            calls: self.calls.load(Relaxed),
            errors: self.errors.load(Relaxed),
            ejected: self.is_ejected(),
        }
    }
}

/// A call that runs on a node.
#[derive(Debug)]
pub(crate) struct Running {
    node: Arc<NodeState>,
    since: Instant,
}

impl Running {
    /// The node answered, be it with an error of its handler.
    pub(crate) fn answered(self) {
        self.node.succeeded(self.since.elapsed());
    }

    /// The node says something on a stream. How long that took depends on what it is about, and is not its latency.
    pub(crate) fn is_well(&self) {
        self.node.is_well();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.node.in_flight.fetch_sub(1, Relaxed);
    }
}

/// How a node is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Way {
    pub(crate) protocol: Protocol,
    pub(crate) security: Security,
}

/// Name, address, and how it is called.
type Key = (String, String, Way);

/// All nodes that some candidate set refers to. Nodes that none refers to any more are forgotten.
#[derive(Debug, Default)]
pub(crate) struct NodeTable {
    known: Mutex<HashMap<Key, Weak<NodeState>>>,
    next: AtomicU32,
}

impl NodeTable {
    /// The state of a registered node. A node that comes back under another address, or is called in another way, is
    /// another node.
    pub(crate) fn node(&self, node: &Node, way: Way) -> Arc<NodeState> {
        self.state(&node.id, &node.address, way)
    }

    /// The state of a node that was given by address only.
    pub(crate) fn address(&self, address: &str, way: Way) -> Arc<NodeState> {
        self.state(address, address, way)
    }

    fn state(&self, name: &str, address: &str, way: Way) -> Arc<NodeState> {
        let mut known = self.known.lock();
        let key = (name.to_owned(), address.to_owned(), way);
        if let Some(state) = known.get(&key).and_then(Weak::upgrade) {
            return state;
        }
        if known.len() >= 64 && known.len().is_power_of_two() {
            known.retain(|_, state| state.strong_count() > 0);
        }
        if way.security == Security::TlsUnverified {
            tracing::warn!(
                node = name,
                address,
                "TLS without a check of the certificate: the connection is encrypted, but to whom is unknown"
            );
        }
        let state = Arc::new(NodeState::new(self.next.fetch_add(1, Relaxed), name, address, way));
        known.insert(key, Arc::downgrade(&state));
        state
    }

    /// Figures about all known nodes, by name.
    pub(crate) fn figures(&self) -> Vec<NodeFigures> {
        let mut figures: Vec<_> =
            self.known.lock().values().filter_map(Weak::upgrade).map(|node| node.figures()).collect();
        figures.sort_by(|a, b| (&a.name, &a.address).cmp(&(&b.name, &b.address)));
        figures
    }
}

/// Positions of the nodes that should not be chosen now: those tried already, and those ejected, unless that leaves too
/// few.
pub(crate) fn avoid(nodes: &[Arc<NodeState>], tried: &[u32]) -> Vec<u32> {
    let ejected: Vec<u32> =
        (0u32..).zip(nodes).filter(|(_, node)| node.is_ejected()).map(|(at, _)| at).collect();
    let left = nodes.len() - ejected.len();
    let panic = left == 0 || left * 100 < nodes.len() * PANIC_PERCENT;
    let mut avoid = if panic { Vec::new() } else { ejected };
    avoid.extend(tried);
    avoid
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn table(count: usize) -> (NodeTable, Vec<Arc<NodeState>>) {
        let table = NodeTable::default();
        let nodes = (0..count).map(|at| table.address(&format!("127.0.0.1:{at}"), Way::default())).collect();
        (table, nodes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusing_node_is_left_alone_longer_each_time() {
        let (_table, nodes) = table(2);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert!(nodes[0].refused());
            assert!(!nodes[0].refused(), "it is ejected already");
            assert_eq!(avoid(&nodes, &[]), [0]);
            advance(Duration::from_millis(seconds * 1000 - 1)).await;
            assert!(nodes[0].is_ejected(), "{seconds}");
            advance(Duration::from_millis(2)).await;
            assert!(!nodes[0].is_ejected(), "{seconds}");
        }
        nodes[0].start().answered();
        assert!(nodes[0].refused());
        advance(Duration::from_millis(1001)).await;
        assert!(!nodes[0].is_ejected(), "an answer forgives");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_does_not_answer_is_ejected_at_the_third_time() {
        let (_table, nodes) = table(2);
        assert!(!nodes[0].failed());
        assert!(!nodes[0].failed());
        nodes[0].start().answered();
        assert!(!nodes[0].failed());
        assert!(!nodes[0].failed());
        assert!(nodes[0].failed());
        assert!(nodes[0].is_ejected());
    }

    #[tokio::test(start_paused = true)]
    async fn when_nearly_all_are_ejected_nobody_is() {
        let (_table, nodes) = table(20);
        for node in &nodes[..18] {
            node.refused();
        }
        assert_eq!(avoid(&nodes, &[]).len(), 18, "two of twenty are enough");
        nodes[18].refused();
        assert_eq!(avoid(&nodes, &[7]), [7], "one of twenty is not");
    }

    #[tokio::test]
    async fn figures_count_and_nodes_are_forgotten() {
        let (table, nodes) = table(1);
        let running = nodes[0].start();
        assert_eq!(nodes[0].in_flight(), 1);
        drop(running);
        assert_eq!((nodes[0].in_flight(), table.figures()[0].calls), (0, 1));
        let again = table.address("127.0.0.1:0", Way::default());
        assert_eq!(again.id, nodes[0].id);
        drop((again, nodes));
        assert!(table.figures().is_empty());
    }
}
