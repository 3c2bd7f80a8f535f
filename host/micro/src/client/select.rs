//! From the registry's records to a node: candidate sets, rebuilt only when the records change.

use crate::client::Filter;
use crate::client::explain::NodeSeen;
use crate::client::nodes::{NodeState, NodeTable, Way, avoid};
use crate::client::security::{self, Security, SecurityRules};
use crate::client::speaks::{self, Protocol, ProtocolRules};
use crate::registry::CachedService;
use micro_core::selector::{self, Candidate, Load};
use micro_core::{Error, Node, NodeStatus, Selector, Service};
use parking_lot::RwLock;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Weight of a node that does not say otherwise.
const NORMAL_WEIGHT: u32 = 1000;
/// Sets with filters or of addresses are kept too, but not for ever: a gateway may see any number of them.
const MOST_SETS: usize = 4096;

/// The nodes that a call may go to.
#[derive(Debug)]
pub(super) struct CandidateSet {
    generation: u64,
    /// Another one after each rebuild.
    version: u64,
    candidates: Vec<Candidate>,
    nodes: Vec<Arc<NodeState>>,
    identity: Arc<Identity>,
    /// For the message when there is no candidate.
    refused: Refused,
}

/// What survives a rebuild, so that rotation stays strict while nodes come and go.
#[derive(Debug)]
struct Identity {
    number: u32,
    sequence: AtomicU64,
}

impl Default for Identity {
    /// Unique in the process: clients may share a selector.
    fn default() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Self { number: NEXT.fetch_add(1, Relaxed), sequence: AtomicU64::new(0) }
    }
}

/// A number that no set had before.
fn next_version() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}

/// Why nodes of a service are no candidates.
#[derive(Debug, Default, PartialEq, Eq)]
struct Refused {
    registered: usize,
    critical: usize,
    filtered: usize,
    /// `name (protocol)` of nodes that speak something else.
    foreign: Vec<String>,
}

/// What a call says about nodes, whatever their records and the rules say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'a> {
    pub(super) filters: &'a [Filter],
    pub(super) protocol: Option<Protocol>,
    pub(super) security: Option<Security>,
}

impl Wanted<'_> {
    fn is_nothing(self) -> bool {
        self.filters.is_empty() && self.protocol.is_none() && self.security.is_none()
    }
}

/// What is said about services by their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) protocols: ProtocolRules,
    pub(super) security: SecurityRules,
}

/// A service's name, what narrows it, and how its nodes are called if the call says so.
type Filtered = (String, Vec<Filter>, Option<Protocol>, Option<Security>);

/// Sets by lists of addresses.
type ByAddresses = RwLock<HashMap<Vec<String>, Arc<CandidateSet>>>;

/// All candidate sets of a client.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// The set of a service without filters: the usual case, found by name alone.
    plain: RwLock<HashMap<String, Arc<CandidateSet>>>,
    filtered: RwLock<HashMap<Filtered, Arc<CandidateSet>>>,
    /// The set of a service for requests that are not ours, whatever protocol its nodes name.
    foreign: RwLock<HashMap<String, Arc<CandidateSet>>>,
    /// One for each [`Protocol`] and each [`Security`], so that the usual case is found without an allocation.
    addresses: [[ByAddresses; 3]; Protocol::COUNT],
    rules: Said,
}

impl Candidates {
    /// `rules` speak of nodes whose records do not say how they are called.
    pub(super) fn new(rules: Said) -> Self {
        Self { rules, ..Self::default() }
    }

    /// What is `wanted` goes before what records and rules say.
    pub(super) fn of_service(
        &self,
        name: &str,
        service: &CachedService,
        wanted: Wanted<'_>,
        table: &NodeTable,
    ) -> Arc<CandidateSet> {
        let fresh = |set: &&Arc<CandidateSet>| set.generation == service.generation;
        let Wanted { filters, protocol, security } = wanted;
        let judge = |node: &Node| self.judge(name, node, wanted);
        if wanted.is_nothing() {
            if let Some(set) = self.plain.read().get(name).filter(fresh) {
                return set.clone();
            }
            let mut sets = self.plain.write();
            let old = sets.get(name).map(|set| set.identity.clone());
            let set = Arc::new(CandidateSet::new(service, filters, table, old.unwrap_or_default(), judge));
            make_room(&mut sets);
            sets.insert(name.to_owned(), set.clone());
            return set;
        }
        let key = (name.to_owned(), filters.to_vec(), protocol, security);
        if let Some(set) = self.filtered.read().get(&key).filter(fresh) {
            return set.clone();
        }
        let mut sets = self.filtered.write();
        let old = sets.get(&key).map(|set| set.identity.clone());
        let set = Arc::new(CandidateSet::new(service, filters, table, old.unwrap_or_default(), judge));
        make_room(&mut sets);
        sets.insert(key, set.clone());
        set
    }

