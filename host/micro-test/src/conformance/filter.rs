//! What every filter must do.

use super::{Verdict as Outcome, ensure};
use fastrand::Rng;
use http1_core::names;
use micro_core::Filter;
use micro_core::filter::{Edit, RequestHead, Verdict};
use std::net::IpAddr;

/// A check of a filter; the number is where random things begin.
pub(crate) type Check = fn(&dyn Filter, u64) -> Outcome;

/// The rules and their checks.
pub(crate) const CASES: &[(&str, Check)] = &[
    ("filter.verdict.sound", sound),
    ("filter.verdict.repeatable", repeatable),
    ("filter.head.extreme", extreme),
    ("filter.peer.forms", peers),
    ("filter.verdict.random", anything),
];

const PEERS: [&str; 7] =
    ["127.0.0.1", "10.1.2.3", "203.0.113.9", "::1", "fd00::1", "::ffff:127.0.0.1", "2001:db8::ffff"];

/// A field: its name and its value.
type Field = (Vec<u8>, Vec<u8>);

/// Checks all rules that filters can be held to natively; the first that does not hold is named.
///
/// # Errors
/// The rule and what was seen.
pub fn conforms(filter: &dyn Filter, seed: u64) -> Result<(), String> {
    CASES.iter().try_for_each(|(rule, check)| {
        check(filter, seed).map(drop).map_err(|failure| format!("{rule}: {failure}"))
    })
}

/// A head that can be asked about.
#[derive(Debug)]
pub(crate) struct Head {
    peer: IpAddr,
    method: String,
    target: Vec<u8>,
    host: Vec<u8>,
    fields: Vec<Field>,
}

impl Head {
    fn new(peer: &str, fields: Vec<Field>) -> Self {
        let peer = peer.parse().unwrap_or(IpAddr::from([127, 0, 0, 1]));
        Self {
            peer,
            method: "POST".to_owned(),
            target: b"/greeter/say/hello?a=b".to_vec(),
            host: b"localhost:8080".to_vec(),
            fields,
        }
    }

    /// What a browser sends, in short.
    pub(crate) fn ordinary() -> Self {
        let pairs =
            [("Content-Type", "application/json"), ("Accept", "*/*"), ("User-Agent", "Mozilla/5.0 (X11)")];
        Self::new("127.0.0.1", fields(&pairs))
    }

    /// One as a gateway might see it.
    pub(crate) fn random(random: &mut Rng) -> Self {
        let names = [
            "Content-Type",
            "Accept",
            "Cookie",
            "X-Forwarded-For",
            "x-own",
            "Micro-Endpoint",
            "Authorization",
        ];
        let longest = 1 << random.u32(1..11);
        let field = |_| {
            let name = names[random.usize(..names.len())].as_bytes().to_vec();
            let value = (0..random.usize(..longest)).map(|_| random.u8(b' '..0x7f)).collect::<Vec<_>>();
            (name, value.trim_ascii().to_vec())
        };
        let fields = (0..8).map(field).collect();
        let methods = ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PROPFIND"];
        let target: Vec<u8> = (0..random.usize(..100)).map(|_| random.u8(b'!'..0x7f)).collect();
        Self {
            method: methods[random.usize(..methods.len())].to_owned(),
            target: [b"/", &target[..]].concat(),
            ..Self::new(PEERS[random.usize(..PEERS.len())], fields)
        }
    }

    /// The verdict, if it can be carried out.
    pub(crate) fn ask(&self, filter: &dyn Filter) -> Result<Verdict, super::Failure> {
        let fields: Vec<(&[u8], &[u8])> =
            self.fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let head = RequestHead {
            peer: self.peer,
            method: &self.method,
            target: &self.target,
            host: &self.host,
            fields: &fields,
        };
        let verdict = filter.request(head).map_err(|error| super::Failure(error.to_string()))?;
        check(&verdict)?;
        Ok(verdict)
    }
}

