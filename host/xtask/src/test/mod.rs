//! `cargo xtask test`: all tests, with the real servers and peers that they need.
//!
//! Tests never look for servers themselves: they are told by environment variables, which this verb sets.
//!
//! | variable | is |
//! |---|---|
//! | `MICRO_TEST_ETCD_SCRIPT` | path of a script with which a test starts an etcd of its own |
//! | `MICRO_TEST_PEERS` | folder of the Go Micro programs `v1`, `v2`, `v4` |
//! | `MICRO_TEST_PLUGINS` | folder of the finished plugins |
//!
//! Without `--all`, and outside CI, what is not installed is left out, loudly. With it everything is installed first,
//! and nothing may be left out.

pub(crate) mod servers;
mod summary;

use crate::command;
use crate::plugins;
use crate::progress::Steps;
use crate::repo;
use anyhow::{Context, Result, bail};
use servers::Found;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use summary::Summary;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Install what tests need and leave nothing out; so does a set CI variable
    #[arg(long)]
    all: bool,
    /// Only tests whose name contains this
    filter: Option<String>,
}

/// Runs the tests.
///
/// # Errors
/// One failed, or was left out though everything was asked for.
pub(crate) fn run(args: &Args) -> Result<()> {
    let all = args.all || repo::in_ci();
    let mut steps = Steps::new(4);
    steps.next("building the plugins");
    plugins::build()?;
    steps.next("finding servers and peers");
    let found = servers::find(all)?;

    let mut summary = Summary::default();
    steps.next("tests of the host, the plugins' logic and the examples");
    let mut native = command::cargo(["test", "--release", "--workspace", "--no-fail-fast"]);
    run_one(&mut native, args, &found, &mut summary)?;
    steps.next("tests of the plugins and of the sdk");
    guests(args, &found, &mut summary)?;

    for missing in &found.missing {
        eprintln!("SKIPPED: {missing}");
    }
    summary.skipped += found.missing.len();
    println!("{summary}");
    if summary.failed > 0 {
        bail!("{} tests failed", summary.failed);
    }
    if all && summary.skipped > 0 {
        bail!("{} tests were skipped, and all were asked for", summary.skipped);
    }
    Ok(())
}

/// What runs in WebAssembly compiles natively too, all but its exports; so do its tests.
fn guests(args: &Args, found: &Found, summary: &mut Summary) -> Result<()> {
    for manifest in [repo::sdk_manifest(), repo::plugins_manifest()] {
        let mut cargo =
            command::cargo(["test", "--release", "--no-fail-fast", "--workspace", "--manifest-path"]);
        cargo.arg(&manifest).arg("--target-dir").arg(repo::plugins_target());
        run_one(&mut cargo, args, found, summary)?;
    }
    Ok(())
}

/// Runs one `cargo test`, shows its output and counts.
fn run_one(cargo: &mut Command, args: &Args, found: &Found, summary: &mut Summary) -> Result<()> {
    command::without_settings(cargo).envs(found.variables()).env("MICRO_TEST_PLUGINS", plugins::folder());
    cargo.args(&args.filter);
    let line = command::line(cargo);
    eprintln!("$ {line}");
    let mut child = cargo.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {line}"))?;
    let stdout = child.stdout.take().context("standard output was asked for")?;
    let before = summary.failed;
    for text in BufReader::new(stdout).split(b'\n') {
        let text = text.with_context(|| format!("cannot read what {line} says"))?;
        let text = String::from_utf8_lossy(&text);
        println!("{text}");
        summary.read(&text);
    }
    let status = child.wait().with_context(|| format!("lost {line}"))?;
    if !status.success() && summary.failed == before {
        // It did not compile, or a test program died before it could count.
        summary.failed += 1;
    }
    Ok(())
}
