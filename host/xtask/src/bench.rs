//! `cargo xtask bench`: builds what is measured, a distribution among it, and hands the arguments on to `micro-bench`.

use crate::repo::{self, Metadata};
use crate::{command, dist, plugins};
use anyhow::Result;
use std::process::Command;

/// Runs the benchmarks.
///
/// # Errors
/// A build fails, or the benchmarks do; rows that cannot be measured are no failure.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let asks_for_help = args.iter().any(|arg| arg == "--help" || arg == "-h");
    // In one go with the programs of the distribution: what they share is then compiled once.
    let mut build = command::cargo(["build", "--release", "--bins", "-p", "micro-bench"]);
    for (package, _) in dist::PROGRAMS {
        build.args(["-p", package]);
    }
    command::run(&mut build)?;
    if !asks_for_help {
        dist::lay_out(&repo::root().join("target/bench/dist"), &plugins::build()?)?;
    }
    let built = Metadata::of(&repo::native_manifest())?.target_directory.join("release/micro-bench");
    command::run(Command::new(built).current_dir(repo::root()).args(args))
}
