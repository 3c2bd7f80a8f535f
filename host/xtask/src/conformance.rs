//! `cargo xtask conformance`: every plugin that ships against the rules of its kind, and the page that says how it went.
//!
//! What a plugin needs for that stands in its folder, in `conformance.toml`:
//!
//! | key | is |
//! |---|---|
//! | `server` | a script of `tests/servers` that starts its backend |
//! | `options` | its options, as a table of texts |
//! | `expect` | what its backend does otherwise, as behind `--expect` |
//! | `level` | what it has to reach, `stable` unless it says otherwise |

use crate::command;
use crate::interrupt;
use crate::plugins::{self, Plugin};
use crate::repo::{self, Metadata};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Write docs/plugins/bundled.md
    #[arg(long)]
    markdown: bool,
    /// Use the plugins and the program as they were built last
    #[arg(long)]
    no_build: bool,
    /// Only plugins whose name contains this
    filter: Option<String>,
}

/// `conformance.toml`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Needs {
    server: Option<String>,
    options: BTreeMap<String, String>,
    expect: Vec<String>,
    level: String,
}

impl Default for Needs {
    fn default() -> Self {
        let level = "stable".to_owned();
        Self { server: None, options: BTreeMap::new(), expect: Vec::new(), level }
    }
}

/// What `micro plugin test --output=json` says, as far as it is used here.
#[derive(Debug, Deserialize)]
struct Report {
    name: Option<String>,
    kind: Option<String>,
    size: u64,
    level: Option<String>,
    costs: Vec<Cost>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Cost {
    what: String,
    nanoseconds: f64,
    class: String,
}

#[derive(Debug, Deserialize)]
struct Case {
    outcome: String,
}

/// Runs the test on each plugin.
///
/// # Errors
/// One does not reach its level, or cannot be tested.
pub(crate) fn run(args: &Args) -> Result<()> {
    interrupt::catch()?;
    let plugins = if args.no_build { plugins::built()? } else { build()? };
    let wanted = |plugin: &&Plugin| {
        plugin.ships && args.filter.as_ref().is_none_or(|filter| plugin.package.contains(filter))
    };
    let program = Metadata::of(&repo::native_manifest())?.target_directory.join("release/micro");
    let (mut rows, mut bad) = (String::new(), Vec::new());
    for plugin in plugins.iter().filter(wanted) {
        let (report, level) = test(&program, plugin)?;
        let failed = report.cases.iter().filter(|case| case.outcome == "failed").count();
        let reached = report.level.clone().unwrap_or_default();
        println!("{:<24} {reached:<7} {} rules, {failed} failed", plugin.package, report.cases.len());
        if reached != level {
            bad.push(format!("{} is {reached}, not {level}", plugin.package));
        }
        rows.push_str(&row(plugin, &report));
    }
    if rows.is_empty() {
        bail!("no plugin that ships has such a name");
    }
    if args.markdown {
        let page = repo::root().join("docs/plugins/bundled.md");
        fs::write(&page, markdown(&rows)).with_context(|| format!("cannot write {}", page.display()))?;
        println!("{}", page.display());
    }
    if !bad.is_empty() {
        bail!("{}", bad.join("; "));
    }
    Ok(())
}

fn build() -> Result<Vec<Plugin>> {
    let plugins = plugins::build()?;
    command::run(&mut command::cargo(["build", "--release", "--workspace", "--bins", "--tests"]))?;
    Ok(plugins)
}

/// The report of one plugin, and the level that it has to reach.
fn test(program: &Path, plugin: &Plugin) -> Result<(Report, String)> {
    let path = plugin.folder.join("conformance.toml");
    let needs: Needs = match path.exists() {
        true => {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            toml::from_str(&text).with_context(|| format!("{} is wrong", path.display()))?
        }
        false => Needs::default(),
    };
    let mut micro = Command::new(program);
    micro.args(["plugin", "test"]).arg(&plugin.file).arg("--output=json");
    command::without_settings(&mut micro);
    for (name, value) in &needs.options {
        micro.arg(format!("--opt={name}={value}"));
    }
    for expect in &needs.expect {
        micro.arg(format!("--expect={expect}"));
    }
    let server = needs.server.as_deref().map(Server::start).transpose()?;
    if let Some(server) = &server {
        micro.arg(format!("--address={}", server.address));
    }
    // Failures are told on standard error, one line each; the exit code says no more than the report.
    let output = micro.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    interrupt::check()?;
    let report = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{} was not tested ({})", plugin.package, output.status))?;
    Ok((report, needs.level))
}

/// A backend that runs until it is dropped.
struct Server {
    script: PathBuf,
    folder: TempDir,
    address: String,
}

impl Server {
    fn start(name: &str) -> Result<Self> {
        let script = repo::root().join("tests/servers").join(format!("{name}.sh"));
        let folder =
            tempfile::Builder::new().prefix("micro-test-").tempdir().context("no temporary folder")?;
        let exports = command::output(Command::new(&script).arg("start").arg(folder.path().join(name)))?;
        let address = exports.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let address =
            address.filter(|(key, _)| key.ends_with("_ADDR")).map(|(_, value)| value.to_owned()).next();
        let address =
            address.with_context(|| format!("{} did not say where it listens", script.display()))?;
        Ok(Self { script, folder, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let name = self.script.file_stem().unwrap_or_default();
        if let Err(error) =
            command::run(Command::new(&self.script).arg("stop").arg(self.folder.path().join(name)))
        {
            eprintln!("a server may still run in {}: {error:#}", self.folder.path().display());
        }
    }
}

fn row(plugin: &Plugin, report: &Report) -> String {
    let cost = |wanted: fn(&str) -> bool| {
        let costs = report.costs.iter().filter(|cost| wanted(&cost.what));
        let one = |cost: &Cost| match cost.what.as_str() {
            "compile" | "load" => format!("{} ({})", in_words(cost.nanoseconds), cost.class),
            what => format!("{what} {} ({})", in_words(cost.nanoseconds), cost.class),
        };
        costs.map(one).collect::<Vec<_>>().join(", ")
    };
    let mut row = String::new();
    // Writing to a String cannot fail.
    _ = writeln!(
        row,
        "| `{}` | {} | {} | {} KiB | {} | {} | {} | {} |",
        report.name.as_deref().unwrap_or(&plugin.package),
        report.kind.as_deref().unwrap_or_default(),
        language(&plugin.folder),
        report.size >> 10,
        cost(|what| what == "compile"),
        cost(|what| what == "load"),
        cost(|what| what != "compile" && what != "load"),
        report.level.as_deref().unwrap_or("unknown"),
    );
    row
}

/// By what its folder is built with.
fn language(folder: &Path) -> &'static str {
    let known = [
        ("Cargo.toml", "Rust"),
        ("go.mod", "Go"),
        ("pyproject.toml", "Python"),
        ("package.json", "JavaScript"),
    ];
    known.iter().find(|(file, _)| folder.join(file).exists()).map_or("", |(_, language)| language)
}

/// Nanoseconds in the unit that suits them, with as many digits as another run would give again.
fn in_words(nanoseconds: f64) -> String {
    match nanoseconds {
        it if it >= 1e9 => format!("{:.1} s", it / 1e9),
        it if it >= 1e7 => format!("{:.0} ms", it / 1e6),
        it if it >= 1e6 => format!("{:.1} ms", it / 1e6),
        it if it >= 1e4 => format!("{:.0} µs", it / 1e3),
        it if it >= 1e3 => format!("{:.1} µs", it / 1e3),
        it => format!("{it:.0} ns"),
    }
}

fn markdown(rows: &str) -> String {
    format!(
        "# The plugins that ship\n\n\
         Written by `cargo xtask conformance --markdown`, which holds each of them to the rules of its kind\n\
         ([conformance.md](conformance.md)) with a real backend where it has one. Compiling happens once per machine; loading is\n\
         what a start takes afterwards. Times are medians on the machine of the run, with their class.\n\n\
         | plugin | kind | language | size | compiling | loading | cost per call | level |\n\
         |---|---|---|---|---|---|---|---|\n{rows}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_plugins_need_is_written_well() {
        let manifest = repo::plugins_manifest();
        let folders = fs::read_dir(manifest.parent().expect("a folder")).expect("there");
        let mut read = 0;
        for folder in folders {
            let path = folder.expect("there").path().join("conformance.toml");
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let needs: Needs =
                toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let script =
                needs.server.map(|name| repo::root().join("tests/servers").join(format!("{name}.sh")));
            assert!(script.is_none_or(|script| script.exists()), "{}", path.display());
            read += 1;
        }
        assert!(read > 0);
    }

    #[test]
    fn a_row_says_what_a_report_says() {
        let report = r#"{"name":"x-selector","kind":"selector","size":20480,"level":"stable","cases":[],"costs":[
            {"what":"compile","nanoseconds":1234567890.0,"class":"A"},{"what":"load","nanoseconds":4200000.0,"class":"A"},
            {"what":"pick","nanoseconds":181.4,"class":"A"}]}"#;
        let report: Report = serde_json::from_str(report).expect("a report");
        let plugin =
            Plugin { file: "x.wasm".into(), package: "x".to_owned(), folder: "nowhere".into(), ships: true };
        let expected =
            "| `x-selector` | selector |  | 20 KiB | 1.2 s (A) | 4.2 ms (A) | pick 181 ns (A) | stable |\n";
        assert_eq!(row(&plugin, &report), expected);
    }
}
