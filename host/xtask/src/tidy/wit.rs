//! `wit/deps` is a copy of what the guests' `wasip3` crate was generated from, so that host and guests mean the same.

use crate::repo::{self, Metadata};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Compares the copy with the crate in the plugins' lock file; with `fix` replaces it.
///
/// # Errors
/// They differ, or one cannot be read.
pub(super) fn check(fix: bool) -> Result<()> {
    let metadata = Metadata::of(&repo::plugins_manifest())?;
    let mut versions = metadata.packages.iter().filter(|package| package.name == "wasip3");
    let wasip3 = versions.next().context("no plugin uses the crate wasip3")?;
    if let Some(other) = versions.next() {
        bail!(
            "two versions of wasip3 in plugins/Cargo.lock, {} and {}: keep one",
            wasip3.version,
            other.version
        );
    }
    let (theirs, ours) = (wasip3.folder().join("wit/deps"), repo::root().join("wit/deps"));
    let wanted = texts(&theirs)?;
    let differing = differing(&wanted, &texts(&ours)?);
    if differing.is_empty() {
        return Ok(());
    }
    if !fix {
        bail!(
            "wit/deps is not that of wasip3 {}: {}; run cargo xtask tidy --fix",
            wasip3.version,
            differing.join(", ")
        );
    }
    for name in differing {
        let path = ours.join(&name);
        match wanted.get(&name) {
            Some(text) => fs::write(&path, text),
            None => fs::remove_file(&path),
        }
        .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Every file of a folder, by name.
fn texts(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    entries
        .map(|entry| {
            let entry = entry?;
            let text =
                fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
            Ok((entry.file_name().to_string_lossy().into_owned(), text))
        })
        .collect()
}

/// The names that are not the same in both.
fn differing(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let changed = one.iter().filter(|(name, text)| other.get(*name) != Some(*text)).map(|(name, _)| name);
    let extra = other.keys().filter(|name| !one.contains_key(*name));
    changed.chain(extra).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_missing_and_extra_files_differ() {
        let folder = |files: &[(&str, &str)]| -> BTreeMap<String, Vec<u8>> {
            files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
        };
        let theirs = folder(&[("cli.wit", "1"), ("http.wit", "2"), ("random.wit", "3")]);
        let ours = folder(&[("cli.wit", "1"), ("http.wit", "x"), ("old.wit", "4")]);
        assert_eq!(differing(&theirs, &ours), ["http.wit", "random.wit", "old.wit"]);
        assert!(differing(&theirs, &theirs).is_empty());
    }
}
