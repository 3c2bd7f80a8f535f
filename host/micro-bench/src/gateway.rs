//! The gateway rows: `micro api` in front of a greeter, loaded by wrk.
//!
//! Ours stands in front of our greeter, Go's in front of Go's, both with etcd as the registry and both writing their
//! access log to a file. What is counted is the gateway's CPU and memory, not those of the greeter or of wrk, which
//! share the machine with it.

use crate::Failed;
use crate::figures::Sample;
use crate::http::ask;
use crate::process::{LOOK, Program, SOON, text_of};
use crate::rows::{Missing, Row, Wanted};
use crate::setup::Setup;
use crate::stacks::{Load, Stack};
use crate::tools::{self, Etcd};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;
use tokio::process::Command;

pub(crate) const CONNECTIONS: usize = 64;
const PATH: &str = "/greeter/say/hello";
/// The Go greeter is in the same etcd and must not get calls that are meant for ours.
const GO_PATH: &str = "/gogreeter/say/hello";
const GO: &str = "api-go";

/// All ids.
pub(crate) fn ids(setups: &[Setup]) -> Vec<String> {
    let ours =
        setups.iter().filter(|setup| setup.is_distributed()).map(|setup| format!("api-{}", setup.id()));
    ours.chain([GO.to_owned()]).collect()
}

/// A gateway and the service behind it.
struct Gateway {
    gateway: Program,
    address: String,
    path: &'static str,
    _greeter: Program,
}

/// Starts what is wanted. `scratch` takes logs and state.
pub(crate) async fn start(
    setups: &[Setup],
    wanted: &Wanted,
    dist: &Path,
    etcd: &Result<Etcd, Failed>,
    scratch: &Path,
    missing: &mut Vec<Missing>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    let wrk = tools::wrk().await;
    for id in ids(setups).into_iter().filter(|id| wanted.has(id)) {
        let started = match (&wrk, etcd) {
            (Err(error), _) | (_, Err(error)) => Err(error.to_string().into()),
            (Ok(()), Ok(etcd)) => one(&id, setups, dist, etcd, scratch).await,
        };
        match started {
            Ok((what, gateway)) => rows.push(Row { id, what, stack: Box::new(gateway) }),
            Err(error) => missing.push(Missing::new(id, &error)),
        }
    }
    rows
}

async fn one(
    id: &str,
    setups: &[Setup],
    dist: &Path,
    etcd: &Etcd,
    scratch: &Path,
) -> Result<(String, Gateway), Failed> {
    let (what, gateway) = if id == GO {
        ("Go micro api v2.9.3".to_owned(), Gateway::go(etcd, scratch).await?)
    } else {
        let setup = setups.iter().find(|setup| id == format!("api-{}", setup.id()));
        let setup = setup.ok_or_else(|| format!("no row {id}"))?;
        (format!("micro api, {}", setup.what()), Gateway::ours(setup, dist, etcd, scratch).await?)
    };
    gateway.greets().await?;
    Ok((what, gateway))
}

/// `micro api` of the distribution, with etcd as the registry and what `flags` say.
pub(crate) fn api(dist: &Path, etcd: &Etcd, home: &Path) -> Result<Command, Failed> {
    let mut command = tools::command(&tools::ours(dist, "micro")?, home);
    command.args(["--registry=etcd", &format!("--registry_address={}", etcd.address)]);
    command.args([
        "--api_address=127.0.0.1:0",
        "--server_address=127.0.0.1:0",
        "--api_namespace=go.micro.srv",
    ]);
    command.arg("api");
    Ok(command)
}

/// Where it listens, as soon as it says so.
pub(crate) async fn address(api: &Program) -> Result<String, Failed> {
    let line = api.line("API gateway listening").await?;
    let word = line.split_whitespace().find_map(|word| word.strip_prefix("address="));
    Ok(word.ok_or_else(|| format!("no address in {line:?}"))?.to_owned())
}