    /// How a node of a service is called; what to write about one that cannot be.
    fn judge(&self, name: &str, node: &Node, wanted: Wanted<'_>) -> Result<Way, String> {
        let protocol = match wanted.protocol {
            Some(protocol) => protocol,
            None => own_protocol(node, self.rules.protocols.find(name))?,
        };
        Ok(Way { protocol, security: self.security_of(name, node, wanted.security) })
    }

    /// Each node of a service, and why it is a candidate or not.
    pub(super) fn explain(&self, name: &str, service: &CachedService, wanted: Wanted<'_>) -> Vec<NodeSeen> {
        let judge = |node: &Node| self.judge(name, node, wanted);
        let mut seen = Vec::new();
        judge_all(service, wanted.filters, judge, |version, node, verdict| {
            let refused = match verdict {
                Verdict::Callable(_) => None,
                Verdict::Critical => Some("the registry says that it is critical".to_owned()),
                Verdict::Filtered => Some("the call's filters exclude it".to_owned()),
                Verdict::Foreign(_) => Some("its protocol is not spoken here".to_owned()),
            };
            let because = match wanted.protocol {
                Some(_) => "the call says so".to_owned(),
                None => speaks::because(node, self.rules.protocols.find(name)),
            };
            seen.push(NodeSeen {
                id: node.id.clone(),
                address: node.address.clone(),
                version: version.version.clone(),
                protocol: judge(node).ok().map(|way| way.protocol.to_string()),
                because,
                tls: self.security_of(name, node, wanted.security).to_string(),
                refused,
                status: node.status,
                metadata: node.metadata.clone(),
            });
        });
        seen
    }

    /// How nodes that are given by address are called, and from what the protocol is known.
    pub(super) fn way_of_addresses(&self, service: &str, wanted: Wanted<'_>) -> (Way, &'static str) {
        let security = wanted.security.or_else(|| self.rules.security.find(service)).unwrap_or_default();
        let (protocol, because) = match (wanted.protocol, self.rules.protocols.find(service)) {
            (Some(protocol), _) => (protocol, "the call says so"),
            (None, Some(rule)) => (rule, "a rule says so"),
            (None, None) => (Protocol::default(), "given by address, so Go Micro 1.0 or later is assumed"),
        };
        (Way { protocol, security }, because)
    }

    /// What a node of a service is called in; none for a protocol that is not ours.
    pub(super) fn protocol_of(&self, service: &str, node: &Node) -> Option<Protocol> {
        own_protocol(node, self.rules.protocols.find(service)).ok()
    }

    /// What connections to a node of a service are secured with.
    pub(super) fn security_of(&self, service: &str, node: &Node, wanted: Option<Security>) -> Security {
        wanted.unwrap_or_else(|| security::of_node(node, self.rules.security.find(service)))
    }

    /// All nodes that are well, of any protocol: services that only speak HTTP register none.
    pub(super) fn of_any_protocol(
        &self,
        name: &str,
        service: &CachedService,
        table: &NodeTable,
    ) -> Arc<CandidateSet> {
        if let Some(set) = self.foreign.read().get(name).filter(|set| set.generation == service.generation) {
            return set.clone();
        }
        let mut sets = self.foreign.write();
        let identity = sets.get(name).map(|set| set.identity.clone()).unwrap_or_default();
        let judge = |node: &Node| {
            let protocol = own_protocol(node, self.rules.protocols.find(name)).unwrap_or_default();
            Ok(Way { protocol, security: self.security_of(name, node, None) })
        };
        let set = Arc::new(CandidateSet::new(service, &[], table, identity, judge));
        make_room(&mut sets);
        sets.insert(name.to_owned(), set.clone());
        set
    }

