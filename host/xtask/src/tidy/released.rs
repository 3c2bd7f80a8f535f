//! Released contracts: copies of `wit/` in `wit/released/<version>/` that nobody edits, and that what is current still fits.
//!
//! A release is a copy of the packages of `wit/` and a file `SHA256SUMS` beside them, as `sha256sum` writes it;
//! `--fix` writes that file where there is none yet, and never again.

use crate::contracts;
use crate::repo;
use anyhow::{Context, Result, bail};
use micro_plugin::Digest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The digests of a release.
const SUMS: &str = "SHA256SUMS";

/// Checks every release in this repository.
///
/// # Errors
/// Lists files of releases that were edited, and what would break plugins that were built against one.
pub(super) fn check(fix: bool) -> Result<()> {
    check_in(&repo::root().join("wit"), fix)
}

fn check_in(wit: &Path, fix: bool) -> Result<()> {
    let releases = folders(&wit.join("released"))?;
    if releases.is_empty() {
        return Ok(());
    }
    let now = contracts::read(wit)?;
    let mut faults = Vec::new();
    for release in releases {
        let name = release.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let found = sealed(&release, fix)?;
        faults.extend(found.into_iter().map(|fault| format!("released {name}: {fault}")));
        // WASI is vendored once; a release may bring the one that it was made with.
        let then = contracts::read(&release)?;
        let broken = contracts::breaks(&then, &now);
        faults.extend(broken.into_iter().map(|fault| format!("against {name}: {fault}")));
    }
    if !faults.is_empty() {
        bail!("{} findings:\n  {}", faults.len(), faults.join("\n  "));
    }
    Ok(())
}

/// What is not as it was when the release was made.
fn sealed(release: &Path, fix: bool) -> Result<Vec<String>> {
    let file = release.join(SUMS);
    let present = digests(release)?;
    if !file.exists() {
        if !fix {
            return Ok(vec![format!("no {SUMS}; cargo xtask tidy --fix writes it, once")]);
        }
        let lines: String = present.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
        std::fs::write(&file, lines).with_context(|| format!("cannot write {}", file.display()))?;
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let noted: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.split_once("  ").map(|(digest, name)| (name, digest))).collect();
    let mut faults = Vec::new();
    for (name, digest) in &noted {
        match present.get(*name) {
            None => faults.push(format!("{name} is gone")),
            Some(found) if found != digest => faults.push(format!("{name} was edited")),
            Some(_) => {}
        }
    }
    let more = present.keys().filter(|name| !noted.contains_key(name.as_str()));
    faults.extend(more.map(|name| format!("{name} was added")));
    Ok(faults)
}

/// The digest of every file of a release but the list itself, by its name within it.
fn digests(release: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut open = vec![release.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(release).unwrap_or(&path).to_string_lossy().into_owned();
            if name != SUMS {
                let content =
                    std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                found.insert(name, Digest::of(&content).to_string());
            }
        }
    }
    Ok(found)
}

/// The folders in a folder; none where it is not there.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    found.retain(|path| path.is_dir());
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn write(folder: &Path, name: &str, content: &str) {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().expect("inside")).expect("writable");
        std::fs::write(file, content).expect("writable");
    }

    /// A tree with one package, which was released as it is.
    fn tree() -> TempDir {
        let tree = tempfile::tempdir().expect("a temporary folder");
        for folder in ["x", "released/0.1.0/x"] {
            let wit = "package micro:x@0.1.0;\ninterface a { f: func(); }\n";
            write(tree.path(), &format!("{folder}/x.wit"), wit);
        }
        check_in(tree.path(), true).expect("the list is written");
        check_in(tree.path(), false).expect("nothing has changed");
        tree
    }

    fn complaint(tree: &TempDir) -> String {
        // Whatever is wrong with a release, writing the list again would hide it.
        let fixed = check_in(tree.path(), true).expect_err("something is wrong").to_string();
        assert_eq!(check_in(tree.path(), false).expect_err("still").to_string(), fixed);
        fixed
    }

    #[test]
    fn without_releases_there_is_nothing_to_check() {
        let tree = tempfile::tempdir().expect("a temporary folder");
        check_in(tree.path(), false).expect("no release");
        check_in(&repo::root().join("wit"), false).expect("this repository");
    }

    #[test]
    fn releases_are_not_edited() {
        for (name, content, says) in [
            (
                "released/0.1.0/x/x.wit",
                "package micro:x@0.1.0;\ninterface a { f: func(); } // nicer\n",
                "x/x.wit was edited",
            ),
            ("released/0.1.0/x/y.wit", "package micro:x@0.1.0;\ninterface b { }\n", "x/y.wit was added"),
        ] {
            let tree = tree();
            write(tree.path(), name, content);
            assert!(complaint(&tree).contains(says), "{says}");
        }
        let tree = tree();
        write(tree.path(), "released/0.1.0/README", "");
        assert!(complaint(&tree).contains("README was added"));
    }

    #[test]
    fn what_is_current_still_fits() {
        let tree = tree();
        write(tree.path(), "x/x.wit", "package micro:x@0.1.0;\ninterface a { f: func(n: u32); }\n");
        assert!(complaint(&tree).contains("function f was"));
        let tree = tree_with_more();
        check_in(tree.path(), false).expect("a new interface breaks nothing");
    }

    fn tree_with_more() -> TempDir {
        let tree = tree();
        write(tree.path(), "x/b.wit", "package micro:x@0.1.0;\ninterface b { g: func(); }\n");
        tree
    }

    #[test]
    fn a_release_without_its_list_is_not_one() {
        let tree = tree();
        std::fs::remove_file(tree.path().join("released/0.1.0").join(SUMS)).expect("there");
        let error = check_in(tree.path(), false).expect_err("no list").to_string();
        assert!(error.contains("no SHA256SUMS"), "{error}");
    }
}
