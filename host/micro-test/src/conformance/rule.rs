//! The rules: what each demands and why. One table, so one file.
//!
//! Reports, `--list` and `docs/plugins/conformance.md` all come from this table.

use micro_plugin::Kind;
use serde::Serialize;
use std::fmt::{self, Write};
use std::str::FromStr;

/// A part of the conformance test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// What can be seen without running the plugin.
    Static,
    /// What its kind's contract says, case by case.
    Contract,
    /// What must hold for anything that is made up at random.
    Property,
    /// Deadlines, restarts, swaps, concurrency, memory.
    Behaviour,
    /// What calls cost. Reported, never a failure.
    Performance,
    /// A network between the plugin and its backend that misbehaves.
    Faults,
}

impl Suite {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 6] =
        [Self::Static, Self::Contract, Self::Property, Self::Behaviour, Self::Performance, Self::Faults];

    /// As it is written on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Contract => "contract",
            Self::Property => "property",
            Self::Behaviour => "behaviour",
            Self::Performance => "performance",
            Self::Faults => "faults",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no suite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no suite: write static, contract, property, behaviour, performance or faults")]
pub struct UnknownSuite(String);

impl FromStr for Suite {
    type Err = UnknownSuite;

    fn from_str(text: &str) -> Result<Self, UnknownSuite> {
        Self::ALL.into_iter().find(|it| it.as_str() == text).ok_or_else(|| UnknownSuite(text.to_owned()))
    }
}

/// Something that a plugin has to do.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rule {
    /// `KIND.SUBJECT.PREDICATE`, for good: reports of today can be compared with those of later versions.
    pub id: &'static str,
    /// Which part of the test checks it.
    pub suite: Suite,
    /// Kinds that it is for; none means all.
    pub kinds: &'static [Kind],
    /// Whether a plugin that has a backend needs one that works for it.
    pub backend: bool,
    /// What has to be so.
    pub demands: &'static str,
    /// What goes wrong otherwise.
    pub why: &'static str,
}

impl Rule {
    /// The rule of that name.
    ///
    /// # Panics
    /// There is none: names stand in the code of the suites, and a test runs all of them.
    pub(crate) fn named(id: &str) -> &'static Self {
        RULES.iter().find(|rule| rule.id == id).unwrap_or_else(|| panic!("no rule {id}"))
    }

    /// Whether plugins of that kind are held to it.
    pub fn is_for(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }
}

const ANY: &[Kind] = &[];
const REGISTRY: &[Kind] = &[Kind::Registry];
const SELECTOR: &[Kind] = &[Kind::Selector];
const CODEC: &[Kind] = &[Kind::Codec];
const FILTER: &[Kind] = &[Kind::Filter];
const WIRE: &[Kind] = &[Kind::Wire];
const HOT: &[Kind] = &[Kind::Selector, Kind::Codec, Kind::Filter, Kind::Wire];

macro_rules! rules {
    ($($id:literal, $suite:ident, $kinds:ident, $backend:literal: $demands:literal, $why:literal;)*) => {
        /// All rules, in the order in which they are checked.
        pub const RULES: &[Rule] = &[$(Rule {
            id: $id, suite: Suite::$suite, kinds: $kinds, backend: $backend, demands: $demands, why: $why,
        }),*];
    };
}