    /// No record says how an address is called: what the call does not say a rule for the service does, and else it
    /// counts as one of Go Micro 1.0 or later, over plain TCP.
    pub(super) fn of_addresses(
        &self,
        service: &str,
        addresses: &[String],
        wanted: Wanted<'_>,
        table: &NodeTable,
    ) -> Arc<CandidateSet> {
        let (way, _) = self.way_of_addresses(service, wanted);
        let sets = &self.addresses[way.protocol as usize][way.security as usize];
        if let Some(set) = sets.read().get(addresses) {
            return set.clone();
        }
        let nodes: Vec<_> = addresses.iter().map(|address| table.address(address, way)).collect();
        let candidate =
            |node: &Arc<NodeState>| Candidate { id: node.id, weight: NORMAL_WEIGHT, ..Candidate::default() };
        let candidates = nodes.iter().map(candidate).collect();
        let refused = Refused { registered: nodes.len(), ..Refused::default() };
        let (version, identity) = (next_version(), Arc::default());
        let set = Arc::new(CandidateSet { generation: 0, version, candidates, nodes, identity, refused });
        let mut sets = sets.write();
        make_room(&mut sets);
        sets.insert(addresses.to_vec(), set.clone());
        set
    }
}

/// A cache this full is mostly of no use any more.
fn make_room<K, V>(sets: &mut HashMap<K, V>) {
    if sets.len() >= MOST_SETS {
        sets.clear();
    }
}

impl CandidateSet {
    /// `judge` says how a node is called, or what to write about one that cannot be called.
    fn new(
        service: &CachedService,
        filters: &[Filter],
        table: &NodeTable,
        identity: Arc<Identity>,
        judge: impl Fn(&Node) -> Result<Way, String>,
    ) -> Self {
        let mut refused = Refused::default();
        let (mut candidates, mut nodes) = (Vec::new(), Vec::new());
        judge_all(service, filters, judge, |_, node, verdict| {
            refused.registered += 1;
            match verdict {
                Verdict::Filtered => refused.filtered += 1,
                Verdict::Critical => refused.critical += 1,
                Verdict::Foreign(foreign) => refused.foreign.push(foreign),
                Verdict::Callable(way) => {
                    let state = table.node(node, way);
                    candidates.push(candidate(node, state.id));
                    nodes.push(state);
                }
            }
        });
        Self { generation: service.generation, version: next_version(), candidates, nodes, identity, refused }
    }

    /// The node for the next attempt; none when there is no candidate at all.
    pub(super) fn pick(
        &self,
        selector: &dyn Selector,
        key: Option<u64>,
        tried: &[u32],
    ) -> Option<Arc<NodeState>> {
        let load: Vec<Load> = if selector.needs_load() {
            let load =
                |node: &Arc<NodeState>| Load { in_flight: node.in_flight(), latency_us: node.latency_us() };
            self.nodes.iter().map(load).collect()
        } else {
            Vec::new()
        };
        let set = selector::Candidates {
            set: self.identity.number,
            version: self.version,
            nodes: &self.candidates,
        };
        let sequence = self.identity.sequence.fetch_add(1, Relaxed);
        let key = key.unwrap_or_else(|| fastrand::u64(..)) & selector::KEYS;
        let pick = |avoid: &[u32]| selector.pick(set, &load, sequence, key, avoid);
        let tried = self.positions(tried);
        // When every node was tried, trying one of them again is better than giving up: one node may be all there is.
        let at = pick(&avoid(&self.nodes, &tried)).or_else(|| pick(&tried)).or_else(|| pick(&[]))?;
        self.nodes.get(at).cloned()
    }

    /// All that may be picked.
    pub(super) fn nodes(&self) -> &[Arc<NodeState>] {
        &self.nodes
    }

    /// Where the nodes of these ids are; the set may have changed since they were tried.
    fn positions(&self, ids: &[u32]) -> Vec<u32> {
        let position = |id: &u32| self.nodes.iter().position(|node| node.id == *id);
        ids.iter().filter_map(position).map(|at| at as u32).collect()
    }

    /// Why there was nobody to pick.
    pub(super) fn nobody(&self, service: &str, location: String) -> Error {
        let Refused { registered, critical, filtered, foreign } = &self.refused;
        if *registered == 0 {
            return Error::not_found(
                super::ID,
                format!("service {service}: not found in registry {location}"),
            );
        }
        let mut why = Vec::new();
        if *critical > 0 {
            why.push(format!("{critical} critical"));
        }
        if *filtered > 0 {
            why.push(format!("{filtered} excluded by the call's filters"));
        }
        if !foreign.is_empty() {
            let nodes = foreign.join(", ");
            let hint = format!(
                "if they can be called after all, say how: --service_protocol {service}=mucp or =grpc"
            );
            why.push(format!("{} of another protocol: {nodes}; {hint}", foreign.len()));
        }
        let detail = format!(
            "error selecting {service} node: none available of {registered} registered in {location} ({})",
            why.join("; ")
        );
        Error::internal(super::ID, detail)
    }
}

