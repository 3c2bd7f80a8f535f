//! Shipped plugins of hot kinds give the answers that their logic gives when it is linked natively.

use crate::support::{Lab, plugin, request};
use bytes::Bytes;
use http1_core::{End, Framing, Head, Method, Role, Start};
use micro_core::codec::{Codec, CodecError, Envelope, Role as Half};
use micro_core::filter::{Filter, Operation, RequestHead, Verdict};
use micro_core::selector::{Candidate, Candidates, Load, Selector};
use micro_net::wire::{NativeWire, Wire};
use micro_wasm::{PluginRequest, PluginState};
use selector_core::Nodes;
use std::net::IpAddr;
use std::sync::Arc;

/// Enough that an allocator which loses or mixes up blocks is found out.
const ROUNDS: u64 = 3000;

fn shipped(lab: &Lab, name: &str) -> PluginRequest {
    request(&lab.file(&format!("{name}.wasm"), &plugin(name)))
}

/// Nobody stood in for the plugin.
fn assert_served(lab: &Lab) {
    for status in lab.host.plugins() {
        assert!(status.state == PluginState::Ready && status.last_error.is_none(), "{status:?}");
    }
}

/// A head with random fields: well-known and other names, long and empty values.
fn fields(random: &mut fastrand::Rng) -> Vec<(Vec<u8>, Vec<u8>)> {
    let names = ["Content-Type", "Micro-Endpoint", "X-Own", "x-other-name", "Traceparent", "Connection"];
    let longest = 1 << random.u32(1..13);
    let field = |_| {
        let name = names[random.usize(..names.len())].as_bytes().to_vec();
        let value = (0..random.usize(..longest)).map(|_| random.u8(b'!'..0x7f)).collect();
        (name, value)
    };
    (0..8).map(field).collect()
}

#[tokio::test]
async fn http_transport() {
    let lab = Lab::new();
    let wire = lab.host.load_wire(shipped(&lab, "http-transport")).await.expect("it loads");
    let framings = [Framing::None, Framing::Length(0), Framing::Length(u64::MAX), Framing::Chunked];
    for seed in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let fields = fields(&mut random);
        let fields = || fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        let request = random.bool();
        let (role, start) = if request {
            (Role::Request, Start::Request { method: "POST", path: b"/a?b", host: b"here:1" })
        } else {
            (Role::Response, Start::Response { status: random.u16(100..600), reason: b"Reason" })
        };
        let end = End { framing: framings[random.usize(..4)], close: random.bool() };
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        wire.encode(start, fields(), end, &mut bytes).expect("it encodes");
        NativeWire.encode(start, fields(), end, &mut expected).expect("it encodes");
        assert!(bytes == expected, "seed {seed}");

        // Whole, cut off, and with a byte changed.
        let cut = random.usize(..bytes.len());
        let mut broken = bytes.clone();
        broken[cut] = random.u8(..);
        bytes.extend_from_slice(b"body");
        for data in [&bytes[..], &bytes[..cut], &broken] {
            let (mut words, mut expected) = (Vec::new(), Vec::new());
            let answer = wire.decode(role, Method::POST, data, &mut words).map_err(|error| error.to_string());
            let native = NativeWire.decode(role, Method::POST, data, &mut expected);
            assert_eq!(answer, native.map_err(|error| error.to_string()), "seed {seed}");
            // A decoder that needs more bytes may leave anything in the words.
            assert!(answer != Ok(0) && words == expected || Head::new(&words, data).is_none(), "seed {seed}");
        }
    }
    assert_served(&lab);
}

/// Stands in for a plugin that failed, with an answer that no plugin gives.
#[derive(Debug)]
struct Nobody;

impl Selector for Nobody {
    fn name(&self) -> &str {
        "nobody"
    }

    fn pick(&self, _: Candidates<'_>, _: &[Load], _: u64, _: u64, _: &[u32]) -> Option<usize> {
        Some(usize::MAX)
    }
}

/// A strategy over weights, loads, sequence, key and positions to avoid.
type Strategy = fn(&[u32], &[Load], u64, u64, &[u32]) -> Option<usize>;

fn nodes<'a>(weights: &'a [u32], avoid: &'a [u32]) -> Nodes<'a, impl Fn(usize) -> u32 + 'a> {
    Nodes { count: weights.len(), weight: |at: usize| weights[at], avoid }
}

fn load_of(load: &[Load]) -> impl Fn(usize) -> selector_core::Load + '_ {
    |at| selector_core::Load { in_flight: load[at].in_flight, latency_us: load[at].latency_us }
}

