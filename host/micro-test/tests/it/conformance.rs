//! The rules of the pure kinds against the parts of the program that plugins stand beside, and against parts that break them.

use bytes::Bytes;
use micro::codec::{JsonRpc, ProtoRpc};
use micro::selector::{LeastConn, P2c, Random, RoundRobin};
use micro_core::codec::{CodecError, Envelope, Format, Opened, Role};
use micro_core::filter::{Edit, FilterError, Operation, RequestHead, Verdict};
use micro_core::selector::{Candidates, Load};
use micro_core::{Codec, Filter, Selector};
use micro_net::wire::NativeWire;
use micro_test::conformance::{codec, filter, selector, wire};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Runs take other ways each time; a failure names what was made up.
fn seed() -> u64 {
    fastrand::u64(..)
}

#[test]
fn native_selectors_conform() {
    for strategy in [&Random as &dyn Selector, &RoundRobin, &LeastConn, &P2c] {
        selector::conforms(strategy, seed()).unwrap_or_else(|why| panic!("{}: {why}", strategy.name()));
    }
}

#[test]
fn native_codecs_conform() {
    for it in [&JsonRpc::default() as &dyn Codec, &ProtoRpc::default()] {
        codec::conforms(it, seed()).unwrap_or_else(|why| panic!("{}: {why}", it.name()));
    }
}

#[test]
fn the_native_wire_conforms() {
    wire::conforms(&NativeWire, seed()).unwrap_or_else(|why| panic!("{why}"));
}

/// A strategy that may be wrong.
#[derive(Debug)]
struct Strategy(Pick);

impl Selector for Strategy {
    fn name(&self) -> &str {
        "strategy"
    }

    fn pick(
        &self,
        candidates: Candidates<'_>,
        _: &[Load],
        sequence: u64,
        _: u64,
        avoid: &[u32],
    ) -> Option<usize> {
        (self.0)(candidates.nodes.len(), sequence, avoid)
    }
}

/// A pick by the number of nodes, the sequence, and whom to avoid.
type Pick = fn(usize, u64, &[u32]) -> Option<usize>;

#[test]
fn selectors_that_break_a_rule_are_named_with_it() {
    let broken: [(&str, Pick); 4] = [
        ("selector.pick.member", |count, _, _| Some(count)),
        ("selector.pick.avoids", |count, sequence, _| Some(sequence as usize % count.max(1))),
        ("selector.pick.nobody", |count, sequence, avoid| {
            (0..count.max(1))
                .cycle()
                .skip(sequence as usize % 100)
                .take(count.max(1))
                .find(|at| !avoid.contains(&(*at as u32)))
        }),
        ("selector.weight.zero", |count, sequence, avoid| {
            let from = if count == 0 { 0 } else { sequence as usize % count };
            (0..count).cycle().skip(from).take(count).find(|at| !avoid.contains(&(*at as u32)))
        }),
    ];
    for (rule, strategy) in broken {
        let why = selector::conforms(&Strategy(strategy), 7).expect_err(rule);
        assert!(why.starts_with(rule), "{rule} was expected: {why}");
    }
}

/// A filter that may be wrong.
struct Fixed<F>(F);

impl<F> std::fmt::Debug for Fixed<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fixed")
    }
}

impl<F: Fn(RequestHead<'_>) -> Verdict + Send + Sync> Filter for Fixed<F> {
    fn name(&self) -> &str {
        "fixed"
    }

    fn request(&self, head: RequestHead<'_>) -> Result<Verdict, FilterError> {
        Ok((self.0)(head))
    }
}

fn edit(name: &str) -> Verdict {
    let edit = Edit { operation: Operation::Set, name: name.to_owned(), value: Bytes::from_static(b"1") };
    Verdict::Edit { request: vec![edit.clone()], response: vec![edit] }
}

