//! `cargo xtask bench`: builds what is measured, a distribution among it, and hands the arguments on to `micro-bench`.

use crate::repo::{self, Metadata};
use crate::{command, dist};
use anyhow::Result;
use std::process::Command;

/// Runs the benchmarks.
///
/// # Errors
/// A build fails, or the benchmarks do; rows that cannot be measured are no failure.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let asks_for_help = args.iter().any(|arg| arg == "--help" || arg == "-h");
    if !asks_for_help {
        dist::build(&repo::root().join("target/bench/dist"))?;
    }
    // Together with the packages of a distribution: features, and so compiled dependencies, are then mostly the same.
    let packages = ["-p", "micro-bench", "-p", "micro-cli", "-p", "greeter"];
    let mut build = command::cargo(["build", "--release", "--bin", "micro-bench"]);
    command::run(build.args(packages))?;
    let built = Metadata::of(&repo::native_manifest())?.target_directory.join("release/micro-bench");
    command::run(Command::new(built).current_dir(repo::root()).args(args))
}
