//! `micro plugin build`: cargo, then the finishing step. Nothing is installed and nothing is changed in the crate.

use crate::args::{BuildArgs, Format};
use crate::failure::{Next, failure};
use crate::output;
use anyhow::Context;
use micro_plugin::{Digest, Manifest, inspect};
use serde::Deserialize;
use serde_json::json;
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

const TARGET: &str = "wasm32-wasip2";

pub(in crate::commands) async fn build(format: Format, arguments: &BuildArgs) -> anyhow::Result<()> {
    let folder = &arguments.folder;
    let manifest = manifest(folder).await?;
    let built = match &arguments.wasm {
        Some(wasm) => wasm.clone(),
        None => compile(folder).await?,
    };
    let wasm = std::fs::read(&built).with_context(|| format!("cannot read {}", built.display()));
    let wasm = wasm.next("--wasm takes the component to finish")?;
    let plugin =
        micro_plugin::finish(&wasm, &manifest).with_context(|| format!("cannot finish {}", built.display()));
    let plugin = plugin.next("a plugin is a component, as cargo build --target wasm32-wasip2 makes it")?;
    check_exports(&plugin, &manifest)?;
    let file = target(arguments.out.as_deref(), &manifest.name);
    replace(&file, &plugin)
        .with_context(|| format!("cannot write {}", file.display()))
        .next("choose another --out")?;
    let digest = Digest::of(&plugin);
    let text = || format!("{}\n", file.display());
    output::answer(
        format,
        text,
        &json!({ "file": file, "size": plugin.len(), "digest": format!("sha256:{digest}") }),
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
    let mut cargo = Command::new(tool("CARGO", "cargo"));
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

/// Builds the crate; the component that came out.
async fn compile(folder: &Path) -> anyhow::Result<PathBuf> {
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        let next = "name the folder of a Rust crate, or finish what another compiler made with --wasm FILE";
        return Err(failure(format!("no Cargo.toml in {}", folder.display()), next));
    }
    require_target(folder).await?;
    let mut cargo = Command::new(tool("CARGO", "cargo"));
    cargo.args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    cargo.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let output = cargo
        .spawn()
        .context("cannot run cargo")
        .next("install Rust from https://rustup.rs")?
        .wait_with_output();
    let output = output.await.context("cannot wait for cargo").next("try again")?;
    if !output.status.success() {
        return Err(failure(
            format!("cargo build ended with {}", output.status),
            "correct what cargo says above",
        ));
    }
    let absolute =
        std::path::absolute(&manifest).context("no working directory").next("name the folder in full")?;
    component(&output.stdout, &absolute).ok_or_else(|| {
        let next = "give the crate a [lib] with crate-type = [\"cdylib\"]";
        failure(format!("{} has no library that becomes a component", manifest.display()), next)
    })
}

/// cargo's own message about a missing target is about a missing crate `std`.
async fn require_target(folder: &Path) -> anyhow::Result<()> {
    let mut rustc = Command::new(tool("RUSTC", "rustc"));
    rustc.args(["--print", "target-libdir", "--target", TARGET]).current_dir(folder).stdin(Stdio::null());
    let output =
        rustc.output().await.context("cannot run rustc").next("install Rust from https://rustup.rs")?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if output.status.success() && libraries.is_dir() {
        return Ok(());
    }
    Err(failure(format!("the target {TARGET} is not installed"), format!("rustup target add {TARGET}")))
}

/// The programs that cargo itself would use.
fn tool(variable: &str, name: &str) -> OsString {
    std::env::var_os(variable).filter(|value| !value.is_empty()).unwrap_or_else(|| name.into())
}

/// The .wasm file in cargo's messages that belongs to the crate itself, not to a dependency.
fn component(messages: &[u8], manifest: &Path) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        #[serde(default)]
        manifest_path: PathBuf,
        #[serde(default)]
        filenames: Vec<PathBuf>,
    }
    let own = manifest.canonicalize();
    let same = |path: &Path| {
        path == manifest || own.as_ref().is_ok_and(|own| path.canonicalize().is_ok_and(|path| path == *own))
    };
    let lines = messages.split(|&byte| byte == b'\n');
    let artifacts = lines.filter_map(|line| serde_json::from_slice::<Message>(line).ok());
    let own =
        artifacts.filter(|message| message.reason == "compiler-artifact" && same(&message.manifest_path));
    own.flat_map(|message| message.filenames).find(|file| file.extension().is_some_and(|it| it == "wasm"))
}

/// A component that exports nothing of its contract would be refused when it is loaded, far from its author.
fn check_exports(plugin: &[u8], manifest: &Manifest) -> anyhow::Result<()> {
    let exports = inspect(plugin).exports;
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
    fn the_crates_own_component_is_found() {
        let messages = br#"
            {"reason":"compiler-artifact","manifest_path":"/dep/Cargo.toml","filenames":["/t/dep.wasm"]}
            {"reason":"compiler-artifact","manifest_path":"/own/Cargo.toml","filenames":["/t/own.rlib","/t/own.wasm"]}
            not JSON
            {"reason":"build-finished","success":true}"#;
        assert_eq!(component(messages, Path::new("/own/Cargo.toml")), Some("/t/own.wasm".into()));
        assert_eq!(component(messages, Path::new("/other/Cargo.toml")), None);
    }

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
        let error = check_exports(b"\0asm\x0d\0\x01\0", &manifest).expect_err("exports nothing");
        assert!(error.to_string().contains("exports nothing"), "{error}");
    }
}
