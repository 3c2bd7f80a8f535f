//! Start-up and idle memory of `micro api` with a plugin whose compiled code is in the cache.

use crate::Failed;
use crate::figures::Spread;
use crate::gateway;
use crate::http::ask;
use crate::process::{LOOK, Program, SOON};
use crate::setup::Setup;
use crate::tools::Etcd;
use hyper::StatusCode;
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

/// After this time a program that nobody asks anything is idle.
const IDLE: Duration = Duration::from_secs(2);

/// All ids.
pub(crate) fn ids(setups: &[Setup]) -> Vec<String> {
    setups
        .iter()
        .filter(|setup| setup.is_distributed())
        .map(|setup| format!("start-{}", setup.id()))
        .collect()
}

/// The figures of one setup.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StartUp {
    pub(crate) id: String,
    pub(crate) what: String,
    /// From the start of the process until `/readyz` says yes.
    pub(crate) ready_ms: Spread,
    /// Resident, after two seconds without a request.
    pub(crate) idle_mib: Spread,
}

/// Starts it once to fill the cache, then `rounds` times.
pub(crate) async fn measure(
    setup: &Setup,
    rounds: usize,
    dist: &Path,
    etcd: &Etcd,
    scratch: &Path,
) -> Result<StartUp, Failed> {
    let home = scratch.join(format!("start-{}", setup.id()));
    std::fs::create_dir_all(&home)?;
    let (mut ready, mut idle) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let log = home.join("api.log");
        let begun = Instant::now();
        let api = Program::start(gateway::api(dist, etcd, &home)?, &log)?;
        let address = gateway::address(&api).await?;
        while !matches!(ask(&address, "GET", "/readyz", "").await, Ok((StatusCode::OK, _))) {
            if begun.elapsed() > SOON {
                return Err(api.failed(&format!("was not ready within {SOON:?}")));
            }
            tokio::time::sleep(LOOK).await;
        }
        let took = begun.elapsed();
        if round > 0 {
            eprintln!("start {round} of {rounds}");
            tokio::time::sleep(IDLE).await;
            ready.push(took.as_secs_f64() * 1e3);
            idle.push(api.rss_mib()?);
        }
        api.end().await?;
    }
    let none = "no rounds";
    Ok(StartUp {
        id: format!("start-{}", setup.id()),
        what: format!("micro api with etcd, {}", setup.what()),
        ready_ms: Spread::of(ready).ok_or(none)?,
        idle_mib: Spread::of(idle).ok_or(none)?,
    })
}
