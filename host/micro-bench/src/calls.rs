//! The price of one call of a hot part: batches on one thread, with data as an RPC of 64 bytes has it.

use crate::Failed;
use crate::figures::Spread;
use crate::rows::Effort;
use crate::setup::Setup;
use crate::stacks::{BODY, ENDPOINT, SERVICE};
use bytes::Bytes;
use http1_core::{End, Framing, Method, Role, Start};
use micro_core::codec::{Envelope, Role as Side};
use micro_core::filter::RequestHead;
use micro_core::selector::{Candidate, Candidates, Load};
use micro_core::{Codec, Filter, Selector};
use micro_net::wire::Wire;
use serde::Serialize;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// A batch takes about this long: much longer than reading the clock, and short enough to fall between interruptions.
const BATCH: Duration = Duration::from_millis(5);
/// Batches per round; the fastest counts, the others met something else on the machine.
const BATCHES: usize = 4;
/// A service of a usual size.
const NODES: u32 = 3;

/// What a part does. Targets are set for these.
pub(crate) const PICK: &str = "pick";
pub(crate) const HEAD: &str = "wire head";
pub(crate) const CODEC: &str = "codec";
pub(crate) const FILTER: &str = "filter";

/// Something to call many times.
pub(crate) struct Call {
    kind: &'static str,
    what: String,
    /// Calls it so many times.
    run: Box<dyn FnMut(u32)>,
}

/// The figures of a [`Call`].
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CallFigures {
    pub(crate) setup: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) what: String,
    pub(crate) ns: Spread,
}

/// All ids.
pub(crate) fn ids(setups: &[Setup]) -> Vec<String> {
    setups.iter().map(|setup| format!("calls-{}", setup.id())).collect()
}

/// Measures every call of a setup.
pub(crate) async fn measure(setup: &Setup, effort: Effort) -> Result<Vec<CallFigures>, Failed> {
    let mut calls = setup.calls().await?;
    let counts: Vec<u32> = calls.iter_mut().map(Call::calibrate).collect();
    let mut seen = vec![Vec::new(); calls.len()];
    for _ in 0..effort.rounds {
        for ((call, &count), seen) in calls.iter_mut().zip(&counts).zip(&mut seen) {
            let batches = (0..BATCHES).map(|_| call.time(count).as_nanos() as f64 / f64::from(count));
            seen.extend(batches.reduce(f64::min));
        }
    }
    let figures = calls.into_iter().zip(seen).filter_map(|(call, seen)| {
        let Call { kind, what, .. } = call;
        Spread::of(seen).map(|ns| CallFigures { setup: setup.id(), kind, what, ns })
    });
    Ok(figures.collect())
}

impl Call {
    /// Choosing a node.
    pub(crate) fn of_selector(selector: impl Selector + 'static) -> Vec<Self> {
        let node = |id| Candidate { id, weight: 1000, ..Candidate::default() };
        let nodes: Vec<Candidate> = (0..NODES).map(node).collect();
        let load = vec![Load::default(); if selector.needs_load() { nodes.len() } else { 0 }];
        let mut sequence = 0u64;
        vec![Self {
            kind: PICK,
            what: format!("pick one of {NODES} nodes, {}", selector.name()),
            run: Box::new(move |count| {
                for _ in 0..count {
                    sequence += 1;
                    // Any spread of keys will do; the client takes a random number.
                    let key = sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    let set = Candidates { set: 1, version: 1, nodes: black_box(&nodes) };
                    black_box(selector.pick(set, &load, sequence, key, &[]));
                }
            }),
        }]
    }

    /// An envelope around a value of 64 bytes, and its opening.
    pub(crate) fn of_codec(codec: impl Codec + 'static) -> Result<Vec<Self>, Failed> {
        let codec = std::sync::Arc::new(codec);
        let envelope = Envelope { id: b"1234567", endpoint: ENDPOINT, error: "" };
        let value = format!("{{\"name\":\"{}\"}}", "x".repeat(64 - 11));
        let mut message = Vec::new();
        codec.seal(0, Side::Request, envelope, value.as_bytes(), &mut message)?;
        let message = Bytes::from(message);
        codec.open(0, Side::Request, &message)?;
        let (sealer, mut out) = (codec.clone(), Vec::with_capacity(message.len()));
        let seal = move |count| {
            for _ in 0..count {
                out.clear();
                let value = black_box(value.as_bytes());
                _ = black_box(sealer.seal(0, Side::Request, black_box(envelope), value, &mut out));
                black_box(&out);
            }
        };
        let open = move |count| {
            for _ in 0..count {
                _ = black_box(codec.open(0, Side::Request, black_box(&message)));
            }
        };
        let of = |verb, run| Self { kind: CODEC, what: format!("{verb} a JSON-RPC request"), run };
        Ok(vec![of("seal", Box::new(seal)), of("open", Box::new(open))])
    }

