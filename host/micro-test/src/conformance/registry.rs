//! Registries: [`crate::registry`] for the contract, backends that misbehave, and life under supervision.

use super::backend::{Backend, Habit};
use super::hot::Growth;
use super::lab::{CALL, Lab, NOBODY};
use super::rule::Suite;
use super::run::{Runner, WireFault};
use super::{Failure, Subject, Verdict, ensure};
use crate::registry::case::Fixture;
use crate::registry::{CASES, Expect};
use crate::wait_until;
use micro_core::RegistryError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What a call gets from a backend that misbehaves.
const SHORT: Duration = Duration::from_secs(1);
/// How much later its answer may come: the host's own patience, and a busy machine.
const LATE: Duration = Duration::from_millis(500);
/// Swaps under load.
const SWAPS: u32 = 3;
/// How long the end of a generation takes at most.
const DRAINED: Duration = Duration::from_secs(15);

/// Checks contract, properties, behaviour, costs and faults of the network.
pub(super) async fn check(runner: &mut Runner<'_>) {
    let (subject, seed) = (runner.subject, runner.plan.seed);
    let expect =
        Expect { seed: Some(seed), ..runner.plan.expect.clone().unwrap_or_else(|| suitable(subject)) };
    let problem = loads(subject).await;
    let why = problem.as_ref().err().map(ToString::to_string);
    runner.case("registry.loads", async { problem }).await;
    if let Some(why) = why {
        return runner.give_up(&why);
    }
    for (rule, _) in CASES.iter().filter(|(rule, _)| *rule != "registry.model.walk") {
        runner.case(rule, contract(subject, rule, &expect)).await;
    }
    if subject.takes_address() {
        runner.case("registry.backend.unreachable", unreachable(subject)).await;
        for (rule, habit) in [
            ("registry.backend.fails", Habit::Fails),
            ("registry.backend.garbage", Habit::Garbage),
            ("registry.backend.truncated", Habit::Truncated),
            ("registry.backend.silent", Habit::Silent),
            ("registry.backend.drips", Habit::Drips),
            ("registry.backend.huge", Habit::Huge),
            ("registry.backend.resets", Habit::Resets),
        ] {
            runner.case(rule, misbehaving(subject, habit)).await;
        }
    }
    runner.case("registry.model.walk", contract(subject, "registry.model.walk", &expect)).await;
    runner.case("registry.deadline.kept", deadline(subject, &expect)).await;
    runner.case("registry.concurrency.kept", concurrency(subject, &expect)).await;
    runner.case("registry.restart.heals", restart(subject, &expect)).await;
    runner.case("registry.restart.cursor", cursor(subject, &expect)).await;
    runner.case("registry.swap.kept", swap(subject, &expect)).await;
    runner.case("registry.swap.seamless", seamless(subject, &expect)).await;
    let (calls, time) = (runner.plan.memory_calls, runner.plan.memory_time);
    runner.case("registry.memory.steady", steady(subject, &expect, calls, time)).await;
    runner.case("registry.permissions.kept", permissions(subject, &expect)).await;
    if runner.wants_suite(Suite::Performance) {
        super::performance::registry(runner).await;
    }
    if subject.takes_address() {
        let faults = runner.plan.faults.clone();
        for (fault, rule) in [
            (WireFault::Latency, "registry.faults.latency"),
            (WireFault::Reset, "registry.faults.reset"),
            (WireFault::Partition, "registry.faults.partition"),
        ] {
            if faults.contains(&fault) {
                runner.case(rule, super::network::check(subject, &expect, fault)).await;
            }
        }
    }
}

/// What keeps its services itself has no reason to be late.
fn suitable(subject: &Subject) -> Expect {
    if subject.has_backend() {
        return Expect::default();
    }
    Expect { ttl: Duration::from_millis(500), expiry_slack: Duration::from_secs(2), ..Expect::default() }
}

