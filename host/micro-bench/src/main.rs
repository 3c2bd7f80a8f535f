//! The benchmark rows: unary echo of 64 bytes, all stacks in one process, rounds interleaved.
//!
//! Machines are noisy, so every figure is a median over rounds that take turns, and what counts are the ratios in one
//! run. CPU is that of the whole process, both sides of the call.
//!
//! ```sh
//! cargo xtask bench                          # a table
//! cargo xtask bench --rounds 9 --json FILE   # and a line of JSON appended to FILE
//! ```
#![allow(clippy::print_stdout, reason = "a program that prints a table")]

mod measure;
mod stacks;

use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use measure::{Figures, Sample};
use serde_json::json;
use stacks::{Failed, Stack, bare, framework, hyper_http1};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Measures unary echo over the RPC path against plain hyper http1.
#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    /// Rounds; each runs every row once
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of measuring per row and round
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Connections, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    connections: Vec<usize>,
    /// Worker threads of the one runtime that both sides share
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Appends the figures to this file, one JSON object a run
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> Result<(), Failed> {
    let arguments = Arguments::parse();
    if arguments.rounds == 0
        || arguments.connections.contains(&0)
        || arguments.seconds.is_nan()
        || arguments.seconds <= 0.0
    {
        return Err("rounds, connections and seconds must be above 0".into());
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(arguments.workers).enable_all().build()?;
    runtime.block_on(bench(&arguments))
}

async fn bench(arguments: &Arguments) -> Result<(), Failed> {
    let stacks = [framework::start().await?, bare::start().await?, hyper_http1::start().await?];
    let time = Duration::from_secs_f64(arguments.seconds);
    let mut samples: Vec<Vec<Vec<Sample>>> =
        vec![vec![Vec::new(); stacks.len()]; arguments.connections.len()];
    for round in 0..arguments.rounds {
        eprintln!("round {} of {}", round + 1, arguments.rounds);
        for (at, &connections) in arguments.connections.iter().enumerate() {
            // Each round starts with another row, so that none always follows the same neighbour.
            for turn in 0..stacks.len() {
                let row = (turn + round) % stacks.len();
                let sample = measure::run(&stacks[row], connections, time).await?;
                samples[at][row].push(sample);
            }
        }
    }
    let figures: Vec<Vec<Figures>> =
        samples.iter().map(|rows| rows.iter().map(|samples| Figures::of(samples)).collect()).collect();
    for (connections, rows) in arguments.connections.iter().zip(&figures) {
        println!(
            "\n{connections} connections, {} rounds of {time:?}, {} workers",
            arguments.rounds, arguments.workers
        );
        println!("{}", table(&stacks, rows));
    }
    if let Some(file) = &arguments.json {
        append(file, arguments, &stacks, &figures)?;
    }
    Ok(())
}

fn table(stacks: &[Stack], rows: &[Figures]) -> Table {
    let reference = &rows[stacks.len() - 1];
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "stack",
        "req/s",
        "spread",
        "p50 us",
        "p99 us",
        "CPU us/req",
        "req/s vs hyper",
        "CPU vs hyper",
    ]);
    for (stack, figures) in stacks.iter().zip(rows) {
        table.add_row([
            stack.name().to_owned(),
            format!("{:.0}", figures.rate),
            format!("{:.0}-{:.0}", figures.rate_min, figures.rate_max),
            format!("{:.0}", figures.p50_us),
            format!("{:.0}", figures.p99_us),
            format!("{:.1}", figures.cpu_us),
            format!("{:.2}", figures.rate / reference.rate),
            format!("{:.2}", figures.cpu_us / reference.cpu_us),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn append(
    file: &PathBuf,
    arguments: &Arguments,
    stacks: &[Stack],
    figures: &[Vec<Figures>],
) -> Result<(), Failed> {
    let mut rows = Vec::new();
    for (connections, of_stacks) in arguments.connections.iter().zip(figures) {
        for (stack, figures) in stacks.iter().zip(of_stacks) {
            rows.push(json!({ "stack": stack.name(), "connections": connections, "figures": figures }));
        }
    }
    let unix = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let run = json!({
        "unix": unix,
        "version": micro::VERSION,
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "workers": arguments.workers,
        "rows": rows,
    });
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    writeln!(file, "{run}")?;
    Ok(())
}