#[test]
fn filters_are_judged_by_their_verdicts() {
    let good = Fixed(|head: RequestHead<'_>| match head.peer.is_loopback() {
        true => edit("X-Own"),
        false => Verdict::Respond { status: 403, fields: Vec::new(), body: Bytes::new() },
    });
    filter::conforms(&good, seed()).unwrap_or_else(|why| panic!("{why}"));
    let status = |status| Verdict::Respond { status, fields: Vec::new(), body: Bytes::new() };
    let (asked, long) = (AtomicUsize::new(0), 10_000);
    let broken: [(&str, Box<dyn Filter>); 5] = [
        ("filter.verdict.sound", Box::new(Fixed(|_: RequestHead<'_>| edit("X Own")))),
        ("filter.verdict.sound", Box::new(Fixed(|_: RequestHead<'_>| edit("Content-Length")))),
        ("filter.verdict.sound", Box::new(Fixed(move |_: RequestHead<'_>| status(99)))),
        (
            "filter.verdict.repeatable",
            Box::new(Fixed(move |_: RequestHead<'_>| {
                status(200 + (asked.fetch_add(1, Relaxed) % 300) as u16)
            })),
        ),
        (
            "filter.head.extreme",
            Box::new(Fixed(move |head: RequestHead<'_>| match head.target.len() > long {
                true => edit(""),
                false => Verdict::Next,
            })),
        ),
    ];
    for (rule, filter) in broken {
        let why = filter::conforms(&*filter, 7).expect_err(rule);
        assert!(why.starts_with(rule), "{rule} was expected: {why}");
    }
}

/// An envelope of a length and the value, which may be wrong.
#[derive(Debug)]
struct Envelopes {
    formats: Vec<Format>,
    strict: bool,
}

impl Codec for Envelopes {
    fn name(&self) -> &str {
        "envelopes"
    }

    fn formats(&self) -> &[Format] {
        &self.formats
    }

    fn seal(
        &self,
        _: usize,
        _: Role,
        envelope: Envelope<'_>,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        out.extend_from_slice(b"ENV");
        for part in [envelope.id, envelope.endpoint.as_bytes(), envelope.error.as_bytes(), value] {
            out.extend_from_slice(&(part.len() as u32).to_be_bytes());
            out.extend_from_slice(part);
        }
        Ok(())
    }

    fn open(&self, _: usize, _: Role, data: &Bytes) -> Result<Opened, CodecError> {
        let malformed = || CodecError::Malformed("x/envelope".to_owned());
        if !self.strict && !data.starts_with(b"ENV") {
            return Ok(Opened { value: data.clone(), ..Opened::default() });
        }
        let mut rest = data.strip_prefix(b"ENV").map(|rest| data.slice_ref(rest)).ok_or_else(malformed)?;
        let mut part = || {
            let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
            let length = u32::from_be_bytes(*length) as usize;
            let part = behind.get(..length).map(|part| rest.slice_ref(part)).ok_or_else(malformed)?;
            rest = rest.slice(4 + length..);
            Ok(part)
        };
        let (id, endpoint, error, value) = (part()?, part()?, part()?, part()?);
        let text = |bytes: Bytes| String::from_utf8(bytes.into()).map_err(|_| malformed());
        Ok(Opened { id, endpoint: text(endpoint)?, error: text(error)?, value })
    }
}

#[test]
fn codecs_are_held_to_their_envelopes() {
    let format =
        |name: &str| Format { content_type: name.to_owned(), value: "application/protobuf".to_owned() };
    let good = Envelopes { formats: vec![format("x/envelope")], strict: true };
    codec::conforms(&good, seed()).unwrap_or_else(|why| panic!("{why}"));
    let broken = [
        ("codec.formats.sound", Envelopes { formats: Vec::new(), strict: true }),
        ("codec.formats.sound", Envelopes { formats: vec![format("X/Envelope")], strict: true }),
        ("codec.open.refuses", Envelopes { formats: vec![format("x/envelope")], strict: false }),
    ];
    for (rule, codec) in broken {
        let why = codec::conforms(&codec, 7).expect_err(rule);
        assert!(why.starts_with(rule), "{rule} was expected: {why}");
    }
}
