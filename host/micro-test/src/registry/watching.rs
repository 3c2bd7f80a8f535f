//! Being told of changes.

use super::Failure;
use super::case::{Fixture, ensure};
use futures::future::try_join_all;
use micro_core::Service;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Cursors that no registry gives.
const BAD: &[&str] = &["", " ", "no cursor", "{}", "[]", "null", "\0", "☃", "-1", ":", "a:b:c"];

pub(super) async fn the_first_answer_is_everything(f: &Fixture) -> Result<(), Failure> {
    let services = [f.service("", "1", &["a", "b"]), f.service("", "2", &["c"])];
    for scope in f.scopes(&f.prefix) {
        let mut empty = f.replica(scope);
        let batch = empty.step(Duration::ZERO).await?;
        ensure!(batch.resync, "the first answer is no resync");
        ensure!(empty.content.is_empty(), "something is there already: {:?}", empty.content);
    }
    try_join_all(services.iter().map(|service| f.register(service))).await?;
    f.finds(&f.prefix, &services).await?;
    for scope in f.scopes(&f.prefix) {
        let mut replica = f.replica(scope);
        let start = Instant::now();
        let batch = replica.step(f.expect.reaction * 2).await?;
        ensure!(batch.resync, "the first answer is no resync");
        ensure!(start.elapsed() < f.expect.reaction * 2, "the first answer was not given at once");
        f.sees(&mut replica, &services).await?;
    }
    Ok(())
}

