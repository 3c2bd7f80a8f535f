//! What calls cost. Figures of this machine, put into classes; they fail nobody.

use super::hot::{Hot, on_thread};
use super::lab::Lab;
use super::report::Cost;
use super::run::Runner;
use super::{Failure, Subject, Verdict, filter, wire};
use bytes::Bytes;
use micro_core::codec::{Envelope, Role};
use micro_core::selector::{Candidate, Candidates, Load};
use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// What is measured, up to how many nanoseconds it is of class A, and of class B.
pub(super) const BOUNDS: &[(&str, f64, f64)] = &[
    ("compile", 2e9, 1e10),
    ("load", 5e7, 2.5e8),
    ("pick", 500.0, 3000.0),
    ("seal", 1500.0, 15_000.0),
    ("open", 1500.0, 15_000.0),
    ("request", 2000.0, 15_000.0),
    ("encode", 2000.0, 15_000.0),
    ("decode", 2000.0, 15_000.0),
    ("get-service", 1e6, 1e7),
    ("register", 1e6, 1e7),
    ("changes", 1e6, 1e7),
];

/// Rounds of which the middle one counts.
const ROUNDS: usize = 9;
/// How long one takes, at least.
const ROUND: Duration = Duration::from_millis(15);

/// The table of `docs/plugins/conformance.md`, in Markdown.
pub fn classes_as_markdown() -> String {
    let mut text = "| what | A up to | B up to |\n|---|---|---|\n".to_owned();
    for (what, a, b) in BOUNDS {
        // Writing to a String cannot fail.
        _ = writeln!(text, "| `{what}` | {} | {} |", in_words(*a), in_words(*b));
    }
    text
}

/// Nanoseconds in the unit that suits them.
pub fn in_words(nanoseconds: f64) -> String {
    match nanoseconds {
        it if it >= 1e9 => format!("{:.3} s", it / 1e9),
        it if it >= 1e6 => format!("{:.3} ms", it / 1e6),
        it if it >= 1e3 => format!("{:.2} µs", it / 1e3),
        it => format!("{it:.0} ns"),
    }
    .replace(".000 ", " ")
    .replace(".00 ", " ")
}

pub(super) fn cost(what: &str, nanoseconds: f64) -> Cost {
    let (_, a, b) = BOUNDS.iter().find(|(known, ..)| *known == what).copied().unwrap_or((what, 0.0, 0.0));
    let class = match nanoseconds {
        it if it <= a => 'A',
        it if it <= b => 'B',
        _ => 'C',
    };
    Cost { what: what.to_owned(), nanoseconds, class }
}

fn listed(costs: &[Cost]) -> String {
    let one = |it: &Cost| format!("{} {} ({})", it.what, in_words(it.nanoseconds), it.class);
    costs.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Notes costs, or why there are none.
async fn note(runner: &mut Runner<'_>, rule: &'static str, costs: Result<Vec<Cost>, Failure>) {
    let verdict = match &costs {
        Ok(costs) => Ok(Some(listed(costs))),
        Err(failure) => Err(failure.clone()),
    };
    runner.advice(rule, async { verdict }).await;
    runner.costs.extend(costs.unwrap_or_default());
}

/// Plugins that run per request.
pub(super) async fn hot(runner: &mut Runner<'_>) {
    let subject = runner.subject;
    let costs = load(subject).await;
    note(runner, "performance.load", costs).await;
    let costs = hot_calls(subject).await;
    note(runner, "performance.calls", costs).await;
}

/// Registries.
pub(super) async fn registry(runner: &mut Runner<'_>) {
    let subject = runner.subject;
    let costs = load(subject).await;
    note(runner, "performance.load", costs).await;
    if subject.lacks_backend() {
        // The case itself says so.
        return note(runner, "performance.calls", Ok(Vec::new())).await;
    }
    let costs = registry_calls(subject).await;
    note(runner, "performance.calls", costs).await;
}

/// Once into an empty cache, then from it.
async fn load(subject: &Subject) -> Result<Vec<Cost>, Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure(error.to_string()))?;
    // The host makes it, for its user alone; it would not trust one that others can read.
    let cache = folder.path().join("compiled");
    let mut times = Vec::new();
    for _ in 0..4 {
        let lab = Lab::in_cache(subject, &cache)?;
        let since = Instant::now();
        let loaded = lab.load_any(subject).await;
        times.push(since.elapsed().as_nanos() as f64);
        lab.end(loaded).await?;
    }
    let compile = times.remove(0);
    Ok(vec![cost("compile", compile), cost("load", median(times))])
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The median time of a call, over rounds that are long enough for the clock.
fn time(mut call: impl FnMut(u64) -> Result<(), Failure>) -> Result<f64, Failure> {
    let mut calls = 1_u64;
    let mut at = 0;
    let mut round = |calls: u64| {
        let since = Instant::now();
        for _ in 0..calls {
            at += 1;
            call(at)?;
        }
        Ok::<_, Failure>(since.elapsed())
    };
    while round(calls)? < ROUND && calls < 1 << 24 {
        calls *= 2;
    }
    let rounds: Result<Vec<f64>, Failure> =
        (0..ROUNDS).map(|_| Ok(round(calls)?.as_nanos() as f64 / calls as f64)).collect();
    Ok(median(rounds?))
}