/// The contract of verdicts; the host checks the same of plugins.
fn check(verdict: &Verdict) -> Outcome {
    let field = |name: &str, value: &[u8]| -> Outcome {
        let token = !name.is_empty()
            && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it));
        let plain = value.iter().all(|it| *it >= b' ' && *it != 0x7f || *it == b'\t');
        ensure!(token && plain, "a bad field {name:?}");
        ensure!(
            !names::is_connection_field(names::id(name.as_bytes())),
            "{name} speaks about the connection"
        );
        Ok(None)
    };
    match verdict {
        Verdict::Next => {}
        Verdict::Edit { request, response } => {
            for Edit { name, value, .. } in request.iter().chain(response) {
                field(name, value)?;
            }
        }
        Verdict::Respond { status, fields, .. } => {
            ensure!((200..600).contains(status), "a response with the status {status}");
            for (name, value) in fields {
                field(name, value)?;
            }
        }
    }
    Ok(None)
}

fn fields(pairs: &[(&str, &str)]) -> Vec<Field> {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn sound(filter: &dyn Filter, _: u64) -> Outcome {
    let ordinary = fields(&[("Content-Type", "application/json"), ("Accept", "*/*"), ("User-Agent", "test")]);
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
        Head { method: method.to_owned(), ..Head::new("127.0.0.1", ordinary.clone()) }.ask(filter)?;
    }
    Ok(None)
}

fn repeatable(filter: &dyn Filter, seed: u64) -> Outcome {
    for round in 0..50 {
        same_twice(filter, &Head::random(&mut Rng::with_seed(seed.wrapping_add(round))))?;
    }
    Ok(None)
}

fn same_twice(filter: &dyn Filter, head: &Head) -> Outcome {
    let (first, again) = (head.ask(filter)?, head.ask(filter)?);
    ensure!(first == again, "{first:?} was {again:?} the next time, for {head:?}");
    Ok(None)
}

fn extreme(filter: &dyn Filter, _: u64) -> Outcome {
    let many: Vec<Field> =
        (0..120).map(|at| (format!("X-Field-{at}").into_bytes(), b"value".to_vec())).collect();
    let long = vec![b'x'; 40 << 10];
    let heads = [
        Head::new("127.0.0.1", Vec::new()),
        Head::new("127.0.0.1", many),
        Head::new("127.0.0.1", vec![(b"X-Long".to_vec(), long.clone())]),
        Head::new("127.0.0.1", fields(&[("X-Empty", ""), ("x-empty", ""), ("X-EMPTY", "")])),
        Head::new("127.0.0.1", vec![(b"X-Bytes".to_vec(), (0x80..=0xff).collect())]),
        Head::new("127.0.0.1", vec![(vec![b'n'; 8000], b"long name".to_vec())]),
        Head::new("127.0.0.1", vec![(b"Cookie".to_vec(), b"a=b; ".repeat(2000)); 4]),
        Head { host: Vec::new(), ..Head::new("127.0.0.1", Vec::new()) },
        Head { target: [b"/", &long[..]].concat(), ..Head::new("127.0.0.1", Vec::new()) },
        Head {
            target: "/\u{fc}\u{65e5}%00%2e%2e//".as_bytes().to_vec(),
            ..Head::new("127.0.0.1", Vec::new())
        },
        Head { method: "M".repeat(200), ..Head::new("127.0.0.1", Vec::new()) },
    ];
    for (at, head) in heads.iter().enumerate() {
        head.ask(filter)
            .map_err(|failure| super::Failure(format!("head {at} of {}: {failure}", heads.len())))?;
    }
    Ok(None)
}

fn peers(filter: &dyn Filter, _: u64) -> Outcome {
    for peer in PEERS {
        let asked = Head::new(peer, Vec::new()).ask(filter);
        asked.map_err(|failure| super::Failure(format!("peer {peer}: {failure}")))?;
    }
    Ok(None)
}

fn anything(filter: &dyn Filter, seed: u64) -> Outcome {
    const ROUNDS: u64 = 1000;
    let (mut passed, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let head = Head::random(&mut Rng::with_seed(seed.wrapping_add(round)));
        let asked = same_twice(filter, &head).and_then(|_| head.ask(filter));
        match asked.map_err(|failure| super::Failure(format!("round {round}: {failure}")))? {
            Verdict::Respond { .. } => refused += 1,
            Verdict::Next | Verdict::Edit { .. } => passed += 1,
        }
    }
    Ok(Some(format!("{passed} went on, {refused} were answered")))
}