rules! {
    "static.file.component", Static, ANY, false:
        "the file is a WebAssembly component that can be read to its end",
        "core modules and damaged files cannot be loaded";
    "static.manifest.valid", Static, ANY, false:
        "the file holds one manifest, in the form that hosts read",
        "hosts read name, kind, options and permissions from it before they compile anything";
    "static.name.conventional", Static, ANY, false:
        "the name ends with the kind (`etcd-registry`; wires with `-transport`) and the file has that name",
        "`--registry=etcd` looks for `etcd-registry.wasm`";
    "static.contract.served", Static, ANY, false:
        "the contract of the manifest is one that this host serves",
        "a plugin for another version would be refused at its user's";
    "static.exports.contract", Static, ANY, false:
        "the lifecycle of its kind and the interface of its contract are exported, with the types of the contract",
        "these are all that a host ever calls";
    "static.imports.offered", Static, ANY, false:
        "every import is one that the host offers to plugins of its kind",
        "anything else cannot be linked";
    "static.permissions.asked", Static, ANY, false:
        "what the imports are good for is asked for in the manifest, and plugins that run per request ask for nothing",
        "operators decide by what the manifest asks for; what is used without asking fails when it is needed";
    "static.options.documented", Static, ANY, false:
        "every option, the plugin itself and every permission it asks for are explained in a line",
        "`micro plugin inspect`, error messages and help show these lines";
    "static.size.modest", Static, ANY, false:
        "the file is at most 8 MiB (32 MiB where the language brings its interpreter along)",
        "compiling takes time in proportion; a warning only";
    "static.names.kept", Static, ANY, false:
        "the code has its functions' names in it",
        "without them the trace of a fault is numbers; a warning only";

    "registry.loads", Contract, REGISTRY, false:
        "it loads with the options that were given, and takes them in `configure` without its backend",
        "a plugin whose backend is down starts, and says so in `health`";
    "registry.lookup.exact", Contract, REGISTRY, true:
        "lookups find exactly the nodes that were registered under that name and not deregistered since, each under \
         the version that it was registered with last",
        "callers send requests to whatever a lookup says";
    "registry.lookup.unknown", Contract, REGISTRY, true:
        "an unknown name is an empty answer; beginnings and extensions of a known name are unknown",
        "an error would be retried, and a neighbour's node would get the calls";
    "registry.ttl.expires", Contract, REGISTRY, true:
        "a node is gone once its time to live has passed without a heartbeat",
        "a process that died would get calls for ever";
    "registry.ttl.extended", Contract, REGISTRY, true:
        "a heartbeat within the time to live keeps the node, without a gap",
        "a gap is an outage of the service";
    "registry.ttl.zero", Contract, REGISTRY, true:
        "without a time to live a node stays until it is deregistered, also after an earlier registration with one",
        "zero means for ever, not at once";
    "registry.list.complete", Contract, REGISTRY, true:
        "the list has every name that has nodes, once, and no other",
        "`micro list services` shows it, and gateways route by it";
    "registry.register.concurrent", Contract, REGISTRY, true:
        "calls that arrive together all take effect, whatever `max-concurrency` says",
        "services of one process register at the same moment";
    "registry.health.answers", Contract, REGISTRY, true:
        "`health` says yes while the backend answers",
        "a plugin that is not healthy keeps a service from being ready";
    "registry.record.names", Contract, REGISTRY, true:
        "names with slashes, spaces, dots, quotes, percent signs and letters outside ASCII are told apart and come back",
        "what is not escaped on the way to the backend is another service";
    "registry.record.endpoints", Contract, REGISTRY, true:
        "endpoints come back with the value trees that they were registered with",
        "`micro call` and the gateway describe requests by them";
    "registry.record.metadata", Contract, REGISTRY, true:
        "metadata of services and nodes come back byte for byte",
        "the protocol of a node stands there";
    "registry.record.large", Contract, REGISTRY, true:
        "a record of 48 KiB comes back whole",
        "services with many endpoints are that large";
    "registry.watch.first", Contract, REGISTRY, true:
        "`changes` without a cursor is answered at once, with everything in scope and `resync`",
        "a consumer starts with it";
    "registry.watch.changes", Contract, REGISTRY, true:
        "every registration, update and deregistration reaches a watcher",
        "callers' caches are fed by nothing else";
    "registry.watch.cursor-reused", Contract, REGISTRY, true:
        "the same cursor can be used again and leads to the same state",
        "an answer may be lost on its way, and the host asks again";
    "registry.watch.cursor-bad", Contract, REGISTRY, true:
        "a cursor that is no good leads to a `resync`, at once",
        "cursors outlive the backend's history and the plugin's instance";
    "registry.watch.snapshot", Contract, REGISTRY, true:
        "the cursor of a lookup can be watched on from, and nothing in between is missed",
        "this is how a consumer goes from a lookup to a watch";
    "registry.watch.silence", Contract, REGISTRY, true:
        "when nothing happens the answer is empty, and comes when `wait-ms` is over",
        "a poll that overstays is taken for a plugin that hangs";
    "registry.watch.scope", Contract, REGISTRY, true:
        "a watch for one name tells of no other",
        "names that begin alike are neighbours in many stores";
    "registry.watch.wakes", Contract, REGISTRY, true:
        "a change ends the wait of a poll that runs",
        "otherwise callers learn of it seconds late";
    "registry.watch.abandoned", Contract, REGISTRY, true:
        "a poll that nobody waits for any more takes nothing with it",
        "only an answer that arrived moves the consumer on";
    "registry.watch.expiry", Contract, REGISTRY, true:
        "the end of a time to live reaches a watcher",
        "a node that died is deregistered by nobody";
    "registry.watch.many", Contract, REGISTRY, true:
        "sixteen watchers at once all see everything",
        "a gateway watches many names";
    "registry.backend.unreachable", Contract, REGISTRY, false:
        "with a backend that refuses connections every call is answered with a typed error within its time",
        "the host retries and falls back by the error's case";
    "registry.backend.fails", Contract, REGISTRY, false:
        "a backend that answers 500 to everything leads to typed errors, never to data",
        "an empty answer means that the service is gone, and callers act on it";
    "registry.backend.garbage", Contract, REGISTRY, false:
        "bytes that are not the backend's protocol lead to typed errors, never to a trap or to data",
        "ports are mixed up, and proxies answer in HTML";
    "registry.backend.truncated", Contract, REGISTRY, false:
        "an answer that ends in the middle leads to a typed error, never to data",
        "half of a list looks like a list";
    "registry.backend.silent", Contract, REGISTRY, false:
        "a backend that accepts and never answers leads to a typed error once the call's time is over",
        "a plugin that does not give up by itself is retired, with everything else that it was doing";
    "registry.backend.drips", Contract, REGISTRY, false:
        "a backend that answers one byte at a time, for ever, does not keep a call beyond its time",
        "a timeout between two bytes never comes to an end";
    "registry.backend.huge", Contract, REGISTRY, false:
        "an answer of 64 MiB leads to a typed error, not to a plugin out of memory",
        "a plugin that runs out of memory takes all running calls with it";
    "registry.backend.resets", Contract, REGISTRY, false:
        "connections that are reset as soon as something was sent lead to typed errors",
        "servers that restart do this";

    "selector.loads", Contract, SELECTOR, false:
        "it loads with the options that were given",
        "a strategy that does not start leaves the host's own in its place";
    "selector.pick.member", Contract, SELECTOR, false:
        "every pick is a position of the set that was told last",
        "any other is answered with the host's own choice and counts as a fault";
    "selector.pick.avoids", Contract, SELECTOR, false:
        "nodes to be avoided are not picked while there are others, and none is picked when all are to be avoided",
        "a retry must not meet the node that just failed";
    "selector.pick.nobody", Contract, SELECTOR, false:
        "from an empty set nobody is picked",
        "the call fails with a clear error instead";
    "selector.weight.zero", Contract, SELECTOR, false:
        "nodes of weight 0 are picked only when there is nobody else",
        "operators drain nodes this way";
    "selector.set.replaced", Contract, SELECTOR, false:
        "a set that is told again replaces the old one, and sets do not mix",
        "nodes come and go; a node that is gone must not be called";
    "selector.set.large", Contract, SELECTOR, false:
        "a set of 10,000 nodes is taken and picked from within the processor time of a call",
        "a call that computes longer is ended, and its instance with it";
    "selector.avoid.nonsense", Contract, SELECTOR, false:
        "positions to be avoided that do not exist, or come twice, change nothing",
        "the list may be about an older version of the set";

    "codec.loads", Contract, CODEC, false:
        "it loads with the options that were given, and serves its content types",
        "messages of those types cannot be read otherwise";
    "codec.formats.sound", Contract, CODEC, false:
        "content types are lower case, without parameters, each once, around JSON or protobuf",
        "the host finds the codec of a message by them";
    "codec.seal.ordinary", Contract, CODEC, false:
        "ordinary requests and responses of each format can be sealed and opened",
        "this is all that a codec is for";
    "codec.seal.repeatable", Contract, CODEC, false:
        "the same head around the same value is the same message",
        "a codec keeps nothing between calls";
    "codec.open.refuses", Contract, CODEC, false:
        "what is no message of the format is answered with an error",
        "garbage that is opened becomes a call of something";
    "codec.open.large", Contract, CODEC, false:
        "a message of 8 MiB is opened within the processor time that the host gives for its size",
        "large messages are ordinary";

    "filter.loads", Contract, FILTER, false:
        "it loads with the options that were given",
        "a gateway does not start without a filter that it was told to ask";
    "filter.verdict.sound", Contract, FILTER, false:
        "every verdict can be carried out: sound names and values, no fields of the connection, a status from 200 to 599",
        "anything else refuses the request";
    "filter.verdict.repeatable", Contract, FILTER, false:
        "the same head from the same peer gets the same verdict",
        "each thread has an instance of its own, and a retry must not be judged otherwise";
    "filter.head.extreme", Contract, FILTER, false:
        "heads with no fields, with 128 fields, with empty, long, repeated and unusual ones get a verdict",
        "whoever can make a filter fail can make it refuse requests";
    "filter.peer.forms", Contract, FILTER, false:
        "IPv4, IPv6 and IPv4-mapped addresses of peers get a verdict",
        "they are what listeners see";

    "wire.loads", Contract, WIRE, false:
        "it loads with the options that were given",
        "nothing can be sent or received otherwise";
    "wire.decode.ordinary", Contract, WIRE, false:
        "ordinary requests and responses are read as they are written",
        "these are the messages of Go Micro's services";
    "wire.decode.partial", Contract, WIRE, false:
        "a head that has not arrived completely asks for more bytes, wherever it is cut",
        "packets end anywhere";
    "wire.decode.hostile", Contract, WIRE, false:
        "heads that two readers could understand differently are refused",
        "requests are smuggled with them past whoever reads them the other way";
    "wire.decode.bounded", Contract, WIRE, false:
        "heads of more than 64 KiB or 128 fields are refused, and the largest allowed ones are read",
        "memory is taken by whoever can send a head";
    "wire.encode.refuses", Contract, WIRE, false:
        "names, values and start lines with control characters are not written",
        "they would split the message";
    "wire.encode.framing", Contract, WIRE, false:
        "fields about the connection and the framing are the plugin's, never the caller's",
        "two lengths in one head are two messages";

    "registry.model.walk", Property, REGISTRY, true:
        "after any sequence of steps, lookups and watchers agree with a model",
        "bugs of caches and cursors hide in the order of things";
    "selector.pick.fair", Property, SELECTOR, false:
        "of nodes that are alike in weight and load, every one gets a share of 10,000 picks: at least a quarter of an \
         equal one, at most four times that",
        "a node that gets everything fails first, one that gets nothing is paid for in vain";
    "selector.pick.weighted", Property, SELECTOR, false:
        "a node of three times the weight gets more than one of a single weight",
        "weights are how operators steer";
    "selector.pick.random", Property, SELECTOR, false:
        "for any set, load and list to avoid, the pick is a member that is not avoided, of weight above 0 if there is one",
        "whatever happens in a cluster, this must hold";
    "codec.round-trip", Property, CODEC, false:
        "for any id, endpoint, error and value, opening what was sealed gives them back, or sealing says that the \
         format has no place for them",
        "a call arrives as it was made, or not at all";
    "codec.open.mutated", Property, CODEC, false:
        "messages that were cut or changed anywhere are errors or messages, never traps or ranges out of bounds",
        "peers send what they like";
    "codec.open.noise", Property, CODEC, false:
        "random bytes are refused",
        "a message that is none has no caller";
    "filter.verdict.random", Property, FILTER, false:
        "for any head and peer the verdict can be carried out, and is the same when asked again",
        "filters see what strangers send";
    "wire.round-trip", Property, WIRE, false:
        "for any fields, start line and framing, what is written is read back",
        "both ends of a connection are this plugin";
    "wire.decode.mutated", Property, WIRE, false:
        "heads that were cut or changed anywhere are errors, requests for more, or heads within the bytes that were given",
        "an offset outside costs the connection";

    "registry.deadline.kept", Behaviour, REGISTRY, true:
        "every call is answered by the plugin itself before its time is over, as `timeout` if need be",
        "a plugin that does not give up is retired, and every other call in it is lost";
    "registry.concurrency.kept", Behaviour, REGISTRY, true:
        "while a poll waits, lookups are answered without waiting for it",
        "a plugin that blocks in one call while it says that it can do several holds up a whole process";
    "registry.restart.heals", Behaviour, REGISTRY, true:
        "after an instance was replaced, the heartbeat brings every registration back, once, and deregistering works",
        "instances end at any time";
    "registry.restart.cursor", Behaviour, REGISTRY, true:
        "a cursor of an earlier instance goes on, or leads to a `resync`; nothing is missed",
        "cursors are the host's, and outlive instances";
    "registry.swap.kept", Behaviour, REGISTRY, true:
        "a new generation has every registration, and the old one's `drain(\"replaced\")` takes none of them away",
        "a swap would be an outage of every service of the process";
    "registry.swap.seamless", Behaviour, REGISTRY, true:
        "no call fails while the plugin is replaced under load",
        "operators replace plugins at noon";
    "registry.memory.steady", Behaviour, REGISTRY, true:
        "memory stays where it is over up to 100,000 calls",
        "an instance that grows is ended by its limit, at the worst moment";
    "registry.permissions.kept", Behaviour, REGISTRY, true:
        "nothing is tried that was not granted",
        "a plugin that knocks at other doors is not to be trusted";
    "hot.instances.alike", Behaviour, HOT, false:
        "an instance of another thread, made from the same options, gives the same answers",
        "threads make and lose instances without notice";
    "hot.swap.seamless", Behaviour, HOT, false:
        "no call fails while the plugin is replaced under load",
        "operators replace plugins at noon";
    "hot.memory.steady", Behaviour, HOT, false:
        "memory stays where it is over up to 100,000 calls",
        "an instance that grows is ended by its limit, in the middle of a request";

    "performance.load", Performance, ANY, false:
        "how long compiling takes, and loading what is compiled",
        "A: 2 s and 50 ms; B: 10 s and 250 ms; C: more";
    "performance.calls", Performance, ANY, true:
        "what a call costs: the median of rounds",
        "A is what a request path bears without being noticed; see *Performance classes*";

    "registry.faults.latency", Faults, REGISTRY, true:
        "with 200 ms in each direction everything works, only later",
        "backends are in other data centres";
    "registry.faults.reset", Faults, REGISTRY, true:
        "connections that are reset lead to typed errors, and after that everything works again without help",
        "load balancers and restarts do this";
    "registry.faults.partition", Faults, REGISTRY, true:
        "after 5 s without a network the watch tells what happened meanwhile, and no registration is lost that had time left",
        "networks split";
}

