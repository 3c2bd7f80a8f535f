//! House rules that a program can check.

use crate::command;
use crate::repo::{self, Metadata};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// No file of the repository is larger; fixtures that must be belong into a cache.
const MAX_BYTES: u64 = 512 << 10;

/// A crate of the host, and what it must never depend on, however the parts of the program look at each other.
const FORBIDDEN: [(&str, &[&str], &str); 5] = [
    ("micro-core", &["tokio", "hyper", "wasmtime", "micro-net", "micro-wasm"], "the vocabulary does no IO"),
    ("micro-net", &["wasmtime", "micro-wasm", "micro"], "the network knows no plugins"),
    (
        "micro-bindings",
        &["micro", "micro-net", "micro-wasm"],
        "bindings are generated from wit/ and nothing else",
    ),
    ("micro-plugin", &["tokio", "wasmtime", "micro-wasm"], "manifests are read before anything is compiled"),
    (
        "micro-gateway",
        &["wasmtime", "micro-wasm", "micro-bindings"],
        "gateways see traits, never WebAssembly",
    ),
];

/// Runs all of them.
///
/// # Errors
/// Lists everything that was found.
pub(super) fn check() -> Result<()> {
    let mut faults = Vec::new();
    let listed = command::output(Command::new("git").current_dir(repo::root()).args(["ls-files", "-z"]))?;
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let path = repo::root().join(name);
        // Removed in the work tree and not yet in the index.
        let Ok(data) = std::fs::metadata(&path) else { continue };
        if data.len() > MAX_BYTES {
            faults.push(format!("{name}: {} KiB, more than {}", data.len() >> 10, MAX_BYTES >> 10));
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            faults.extend(text_faults(Path::new(name), &text));
        }
    }
    let metadata = Metadata::of(&repo::native_manifest())?;
    faults.extend(directions(&metadata));
    faults.extend(lint_tables(&metadata));
    if !faults.is_empty() {
        bail!("{} findings:\n  {}", faults.len(), faults.join("\n  "));
    }
    Ok(())
}

/// What is wrong with one file's text.
fn text_faults(name: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let shown = name.display();
    // Written so that this file does not contain them.
    let unfinished = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let machines = [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Use", "rs/")];
    let extension = name.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if !matches!(extension, "lock" | "sum") {
        for (number, line) in (1..).zip(text.lines()) {
            if unfinished.iter().any(|word| line.contains(word)) {
                faults.push(format!(
                    "{shown}:{number}: unfinished: do it now or say in prose what is not there"
                ));
            }
            if machines.iter().any(|path| line.contains(path)) {
                faults.push(format!("{shown}:{number}: a path of one machine"));
            }
            if line.ends_with([' ', '\t']) && extension != "md" {
                faults.push(format!("{shown}:{number}: white space at the end of the line"));
            }
            if line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") {
                faults.push(format!("{shown}:{number}: a merge that was not finished"));
            }
        }
        if !text.is_empty() && !text.ends_with('\n') {
            faults.push(format!("{shown}: no line feed at the end"));
        }
    }
    if extension == "md" {
        let folder = name.parent().unwrap_or(Path::new(""));
        for target in links(text) {
            if !repo::root().join(folder).join(&target).exists() {
                faults.push(format!("{shown}: links to {}, which is not there", target.display()));
            }
        }
    }
    faults
}

/// The files that a Markdown text links to. Links to the web and to headings are not followed, and neither is what
/// stands in code.
fn links(text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every second part is inside back-quotes.
        for prose in line.split('`').step_by(2) {
            for part in prose.split("](").skip(1) {
                let Some((target, _)) = part.split_once(')') else { continue };
                let file = target.split('#').next().unwrap_or_default();
                if !file.is_empty() && !file.contains("://") && !file.starts_with("mailto:") {
                    found.push(PathBuf::from(file));
                }
            }
        }
    }
    found
}

fn directions(metadata: &Metadata) -> Vec<String> {
    let mut faults = Vec::new();
    for package in metadata.members() {
        let Some((_, forbidden, why)) = FORBIDDEN.iter().find(|(name, ..)| *name == package.name) else {
            continue;
        };
        let linked = package.dependencies.iter().filter(|dependency| dependency.kind.is_none());
        for dependency in linked.filter(|dependency| forbidden.contains(&dependency.name.as_str())) {
            faults.push(format!("{} depends on {}: {why}", package.name, dependency.name));
        }
    }
    faults
}

/// Every crate of the host takes the workspace's lints.
fn lint_tables(metadata: &Metadata) -> Vec<String> {
    let takes = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        toml::from_str::<toml::Table>(&text).is_ok_and(|manifest| {
            let value = manifest.get("lints").and_then(|lints| lints.get("workspace"));
            value.and_then(toml::Value::as_bool) == Some(true)
        })
    };
    let without = metadata.members().filter(|package| !takes(&package.manifest_path));
    without.map(|package| format!("{}: [lints] workspace = true is missing", package.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_where_they_are_links() {
        let text = "[a](x/y.md#part) and [b](https://example.com), [c](#here), `[d](code)` ![e](f.png)\n\
                    ```\n[g](fenced)\n```\n[h](mailto:a@b) [i](last";
        assert_eq!(links(text), [PathBuf::from("x/y.md"), PathBuf::from("f.png")]);
    }

    #[test]
    fn texts_are_checked_line_by_line() {
        let faults = |name: &str, text: &str| text_faults(Path::new(name), text);
        assert!(faults("a.rs", "fn a() {}\n").is_empty());
        assert!(faults("empty.rs", "").is_empty());
        assert_eq!(faults("a.rs", "x \ny").len(), 2);
        assert!(
            faults("a.rs", &format!("ok\n// {}: later\n", concat!("TO", "DO")))[0].starts_with("a.rs:2: ")
        );
        assert_eq!(faults("a.rs", "<<<<<<< HEAD\n").len(), 1);
        assert_eq!(faults("a.rs", concat!("/ro", "ot/.cargo\n")).len(), 1);
        assert!(faults("Cargo.lock", "anything ").is_empty());
        assert_eq!(faults("host/none.md", "[x](../Cargo.toml) [y](../none)\n").len(), 1);
    }
}
