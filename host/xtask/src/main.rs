//! `cargo xtask VERB`: everything that is done with this repository and is not plain cargo.
//!
//! Each verb is a module. They share four small things: [`command`] runs other programs and says which one failed,
//! [`repo`] knows where things are, [`progress`] says what is going on, [`interrupt`] ends it early. `--help` lists the verbs.

#![allow(clippy::print_stdout, reason = "a program for a terminal: its answers go to standard output")]

mod bench;
mod command;
mod conformance;
mod contracts;
mod demo;
mod dist;
mod fuzz;
mod interrupt;
mod plugins;
mod progress;
mod repo;
mod test;
mod tidy;

use anyhow::{Context, Result};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// Builds, runs and checks the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
enum Verb {
    /// Build every plugin to plugins/target/plugins/*.wasm, ready to be loaded
    Plugins,
    /// Build the programs and the plugins that ship into a folder that can be moved anywhere
    Dist {
        /// The folder; what was in it is replaced
        #[arg(long, value_name = "DIR", default_value = "dist")]
        out: PathBuf,
    },
    /// From nothing to real requests through real services, in a private temporary folder
    Demo,
    /// Run all tests; ends with "N passed, N failed, N skipped"
    Test(test::Args),
    /// Hold every plugin that ships to the rules of its kind
    Conformance(conformance::Args),
    /// Let libFuzzer look for inputs that break a promise
    Fuzz(fuzz::Args),
    /// Run the benchmarks; arguments are handed on
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Check format, lints, documentation, WIT, made pages, licences and house rules
    Tidy {
        /// Repair what can be repaired: format, vendored WIT, pages that are made from something else
        #[arg(long)]
        fix: bool,
        /// Only the checks whose names contain this
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
    },
}

fn main() -> ExitCode {
    let done = match Verb::parse() {
        Verb::Plugins => plugins::build().map(|built| {
            for plugin in built {
                // How long something is does not decide whether it was built.
                let size = std::fs::metadata(&plugin.file).map_or(0, |data| data.len() >> 10);
                println!("{size:>5} KiB  {}", plugin.file.display());
            }
        }),
        Verb::Dist { out } => absolute(out).and_then(|out| dist::build(&out)),
        Verb::Demo => demo::run(),
        Verb::Test(args) => test::run(&args),
        Verb::Conformance(args) => conformance::run(&args),
        Verb::Fuzz(args) => fuzz::run(&args).map(drop),
        Verb::Bench { args } => bench::run(&args),
        Verb::Tidy { fix, only } => tidy::run(fix, only.as_deref().unwrap_or_default()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A path that the caller typed is relative to where the caller is; every program here starts in the repository.
fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).with_context(|| format!("no working directory for {}", path.display()))
}