/// The tables of `docs/plugins/conformance.md`, in Markdown.
pub fn rules_as_markdown() -> String {
    let mut text = String::new();
    for suite in Suite::ALL {
        // Writing to a String cannot fail.
        _ = writeln!(text, "### {suite}\n\n| rule | demands | because |\n|---|---|---|");
        for rule in RULES.iter().filter(|rule| rule.suite == suite) {
            let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            _ = writeln!(text, "| `{}` | {} | {} |", rule.id, one_line(rule.demands), one_line(rule.why));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_dotted_and_unique() {
        let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(names.len(), RULES.len());
        let good = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || b".-".contains(&byte));
        assert!(names.iter().all(|name| good(name) && name.contains('.')), "{names:?}");
    }

    #[test]
    fn the_cases_of_the_registry_suite_are_rules() {
        for (rule, _) in crate::registry::CASES {
            assert!(Rule::named(rule).is_for(Kind::Registry), "{rule}");
        }
    }

    /// With `UPDATE_DOCS=1` in the environment the page is written instead of compared.
    #[test]
    fn the_documentation_has_these_tables() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plugins/conformance.md");
        let page = std::fs::read_to_string(path).expect("the page is there");
        let mut current = page.clone();
        let classes = super::super::performance::classes_as_markdown();
        for (mark, table) in [("rules", rules_as_markdown()), ("classes", classes)] {
            let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->"));
            let from = current.find(&begin).expect("a mark") + begin.len();
            let to = current.find(&end).expect("a mark");
            current.replace_range(from..to, &format!("{}\n", table.trim_end()));
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &current).expect("writable");
        }
        let page = std::fs::read_to_string(path).expect("the page is there");
        assert!(page == current, "{path} is out of date: run this test once with UPDATE_DOCS=1");
    }
}
