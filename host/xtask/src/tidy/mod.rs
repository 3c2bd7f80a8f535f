//! `cargo xtask tidy`: checks of the repository that no test makes.
//!
//! Each check looks at everything and reports all that it finds; one that fails does not hide the next. A new house
//! rule is one more function in [`rules`].

mod licences;
mod pages;
mod released;
mod rules;
mod wit;

use crate::command;
use crate::plugins;
use crate::repo::{self, Metadata};
use anyhow::{Result, bail};

/// Runs every check whose name contains `only`.
///
/// # Errors
/// One or more found something; what they found is printed.
pub(crate) fn run(fix: bool, only: &str) -> Result<()> {
    let checks: [(&str, &dyn Fn() -> Result<()>); 9] = [
        ("format", &|| format(fix)),
        ("vendored WIT", &|| wit::check(fix)),
        ("released contracts", &|| released::check(fix)),
        ("made pages", &|| pages::check(fix)),
        ("error codes", &pages::codes_in_use),
        ("house rules", &rules::check),
        ("licences and banned crates", &licences::check),
        ("lints", &lints),
        ("documentation", &documentation),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks.into_iter().filter(|(name, _)| name.contains(only)) {
        eprintln!("tidy: {name}");
        if let Err(error) = check() {
            eprintln!("tidy: {name}: {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("not tidy: {}", failed.join(", "));
    }
    Ok(())
}

fn format(fix: bool) -> Result<()> {
    let mut untidy = false;
    for manifest in repo::workspaces().into_iter().chain([repo::fuzz_manifest()]) {
        // Named one by one: `--all` goes to path dependencies as well, and asks for each of those which workspace it
        // belongs to, which for the plugins' logic is not the nearest one.
        let metadata = Metadata::of(&manifest)?;
        let own = metadata.packages.iter().filter(|package| metadata.workspace_members.contains(&package.id));
        let packages = own.flat_map(|package| ["--package", package.name.as_str()]);
        let mut cargo = command::cargo(["fmt", "--manifest-path"]);
        cargo.arg(&manifest).args(packages);
        if !fix {
            cargo.arg("--check");
        }
        untidy |= command::run(&mut cargo).is_err();
    }
    if untidy {
        bail!("run cargo xtask tidy --fix");
    }
    Ok(())
}

/// Warnings are shown to whoever works here, and fail in CI.
fn lints() -> Result<()> {
    for manifest in repo::workspaces() {
        let mut cargo = command::cargo(["clippy", "--workspace", "--manifest-path"]);
        cargo.arg(&manifest);
        match manifest == repo::native_manifest() {
            true => cargo.arg("--all-targets"),
            false => cargo.args(["--target", plugins::TARGET, "--target-dir"]).arg(repo::plugins_target()),
        };
        if repo::in_ci() {
            cargo.args(["--", "-D", "warnings"]);
        }
        command::run(&mut cargo)?;
    }
    Ok(())
}

fn documentation() -> Result<()> {
    let mut cargo = command::cargo(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    if repo::in_ci() {
        cargo.env("RUSTDOCFLAGS", "-D warnings");
    }
    command::run(&mut cargo)
}
