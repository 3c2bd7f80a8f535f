//! `cargo xtask fuzz`: libFuzzer makes up inputs for the functions of `fuzz/targets`, a fixed number of them.
//!
//! The driver in `fuzz/` is built by a compiler of its own, because a sanitizer needs a nightly one: our code has no
//! `unsafe`, that of its parsers does. Cargo is called as it is, with the flags that a coverage-guided build takes, so
//! that nothing but a toolchain has to be installed.

use crate::command;
use crate::interrupt;
use crate::progress::{Steps, Waiting};
use crate::repo;
use anyhow::{Context, Result, bail};
use fuzz_seeds as seeds;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiler. Any that has a sanitizer and compiles the workspace will do; pinned so that every machine runs the same.
const TOOLCHAIN: &str = "nightly-2026-03-01";

/// Coverage by counters and comparisons, which is what libFuzzer steers by, and the address sanitizer.
const FLAGS: [&str; 9] = [
    "--cfg=fuzzing",
    "-Zsanitizer=address",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=1",
];

/// Inputs are at most this long: what needs more, such as the longest head, is tested by hand.
const MAX_INPUT: u32 = 2 << 10;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// One target; all of them without it
    target: Option<String>,
    /// How many inputs each target gets
    #[arg(long, value_name = "N", default_value_t = RUNS)]
    runs: u64,
    /// Where the made-up inputs start from: the same number gives the same inputs
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u32,
    /// Add the inputs that reach new code to fuzz/seeds
    #[arg(long)]
    keep: bool,
}

/// Enough to find in a minute what a change broke. Looking for more takes a larger number, or another seed.
const RUNS: u64 = 50_000;

impl Default for Args {
    fn default() -> Self {
        Self { target: None, runs: RUNS, seed: 1, keep: false }
    }
}

/// Builds the driver and runs one target or all; the number that ran.
///
/// # Errors
/// A target broke a promise; the input is printed, as a line for its file of seeds.
pub(crate) fn run(args: &Args) -> Result<usize> {
    interrupt::catch()?;
    let targets = chosen(args.target.as_deref())?;
    let mut steps = Steps::new(2 + targets.len());
    steps.next(&format!("the compiler {TOOLCHAIN}"));
    let host = toolchain()?;
    steps.next("building the fuzzer");
    let driver = build(&host)?;
    for target in &targets {
        steps.next(&format!("{target}: {} inputs", args.runs));
        fuzz(&driver, target, args).with_context(|| format!("fuzzing {target}"))?;
        interrupt::check()?;
    }
    steps.done("fuzzed");
    Ok(targets.len())
}

/// All targets; the driver holds them.
pub(crate) fn all() -> Result<Vec<String>> {
    seeds::targets().context("cannot list fuzz/seeds")
}

fn chosen(name: Option<&str>) -> Result<Vec<String>> {
    let all = all()?;
    let Some(name) = name else { return Ok(all) };
    if !all.iter().any(|target| target == name) {
        bail!("no target is called {name}; there are {}", all.join(", "));
    }
    Ok(vec![name.to_owned()])
}

/// Installs the compiler if it is missing; the triple of this machine.
fn toolchain() -> Result<String> {
    let version = || rustup(["rustc", "-vV"]);
    if !command::succeeds(&mut version()) {
        let mut install = Command::new("rustup");
        install.args(["toolchain", "install", TOOLCHAIN, "--profile", "minimal", "--no-self-update"]);
        command::run(&mut install)
            .context("fuzzing needs rustup, and a network to fetch the compiler once")?;
    }
    let text = command::output(&mut version())?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

/// A command of the compiler's toolchain.
fn rustup<'a>(words: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("rustup");
    command.current_dir(repo::root()).args(["run", TOOLCHAIN]).args(words);
    command
}

/// The driver's program. `--target` keeps the flags away from build scripts and macros.
fn build(host: &str) -> Result<PathBuf> {
    let target = repo::root().join("fuzz/target");
    let mut cargo = rustup(["cargo", "build", "--release", "--locked", "--target", host]);
    cargo.arg("--manifest-path").arg(repo::fuzz_manifest()).arg("--target-dir").arg(&target);
    command::run(cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f")))?;
    Ok(target.join(host).join("release/fuzz"))
}

fn fuzz(driver: &Path, target: &str, args: &Args) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a folder for inputs")?;
    let [known, found] = ["known", "found"].map(|name| folder.path().join(name));
    for folder in [&known, &found] {
        std::fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let file = seeds::file(target);
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    for (number, input) in seeds::read(&text)?.iter().enumerate() {
        std::fs::write(known.join(number.to_string()), input).context("cannot write a seed")?;
    }
    let broken = folder.path().join("broken");
    let mut run = libfuzzer(driver, target);
    run.arg(format!("-runs={}", args.runs)).arg(format!("-seed={}", args.seed));
    run.arg(format!("-exact_artifact_path={}", broken.display())).args([&found, &known]);
    quietly(&mut run).map_err(|error| match std::fs::read(&broken) {
        Ok(input) => {
            let line = seeds::line(&input);
            error.context(format!(
                "this input breaks a promise; put it into fuzz/seeds/{target}.txt:\n{line}\n"
            ))
        }
        // It died otherwise, and has said how.
        Err(_) => error,
    })?;
    if args.keep {
        keep(driver, target, &known, &found)?;
        let mut inputs = read_all(&known)?;
        inputs.sort();
        let text: String = inputs.iter().map(|input| seeds::line(input) + "\n").collect();
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Moves what reaches new code to what is known.
fn keep(driver: &Path, target: &str, known: &Path, found: &Path) -> Result<()> {
    // By code alone, not by how often it ran: otherwise hundreds of inputs are interesting.
    quietly(libfuzzer(driver, target).args(["-merge=1", "-use_counters=0"]).args([known, found]))
}

fn read_all(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    entries
        .map(|entry| std::fs::read(entry?.path()))
        .collect::<Result<_, _>>()
        .context("cannot read an input")
}

/// The driver with what every use of it has.
fn libfuzzer(driver: &Path, target: &str) -> Command {
    let mut command = Command::new(driver);
    // Leaks are no promise of ours, and looking for them needs ptrace, which containers forbid.
    command.env("FUZZ_TARGET", target).args(["-detect_leaks=0", "-timeout=10", "-rss_limit_mb=1024"]);
    command.arg(format!("-max_len={MAX_INPUT}"));
    command
}

/// Runs it; what it says is shown only if it fails.
fn quietly(command: &mut Command) -> Result<()> {
    let waiting = Waiting::new(&command::line(command));
    let output = command.output().with_context(|| format!("cannot run {}", command::line(command)))?;
    drop(waiting);
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        bail!("{} failed ({})", command::line(command), output.status);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_chosen_by_name() {
        assert_eq!(chosen(None).expect("all"), all().expect("all"));
        assert_eq!(chosen(Some("locator")).expect("one"), ["locator"]);
        assert!(chosen(Some("x")).expect_err("none").to_string().contains("wire_request"));
    }
}
