//! `micro plugin bench`: what a plugin costs.
//!
//! Calls are made the way a service makes them: through the adapter of the kind, on this thread's instance. All cases of
//! all files take turns in rounds, so that a machine that is busy for a while slows all of them; what is shown is the
//! median over the rounds, and how far they lay apart.
//!
//! | module | holds |
//! |---|---|
//! | `cases` | the calls of each kind, with inputs of usual sizes |
//! | `start` | size, compiling, loading, starting, memory |
//! | `report` | the figures as text and as JSON |

mod cases;
mod report;
mod start;

use super::probed;
use crate::args::{Format, PluginBenchArgs};
use crate::failure::{Next, coded};
use crate::{output, session};
use cases::{Case, Run};
use micro::Flags;
use micro_core::Code;
use micro_wasm::{Host, HostConfig};
use report::{Figures, Measured};
use std::time::Duration;

/// One turn of a case takes about so long.
const TURN: Duration = Duration::from_millis(20);
/// Calls in one turn at most.
const MOST_CALLS: u32 = 1 << 22;

/// One of the files: its host, and what is measured.
struct Contestant {
    host: Host,
    figures: Figures,
    cases: Vec<Case>,
}

pub(in crate::commands) async fn bench(
    flags: &Flags,
    format: Format,
    arguments: &PluginBenchArgs,
) -> anyhow::Result<()> {
    let config = session::settings(flags, "error")?.host_config();
    let mut contestants = Vec::new();
    for plugin in std::iter::once(&arguments.plugin).chain(&arguments.other) {
        contestants.push(open(&config, plugin, arguments).await?);
    }
    for _ in 0..arguments.rounds {
        for contestant in &mut contestants {
            for (case, measured) in contestant.cases.iter_mut().zip(&mut contestant.figures.cases) {
                measured.rounds.push(turn(&mut case.run, &mut measured.batch).await?);
                if let Some((_, beside)) = &mut case.beside {
                    measured.beside_rounds.push(turn(beside, &mut measured.beside_batch).await?);
                }
            }
        }
    }
    for contestant in &contestants {
        let faulty = contestant.host.plugins().into_iter().find_map(|plugin| plugin.last_error);
        if let Some(error) = faulty {
            let text = format!("{} failed meanwhile: {}", contestant.figures.plugin, error.reason);
            return Err(coded(Code::AUTHOR_BENCH, text, "micro plugin call repeats single calls"));
        }
    }
    let all: Vec<Figures> = contestants.into_iter().map(|it| it.figures).collect();
    output::answer(format, || report::in_words(&all), &report::as_json(&all))
}

async fn open(config: &HostConfig, plugin: &str, arguments: &PluginBenchArgs) -> anyhow::Result<Contestant> {
    let request = probed::request(plugin, &arguments.probed)?;
    let mut figures = start::measure(config, &request, arguments.rounds).await?;
    let host = Host::new(config.clone()).next("micro needs a processor that wasmtime supports")?;
    let surface =
        host.examine(&request.locator).await.next("micro plugin inspect FILE shows what a file is")?;
    let cases = match arguments.calls.as_slice() {
        [] => cases::usual(&host, &request, surface).await?,
        calls => cases::given(&host, &request, surface, calls).await?,
    };
    figures.cases = cases
        .iter()
        .map(|case| Measured::new(&case.name, case.beside.as_ref().map(|(what, _)| *what)))
        .collect();
    Ok(Contestant { host, figures, cases })
}

/// Nanoseconds per call, over one turn. The first turn finds out how many calls it takes.
async fn turn(run: &mut Run, batch: &mut Option<u32>) -> anyhow::Result<f64> {
    let calls = match *batch {
        Some(calls) => calls,
        None => {
            let calls = calibrated(run).await?;
            *batch = Some(calls);
            calls
        }
    };
    let took = run(calls).await?;
    Ok(took.as_nanos() as f64 / f64::from(calls))
}

async fn calibrated(run: &mut Run) -> anyhow::Result<u32> {
    let mut calls = 1;
    loop {
        let took = run(calls).await?;
        if took >= TURN / 2 || calls >= MOST_CALLS {
            let fitting = f64::from(calls) * TURN.as_secs_f64() / took.as_secs_f64().max(1e-9);
            return Ok((fitting as u32).clamp(1, MOST_CALLS));
        }
        calls = calls.saturating_mul(4);
    }
}