async fn selects(name: &str, looks_at_load: bool, strategy: Strategy) {
    let lab = Lab::new();
    let selector = lab.host.load_selector(shipped(&lab, name), |_| Arc::new(Nobody)).await.expect("it loads");
    assert_eq!(selector.needs_load(), looks_at_load);
    for version in 1..ROUNDS / 10 {
        let mut random = fastrand::Rng::with_seed(version);
        let weights: Vec<u32> = (0..random.usize(1..20)).map(|_| random.u32(..4) * 1000).collect();
        let candidates: Vec<_> = (0..).zip(&weights).map(candidate).collect();
        for _ in 0..10 {
            let mut load = || Load { in_flight: random.u32(..4), latency_us: random.u32(..3) };
            let load: Vec<_> = weights.iter().map(|_| load()).collect();
            let avoid: Vec<u32> = (0..random.usize(..4)).map(|_| random.u32(..20)).collect();
            let (sequence, key) = (random.u64(..), random.u64(..));
            // Few sets, so that each is told anew many times.
            let candidates = Candidates { set: 1 + (version % 7) as u32, version, nodes: &candidates };
            let lent = if looks_at_load { &load[..] } else { &[] };
            let picked = selector.pick(candidates, lent, sequence, key, &avoid);
            assert_eq!(picked, strategy(&weights, &load, sequence, key, &avoid), "{name}, version {version}");
        }
    }
    assert_served(&lab);
}

fn candidate((id, &weight): (u32, &u32)) -> Candidate {
    let metadata = [("weight".to_owned(), weight.to_string())].into_iter().collect();
    Candidate { id, weight, zone: Some("here".to_owned()), metadata }
}

#[tokio::test]
async fn selectors() {
    selects("roundrobin-selector", false, |weights, _, sequence, _, avoid| {
        selector_core::round_robin(&nodes(weights, avoid), sequence)
    })
    .await;
    selects("random-selector", false, |weights, _, _, key, avoid| {
        selector_core::random(&nodes(weights, avoid), key)
    })
    .await;
    selects("leastconn-selector", true, |weights, load, sequence, _, avoid| {
        selector_core::least_conn(&nodes(weights, avoid), load_of(load), sequence)
    })
    .await;
    selects("p2c-selector", true, |weights, load, _, key, avoid| {
        selector_core::power_of_two(&nodes(weights, avoid), load_of(load), key)
    })
    .await;
}

/// Seals and opens messages whose parts need everything that an envelope has for them.
async fn there_and_back(name: &str, value: impl Fn(&mut fastrand::Rng) -> Vec<u8>) {
    let lab = Lab::new();
    let codec = lab.host.load_codec(shipped(&lab, name), |_| None).await.expect("it loads");
    let texts = ["", "Say.Hello", "Say.Gr\u{fc}\u{df}", "a \"quoted\" \\ text\n\u{1f600}"];
    for seed in 0..ROUNDS / 10 {
        let mut random = fastrand::Rng::with_seed(seed);
        let id = random.u32(..).to_string();
        let (half, error) = match random.usize(..3) {
            0 => (Half::Request, ""),
            _ => (Half::Response, texts[random.usize(..4)]),
        };
        let endpoint = texts[random.usize(1..4)];
        let envelope = Envelope { id: id.as_bytes(), endpoint, error };
        let value = value(&mut random);
        let mut message = b"before".to_vec();
        codec.seal(0, half, envelope, &value, &mut message).expect("it seals");
        let opened = codec.open(0, half, &Bytes::from(message).slice(6..)).expect("it opens");
        assert_eq!((&opened.id[..], opened.error.as_str()), (id.as_bytes(), error), "{name}, seed {seed}");
        assert!(opened.value == value, "{name}, seed {seed}");
        assert!(half == Half::Response || opened.endpoint == endpoint, "{name}, seed {seed}");

        let noise: Bytes = (0..random.usize(..200)).map(|_| random.u8(..)).collect();
        assert!(matches!(codec.open(0, half, &noise), Err(CodecError::Malformed(_))), "{name}, seed {seed}");
    }
    assert_served(&lab);
}

#[tokio::test]
async fn codecs() {
    // Now and then larger than what a plugin's arena holds.
    let length = |random: &mut fastrand::Rng| {
        let longest = 1 << random.u32(1..20);
        random.usize(1..=longest)
    };
    there_and_back("jsonrpc-codec", |random| {
        let length = length(random);
        format!("{{\"text\":\"{}\"}}", "x".repeat(length)).into_bytes()
    })
    .await;
    there_and_back("protorpc-codec", |random| (0..length(random)).map(|at| at as u8).collect()).await;
}

fn ask(filter: &dyn Filter, peer: &str) -> Verdict {
    let peer: IpAddr = peer.parse().expect("an address");
    let fields = [(&b"X-Own"[..], &b"1"[..])];
    let head = RequestHead { peer, method: "GET", target: b"/", host: b"here", fields: &fields };
    filter.request(head).expect("it decides")
}

