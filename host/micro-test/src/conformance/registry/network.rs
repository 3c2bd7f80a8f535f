//! A network between plugin and backend that misbehaves: a proxy in front of each address.

use super::typed;
use crate::conformance::lab::{CALL, Lab};
use crate::conformance::run::WireFault;
use crate::conformance::{Failure, Subject, Verdict, ensure};
use crate::proxy::{Direction, Fault, Proxy};
use crate::registry::Expect;
use crate::registry::case::Fixture;
use crate::wait_until;
use micro_plugin::Address;
use std::time::{Duration, Instant};

/// In each direction.
const LATENCY: Duration = Duration::from_millis(200);
/// How long the network is split.
const PARTITION: Duration = Duration::from_secs(5);
/// How long everything may take to work again without help.
const RECOVERY: Duration = Duration::from_secs(15);

/// Proxies in front of the backend, and the addresses that lead through them.
struct Network {
    proxies: Vec<Proxy>,
    address: String,
}

impl Network {
    async fn before(subject: &Subject) -> Result<Self, Failure> {
        let given = subject.address.clone().unwrap_or_default();
        let port = subject.manifest().and_then(|it| it.options.iter().find_map(|option| option.default_port));
        let (mut proxies, mut addresses) = (Vec::new(), Vec::new());
        for text in given.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let bad = |why: String| Failure(format!("{text} cannot be put behind a proxy: {why}"));
            let address = Address::parse(text, port).map_err(|error| bad(error.to_string()))?;
            let mut found =
                tokio::net::lookup_host(address.authority()).await.map_err(|error| bad(error.to_string()))?;
            let server = found.next().ok_or_else(|| bad("it has no address".to_owned()))?;
            let proxy = Proxy::start(server).await;
            let scheme = text.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
            addresses.push(format!("{scheme}{}", proxy.address()));
            proxies.push(proxy);
        }
        Ok(Self { proxies, address: addresses.join(",") })
    }

    async fn set(&self, fault: Fault) {
        for proxy in &self.proxies {
            proxy.set(fault).await;
        }
    }
}

/// Checks one fault.
pub(super) async fn check(subject: &Subject, expect: &Expect, fault: WireFault) -> Verdict {
    let network = Network::before(subject).await?;
    let (behind, direct) = (Lab::new(subject)?.with_address(&*network.address), Lab::new(subject)?);
    let registry = behind.registry().await?;
    let f = Fixture::new(registry, expect);
    let other = f.with(direct.registry().await?);
    let verdict = match fault {
        WireFault::Latency => latency(&network, &f).await,
        WireFault::Reset => reset(&network, &f).await,
        WireFault::Partition => partition(&network, &f, &other).await,
    };
    // Nothing of the case stays at the backend, as far as that can be helped.
    let _ = other.registry.deregister(&f.service("", "1", &["a", "b"])).await;
    let verdict = direct.end(verdict).await;
    behind.end(verdict).await
}

async fn latency(network: &Network, f: &Fixture) -> Verdict {
    network.set(Fault::Latency(LATENCY)).await;
    let service = f.service("", "1", &["a"]);
    let mut replica = f.replica(Some(f.prefix.clone()));
    replica.step(Duration::ZERO).await?;
    f.register(&service).await?;
    f.finds(&f.prefix, std::slice::from_ref(&service)).await?;
    f.sees(&mut replica, std::slice::from_ref(&service)).await?;
    f.registry.deregister(&service).await?;
    f.finds(&f.prefix, &[]).await?;
    f.sees(&mut replica, &[]).await?;
    Ok(None)
}

/// A call while nothing gets through: a typed error, in time.
async fn fails_well(f: &Fixture) -> Verdict {
    let since = Instant::now();
    let answer = f.registry.get_service(&f.prefix).await;
    let took = since.elapsed();
    match answer {
        Ok(found) => Err(Failure(format!("nothing gets through, and a lookup was answered with {found:?}"))),
        Err(error) => {
            ensure!(took < CALL * 2, "a lookup took {took:.1?} to fail");
            typed("get-service", &error)
        }
    }
}

async fn recovers(f: &Fixture, node: &str) -> Verdict {
    let mut last = String::new();
    let found = wait_until(RECOVERY, async || match f.lookup(&f.prefix).await {
        Ok(found) if found.iter().any(|it| it.nodes.iter().any(|it| it.id.ends_with(node))) => Some(()),
        other => {
            last = format!("{other:?}");
            None
        }
    });
    ensure!(found.await.is_some(), "{RECOVERY:?} after the fault was over a lookup still gave {last}");
    Ok(None)
}

async fn reset(network: &Network, f: &Fixture) -> Verdict {
    let service = f.service("", "1", &["a"]);
    f.register(&service).await?;
    f.finds(&f.prefix, std::slice::from_ref(&service)).await?;
    let mut replica = f.replica(Some(f.prefix.clone()));
    f.sees(&mut replica, std::slice::from_ref(&service)).await?;
    for _ in 0..3 {
        // The poll is in the middle of its wait when its connection goes; whatever comes of it is typed.
        let poll = async {
            match f.registry.changes(Some(&f.prefix), replica.cursor.as_deref(), Duration::from_secs(2)).await
            {
                Ok(_) => Ok(None),
                Err(error) => typed("changes", &error),
            }
        };
        let cut = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            network.set(Fault::Reset).await;
            let failed = fails_well(f).await;
            network.set(Fault::None).await;
            failed
        };
        let (polled, failed) = tokio::join!(poll, cut);
        polled.and(failed)?;
        recovers(f, "-a").await?;
    }
    f.register(&f.service("", "1", &["b"])).await?;
    let both = [f.service("", "1", &["a", "b"])];
    follows(f, &mut replica, &both).await
}

/// The watch goes on from where it was, through errors that may still come.
async fn follows(
    f: &Fixture,
    replica: &mut crate::registry::Replica,
    expected: &[micro_core::Service],
) -> Verdict {
    let until = Instant::now() + RECOVERY;
    loop {
        match f.sees_within(replica, expected, until.saturating_duration_since(Instant::now())).await {
            Ok(()) => return Ok(None),
            Err(failure) if Instant::now() >= until => return Err(failure),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn partition(network: &Network, f: &Fixture, other: &Fixture) -> Verdict {
    let service = f.service("", "1", &["a"]);
    f.register(&service).await?;
    f.finds(&f.prefix, std::slice::from_ref(&service)).await?;
    let mut replica = f.replica(Some(f.prefix.clone()));
    f.sees(&mut replica, std::slice::from_ref(&service)).await?;

    network.set(Fault::Lose(Direction::Both)).await;
    let since = Instant::now();
    other.register(&f.service("", "1", &["b"])).await?;
    fails_well(f).await?;
    tokio::time::sleep(PARTITION.saturating_sub(since.elapsed())).await;
    network.set(Fault::None).await;

    recovers(f, "-a").await?;
    let both = [f.service("", "1", &["a", "b"])];
    other.finds(&f.prefix, &both).await?;
    follows(f, &mut replica, &both).await?;
    f.register(&service).await?;
    f.finds(&f.prefix, &both).await?;
    Ok(None)
}
