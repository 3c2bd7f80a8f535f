//! What plugins that run per request have in common: each check on a thread of its own, and so with an instance of its own.

use super::lab::{Lab, unloadable};
use super::rule::Suite;
use super::run::Runner;
use super::{Failure, Subject, Verdict, codec, ensure, filter, selector, wire};
use bytes::Bytes;
use fastrand::Rng;
use micro_core::codec::{Envelope, Role};
use micro_core::selector::{Candidate, Candidates, Load};
use micro_core::{Codec, Filter, Selector};
use micro_plugin::Kind;
use micro_wasm::PluginWire;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Memory may grow by this much over the second half of all calls: pages are 64 KiB, and some allocators take several.
const GROWTH: usize = 1 << 20;
/// Swaps under load.
const SWAPS: u32 = 3;

/// A plugin of one of the kinds.
#[derive(Clone, Debug)]
pub(super) enum Hot {
    Selector(Arc<dyn Selector>),
    Codec(Arc<dyn Codec>),
    Filter(Arc<dyn Filter>),
    Wire(PluginWire),
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

/// Checks contract, properties, behaviour and costs.
pub(super) async fn check(runner: &mut Runner<'_>) {
    let (subject, seed) = (runner.subject, runner.plan.seed);
    let Some(kind) = subject.kind() else { return };
    let (loads, cases) = cases(kind);
    let since = Instant::now();
    let loaded = load_and_end(subject).await;
    runner.settled(loads, since, &loaded);
    if let Err(why) = loaded {
        return runner.give_up(&why.to_string());
    }
    for rule in cases {
        runner.case(rule, checked(subject, move |hot| hot.check(rule, seed))).await;
    }
    runner.case("hot.instances.alike", alike(subject, seed)).await;
    runner.case("hot.swap.seamless", seamless(subject, seed)).await;
    let (calls, time) = (runner.plan.memory_calls, runner.plan.memory_time);
    runner.case("hot.memory.steady", steady(subject, calls, time)).await;
    if runner.wants_suite(Suite::Performance) {
        super::performance::hot(runner).await;
    }
}

fn cases(kind: Kind) -> (&'static str, Vec<&'static str>) {
    let names = |rules: &mut dyn Iterator<Item = &'static str>| rules.collect();
    match kind {
        Kind::Selector => ("selector.loads", names(&mut selector::CASES.iter().map(|(rule, _)| *rule))),
        Kind::Codec => ("codec.loads", names(&mut codec::CASES.iter().map(|(rule, _)| *rule))),
        Kind::Filter => ("filter.loads", names(&mut filter::CASES.iter().map(|(rule, _)| *rule))),
        _ => ("wire.loads", names(&mut wire::cases::<PluginWire>().iter().map(|(rule, _)| *rule))),
    }
}

async fn load_and_end(subject: &Subject) -> Verdict {
    let lab = Lab::new(subject)?;
    let loaded = Hot::load(&lab, subject).await.map(|_| None);
    lab.end(loaded).await
}

/// Loads the plugin and runs `work` on a thread of its own.
async fn checked(subject: &Subject, work: impl FnOnce(&Hot) -> Verdict + Send + 'static) -> Verdict {
    let lab = Lab::new(subject)?;
    let hot = Hot::load(&lab, subject).await?;
    let verdict = on_thread(move || work(&hot)).await.flatten();
    lab.end(verdict).await
}

/// Runs `work` on a fresh thread, which has no instances yet and takes its own along when it ends.
pub(super) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("micro-check".to_owned()).spawn(move || {
        // Nobody waits any more: the case took too long.
        let _ = done.send(work());
    });
    thread.map_err(|error| Failure(format!("no thread to run on: {error}")))?;
    result.await.map_err(|_| Failure("the check itself panicked".to_owned()))
}

impl Hot {
    pub(super) async fn load(lab: &Lab, subject: &Subject) -> Result<Self, Failure> {
        let (host, request) = (&lab.host, lab.request.clone());
        let loaded = match subject.kind() {
            Some(Kind::Selector) => {
                host.load_selector(request, |_| Arc::new(Nobody)).await.map(|it| Self::Selector(Arc::new(it)))
            }
            Some(Kind::Codec) => host.load_codec(request, |_| None).await.map(|it| Self::Codec(Arc::new(it))),
            Some(Kind::Filter) => host.load_filter(request).await.map(|it| Self::Filter(Arc::new(it))),
            _ => host.load_wire(request).await.map(Self::Wire),
        };
        loaded.map_err(unloadable)
    }

    fn check(&self, rule: &str, seed: u64) -> Verdict {
        fn of<C: Copy>(cases: &[(&str, C)], rule: &str) -> Result<C, Failure> {
            let found = cases.iter().find(|(name, _)| *name == rule).map(|(_, check)| *check);
            found.ok_or_else(|| Failure(format!("no check for {rule}")))
        }
        match self {
            Self::Selector(it) => of(selector::CASES, rule)?(&**it, seed),
            Self::Codec(it) => of(codec::CASES, rule)?(&**it, seed),
            Self::Filter(it) => of(filter::CASES, rule)?(&**it, seed),
            Self::Wire(it) => of(&wire::cases(), rule)?(it, seed),
        }
    }