#[tokio::test]
async fn filters() {
    let lab = Lab::new();
    let listed = shipped(&lab, "ip-whitelist-filter").option("ip_whitelist", "127.0.0.1,10.0.0.0/8,fd00::/8");
    let filter = lab.host.load_filter(listed).await.expect("it loads");
    for peer in ["127.0.0.1", "10.9.8.7", "::ffff:10.9.8.7", "fd12::1"] {
        assert_eq!(ask(&filter, peer), Verdict::Next, "{peer}");
    }
    for peer in ["127.0.0.2", "::1", "::ffff:11.0.0.1"] {
        let verdict = ask(&filter, peer);
        assert!(
            matches!(&verdict, Verdict::Respond { status: 403, body, .. } if body == "forbidden"),
            "{verdict:?}"
        );
    }
    let wrong = shipped(&lab, "ip-whitelist-filter").option("ip_whitelist", "127.0.0.1,10.0.0");
    let error = lab.host.load_filter(wrong).await.expect_err("no address").to_string();
    assert!(error.contains("\"10.0.0\" is neither an address"), "{error}");

    let set = shipped(&lab, "header-filter").option("header", "X-A=1,X-A=2");
    let filter = lab.host.load_filter(set).await.expect("it loads");
    let Verdict::Edit { request, response } = ask(&filter, "::1") else { panic!("it edits") };
    let edits: Vec<_> = response.iter().map(|it| (it.operation, it.name.as_str(), &it.value[..])).collect();
    assert!(request.is_empty());
    assert_eq!(edits, [(Operation::Set, "X-A", &b"1"[..]), (Operation::Append, "X-A", b"2")]);
    assert_served(&lab);
}

/// What the fixtures are for: each is good until it is told otherwise, and each variant can be told from its original.
#[tokio::test]
async fn fixtures() {
    let lab = Lab::new();
    let request = |name: &str| shipped(&lab, name);

    let wire = lab.host.load_wire(request("wire-two")).await.expect("it loads");
    let mut bytes = Vec::new();
    let end = End { framing: Framing::None, close: false };
    wire.encode(Start::Response { status: 200, reason: b"OK" }, [], end, &mut bytes).expect("it encodes");
    assert_eq!(bytes, b"HTTP/1.1 200 OK\r\nX-Wire: 2\r\n\r\n");

    let poisoned = request("fault-wire").option("fault", "decode:trap").option("poison", "X-Poison");
    let wire = lab.host.load_wire(poisoned).await.expect("it loads");
    let decode = |data: &[u8]| wire.decode(Role::Request, Method::NONE, data, &mut Vec::new());
    assert!(decode(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok());
    assert!(decode(b"GET / HTTP/1.1\r\nHost: a\r\nx-poison: 1\r\n\r\n").is_err());
    assert!(decode(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok());
    let status = lab.host.plugins().into_iter().next_back().expect("a plugin");
    let error = format!("{:?}", status.last_error);
    assert!(error.contains("a trap on request in decode"), "{error}");

    let all = [1000; 3];
    let candidates: Vec<_> = (0..).zip(&all).map(candidate).collect();
    let candidates = Candidates { set: 1, version: 1, nodes: &candidates };
    let pick = async |request| {
        let selector = lab.host.load_selector(request, |_| Arc::new(Nobody)).await.expect("it loads");
        selector.pick(candidates, &[], 0, 0, &[])
    };
    assert_eq!(pick(request("selector-two")).await, Some(2));
    assert_eq!(pick(request("roundrobin-two")).await, Some(0));
    // The host tries a plugin in an instance of its own, so the second one is the first that serves.
    assert_eq!(pick(request("fault-selector").option("fault", "pick:outside#2@2")).await, Some(0));
    assert_eq!(pick(request("fault-selector").option("fault", "pick:outside@2+")).await, Some(usize::MAX));

    let codec = lab.host.load_codec(request("codec-two"), |_| None).await.expect("it loads");
    let (envelope, mut message) = (Envelope { id: b"1", endpoint: "a.b", error: "" }, Vec::new());
    codec.seal(0, Half::Request, envelope, b"{}", &mut message).expect("it seals");
    assert_eq!(message, b"{\"method\":\"a.b\",\"params\":[{}],\"id\":1,\"x_codec\":\"two\"}\n");

    for (name, field) in [("filter-two", "X-Filter"), ("header-two", "X-Filter")] {
        let filter = lab.host.load_filter(request(name)).await.expect("it loads");
        let Verdict::Edit { response, .. } = ask(&filter, "::1") else { panic!("it edits") };
        assert_eq!((response[0].name.as_str(), &response[0].value[..]), (field, &b"two"[..]));
    }
}