/// Whether a node can be called.
enum Verdict {
    Callable(Way),
    Critical,
    Filtered,
    /// `name (protocol)`.
    Foreign(String),
}

/// Judges each node of each version. `judge` says what a node is called in.
fn judge_all(
    service: &CachedService,
    filters: &[Filter],
    judge: impl Fn(&Node) -> Result<Way, String>,
    mut each: impl FnMut(&Service, &Node, Verdict),
) {
    for version in service.services.iter() {
        let mut narrowed: Cow<'_, Service> = Cow::Borrowed(version);
        for filter in filters {
            filter.apply(narrowed.to_mut());
        }
        // Filters take nodes away, and leave the others in their order.
        let mut left = narrowed.nodes.iter().peekable();
        for node in &version.nodes {
            let verdict = if left.next_if(|it| *it == node).is_none() {
                Verdict::Filtered
            } else if node.status == NodeStatus::Critical {
                Verdict::Critical
            } else {
                judge(node).map_or_else(Verdict::Foreign, Verdict::Callable)
            };
            each(version, node, verdict);
        }
    }
}

fn candidate(node: &Node, id: u32) -> Candidate {
    let weight = node.metadata.get("weight").and_then(|text| text.parse().ok()).unwrap_or(NORMAL_WEIGHT);
    Candidate { id, weight, zone: node.zone.clone(), metadata: node.metadata.clone() }
}

/// What a node is called in; a name for it in messages when this client does not speak that.
fn own_protocol(node: &Node, rule: Option<Protocol>) -> Result<Protocol, String> {
    speaks::of_node(node, rule).map_err(|other| format!("{} ({other})", node.id))
}

