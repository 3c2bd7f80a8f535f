//! Licences, sources and banned crates, as `deny.toml` has them.
//!
//! `cargo deny` reads the same file and knows more (advisories, licence texts); it runs as well when it is installed.
//! What is checked here needs nothing but cargo, so that it is checked everywhere.

use crate::command;
use crate::repo::{self, Metadata, Package};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use spdx::{Expression, ParseMode};

/// How cargo begins the source of a package that comes from a registry, as opposed to `git+` or `path+`. Which registry
/// that may be is `cargo deny`'s to say.
const REGISTRY: &str = "registry+";

/// The part of `deny.toml` that is read here.
#[derive(Debug, Deserialize)]
struct Policy {
    licenses: Licences,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

/// Checks every crate that either workspace can link.
///
/// # Errors
/// Lists each crate that is not allowed, and why.
pub(super) fn check() -> Result<()> {
    let path = repo::root().join("deny.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let policy: Policy = toml::from_str(&text).with_context(|| format!("{} is wrong", path.display()))?;
    let mut faults = Vec::new();
    for manifest in repo::workspaces() {
        for package in &Metadata::of(&manifest)?.packages {
            if let Some(fault) = policy.fault(package) {
                faults.push(format!("{} {} {fault}", package.name, package.version));
            }
        }
    }
    faults.sort();
    faults.dedup();
    if !faults.is_empty() {
        bail!("{} crates are against deny.toml:\n  {}", faults.len(), faults.join("\n  "));
    }
    cargo_deny()
}

fn cargo_deny() -> Result<()> {
    if !command::succeeds(&mut command::cargo(["deny", "--version"])) {
        eprintln!("tidy: NOT CHECKED: advisories and duplicates; cargo install cargo-deny gets the program");
        return Ok(());
    }
    for manifest in repo::workspaces() {
        let mut cargo = command::cargo(["deny", "--manifest-path"]);
        // Advisories come from the network; without it the rest is still worth knowing.
        cargo.arg(manifest).args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
        command::run(&mut cargo)?;
    }
    Ok(())
}

impl Policy {
    /// Why a package may not be used.
    fn fault(&self, package: &Package) -> Option<String> {
        if let Some(ban) = self.bans.deny.iter().find(|ban| ban.name == package.name) {
            return Some(format!("is banned: {}", ban.reason));
        }
        match &package.source {
            None => return None,
            Some(source) if source.starts_with(REGISTRY) => {}
            Some(source) => {
                return Some(format!("comes from {source}, and only published crates are allowed"));
            }
        }
        let Some(text) = &package.license else {
            return Some("names no licence".to_owned());
        };
        let Ok(expression) = Expression::parse_mode(text, ParseMode::LAX) else {
            return Some(format!("has a licence that cannot be read: {text:?}"));
        };
        let allowed = expression.evaluate(|wanted| self.licenses.allow.contains(&wanted.to_string()));
        (!allowed).then(|| format!("has a licence that is not allowed: {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn fault(name: &str, license: Option<&str>, source: Option<&str>) -> Option<String> {
        let ban = Ban { name: "openssl".to_owned(), reason: "rustls is there".to_owned() };
        let allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).to_vec();
        let policy = Policy { licenses: Licences { allow }, bans: Bans { deny: vec![ban] } };
        let package = Package::new(name, Path::new("Cargo.toml"));
        policy.fault(&Package {
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
            ..package
        })
    }

    #[test]
    fn expressions_are_evaluated() {
        for fine in [
            "MIT",
            "MIT/Apache-2.0",
            "Zlib OR MIT",
            "Apache-2.0 WITH LLVM-exception",
            "(MIT OR GPL-3.0) AND Apache-2.0",
        ] {
            assert_eq!(fault("a", Some(fine), Some(REGISTRY)), None, "{fine}");
        }
        for wrong in
            ["GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0 WITH Classpath-exception-2.0", "something else", ""]
        {
            assert!(fault("a", Some(wrong), Some(REGISTRY)).is_some(), "{wrong}");
        }
    }

    #[test]
    fn bans_and_sources_count() {
        assert_eq!(fault("micro", None, None), None);
        assert!(fault("a", None, Some(REGISTRY)).expect("no licence").contains("no licence"));
        assert!(fault("openssl", Some("MIT"), Some(REGISTRY)).expect("banned").contains("rustls is there"));
        assert!(
            fault("a", Some("MIT"), Some("git+https://example.com/a"))
                .expect("git")
                .contains("published crates")
        );
    }
}