impl Gateway {
    async fn ours(setup: &Setup, dist: &Path, etcd: &Etcd, scratch: &Path) -> Result<Self, Failed> {
        let home = scratch.join(format!("home-{}", setup.id()));
        std::fs::create_dir_all(&home)?;
        let mut greeter = tools::command(&tools::ours(dist, "greeter-srv")?, &home);
        greeter.args(["--registry=etcd", &format!("--registry_address={}", etcd.address)]);
        greeter.arg("--server_address=127.0.0.1:0");
        let greeter = Program::start(greeter, &home.join("greeter.log"))?;
        greeter.line("registered").await?;
        let gateway = Program::start(api(dist, etcd, &home)?, &home.join("api.log"))?;
        let address = address(&gateway).await?;
        Ok(Self { gateway, address, path: PATH, _greeter: greeter })
    }

    /// The fastest of its handlers, in front of a service that speaks its default protocol, gRPC.
    async fn go(etcd: &Etcd, scratch: &Path) -> Result<Self, Failed> {
        let program = tools::go_program("toolkit").await?;
        // State and configuration of the toolkit go where it is told that home is.
        let home = scratch.join("home-go");
        std::fs::create_dir_all(&home)?;
        let mut greeter = tools::command(&program, &home);
        greeter.args(["serve", &etcd.address]).env("HOME", &home);
        let greeter = Program::start(greeter, &home.join("greeter.log"))?;
        greeter.line("ready ").await?;
        let mut gateway = tools::command(&program, &home);
        gateway.env("HOME", &home).env("MICRO_REPORT_USAGE", "false");
        gateway.args(["--registry", "etcd", "--registry_address", &etcd.address]);
        gateway.args(["--server_address", "127.0.0.1:0", "--broker_address", "127.0.0.1:0", "api"]);
        gateway.args([
            "--address",
            "127.0.0.1:0",
            "--namespace",
            "go.micro",
            "--type",
            "srv",
            "--handler",
            "rpc",
        ]);
        let gateway = Program::start(gateway, &home.join("api.log"))?;
        let line = gateway.line("HTTP API Listening on").await?;
        let address = line.split_whitespace().last().unwrap_or_default().to_owned();
        Ok(Self { gateway, address, path: GO_PATH, _greeter: greeter })
    }

    /// Waits until a greeting comes back, the right one.
    async fn greets(&self) -> Result<(), Failed> {
        let begun = Instant::now();
        loop {
            let answer = ask(&self.address, "POST", self.path, r#"{"name":"John"}"#).await;
            let greeting =
                answer.as_ref().ok().and_then(|(_, body)| serde_json::from_slice::<Value>(body).ok());
            if greeting == Some(json!({ "msg": "Hello John" })) {
                return Ok(());
            }
            if begun.elapsed() > SOON {
                return Err(self.gateway.failed(&format!("does not greet: {answer:?}")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What `greet.lua` makes wrk say.
#[derive(Deserialize)]
struct Said {
    calls: u64,
    errors: u64,
    seconds: f64,
    p50_us: f64,
    p99_us: f64,
}

#[async_trait]
impl Stack for Gateway {
    /// wrk counts from its first connection and takes whole seconds, so there is no warm-up but the round before.
    async fn measure(&self, load: Load) -> Result<Sample, Failed> {
        let mut wrk = Command::new("wrk");
        wrk.args(["--threads", "1", "--connections", &load.connections.to_string()]);
        wrk.args(["--duration", &format!("{}s", (load.time.as_secs_f64().ceil() as u64).max(1))]);
        wrk.arg("--script").arg(tools::root().join("tests/peers/bench/greet.lua"));
        wrk.arg(format!("http://{}{}", self.address, self.path));
        let before = self.gateway.cpu()?;
        let said = text_of(wrk).await?;
        let cpu = self.gateway.cpu()? - before;
        let line = said.lines().find(|line| line.starts_with('{')).unwrap_or_default();
        let said: Said = serde_json::from_str(line).map_err(|error| format!("wrk said {said:?}: {error}"))?;
        if said.errors > 0 || said.calls == 0 {
            return Err(format!("{} of {} requests failed", said.errors, said.calls).into());
        }
        Ok(Sample {
            rate: said.calls as f64 / said.seconds,
            cpu_us: cpu * 1e6 / said.calls as f64,
            p50_us: said.p50_us,
            p99_us: said.p99_us,
            rss_mib: Some(self.gateway.rss_mib()?),
        })
    }
}