async fn loads(subject: &Subject) -> Verdict {
    let mut lab = Lab::new(subject)?;
    if subject.lacks_backend() {
        lab = lab.with_address(NOBODY);
    }
    let loaded = lab.registry().await.map(|_| None);
    lab.end(loaded).await
}

async fn contract(subject: &Subject, rule: &'static str, expect: &Expect) -> Verdict {
    let lab = Lab::new(subject)?;
    let registry = lab.registry().await?;
    let mut report = crate::registry::run(async || registry.clone(), expect, Some(rule)).await;
    let verdict = match report.cases.pop() {
        Some(case) => case.result.map(|()| None),
        None => Err(Failure(format!("no case checks {rule}"))),
    };
    lab.end(verdict).await
}

/// A fresh host, the registry in it, and names of its own.
async fn fixture(lab: &Lab, expect: &Expect) -> Result<Fixture, Failure> {
    Ok(Fixture::new(lab.registry().await?, expect))
}

/// Calls everything once, and takes only answers that are in time and errors that are typed. `answers` says whether any
/// good answer is possible.
async fn each_call(f: &Fixture, limit: Duration, answers: bool) -> Verdict {
    const WAIT: Duration = Duration::from_millis(300);
    let service = f.service("", "1", &["a"]);
    let mut errors = Vec::new();
    macro_rules! call {
        ($name:literal, $limit:expr, $call:expr) => {{
            let since = Instant::now();
            let answer = $call.await.map(|_| ());
            let took = since.elapsed();
            ensure!(took <= $limit + LATE, "{} took {took:.1?} of {:?}", $name, $limit);
            match answer {
                Ok(()) => ensure!(answers, "{} was answered as if nothing were wrong", $name),
                Err(error) => {
                    typed($name, &error)?;
                    errors.push(error);
                }
            }
        }};
    }
    call!("register", limit, f.registry.register(&service, Duration::from_secs(60)));
    call!("get-service", limit, f.registry.get_service(&f.prefix));
    call!("list-services", limit, f.registry.list_services());
    call!("changes", limit + WAIT, f.registry.changes(Some(&f.prefix), None, WAIT));
    call!("health", limit.max(Duration::from_secs(2)), f.registry.health());
    call!("deregister", limit, f.registry.deregister(&service));
    Ok(errors.first().map(ToString::to_string))
}

/// An error that says what a host can do about it.
pub(super) fn typed(call: &str, error: &RegistryError) -> Verdict {
    let plugin = matches!(error, RegistryError::Plugin { .. });
    ensure!(!plugin, "{call} was not answered with an error of the contract: {error}");
    Ok(None)
}

async fn unreachable(subject: &Subject) -> Verdict {
    let lab = Lab::new(subject)?.with_address(NOBODY).with_timeout(SHORT);
    let f = fixture(&lab, &Expect::default()).await?;
    let verdict = each_call(&f, SHORT, false).await;
    lab.end(verdict).await
}

async fn misbehaving(subject: &Subject, habit: Habit) -> Verdict {
    let backend = Backend::start(habit).await.map_err(|error| Failure(error.to_string()))?;
    let lab = Lab::new(subject)?.with_address(backend.address()).with_timeout(SHORT);
    let f = fixture(&lab, &Expect::default()).await?;
    let verdict = each_call(&f, SHORT, false).await;
    lab.end(verdict).await
}

async fn deadline(subject: &Subject, expect: &Expect) -> Verdict {
    let lab = Lab::new(subject)?.with_timeout(SHORT);
    let f = fixture(&lab, expect).await?;
    let verdict = each_call(&f, SHORT, true).await;
    lab.end(verdict).await
}