pub(super) async fn changes_are_told_in_turn(f: &Fixture) -> Result<(), Failure> {
    let one = f.service("", "1", &["a"]);
    let mut updated = one.clone();
    updated.nodes[0].address = "127.0.0.1:4343".to_owned();
    updated.nodes[0].metadata.insert("changed".to_owned(), "yes".to_owned());
    let two = f.service("", "2", &["b"]);
    let mut replicas = Vec::new();
    for scope in f.scopes(&f.prefix) {
        let mut replica = f.replica(scope);
        replica.step(Duration::ZERO).await?;
        replicas.push(replica);
    }
    type Change<'a> = (&'a Service, bool, &'a [&'a Service]);
    let turns: &[Change<'_>] = &[
        (&one, true, &[&one]),
        (&updated, true, &[&updated]),
        (&two, true, &[&updated, &two]),
        (&updated, false, &[&two]),
        (&two, false, &[]),
        (&one, true, &[&one]),
    ];
    for (service, register, expected) in turns {
        if *register {
            f.register(service).await?;
        } else {
            f.registry.deregister(service).await?;
        }
        let expected: Vec<Service> = expected.iter().map(|service| (*service).clone()).collect();
        for replica in &mut replicas {
            f.sees(replica, &expected).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_cursor_can_be_used_again(f: &Fixture) -> Result<(), Failure> {
    for (at, scope) in f.scopes(&f.name("-0")).into_iter().enumerate() {
        let suffix = "-0";
        let before = f.service(suffix, "1", &[&format!("before-{at}")]);
        f.register(&before).await?;
        f.finds(&f.name(suffix), std::slice::from_ref(&before)).await?;
        let mut replica = f.replica(scope.clone());
        f.sees(&mut replica, std::slice::from_ref(&before)).await?;
        let cursor = replica.cursor.clone();
        let after = f.service(suffix, "1", &[&format!("after-{at}")]);
        f.register(&after).await?;
        f.registry.deregister(&before).await?;
        for attempt in 0..2 {
            replica.cursor.clone_from(&cursor);
            f.sees(&mut replica, std::slice::from_ref(&after)).await.map_err(|Failure(problem)| {
                Failure(format!("attempt {attempt} with the same cursor: {problem}"))
            })?;
            replica.content.clear();
        }
        f.registry.deregister(&after).await?;
        f.finds(&f.name(suffix), &[]).await?;
    }
    Ok(())
}

pub(super) async fn a_bad_cursor_leads_to_a_resync(f: &Fixture) -> Result<(), Failure> {
    let service = f.service("", "1", &["a"]);
    f.register(&service).await?;
    f.finds(&f.prefix, std::slice::from_ref(&service)).await?;
    let long = "9".repeat(10_000);
    for scope in f.scopes(&f.prefix) {
        for bad in BAD.iter().copied().chain([long.as_str()]) {
            let mut replica = f.replica(scope.clone());
            replica.cursor = Some(bad.to_owned());
            let start = Instant::now();
            let batch = replica.step(f.expect.reaction * 2).await?;
            ensure!(batch.resync, "{:?} was taken for a cursor", &bad[..bad.len().min(20)]);
            ensure!(start.elapsed() < f.expect.reaction * 2, "the resync was not given at once");
            f.sees(&mut replica, std::slice::from_ref(&service)).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_snapshot_can_be_watched_on(f: &Fixture) -> Result<(), Failure> {
    let one = f.service("", "1", &["a"]);
    f.register(&one).await?;
    f.finds(&f.prefix, std::slice::from_ref(&one)).await?;
    let snapshot = f.registry.get_service(&f.prefix).await?;
    let two = f.service("", "2", &["b"]);
    f.register(&two).await?;
    let mut replica = f.replica(Some(f.prefix.clone()));
    // None is allowed, and means a resync.
    replica.cursor = snapshot.cursor;
    f.sees(&mut replica, &[one, two]).await
}

pub(super) async fn silence_ends_with_the_wait(f: &Fixture) -> Result<(), Failure> {
    const WAIT: Duration = Duration::from_millis(300);
    // Watched by name, because others may use the same server.
    let mut replica = f.replica(Some(f.prefix.clone()));
    replica.step(Duration::ZERO).await?;
    for wait in [Duration::ZERO, WAIT] {
        let start = Instant::now();
        let batch = replica.step(wait).await?;
        let took = start.elapsed();
        ensure!(!batch.resync && batch.entries.is_empty(), "nothing happened, but it told {batch:?}");
        ensure!(took < wait + f.expect.reaction, "it took {took:?} where {wait:?} were allowed");
    }
    Ok(())
}

pub(super) async fn a_name_hears_of_itself_only(f: &Fixture) -> Result<(), Failure> {
    let mut replica = f.replica(Some(f.prefix.clone()));
    replica.step(Duration::ZERO).await?;
    // One that has the watched name as its beginning, as a key of a store might.
    for suffix in ["-other", "/other", ".other"] {
        f.register(&f.service(suffix, "1", &["a"])).await?;
        f.finds(&f.name(suffix), &[f.service(suffix, "1", &["a"])]).await?;
    }
    // The replica itself refuses entries of other names.
    let batch = replica.step(Duration::from_millis(200)).await?;
    ensure!(batch.entries.is_empty(), "told of {:?}", batch.entries);
    let service = f.service("", "1", &["a"]);
    f.register(&service).await?;
    f.sees(&mut replica, &[service]).await
}

pub(super) async fn a_change_ends_the_wait(f: &Fixture) -> Result<(), Failure> {
    for scope in f.scopes(&f.prefix) {
        let mut replica = f.replica(scope);
        replica.step(Duration::ZERO).await?;
        let service = f.service("", "1", &["a"]);
        let expected = [service.clone()];
        let watch = f.sees_within(&mut replica, &expected, Duration::from_secs(5));
        let register = async {
            // Time for the watcher to begin to wait; if it has not, the case still holds.
            tokio::time::sleep(Duration::from_millis(100)).await;
            f.register(&service).await
        };
        tokio::try_join!(watch, register)?;
        f.registry.deregister(&service).await?;
        f.finds(&f.prefix, &[]).await?;
    }
    Ok(())
}

pub(super) async fn an_abandoned_wait_loses_nothing(f: &Fixture) -> Result<(), Failure> {
    for scope in f.scopes(&f.prefix) {
        let mut replica = f.replica(scope);
        replica.step(Duration::ZERO).await?;
        let service = f.service("", "1", &["a"]);
        for pause in [0, 1, 20, 100] {
            // Most of these end by being dropped; one that ends in time has told something, which is fine.
            let _ = timeout(Duration::from_millis(pause), replica.step(Duration::from_secs(5))).await;
        }
        let abandoned = timeout(Duration::from_millis(30), replica.step(Duration::from_secs(5)));
        let (_, registered) = tokio::join!(abandoned, f.register(&service));
        registered?;
        f.sees(&mut replica, std::slice::from_ref(&service)).await?;
        f.registry.deregister(&service).await?;
        f.finds(&f.prefix, &[]).await?;
    }
    Ok(())
}

pub(super) async fn an_expiry_is_told(f: &Fixture) -> Result<(), Failure> {
    let service = f.service("", "1", &["a"]);
    f.registry.register(&service, f.expect.ttl).await?;
    let mut replicas: Vec<_> = f.scopes(&f.prefix).into_iter().map(|scope| f.replica(scope)).collect();
    for replica in &mut replicas {
        f.sees(replica, std::slice::from_ref(&service)).await?;
    }
    for replica in &mut replicas {
        f.sees_within(replica, &[], f.expect.ttl + f.expect.expiry_slack).await?;
    }
    Ok(())
}

pub(super) async fn many_may_watch_at_once(f: &Fixture) -> Result<(), Failure> {
    let scopes = f.scopes(&f.prefix);
    let mut replicas: Vec<_> = scopes.iter().cycle().take(16).map(|scope| f.replica(scope.clone())).collect();
    let services: Vec<_> = ["a", "b", "c", "d"].iter().map(|node| f.service("", node, &[node])).collect();
    let watching = try_join_all(replicas.iter_mut().map(|replica| f.sees(replica, &services)));
    let registering = try_join_all(services.iter().map(|service| f.register(service)));
    tokio::try_join!(watching, registering)?;
    Ok(())
}
