//! Pages that are made from something else: those of error codes, and the reference of contracts.

use crate::contracts;
use crate::repo;
use anyhow::{Context, Result, bail};
use micro_core::Code;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where the pages of error codes are.
const ERRORS: &str = "docs/errors";

/// Compares each page with what it is made from.
///
/// # Errors
/// Lists the pages that are not what they should be.
pub(super) fn check(fix: bool) -> Result<()> {
    check_in(repo::root(), &wanted()?, fix)
}

/// Every page by its path within the repository.
fn wanted() -> Result<BTreeMap<PathBuf, String>> {
    let resolve = contracts::read(&repo::root().join("wit"))?;
    let errors = Path::new(ERRORS);
    let pages = Code::all().map(|code| (errors.join(format!("{code}.md")), code.page()));
    let others = [
        (errors.join("README.md"), index()),
        (PathBuf::from("docs/plugins/contracts.md"), contracts::render(&resolve)),
    ];
    Ok(pages.chain(others).collect())
}

fn index() -> String {
    let rows: String =
        Code::all().map(|code| format!("| [{code}]({code}.md) | {} |\n", code.title())).collect();
    format!(
        "<!-- Made from host/micro-core/src/code by cargo xtask tidy --fix; to be changed there. -->\n\n\
         # Error codes\n\n\
         What stands in brackets behind an error. `micro error CODE` prints the same pages without a network.\n\n\
         | code | means that |\n|---|---|\n{rows}"
    )
}

fn check_in(root: &Path, wanted: &BTreeMap<PathBuf, String>, fix: bool) -> Result<()> {
    let mut faults = Vec::new();
    for (name, text) in wanted {
        let file = root.join(name);
        if std::fs::read_to_string(&file).is_ok_and(|present| present == *text) {
            continue;
        }
        if !fix {
            faults.push(format!("{} is not what it is made from", name.display()));
            continue;
        }
        let folder = file.parent().unwrap_or(root);
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    for name in stale(root, wanted)? {
        if fix {
            std::fs::remove_file(root.join(&name))
                .with_context(|| format!("cannot remove {}", name.display()))?;
        } else {
            faults.push(format!("{} belongs to no code", name.display()));
        }
    }
    if !faults.is_empty() {
        bail!("run cargo xtask tidy --fix:\n  {}", faults.join("\n  "));
    }
    Ok(())
}

/// Pages of codes that are no more.
fn stale(root: &Path, wanted: &BTreeMap<PathBuf, String>) -> Result<BTreeSet<PathBuf>> {
    let folder = root.join(ERRORS);
    if !folder.is_dir() {
        return Ok(BTreeSet::new());
    }
    let entries = folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))?;
    let names = entries.map(|entry| Ok(Path::new(ERRORS).join(entry?.file_name())));
    let names = names.collect::<std::io::Result<BTreeSet<PathBuf>>>()?;
    Ok(names.into_iter().filter(|name| !wanted.contains_key(name)).collect())
}

/// Looks for codes that no failure of the host has.
///
/// # Errors
/// Lists them.
pub(super) fn codes_in_use() -> Result<()> {
    let mut unused: BTreeMap<&str, Code> = Code::constants().collect();
    let own = repo::root().join("host/micro-core/src/code");
    let mut open = vec![repo::root().join("host")];
    while let Some(folder) = open.pop() {
        for entry in folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() && path != own && path.file_name().is_none_or(|name| name != "tests") {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                unused.retain(|name, _| !mentions(&text, name));
            }
        }
    }
    if !unused.is_empty() {
        let lines: Vec<String> = unused.iter().map(|(name, code)| format!("{code} {name}")).collect();
        bail!("codes that no failure has:\n  {}", lines.join("\n  "));
    }
    Ok(())
}

/// Whether a source names `Code::NAME`, and no longer name.
fn mentions(text: &str, name: &str) -> bool {
    let wanted = format!("Code::{name}");
    text.match_indices(&wanted).any(|(at, _)| {
        let next = text[at + wanted.len()..].chars().next();
        !next.is_some_and(|it| it.is_ascii_alphanumeric() || it == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_compared_and_written() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let wanted = BTreeMap::from([(PathBuf::from("docs/errors/MICRO-0001.md"), "one\n".to_owned())]);
        let check = |fix| check_in(root.path(), &wanted, fix);
        assert!(check(false).expect_err("not there").to_string().contains("MICRO-0001.md is not"));
        check(true).expect("written");
        check(false).expect("the same");
        std::fs::write(root.path().join("docs/errors/MICRO-9999.md"), "").expect("writable");
        assert!(check(false).expect_err("one too many").to_string().contains("belongs to no code"));
        check(true).expect("removed");
        check(false).expect("the same");
    }

    #[test]
    fn longer_names_are_other_names() {
        assert!(mentions("x(Code::PLUGIN_START, 1)", "PLUGIN_START"));
        assert!(
            !mentions("Code::PLUGIN_STARTED", "PLUGIN_START") && !mentions("PLUGIN_START", "PLUGIN_START")
        );
    }

    #[test]
    fn every_code_is_in_use() {
        codes_in_use().expect("no dead codes");
    }
}
