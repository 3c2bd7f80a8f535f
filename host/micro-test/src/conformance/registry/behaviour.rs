//! Life under supervision: deadlines, concurrency, restarts, swaps, memory, permissions.

use super::{SHORT, each_call, fixture};
use crate::conformance::hot::Growth;
use crate::conformance::lab::{CALL, Lab};
use crate::conformance::{Failure, Subject, Verdict, ensure};
use crate::registry::Expect;
use crate::wait_until;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Swaps under load.
const SWAPS: u32 = 3;
/// How long the end of a generation takes at most.
const DRAINED: Duration = Duration::from_secs(15);

pub(super) async fn deadline(subject: &Subject, expect: &Expect) -> Verdict {
    let lab = Lab::new(subject)?.with_timeout(SHORT);
    let f = fixture(&lab, expect).await?;
    let verdict = each_call(&f, SHORT, true).await;
    lab.end(verdict).await
}

pub(super) async fn concurrency(subject: &Subject, expect: &Expect) -> Verdict {
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

pub(super) async fn restart(subject: &Subject, expect: &Expect) -> Verdict {
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

pub(super) async fn cursor(subject: &Subject, expect: &Expect) -> Verdict {
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

pub(super) async fn swap(subject: &Subject, expect: &Expect) -> Verdict {
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

pub(super) async fn seamless(subject: &Subject, expect: &Expect) -> Verdict {
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

pub(super) async fn steady(subject: &Subject, expect: &Expect, calls: u64, time: Duration) -> Verdict {
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

pub(super) async fn permissions(subject: &Subject, expect: &Expect) -> Verdict {
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
