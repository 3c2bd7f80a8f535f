//! `cargo xtask plugins`: components with their manifests in them.

use crate::command;
use crate::repo::{self, Metadata, Package};
use anyhow::{Context, Result, bail};
use micro_plugin::Manifest;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What plugins are compiled for.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// A finished plugin.
#[derive(Debug)]
pub(crate) struct Plugin {
    /// `plugins/target/plugins/PACKAGE.wasm`
    pub(crate) file: PathBuf,
    /// Its package, `etcd-registry` for one.
    pub(crate) package: String,
    /// Whether it is for users. Those in `plugins/fixtures` are for tests.
    pub(crate) ships: bool,
}

/// Where finished plugins are.
pub(crate) fn folder() -> PathBuf {
    repo::plugins_target().join("plugins")
}

/// Builds every plugin of the workspace and finishes those that have a `plugin.toml`.
///
/// # Errors
/// The target is missing and cannot be added, the build fails, or a manifest is wrong.
pub(crate) fn build() -> Result<Vec<Plugin>> {
    add_target()?;
    let manifest = repo::plugins_manifest();
    let mut cargo = command::cargo(["build", "--release", "--target", TARGET, "--manifest-path"]);
    let target = repo::plugins_target();
    command::run(cargo.arg(&manifest).arg("--target-dir").arg(&target))?;

    let built = target.join(TARGET).join("release");
    let finished = folder();
    fs::create_dir_all(&finished).with_context(|| format!("cannot make {}", finished.display()))?;
    let fixtures = repo::root().join("plugins/fixtures");
    let mut plugins = Vec::new();
    for package in Metadata::of(&manifest)?.members() {
        let Some(library) =
            package.targets.iter().find(|target| target.kind.iter().any(|kind| kind == "cdylib"))
        else {
            continue;
        };
        let component = built.join(format!("{}.wasm", library.name.replace('-', "_")));
        let file = finished.join(format!("{}.wasm", package.name));
        finish(package, &component, &file)?;
        let ships = !package.folder().starts_with(&fixtures);
        plugins.push(Plugin { file, package: package.name.clone(), ships });
    }
    remove_others(&finished, &plugins)?;
    if plugins.is_empty() {
        bail!("{} has no member that makes a component (crate-type cdylib)", manifest.display());
    }
    Ok(plugins)
}

/// Puts the manifest in, or copies a component that has none: tests need such ones too.
fn finish(package: &Package, component: &Path, file: &Path) -> Result<()> {
    let mut wasm = fs::read(component).with_context(|| format!("cannot read {}", component.display()))?;
    let path = package.folder().join("plugin.toml");
    if path.exists() {
        let source = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // Not the Cargo.toml itself: version and description may stand in that of the workspace.
        let inherited = Inherited { version: &package.version, description: package.description.as_deref() };
        let resolved =
            toml::to_string(&CargoToml { package: inherited }).context("a package can be written as TOML")?;
        let manifest = Manifest::from_toml(&source, Some(&resolved))
            .with_context(|| format!("{} is wrong", path.display()))?;
        wasm = micro_plugin::finish(&wasm, &manifest)
            .with_context(|| format!("{} cannot be finished", component.display()))?;
    }
    write_if_changed(file, &wasm)
}

/// A `Cargo.toml` with nothing in it but what a plugin's manifest takes over.
#[derive(Serialize)]
struct CargoToml<'a> {
    package: Inherited<'a>,
}

#[derive(Serialize)]
struct Inherited<'a> {
    version: &'a str,
    description: Option<&'a str>,
}

/// An unchanged plugin keeps its time stamp, so that nothing that watches or caches it takes it for a new one. A changed
/// one appears as a whole.
fn write_if_changed(file: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let temporary = file.with_extension("wasm.tmp");
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// A plugin that was renamed or removed must not be found any more.
fn remove_others(folder: &Path, plugins: &[Plugin]) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm")
            && plugins.iter().all(|p| p.file != path)
        {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Makes sure that the compiler can compile for WebAssembly.
fn add_target() -> Result<()> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(repo::root()).args(["--print", "target-libdir", "--target", TARGET]);
    // The folder's name is known for every target; only an installed one has it.
    if Path::new(command::output(&mut rustc)?.trim()).is_dir() {
        return Ok(());
    }
    eprintln!("adding the target {TARGET} with rustup");
    command::run(Command::new("rustup").current_dir(repo::root()).args(["target", "add", TARGET])).with_context(|| {
        format!("the Rust target {TARGET} is missing; install it for the toolchain that rust-toolchain.toml names")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_written_and_what_is_gone_goes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (kept, gone) = (folder.path().join("a.wasm"), folder.path().join("b.wasm"));
        write_if_changed(&kept, b"one").expect("writable");
        write_if_changed(&gone, b"two").expect("writable");
        let before = fs::metadata(&kept).and_then(|data| data.modified()).expect("there");
        write_if_changed(&kept, b"one").expect("writable");
        assert_eq!(fs::metadata(&kept).and_then(|data| data.modified()).expect("there"), before);

        remove_others(folder.path(), &[Plugin { file: kept.clone(), package: "a".to_owned(), ships: true }])
            .expect("writable");
        assert!(kept.exists() && !gone.exists());
        write_if_changed(&kept, b"three").expect("writable");
        assert_eq!(fs::read(&kept).expect("there"), b"three");
    }

    #[test]
    fn a_wrong_manifest_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let component = folder.path().join("in.wasm");
        fs::write(&component, b"\0asm\x0d\0\x01\0").expect("writable");
        let out = folder.path().join("out.wasm");
        let package = Package::new("x", &folder.path().join("Cargo.toml"));

        finish(&package, &component, &out).expect("no manifest, no section");
        assert_eq!(fs::read(&out).expect("there"), fs::read(&component).expect("there"));

        fs::write(folder.path().join("plugin.toml"), "name = 'x'\nkind = 'registry'").expect("writable");
        finish(&package, &component, &out).expect("a sound manifest");
        let plugin = fs::read(&out).expect("there");
        assert_eq!(micro_plugin::section::read(&plugin).expect("finished").version, "1.0.0");

        fs::write(folder.path().join("plugin.toml"), "name = 'x'\nkind = 'teapot'").expect("writable");
        let error = finish(&package, &component, &out).expect_err("no such kind").to_string();
        assert!(error.ends_with("plugin.toml is wrong"), "{error}");
    }
}
