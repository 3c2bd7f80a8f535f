//! `micro plugin build`: the tools of the plugin's language, then the finishing step. Nothing is installed unless that is
//! asked for.

use super::language;
use crate::args::{BuildArgs, Format};
use crate::failure::{Next, failure};
use crate::output;
use anyhow::Context;
use micro_plugin::{Digest, Manifest, Report, inspect};
use micro_scaffold::{Built, Options};
use serde::Deserialize;
use serde_json::json;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;
use tokio::process::Command;

pub(in crate::commands) async fn build(format: Format, arguments: &BuildArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let folder = &arguments.folder;
    let manifest = manifest(folder).await?;
    let (component, source, tool) = match &arguments.wasm {
        Some(wasm) => {
            let read = std::fs::read(wasm).with_context(|| format!("cannot read {}", wasm.display()));
            (read.next("--wasm takes the component to finish")?, wasm.display().to_string(), None)
        }
        None => {
            let (folder, options) =
                (folder.clone(), Options { kind: manifest.kind, install: arguments.install });
            let built = language::waiting(move || micro_scaffold::build(&folder, options)).await?;
            let Built { component, language, tool } = built;
            (component, format!("what {tool} made"), Some((language, tool)))
        }
    };
    let plugin =
        micro_plugin::finish(&component, &manifest).with_context(|| format!("cannot finish {source}"));
    let plugin = plugin.next("a plugin is a component, as cargo build --target wasm32-wasip2 makes it")?;
    let report = inspect(&plugin);
    check_exports(&report, &manifest)?;
    let file = target(arguments.out.as_deref(), &manifest.name);
    replace(&file, &plugin)
        .with_context(|| format!("cannot write {}", file.display()))
        .next("choose another --out")?;
    let seconds = started.elapsed().as_secs_f64();
    if format == Format::Text {
        super::super::tell(&summary(&report, tool.as_ref().map(|(_, tool)| tool.as_str()), seconds));
    }
    let text = || format!("{}\n", file.display());
    output::answer(
        format,
        text,
        &json!({
            "file": file,
            "size": report.size,
            "digest": format!("sha256:{}", Digest::of(&plugin)),
            "language": tool.as_ref().map(|(language, _)| language.as_str()),
            "tool": tool.as_ref().map(|(_, tool)| tool),
            "imports": report.imports,
            "exports": report.exports,
            "lifts": { "async": report.lifts.concurrent, "sync": report.lifts.blocking },
            "seconds": seconds,
        }),
    )
}

/// What came out, for whoever watches.
fn summary(report: &Report, tool: Option<&str>, seconds: f64) -> String {
    let lifts = match (report.lifts.concurrent, report.lifts.blocking) {
        (0, blocking) => format!("{blocking} functions, all lifted synchronously"),
        (concurrent, 0) => format!("{concurrent} functions, all lifted asynchronously"),
        (concurrent, blocking) => {
            format!("{concurrent} functions lifted asynchronously, {blocking} synchronously")
        }
    };
    let (wasi, ours): (Vec<_>, Vec<_>) = report.imports.iter().partition(|name| name.starts_with("wasi:"));
    let ours = ours.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let imports = match (ours.as_str(), wasi.len()) {
        ("", 0) => "nothing".to_owned(),
        ("", wasi) => format!("{wasi} interfaces of WASI"),
        (ours, 0) => ours.to_owned(),
        (ours, wasi) => format!("{ours}, and {wasi} interfaces of WASI"),
    };
    let tool = tool.map(|tool| format!(" with {tool}")).unwrap_or_default();
    format!(
        "built in {seconds:.1} s{tool}: {}\nexports {lifts}\nimports {imports}",
        super::inspect::size(report.size as u64)
    )
}

async fn manifest(folder: &Path) -> anyhow::Result<Manifest> {
    let file = folder.join("plugin.toml");
    let source = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()));
    let source = source.next("a plugin's folder has a plugin.toml with name, kind and what it asks for")?;
    let package = package(folder).await;
    let manifest = Manifest::from_toml(&source, package.as_deref());
    manifest.with_context(|| format!("in {}", folder.display())).next("correct plugin.toml")
}

/// Version and description of the crate, from which a manifest inherits them, as the text of a Cargo.toml. They may be
/// the workspace's, so cargo is asked; None where there is no crate or no cargo.
async fn package(folder: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        manifest_path: PathBuf,
        version: String,
        description: Option<String>,
    }
    let own = folder.join("Cargo.toml").canonicalize().ok()?;
    let mut cargo = Command::new(micro_scaffold::cargo());
    cargo.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let output = cargo.current_dir(folder).stdin(Stdio::null()).output().await.ok()?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout).ok()?;
    let is_own = |package: &Package| package.manifest_path.canonicalize().is_ok_and(|path| path == own);
    let Package { version, description, .. } = metadata.packages.into_iter().find(is_own)?;
    // A text of JSON is one of TOML.
    let description = description.map(|it| format!("description = {}\n", serde_json::Value::from(it)));
    let version = serde_json::Value::from(version);
    Some(format!("[package]\nversion = {version}\n{}", description.unwrap_or_default()))
}

/// A component that exports nothing of its contract would be refused when it is loaded, far from its author.
fn check_exports(report: &Report, manifest: &Manifest) -> anyhow::Result<()> {
    let exports = &report.exports;
    let (package, version) = manifest.contract.split_once('@').unwrap_or((&manifest.contract, ""));
    let is_contract = |export: &String| {
        export.starts_with(&format!("{package}/")) && export.ends_with(&format!("@{version}"))
    };
    if exports.iter().any(is_contract) {
        return Ok(());
    }
    let has = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
    let text = format!(
        "a {} plugin exports an interface of {}; this component exports {has}",
        manifest.kind, manifest.contract
    );
    Err(failure(
        text,
        "register the implementation with the macro of the sdk, or correct kind and contract in plugin.toml",
    ))
}

/// `--out` as a file, or a file of the plugin's name in `--out` or the working directory.
fn target(out: Option<&Path>, name: &str) -> PathBuf {
    let file = format!("{name}.wasm");
    match out {
        None => file.into(),
        Some(out) if out.is_dir() => out.join(file),
        Some(out) => out.to_owned(),
    }
}

/// Whoever has the old file open keeps it, and nobody sees half of the new one.
fn replace(file: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(std::io::Error::new(ErrorKind::NotFound, format!("no folder {}", folder.display())));
    }
    let mut temporary = tempfile::Builder::new().permissions(permissions()).tempfile_in(folder)?;
    temporary.write_all(content)?;
    temporary.persist(file)?;
    Ok(())
}

/// As for any file that a build makes; the umask takes away what it will.
fn permissions() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o666)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_named_after_the_plugin_unless_it_is_named() {
        let folder = tempfile::tempdir().expect("writable");
        assert_eq!(target(None, "x-registry"), Path::new("x-registry.wasm"));
        assert_eq!(target(Some(folder.path()), "x-registry"), folder.path().join("x-registry.wasm"));
        assert_eq!(target(Some(Path::new("y.wasm")), "x-registry"), Path::new("y.wasm"));
    }

    #[test]
    fn components_without_the_contract_are_refused() {
        let manifest =
            Manifest::from_toml("name = 'x'\nkind = 'registry'\nversion = '1'", None).expect("valid");
        let error = check_exports(&inspect(b"\0asm\x0d\0\x01\0"), &manifest).expect_err("exports nothing");
        assert!(error.to_string().contains("exports nothing"), "{error}");
    }
}