async fn concurrency(subject: &Subject, expect: &Expect) -> Verdict {
    const WAIT: Duration = Duration::from_secs(3);
    const ENOUGH: Duration = Duration::from_secs(1);
    let lab = Lab::new(subject)?;
    let f = fixture(&lab, expect).await?;
    let service = f.service("", "1", &["a"]);
    let verdict = async {
        f.register(&service).await?;
        f.finds(&f.prefix, std::slice::from_ref(&service)).await?;
        let mut replica = f.replica(Some(f.prefix.clone()));
        f.sees(&mut replica, std::slice::from_ref(&service)).await?;
        let poll = async {
            let since = Instant::now();
            replica.step(WAIT).await.map(|_| since.elapsed())
        };
        let lookups = async {
            let mut slowest = Duration::ZERO;
            let until = Instant::now() + WAIT / 2;
            while Instant::now() < until {
                let since = Instant::now();
                f.registry.get_service(&f.prefix).await?;
                slowest = slowest.max(since.elapsed());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok::<_, Failure>(slowest)
        };
        let (_, slowest) = tokio::try_join!(poll, lookups)?;
        let declared = subject.manifest().map_or(1, |it| it.max_concurrency);
        ensure!(
            slowest <= ENOUGH,
            "a lookup took {slowest:.1?} while a poll waited for {WAIT:?} (max-concurrency = {declared})"
        );
        Ok(Some(format!("the slowest lookup took {slowest:.1?}")))
    };
    let verdict = verdict.await;
    lab.end(verdict).await
}

async fn restart(subject: &Subject, expect: &Expect) -> Verdict {
    let lab = Lab::new(subject)?;
    let f = fixture(&lab, expect).await?;
    let (both, one) = (f.service("", "1", &["a", "b"]), f.service("", "1", &["a"]));
    let verdict = async {
        f.register(&both).await?;
        f.finds(&f.prefix, std::slice::from_ref(&both)).await?;
        lab.restart().await?;
        // The heartbeat, as the host sends it every interval.
        f.register(&both).await?;
        f.finds(&f.prefix, std::slice::from_ref(&both)).await?;
        lab.restart().await?;
        f.register(&both).await?;
        f.registry.deregister(&f.service("", "1", &["b"])).await?;
        f.finds(&f.prefix, std::slice::from_ref(&one)).await?;
        f.registry.deregister(&one).await?;
        f.finds(&f.prefix, &[]).await?;
        Ok(None)
    };
    let verdict = verdict.await;
    lab.end(verdict).await
}

async fn cursor(subject: &Subject, expect: &Expect) -> Verdict {
    let lab = Lab::new(subject)?;
    let f = fixture(&lab, expect).await?;
    let (before, after) = (f.service("", "1", &["before"]), f.service("", "1", &["after"]));
    let both = [f.service("", "1", &["before", "after"])];
    let verdict = async {
        f.register(&before).await?;
        f.finds(&f.prefix, std::slice::from_ref(&before)).await?;
        for scope in f.scopes(&f.prefix) {
            let mut replica = f.replica(scope);
            f.sees(&mut replica, std::slice::from_ref(&before)).await?;
            lab.restart().await?;
            f.register(&before).await?;
            f.register(&after).await?;
            f.sees(&mut replica, &both).await?;
            f.registry.deregister(&after).await?;
            f.sees(&mut replica, std::slice::from_ref(&before)).await?;
        }
        Ok(None)
    };
    let verdict = verdict.await;
    lab.end(verdict).await
}

/// Until the generation before has ended.
async fn drained(lab: &Lab) -> Result<(), Failure> {
    let over = wait_until(DRAINED, async || lab.status().is_ok_and(|it| it.draining == 0).then_some(()));
    over.await.ok_or_else(|| Failure(format!("the generation before is not gone after {DRAINED:?}")))
}

async fn swap(subject: &Subject, expect: &Expect) -> Verdict {
    let lab = Lab::new(subject)?;
    let f = fixture(&lab, expect).await?;
    let service = f.service("", "1", &["a", "b"]);
    let verdict = async {
        f.register(&service).await?;
        f.finds(&f.prefix, std::slice::from_ref(&service)).await?;
        let mut replica = f.replica(Some(f.prefix.clone()));
        f.sees(&mut replica, std::slice::from_ref(&service)).await?;
        for round in 1..=2 {
            lab.swap(subject).await?;
            let found = f.lookup(&f.prefix).await?;
            let whole = found.iter().flat_map(|it| &it.nodes).count() == 2;
            ensure!(whole, "right after swap {round} it knows {found:?}");
            drained(&lab).await?;
            let found = f.lookup(&f.prefix).await?;
            let whole = found.iter().flat_map(|it| &it.nodes).count() == 2;
            ensure!(whole, "once the generation before swap {round} had ended it knew {found:?}");
        }
        f.registry.deregister(&service).await?;
        f.finds(&f.prefix, &[]).await?;
        f.sees(&mut replica, &[]).await?;
        Ok(None)
    };
    let verdict = verdict.await;
    lab.end(verdict).await
}

async fn seamless(subject: &Subject, expect: &Expect) -> Verdict {
    let lab = Lab::new(subject)?;
    let f = fixture(&lab, expect).await?;
    let service = f.service("", "1", &["a"]);
    let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let verdict = async {
        f.register(&service).await?;
        f.finds(&f.prefix, std::slice::from_ref(&service)).await?;
        let going = || !stop.load(Relaxed);
        let count = || calls.fetch_add(1, Relaxed);
        let lookups = async {
            while going() {
                let found = f.lookup(&f.prefix).await?;
                ensure!(!found.is_empty(), "a lookup under swaps found nothing");
                count();
                tokio::task::yield_now().await;
            }
            Ok(None)
        };
        let heartbeats = async {
            while going() {
                f.register(&service).await?;
                count();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(None)
        };
        let watch = async {
            let mut replica = f.replica(Some(f.prefix.clone()));
            while going() {
                replica.step(Duration::from_millis(100)).await?;
                count();
            }
            Ok(None)
        };
        let swaps = async {
            let mut swapped = Ok(None);
            for _ in 0..SWAPS {
                tokio::time::sleep(Duration::from_millis(200)).await;
                swapped = lab.swap(subject).await.map(|()| None);
                if swapped.is_err() {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            stop.store(true, Relaxed);
            swapped
        };
        let all: [Verdict; 4] = tokio::join!(swaps, lookups, heartbeats, watch).into();
        all.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Some(format!("{SWAPS} swaps under {} calls", calls.load(Relaxed))))
    };
    let verdict = verdict.await;
    lab.end(verdict).await
}

async fn steady(subject: &Subject, expect: &Expect, calls: u64, time: Duration) -> Verdict {
    let lab = Lab::new(subject)?;
    let f = fixture(&lab, expect).await?;
    let service = f.service("", "1", &["a", "b"]);
    let verdict = async {
        let mut growth = Growth::new(calls, time);
        let mut cursor = None;
        while let Some(call) = growth.next(|| lab.memory()) {
            match call % 8 {
                0 => f.register(&service).await?,
                1 => drop(f.registry.list_services().await?),
                2 => {
                    let batch =
                        f.registry.changes(Some(&f.prefix), cursor.as_deref(), Duration::ZERO).await?;
                    cursor = Some(batch.cursor);
                }
                3 if call % 64 == 3 => f.registry.deregister(&service).await?,
                _ => drop(f.registry.get_service(&f.prefix).await?),
            }
        }
        growth.verdict(lab.memory())
    };
    let verdict = verdict.await;
    lab.end(verdict).await
}

async fn permissions(subject: &Subject, expect: &Expect) -> Verdict {
    let lab = Lab::new(subject)?;
    let f = fixture(&lab, expect).await?;
    let called = each_call(&f, CALL, true).await;
    let denied = lab.status()?.denied;
    let verdict = match denied.iter().next() {
        Some((grant, times)) => {
            Err(Failure(format!("it tried {grant} {times} times, which it was not granted")))
        }
        None => called.map(|_| None),
    };
    lab.end(verdict).await
}
