//! Registering, looking up, ending.

use super::Failure;
use super::case::{Fixture, LONG, ensure};
use crate::wait_until;
use futures::future::try_join_all;
use std::time::{Duration, Instant};

enum Step {
    /// Registers nodes under a version.
    Put(&'static str, &'static [&'static str]),
    /// Takes them away again.
    Cut(&'static str, &'static [&'static str]),
}
use Step::{Cut, Put};

/// Which nodes a version has.
type Version = (&'static str, &'static [&'static str]);

/// What is done, and what there is afterwards.
const STEPS: &[(&[Step], &[Version])] = &[
    (&[Put("1", &["a"])], &[("1", &["a"])]),
    (&[Put("1", &["a"]), Put("1", &["a"])], &[("1", &["a"])]),
    (&[Put("1", &["a"]), Put("1", &["b"])], &[("1", &["a", "b"])]),
    (&[Put("1", &["a", "b"])], &[("1", &["a", "b"])]),
    (&[Put("1", &["a"]), Put("2", &["b"])], &[("1", &["a"]), ("2", &["b"])]),
    (&[Put("", &["a"])], &[("", &["a"])]),
    // A node is one thing: what was registered last under its id counts.
    (&[Put("1", &["a"]), Put("2", &["a"])], &[("2", &["a"])]),
    (&[Put("1", &["a"]), Cut("1", &["a"])], &[]),
    (&[Put("1", &["a", "b"]), Cut("1", &["a"])], &[("1", &["b"])]),
    (&[Put("1", &["a", "b", "c"]), Cut("1", &["a", "c"])], &[("1", &["b"])]),
    (&[Put("1", &["a"]), Put("2", &["b"]), Cut("1", &["a"])], &[("2", &["b"])]),
    (&[Put("1", &["a"]), Cut("1", &["unknown"])], &[("1", &["a"])]),
    (&[Cut("1", &["unknown"])], &[]),
    (&[Put("1", &["a"]), Cut("1", &["a"]), Cut("1", &["a"])], &[]),
    (&[Put("1", &["a"]), Cut("1", &["a"]), Put("1", &["a"])], &[("1", &["a"])]),
    (&[Put("1", &["a", "b"]), Cut("1", &["a"]), Put("2", &["a"])], &[("1", &["b"]), ("2", &["a"])]),
];

pub(super) async fn steps_lead_to_the_expected_nodes(f: &Fixture) -> Result<(), Failure> {
    for (at, (steps, expected)) in STEPS.iter().enumerate() {
        let suffix = format!("-{at}");
        for step in *steps {
            match step {
                Put(version, nodes) => f.register(&f.service(&suffix, version, nodes)).await?,
                Cut(version, nodes) => f.registry.deregister(&f.service(&suffix, version, nodes)).await?,
            }
        }
        let expected: Vec<_> =
            expected.iter().map(|(version, nodes)| f.service(&suffix, version, nodes)).collect();
        f.finds(&f.name(&suffix), &expected).await?;
    }
    Ok(())
}

pub(super) async fn an_unknown_name_is_an_empty_answer(f: &Fixture) -> Result<(), Failure> {
    f.register(&f.service("-known", "1", &["a"])).await?;
    // Neither prefixes nor extensions of a known name are known.
    for suffix in ["", "-know", "-known-a", "-known/", "-unknown"] {
        let found = f.lookup(&f.name(suffix)).await?;
        ensure!(found.is_empty(), "{suffix:?}: {found:?}");
    }
    Ok(())
}

pub(super) async fn entries_end_with_their_ttl(f: &Fixture) -> Result<(), Failure> {
    let (short, long) = (f.service("", "1", &["short"]), f.service("", "1", &["long"]));
    f.registry.register(&short, f.expect.ttl).await?;
    f.register(&long).await?;
    f.finds(&f.prefix, &[f.service("", "1", &["short", "long"])]).await?;
    let ended = wait_until(f.expect.ttl + f.expect.expiry_slack, async || {
        (f.lookup(&f.prefix).await == Ok(vec![long.clone()])).then_some(())
    });
    ensure!(ended.await.is_some(), "the entry outlived its TTL by {:?}", f.expect.expiry_slack);
    Ok(())
}

pub(super) async fn heartbeats_extend_the_ttl(f: &Fixture) -> Result<(), Failure> {
    let service = f.service("", "1", &["a"]);
    let mut heartbeat = Instant::now();
    f.registry.register(&service, f.expect.ttl).await?;
    f.finds(&f.prefix, std::slice::from_ref(&service)).await?;
    // Together longer than the TTL and the slack, so that an entry which is not extended is found to be missing.
    let pause = f.expect.ttl / 3;
    let rounds = (f.expect.ttl + f.expect.expiry_slack).as_millis() / pause.as_millis().max(1) + 1;
    let mut late = 0;
    for round in 0..rounds {
        tokio::time::sleep(pause).await;
        let found = f.lookup(&f.prefix).await?;
        if heartbeat.elapsed() < f.expect.ttl {
            ensure!(found.len() == 1, "gone before heartbeat {round}, though each came in time");
        } else {
            late += 1;
        }
        heartbeat = Instant::now();
        f.registry.register(&service, f.expect.ttl).await?;
    }
    ensure!(
        late <= rounds / 2,
        "{late} of {rounds} heartbeats came too late to tell: the machine is too busy"
    );
    Ok(())
}

pub(super) async fn without_a_ttl_entries_stay(f: &Fixture) -> Result<(), Failure> {
    let service = f.service("", "1", &["a"]);
    // Without a TTL after one with, which must then end no more.
    f.registry.register(&service, f.expect.ttl).await?;
    f.registry.register(&service, Duration::ZERO).await?;
    let witness = f.service("-witness", "1", &["a"]);
    f.registry.register(&witness, f.expect.ttl).await?;
    let ended = wait_until(f.expect.ttl + f.expect.expiry_slack, async || {
        (f.lookup(&witness.name).await == Ok(Vec::new())).then_some(())
    });
    ensure!(ended.await.is_some(), "the entry with a TTL stayed");
    f.finds(&f.prefix, std::slice::from_ref(&service)).await?;
    Ok(f.registry.deregister(&service).await?)
}

pub(super) async fn the_list_is_sorted_and_has_each_name_once(f: &Fixture) -> Result<(), Failure> {
    for (suffix, version, node) in [("-b", "1", "x"), ("-a", "1", "x"), ("-a", "2", "y"), ("-a", "1", "z")] {
        f.register(&f.service(suffix, version, &[node])).await?;
    }
    let expected = [f.name("-a"), f.name("-b")];
    let mut all = Vec::new();
    let listed = wait_until(f.expect.reaction, async || {
        all = f.registry.list_services().await.ok()?;
        all.iter().filter(|name| name.starts_with(&f.prefix)).eq(&expected).then_some(())
    });
    ensure!(listed.await.is_some(), "{expected:?} are not what is listed of {all:?}");
    ensure!(all.is_sorted(), "not sorted: {all:?}");
    for suffix in ["-a", "-b"] {
        let services = f.lookup(&f.name(suffix)).await?;
        try_join_all(services.iter().map(|service| f.registry.deregister(service))).await?;
    }
    let emptied = wait_until(f.expect.reaction, async || {
        let names = f.registry.list_services().await.ok()?;
        (!names.iter().any(|name| name.starts_with(&f.prefix))).then_some(())
    });
    ensure!(emptied.await.is_some(), "names without nodes are still listed");
    Ok(())
}

pub(super) async fn many_may_register_at_once(f: &Fixture) -> Result<(), Failure> {
    const MANY: usize = 32;
    let nodes: Vec<String> = (0..MANY).map(|at| at.to_string()).collect();
    let services: Vec<_> = nodes.iter().map(|node| f.service("", "1", &[node])).collect();
    try_join_all(services.iter().map(|service| f.registry.register(service, LONG))).await?;
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    f.finds(&f.prefix, &[f.service("", "1", &nodes)]).await?;
    let (leave, stay) = services.split_at(MANY / 2);
    let leaving = try_join_all(leave.iter().map(|service| f.registry.deregister(service)));
    let staying = try_join_all(stay.iter().map(|service| f.registry.register(service, LONG)));
    tokio::try_join!(leaving, staying)?;
    f.finds(&f.prefix, &[f.service("", "1", &nodes[MANY / 2..])]).await?;
    Ok(())
}

pub(super) async fn it_is_healthy(f: &Fixture) -> Result<(), Failure> {
    f.registry.health().await?;
    ensure!(!f.registry.name().is_empty(), "it has no name");
    ensure!(!f.registry.location().is_empty(), "it does not say where it looks");
    Ok(())
}
