//! The benchmarks: RPC, events and gateway against hyper, tonic and Go Micro; the price of one call; start-up and memory.
//!
//! Machines are noisy, so every figure is a median over rounds in which all rows take turns, and what counts are the
//! ratios within one run. `docs/benchmarks.md` says what each row is.
//!
//! ```sh
//! cargo xtask bench                       # everything: tables, and a line in target/bench/history.jsonl
//! cargo xtask bench --quick --rows rpc    # to see whether something changed much
//! ```

mod calls;
mod events;
mod figures;
mod gateway;
mod http;
mod process;
mod report;
mod rows;
mod rpc;
mod setup;
mod stacks;
mod start_up;
mod targets;
mod tools;

use clap::Parser;
use report::{Machine, Report};
use rows::{Effort, Missing, Wanted};
use setup::Setup;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tools::Etcd;

/// Why something cannot be measured.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Measures RPC, events, gateway, single calls and start-up, against hyper, tonic and Go Micro.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    /// Three rounds of 0.3 s at 1 and 64 connections, unless other flags say otherwise
    #[arg(long)]
    quick: bool,
    /// Only these rows: ids, groups (rpc, events, gateway, calls, start) or beginnings of ids (go), separated by commas
    #[arg(long, value_delimiter = ',', value_name = "ROWS")]
    rows: Vec<String>,
    /// Rounds; each runs every row once [default: 7]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Seconds that count per row and round [default: 1]
    #[arg(long, value_parser = seconds)]
    seconds: Option<f64>,
    /// Connections of the RPC rows and publishers of the event rows, separated by commas [default: 1,16,64]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    connections: Vec<u16>,
    /// Worker threads of the one runtime that servers and callers in Rust share
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    workers: u16,
    /// Appends all figures to this file, as one line of JSON [default: target/bench/history.jsonl]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes the tables into this Markdown file, in place of those that it has
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The distribution with `micro` and the greeter [default: target/bench/dist]
    #[arg(long, value_name = "DIR")]
    dist: Option<PathBuf>,
}

/// A day is more than anybody waits for a row.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.01..86_400.0).contains(seconds));
    seconds.ok_or_else(|| "want seconds, 0.01 or more".to_owned())
}

impl Arguments {
    fn effort(&self) -> Effort {
        let (rounds, seconds) = if self.quick { (3, 0.3) } else { (7, 1.0) };
        Effort {
            rounds: self.rounds.unwrap_or(rounds).into(),
            seconds: self.seconds.unwrap_or(seconds),
            warm_up: if self.quick { 0.2 } else { 0.3 },
        }
    }

    fn connections(&self) -> Vec<usize> {
        let default: &[u16] = if self.quick { &[1, 64] } else { &[1, 16, 64] };
        let wanted = if self.connections.is_empty() { default } else { &self.connections };
        wanted.iter().map(|&connections| connections.into()).collect()
    }
}

fn main() -> ExitCode {
    let outcome = run(&Arguments::parse());
    micro::exit(outcome.map_err(|error| -> Box<dyn std::error::Error> { error }))
}

fn run(arguments: &Arguments) -> Result<(), Failed> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(arguments.workers.into()).enable_all().build()?;
    runtime.block_on(bench(arguments))
}

async fn bench(arguments: &Arguments) -> Result<(), Failed> {
    let built = tools::root().join("target/bench");
    let dist = arguments.dist.clone().unwrap_or_else(|| built.join("dist"));
    let dist = std::path::absolute(dist)?;
    let (setups, no_components) = Setup::all(&dist).await;
    let groups = [
        ("rpc", rpc::ids(&setups)),
        ("events", events::ids(&setups)),
        ("gateway", gateway::ids(&setups)),
        ("calls", calls::ids(&setups)),
        ("start", start_up::ids(&setups)),
    ];
    let wanted = Wanted::new(arguments.rows.clone(), &groups)?;
    let scratch = tempfile::Builder::new().prefix("micro-bench-").tempdir()?;
    let mut report = Report {
        date: chrono::Local::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, false),
        version: micro::VERSION,
        commit: report::commit(),
        machine: Machine::here(),
        effort: arguments.effort(),
        workers: arguments.workers.into(),
        rpc: Vec::new(),
        events: Vec::new(),
        gateway: Vec::new(),
        calls: Vec::new(),
        starts: Vec::new(),
        targets: Vec::new(),
        missing: Vec::new(),
    };
    if let Some(error) = no_components {
        report.missing.push(Missing::new("wasm".to_owned(), &error));
    }
    fill(&mut report, &setups, &wanted, &arguments.connections(), &dist, scratch.path()).await;
    if let Some(ours) = setups.last() {
        report.targets = targets::of(&report, ours);
    }
    report::print(&report);
    report.append_to(&arguments.json.clone().unwrap_or_else(|| built.join("history.jsonl")))?;
    if let Some(file) = &arguments.markdown {
        report::write_markdown(&report, file)?;
    }
    Ok(())
}

/// One group after the other: what a group started ends before the next begins.
async fn fill(
    report: &mut Report,
    setups: &[Setup],
    wanted: &Wanted,
    connections: &[usize],
    dist: &Path,
    scratch: &Path,
) {
    let effort = report.effort;
    let missing = &mut report.missing;
    let rows = rpc::start(setups, wanted, scratch, missing).await;
    report.rpc = rows::measure(rows, connections, effort, missing).await;
    let rows = events::start(setups, wanted, missing).await;
    report.events = rows::measure(rows, connections, effort, missing).await;

    for setup in setups.iter().filter(|setup| wanted.has(&format!("calls-{}", setup.id()))) {
        match calls::measure(setup, effort).await {
            Ok(calls) => report.calls.extend(calls),
            Err(error) => missing.push(Missing::new(format!("calls-{}", setup.id()), &error)),
        }
    }

    let starts = start_up::ids(setups).into_iter().any(|id| wanted.has(&id));
    if !starts && !gateway::ids(setups).into_iter().any(|id| wanted.has(&id)) {
        return;
    }
    let etcd = Etcd::start(&scratch.join("etcd")).await;
    let rows = gateway::start(setups, wanted, dist, &etcd, scratch, missing).await;
    report.gateway = rows::measure(rows, &[gateway::CONNECTIONS], effort, missing).await;
    for setup in setups.iter().filter(|setup| setup.is_distributed()) {
        let id = format!("start-{}", setup.id());
        if !wanted.has(&id) {
            continue;
        }
        let measured = match &etcd {
            Ok(etcd) => start_up::measure(setup, effort.rounds, dist, etcd, scratch).await,
            Err(error) => Err(error.to_string().into()),
        };
        match measured {
            Ok(start) => report.starts.push(start),
            Err(error) => missing.push(Missing::new(id, &error)),
        }
    }
}