    /// A few calls, and everything that they answered.
    fn transcript(&self, seed: u64) -> Result<String, Failure> {
        let mut random = Rng::with_seed(seed);
        match self {
            Self::Selector(it) => {
                let nodes: Vec<Candidate> = (0..random.u32(2..20))
                    .map(|id| Candidate { id, weight: 1000, ..Candidate::default() })
                    .collect();
                // The same number and version always stand for the same nodes.
                let candidates = Candidates { set: 1 + (seed % 64) as u32, version: seed + 1, nodes: &nodes };
                let load = if it.needs_load() {
                    vec![Load { in_flight: 1, latency_us: 9 }; nodes.len()]
                } else {
                    Vec::new()
                };
                let picks: Vec<_> =
                    (0..4).map(|at| it.pick(candidates, &load, at, random.u64(..), &[0])).collect();
                let good = picks.iter().all(|picked| picked.is_some_and(|at| (1..nodes.len()).contains(&at)));
                ensure!(good, "of {} nodes, without the first, it picked {picks:?}", nodes.len());
                Ok(format!("{picks:?}"))
            }
            Self::Codec(it) => {
                let format = random.usize(..it.formats().len());
                let value = serde_json::json!({ "text": "x".repeat(random.usize(1..2000)) }).to_string();
                let envelope = Envelope { id: b"7", endpoint: "Say.Hello", error: "" };
                let mut message = Vec::new();
                let failed = |error| Failure(format!("{error}"));
                it.seal(format, Role::Request, envelope, value.as_bytes(), &mut message).map_err(failed)?;
                let opened = it.open(format, Role::Request, &Bytes::from(message.clone())).map_err(failed)?;
                ensure!(opened.value == value, "a value came back as another");
                Ok(format!("{message:?} {opened:?}"))
            }
            Self::Filter(it) => Ok(format!("{:?}", filter::Head::random(&mut random).ask(&**it)?)),
            Self::Wire(it) => wire::transcript(it, seed),
        }
    }
}

/// Two threads, one after the other and each with an instance of its own, against each other.
async fn alike(subject: &Subject, seed: u64) -> Verdict {
    const CALLS: u64 = 200;
    let lab = Lab::new(subject)?;
    let hot = Hot::load(&lab, subject).await?;
    let verdict = async {
        let all = |hot: Hot| {
            on_thread(move || {
                (0..CALLS).map(|at| hot.transcript((seed >> 8) + at)).collect::<Result<Vec<_>, _>>()
            })
        };
        let (first, second) = (all(hot.clone()).await.flatten()?, all(hot.clone()).await.flatten()?);
        let differs = first.iter().zip(&second).position(|(one, other)| one != other);
        ensure!(
            differs.is_none(),
            "two instances gave different answers to call {}",
            differs.unwrap_or_default()
        );
        Ok(None)
    };
    let verdict = verdict.await;
    lab.end(verdict).await
}

/// Two threads call without a pause while the plugin is replaced.
async fn seamless(subject: &Subject, seed: u64) -> Verdict {
    let lab = Lab::new(subject)?;
    let hot = Hot::load(&lab, subject).await?;
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let caller = |from: u64| {
        let (hot, stop, calls) = (hot.clone(), stop.clone(), calls.clone());
        on_thread(move || {
            let mut at = from;
            while !stop.load(Relaxed) {
                at += 1;
                hot.transcript((seed >> 8) + at % 500)?;
                calls.fetch_add(1, Relaxed);
            }
            Ok(None)
        })
    };
    let swaps = async {
        let mut swapped = Ok(());
        for _ in 0..SWAPS {
            tokio::time::sleep(Duration::from_millis(100)).await;
            swapped = lab.swap(subject).await;
            if swapped.is_err() {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.store(true, Relaxed);
        swapped
    };
    let (one, other, swapped) = tokio::join!(caller(0), caller(250), swaps);
    let verdict = swapped.and(one.flatten()).and(other.flatten());
    let verdict =
        verdict.map(|_: Option<String>| Some(format!("{SWAPS} swaps under {} calls", calls.load(Relaxed))));
    lab.end(verdict).await
}

async fn steady(subject: &Subject, calls: u64, time: Duration) -> Verdict {
    let lab = Arc::new(Lab::new(subject)?);
    let hot = Hot::load(&lab, subject).await?;
    let watched = lab.clone();
    let worked = on_thread(move || {
        let mut growth = Growth::new(calls, time);
        while let Some(call) = growth.next(|| watched.memory()) {
            hot.transcript(call % 64)?;
        }
        // Before the thread ends, and its instance with it.
        growth.verdict(watched.memory())
    });
    let verdict = worked.await.flatten();
    match Arc::into_inner(lab) {
        Some(lab) => lab.end(verdict).await,
        None => verdict,
    }
}

/// Counts calls, and compares the memory after half of them with that at their end.
#[derive(Debug)]
pub(super) struct Growth {
    calls: u64,
    time: Duration,
    since: Instant,
    made: u64,
    half: Option<usize>,
}

impl Growth {
    /// So many calls, as long as there is time.
    pub(super) fn new(calls: u64, time: Duration) -> Self {
        Self { calls, time, since: Instant::now(), made: 0, half: None }
    }

    /// The number of the next call; none if it is enough.
    pub(super) fn next(&mut self, memory: impl FnOnce() -> usize) -> Option<u64> {
        let spent = self.since.elapsed();
        if self.half.is_none() && self.made > 0 && (self.made >= self.calls / 2 || spent >= self.time / 2) {
            self.half = Some(memory());
        }
        if self.made >= self.calls || spent >= self.time {
            return None;
        }
        self.made += 1;
        Some(self.made)
    }

    /// Whether memory, which now is `after`, grew over the second half.
    pub(super) fn verdict(&self, after: usize) -> Verdict {
        let (before, kib) = (self.half.unwrap_or(after), |bytes: usize| bytes >> 10);
        ensure!(
            after <= before + GROWTH,
            "over the second half of {} calls its memory grew from {} KiB to {} KiB",
            self.made,
            kib(before),
            kib(after)
        );
        Ok(Some(format!("{} KiB after {} calls", kib(after), self.made)))
    }
}
