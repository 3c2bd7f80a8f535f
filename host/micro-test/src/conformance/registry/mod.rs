//! Registries: [`crate::registry`] for the contract, backends that misbehave, and life under supervision.

mod backend;
mod behaviour;
mod network;

use super::lab::{Lab, NOBODY};
use super::rule::Suite;
use super::run::{Runner, WireFault};
use super::{Failure, Subject, Verdict, ensure};
use crate::registry::case::Fixture;
use crate::registry::{CASES, Expect};
use backend::{Backend, Habit};
use micro_core::RegistryError;
use std::time::{Duration, Instant};

/// What a call gets from a backend that misbehaves.
const SHORT: Duration = Duration::from_secs(1);
/// How much later its answer may come: the host's own patience, and a busy machine.
const LATE: Duration = Duration::from_millis(500);

/// Checks contract, properties, behaviour, costs and faults of the network.
pub(super) async fn check(runner: &mut Runner<'_>) {
    let (subject, seed) = (runner.subject, runner.plan.seed);
    let expect =
        Expect { seed: Some(seed), ..runner.plan.expect.clone().unwrap_or_else(|| suitable(subject)) };
    let since = Instant::now();
    let loaded = loads(subject).await;
    runner.settled("registry.loads", since, &loaded);
    if let Err(why) = loaded {
        return runner.give_up(&why.to_string());
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
    runner.case("registry.deadline.kept", behaviour::deadline(subject, &expect)).await;
    runner.case("registry.concurrency.kept", behaviour::concurrency(subject, &expect)).await;
    runner.case("registry.restart.heals", behaviour::restart(subject, &expect)).await;
    runner.case("registry.restart.cursor", behaviour::cursor(subject, &expect)).await;
    runner.case("registry.swap.kept", behaviour::swap(subject, &expect)).await;
    runner.case("registry.swap.seamless", behaviour::seamless(subject, &expect)).await;
    let (calls, time) = (runner.plan.memory_calls, runner.plan.memory_time);
    runner.case("registry.memory.steady", behaviour::steady(subject, &expect, calls, time)).await;
    runner.case("registry.permissions.kept", behaviour::permissions(subject, &expect)).await;
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
                runner.case(rule, network::check(subject, &expect, fault)).await;
            }
        }
    }
}

/// What keeps its services itself has no reason to be late.
fn suitable(subject: &Subject) -> Expect {
    if subject.has_backend() {
        return Expect::default();
    }
    Expect { expiry_slack: Duration::from_secs(2), ..Expect::default() }
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
    let waived = match rule {
        "registry.record.names" if !expect.unusual_names => Some("not demanded: --expect names=false"),
        "registry.record.metadata" if !expect.service_metadata => {
            Some("of nodes only: --expect service-metadata=false")
        }
        _ => None,
    };
    let verdict = match report.cases.pop() {
        Some(case) => case.result.map(|()| waived.map(str::to_owned)),
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