    /// A filter's look at a request of a browser.
    pub(crate) fn of_filter(filter: impl Filter + 'static) -> Result<Vec<Self>, Failed> {
        const FIELDS: [(&[u8], &[u8]); 5] = [
            (b"host", b"127.0.0.1:8080"),
            (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
            (b"accept", b"application/json"),
            (b"content-type", b"application/json"),
            (b"content-length", b"64"),
        ];
        let head = RequestHead {
            peer: std::net::Ipv4Addr::LOCALHOST.into(),
            method: "POST",
            target: b"/greeter/say/hello",
            host: b"127.0.0.1:8080",
            fields: &FIELDS,
        };
        filter.request(head)?;
        Ok(vec![Self {
            kind: FILTER,
            what: format!("look at a request, {}", filter.name()),
            run: Box::new(move |count| {
                for _ in 0..count {
                    _ = black_box(filter.request(black_box(head)));
                }
            }),
        }])
    }

    /// Heads, both ways and both roles.
    pub(crate) fn of_wire(wire: impl Wire) -> Result<Vec<Self>, Failed> {
        let request = Start::Request { method: "POST", path: b"/", host: b"127.0.0.1:38080" };
        let response = Start::Response { status: 200, reason: b"OK" };
        Ok([
            Self::of_heads(wire.clone(), "request", request, Role::Request, &REQUEST)?,
            Self::of_heads(wire, "response", response, Role::Response, &RESPONSE)?,
        ]
        .into_iter()
        .flatten()
        .collect())
    }

    fn of_heads(
        wire: impl Wire,
        name: &str,
        start: Start<'static>,
        role: Role,
        fields: &'static [(&'static str, &'static str)],
    ) -> Result<[Self; 2], Failed> {
        let fields = || fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let end = End { framing: Framing::Length(BODY.len() as u64), close: false };
        let (mut head, mut words) = (Vec::new(), Vec::new());
        // Once for the bytes that are decoded, and so that a failure shows here and not as a fast call.
        wire.encode(start, fields(), end, &mut head)?;
        wire.decode(role, Method::POST, &head, &mut words)?;
        let (encoder, mut out) = (wire.clone(), Vec::with_capacity(head.len()));
        let encode = move |count| {
            for _ in 0..count {
                out.clear();
                _ = black_box(encoder.encode(black_box(start), fields(), end, &mut out));
                black_box(&out);
            }
        };
        let decode = move |count| {
            for _ in 0..count {
                words.clear();
                _ = black_box(wire.decode(role, Method::POST, black_box(&head), &mut words));
                black_box(&words);
            }
        };
        let of = |verb, run| Self { kind: HEAD, what: format!("{verb} the head of a {name}"), run };
        Ok([of("encode", Box::new(encode)), of("decode", Box::new(decode))])
    }

    fn time(&mut self, count: u32) -> Duration {
        let begun = Instant::now();
        (self.run)(count);
        begun.elapsed()
    }

    /// How many calls take about as long as a batch should.
    fn calibrate(&mut self) -> u32 {
        let mut count = 64;
        while count < 1 << 28 && self.time(count) < BATCH {
            count *= 2;
        }
        count
    }
}

/// The fields of a call as the client writes them (go-micro-wire §2.2).
const REQUEST: [(&str, &str); 7] = [
    ("Content-Type", "application/protobuf"),
    ("Micro-Service", SERVICE),
    ("Micro-Endpoint", ENDPOINT),
    ("Micro-Method", ENDPOINT),
    ("Micro-Id", "1234567"),
    ("Timeout", "5000000000"),
    ("Micro-From-Service", "go.micro.cli.bench"),
];
const RESPONSE: [(&str, &str); 2] = [("Content-Type", "application/protobuf"), ("Micro-Id", "1234567")];

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_call_has_a_price() {
        let effort = Effort { rounds: 1, seconds: 0.0, warm_up: 0.0 };
        // Components need a distribution; `cargo xtask bench` has one.
        for setup in Setup::all(std::path::Path::new("absent")).await.0 {
            let figures = measure(&setup, effort).await.expect("all calls succeed");
            for kind in [PICK, HEAD, CODEC] {
                assert!(figures.iter().any(|call| call.kind == kind), "{kind}");
            }
            for call in figures {
                assert!(call.ns.median > 0.0 && call.ns.median < 1e6, "{call:?}");
            }
        }
    }
}
