//! `cargo xtask test`: all tests, with the real servers and peers that they need.
//!
//! Tests never look for servers themselves: they are told by environment variables, which this verb sets.
//!
//! | variable | is |
//! |---|---|
//! | `ETCD_ADDR` | an etcd that all tests share; each uses keys of its own |
//! | `MICRO_TEST_ETCD_SCRIPT` | path of a script with which a test starts an etcd of its own, to stop and restart |
//! | `MICRO_TEST_CONSUL_SCRIPT` | the same for consul |
//! | `MICRO_TEST_PEERS` | folder of the Go Micro programs `v0`, `v1`, `v2`, `v4` |
//! | `PATH` | has the tools of other languages, for plugins, before everything else |
//! | `MICRO_TEST_GRPC_PEERS` | folder of the gRPC programs `v1`, `v2`, `v4`, `plain` |
//! | `MICRO_TEST_PLUGINS` | folder of the finished plugins, fixtures too |
//! | `MICRO_TEST_DIST` | a distribution as users get it |
//!
//! A test that needs one of the first ones carries `#[ignore = "needs ..."]`, and is run when all of them are there.
//! Without `--all`, and outside CI, what is not installed is left out, loudly. With it everything is installed first,
//! and nothing may be left out.

pub(crate) mod servers;
mod summary;
mod toolchains;

use crate::command;
use crate::dist;
use crate::fuzz;
use crate::interrupt;
use crate::plugins;
use crate::progress::Steps;
use crate::repo::{self, Metadata};
use anyhow::{Context, Result, bail};
use servers::Found;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
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
    interrupt::catch()?;
    let all = args.all || repo::in_ci();
    let mut steps = Steps::new(6);
    // First, because it is told at once if something cannot be had, and building takes minutes.
    steps.next("finding servers and peers");
    let found = Found::find(all)?;
    steps.next("building the plugins");
    let plugins = plugins::build()?;
    steps.next("building the programs and the tests");
    // At once: alone, the programs would be built without the features that only tests ask of shared dependencies, and
    // most of the tree would be compiled a second time for the tests.
    command::run(&mut command::cargo(["build", "--release", "--workspace", "--bins", "--tests"]))?;
    dist::lay_out(&distribution()?, &plugins)?;
    let mut summary = Summary::default();
    let mut run = |what: &[&str], arguments: &[&OsStr]| run_each(what, arguments, args, &found, &mut summary);
    steps.next("tests of the host, the plugins' logic and the examples");
    run(&["--tests", "--doc"], &["--workspace".as_ref()])?;
    steps.next("tests of the sdk and of the plugins");
    // What runs in WebAssembly compiles natively too, all but its exports.
    let (target, sdk, manifest) = (repo::plugins_target(), repo::sdk_manifest(), repo::plugins_manifest());
    let target = ["--target-dir".as_ref(), target.as_os_str(), "--manifest-path".as_ref()];
    run(&["--tests", "--doc"], &[&target[..], &[sdk.as_os_str()]].concat())?;
    // Not the whole workspace: the logic crates were tested with the host. Nobody links a component, so its
    // documentation has no examples.
    let packages = plugins.iter().flat_map(|plugin| ["--package".as_ref(), plugin.package.as_ref()]);
    run(&["--tests"], &target.into_iter().chain([manifest.as_os_str()]).chain(packages).collect::<Vec<_>>())?;

    steps.next("fuzzing");
    if all {
        summary.passed += fuzz::run(&fuzz::Args::default())?;
    } else {
        eprintln!(
            "SKIPPED: fuzzing, which takes minutes; run cargo xtask fuzz, or ask for everything with --all"
        );
        summary.skipped += fuzz::all()?.len();
    }

    for missing in &found.missing {
        eprintln!("SKIPPED: {missing}");
    }
    println!("{summary}");
    if summary.failed > 0 {
        bail!("{} tests failed", summary.failed);
    }
    if all && summary.skipped > 0 {
        bail!("{} tests were skipped, and all were asked for", summary.skipped);
    }
    Ok(())
}

/// Where the tests' distribution is laid out: not in `dist`, which somebody may be using.
fn distribution() -> Result<PathBuf> {
    Ok(Metadata::of(&repo::native_manifest())?.target_directory.join("xtask/dist"))
}

/// Runs `cargo test` with these arguments, once for each of `what`, shows its output and counts.
///
/// Documentation is apart from tests: an example that is marked `ignore` is not meant to compile, so the flag that
/// brings in the tests that need servers must not reach it.
fn run_each(
    what: &[&str],
    arguments: &[&OsStr],
    args: &Args,
    found: &Found,
    summary: &mut Summary,
) -> Result<()> {
    for what in what {
        let mut cargo = command::cargo(["test", "--release", "--no-fail-fast", what]);
        cargo.args(arguments).args(&args.filter);
        if *what == "--tests" && found.missing.is_empty() {
            cargo.args(["--", "--include-ignored"]);
        }
        command::without_settings(&mut cargo).envs(found.variables());
        cargo.env("MICRO_TEST_PLUGINS", plugins::folder()).env("MICRO_TEST_DIST", distribution()?);
        count(&mut cargo, summary)?;
    }
    Ok(())
}

fn count(cargo: &mut Command, summary: &mut Summary) -> Result<()> {
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
    interrupt::check()?;
    if !status.success() && summary.failed == before {
        // It did not compile, or a test program died before it could count.
        eprintln!("FAILED: {line} ({status})");
        summary.failed += 1;
    }
    Ok(())
}