async fn hot_calls(subject: &Subject) -> Result<Vec<Cost>, Failure> {
    let lab = Lab::new(subject)?;
    let hot = Hot::load(&lab, subject).await?;
    let costs = on_thread(move || measured(&hot)).await.flatten();
    let verdict = lab.end(costs.as_ref().map(|_| None).map_err(Clone::clone)).await;
    verdict.and(costs)
}

fn measured(hot: &Hot) -> Result<Vec<Cost>, Failure> {
    let failed = |error: &dyn std::error::Error| Failure(error.to_string());
    match hot {
        Hot::Selector(it) => {
            let nodes: Vec<Candidate> =
                (0..10).map(|id| Candidate { id, weight: 1000, ..Candidate::default() }).collect();
            let candidates = Candidates { set: 1, version: 1, nodes: &nodes };
            let load = if it.needs_load() { vec![Load::default(); nodes.len()] } else { Vec::new() };
            let pick = time(|at| {
                black_box(it.pick(candidates, &load, at, at.wrapping_mul(0x9e37_79b9_7f4a_7c15), &[]));
                Ok(())
            });
            Ok(vec![cost("pick", pick?)])
        }
        Hot::Codec(it) => {
            let value = serde_json::json!({ "text": "x".repeat(1000) }).to_string();
            let envelope = Envelope { id: b"1", endpoint: "Say.Hello", error: "" };
            let mut message = Vec::new();
            let seal = time(|_| {
                message.clear();
                it.seal(0, Role::Request, envelope, value.as_bytes(), &mut message)
                    .map_err(|error| failed(&error))
            })?;
            let message = Bytes::from(message);
            let open = time(|_| {
                black_box(it.open(0, Role::Request, &message).map_err(|error| failed(&error))?);
                Ok(())
            });
            Ok(vec![cost("seal", seal), cost("open", open?)])
        }
        Hot::Filter(it) => {
            let head = filter::Head::ordinary();
            Ok(vec![cost("request", time(|_| head.ask(&**it).map(drop))?)])
        }
        Hot::Wire(it) => {
            let encode = time(|_| wire::write_ordinary(it).map(drop))?;
            let bytes = wire::write_ordinary(it)?;
            Ok(vec![cost("encode", encode), cost("decode", time(|_| wire::read_ordinary(it, &bytes))?)])
        }
    }
}

async fn registry_calls(subject: &Subject) -> Result<Vec<Cost>, Failure> {
    let lab = Lab::new(subject)?;
    let registry = lab.registry().await?;
    let f = crate::registry::case::Fixture::new(registry, &crate::registry::Expect::default());
    let service = f.service("", "1", &["a", "b"]);
    let costs = async {
        f.register(&service).await?;
        f.finds(&f.prefix, std::slice::from_ref(&service)).await?;
        let cursor = f.registry.changes(Some(&f.prefix), None, Duration::ZERO).await?.cursor;
        let (mut lookups, mut heartbeats, mut polls) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..200 {
            let since = Instant::now();
            f.registry.get_service(&f.prefix).await?;
            lookups.push(since.elapsed().as_nanos() as f64);
            let since = Instant::now();
            f.registry.changes(Some(&f.prefix), Some(&cursor), Duration::ZERO).await?;
            polls.push(since.elapsed().as_nanos() as f64);
        }
        for _ in 0..50 {
            let since = Instant::now();
            f.register(&service).await?;
            heartbeats.push(since.elapsed().as_nanos() as f64);
        }
        f.registry.deregister(&service).await?;
        Ok::<_, Failure>(vec![
            cost("get-service", median(lookups)),
            cost("register", median(heartbeats)),
            cost("changes", median(polls)),
        ])
    };
    let costs = costs.await;
    let verdict: Verdict = lab.end(costs.as_ref().map(|_| None).map_err(Clone::clone)).await;
    verdict.and(costs)
}