/// Whether a node takes values in envelopes only. One without `protocol` is one of 2018 or before, or registered by somebody
/// who knows no Go Micro: it would misread bare values in silence (`go-micro-wire` §2.3).
#[must_use]
pub fn wants_envelopes(node: &Node) -> bool {
    node.metadata.get("protocol").is_none_or(String::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::RoundRobin;

    fn node(id: &str, protocol: Option<&str>, status: NodeStatus) -> Node {
        let metadata = protocol.map(|it| ("protocol".to_owned(), it.to_owned())).into_iter().collect();
        Node {
            id: id.to_owned(),
            address: format!("127.0.0.1:{}", 9000 + id.len()),
            metadata,
            status,
            ..Node::default()
        }
    }

    fn service(generation: u64, nodes: Vec<Node>) -> CachedService {
        let service = Service { name: "greeter".into(), version: "1".into(), nodes, ..Service::default() };
        CachedService { services: vec![service].into(), generation, stale: false }
    }

    #[test]
    fn critical_and_foreign_nodes_are_no_candidates_and_the_error_says_so() {
        let (sets, table) = (Candidates::default(), NodeTable::default());
        let all = vec![
            node("a", Some("http"), NodeStatus::Passing),
            node("bb", Some("thrift"), NodeStatus::Passing),
            node("ccc", Some("mucp"), NodeStatus::Critical),
        ];
        let set = sets.of_service("greeter", &service(1, all), Wanted::default(), &table);
        assert!(set.pick(&RoundRobin, None, &[]).is_none());
        let error = set.nobody("greeter", "local".to_owned());
        for part in [
            "none available of 3",
            "1 critical",
            "2 of another protocol",
            "a (http)",
            "bb (thrift)",
            "--service_protocol greeter=",
        ] {
            assert!(error.detail.contains(part), "{part}: {error}");
        }
        let mixed =
            vec![node("a", None, NodeStatus::Passing), node("ccc", Some("mucp"), NodeStatus::Critical)];
        let any = sets.of_any_protocol("greeter", &service(1, mixed), &table);
        assert_eq!(
            any.pick(&RoundRobin, None, &[]).expect("a node").name,
            "a",
            "but never one that is not well"
        );
        let nothing = sets.of_service("greeter", &service(2, vec![]), Wanted::default(), &table);
        assert_eq!(nothing.nobody("greeter", "local".to_owned()).code, 404);
    }

    #[test]
    fn rotation_goes_on_when_nodes_come_and_tried_nodes_come_last() {
        let (sets, table) = (Candidates::default(), NodeTable::default());
        let nodes = |ids: &[&str]| ids.iter().map(|id| node(id, Some("mucp"), NodeStatus::Passing)).collect();
        let set = sets.of_service("greeter", &service(1, nodes(&["a", "bb"])), Wanted::default(), &table);
        let pick = |set: &CandidateSet, tried: &[u32]| {
            set.pick(&RoundRobin, None, tried).expect("a node").name.clone()
        };
        assert_eq!([pick(&set, &[]), pick(&set, &[])], ["a", "bb"]);
        let grown =
            sets.of_service("greeter", &service(2, nodes(&["a", "bb", "ccc"])), Wanted::default(), &table);
        assert_eq!(pick(&grown, &[]), "ccc");
        let first = grown.nodes[0].id;
        assert_eq!(pick(&grown, &[first]), "bb");
        let all: Vec<_> = grown.nodes.iter().map(|node| node.id).collect();
        assert_eq!(pick(&grown, &all), "bb", "one that was tried is better than none");
        grown.nodes[0].refused();
        assert_eq!([pick(&grown, &[]), pick(&grown, &[])], ["ccc", "bb"]);
    }

    #[test]
    fn nodes_without_a_protocol_want_envelopes_until_they_have_one() {
        let (sets, table) = (Candidates::default(), NodeTable::default());
        let mut ids = Vec::new();
        for (generation, protocol, enveloped) in
            [(1, None, true), (2, Some(""), true), (3, Some("mucp"), false), (4, None, true)]
        {
            let found = service(generation, vec![node("a", protocol, NodeStatus::Passing)]);
            let set = sets.of_service("greeter", &found, Wanted::default(), &table);
            let picked = set.pick(&RoundRobin, None, &[]).expect("a candidate");
            assert_eq!(picked.protocol == Protocol::Envelopes, enveloped, "{protocol:?}");
            ids.push(picked.id);
        }
        assert_eq!(ids[0], ids[1]);
        assert_ne!(ids[1], ids[2], "what is known of it as one kind says nothing of the other");
        let address = ["127.0.0.1:9001".to_owned()];
        for (asked, expected) in [
            (None, Protocol::Mucp),
            (Some(Protocol::Envelopes), Protocol::Envelopes),
            (Some(Protocol::GrpcJson), Protocol::GrpcJson),
        ] {
            let wanted = Wanted { protocol: asked, ..Wanted::default() };
            let set = sets.of_addresses("greeter", &address, wanted, &table);
            assert_eq!(set.pick(&RoundRobin, None, &[]).expect("a candidate").protocol, expected);
        }
    }

    #[test]
    fn filters_narrow_versions_and_nodes() {
        let (sets, table) = (Candidates::default(), NodeTable::default());
        let mut found = service(1, vec![node("a", Some("mucp"), NodeStatus::Passing)]);
        let mut second = found.services[0].clone();
        second.version = "2".to_owned();
        second.nodes[0].id = "bb".to_owned();
        found.services = [found.services[0].clone(), second].into();
        for (filter, expected) in [
            (Filter::Version("2".to_owned()), Some("bb")),
            (Filter::Version("3".to_owned()), None),
            (Filter::Endpoint("Say.Hello".to_owned()), None),
            (Filter::Label("zone".to_owned(), "a".to_owned()), None),
        ] {
            let wanted = Wanted { filters: std::slice::from_ref(&filter), ..Wanted::default() };
            let set = sets.of_service("greeter", &found, wanted, &table);
            let name = set.pick(&RoundRobin, None, &[]).map(|node| node.name.clone());
            assert_eq!(name.as_deref(), expected, "{filter:?}");
        }
    }

    #[test]
    fn one_node_over_tcp_and_over_tls_is_two() {
        let rules =
            Said { security: SecurityRules::default().with("*", Security::TlsUnverified), ..Said::default() };
        let (sets, table) = (Candidates::new(rules), NodeTable::default());
        let found = service(1, vec![node("a", Some("mucp"), NodeStatus::Passing)]);
        let picked = |security| {
            let set = sets.of_service("greeter", &found, Wanted { security, ..Wanted::default() }, &table);
            set.pick(&RoundRobin, None, &[]).expect("a candidate")
        };
        assert_eq!(picked(None).security, Security::TlsUnverified, "as the rule says");
        assert_eq!(picked(Some(Security::Plain)).security, Security::Plain, "as the call says");
        assert_ne!(picked(None).id, picked(Some(Security::Plain)).id);
        let address = ["127.0.0.1:9001".to_owned()];
        let set = sets.of_addresses("greeter", &address, Wanted::default(), &table);
        assert_eq!(set.pick(&RoundRobin, None, &[]).expect("a candidate").security, Security::TlsUnverified);
    }
}
