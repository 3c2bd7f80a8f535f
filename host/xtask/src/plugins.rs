//! `cargo xtask plugins`: components with their manifests in them.

use crate::command;
use crate::repo::{self, Metadata, Package};
use anyhow::{Context, Result, bail};
use micro_plugin::{Kind, Manifest};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What plugins are compiled for.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// What a plugin of a hot kind may import: its log, and what Rust's standard library needs. Nothing of it is async.
const HOT_IMPORTS: [&str; 5] =
    ["micro:hot/log@0.1.", "wasi:cli/", "wasi:clocks/", "wasi:io/", "wasi:random/"];
/// The version of `wasi:*` that has no async functions.
const SYNC_WASI: &str = "@0.2.";

/// A finished plugin.
#[derive(Debug)]
pub(crate) struct Plugin {
    /// `plugins/target/plugins/PACKAGE.wasm`, or of another name for a variant
    pub(crate) file: PathBuf,
    /// Its package, `etcd-registry` for one.
    pub(crate) package: String,
    /// Where its sources are.
    pub(crate) folder: PathBuf,
    /// Whether it is for users. Those in `plugins/fixtures` are for tests.
    pub(crate) ships: bool,
}

/// Where finished plugins are.
pub(crate) fn folder() -> PathBuf {
    repo::plugins_target().join("plugins")
}

/// Builds every plugin of the workspace and finishes those that have a `plugin.toml`, with its variants.
///
/// # Errors
/// The target is missing and cannot be added, the build fails, a manifest is wrong, or a plugin of a hot kind imports
/// what it must not.
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
        finish(package, &component, None, &file)?;
        let ships = !package.folder().starts_with(&fixtures);
        let folder = package.folder().to_owned();
        plugins.push(Plugin { file, package: package.name.clone(), folder: folder.clone(), ships });
        for variant in variants(&fixtures.join("variants").join(&package.name))? {
            let name = variant.file_stem().context("a file has a name")?;
            let file = finished.join(name).with_extension("wasm");
            finish(package, &component, Some(&variant), &file)?;
            plugins.push(Plugin {
                file,
                package: package.name.clone(),
                folder: folder.clone(),
                ships: false,
            });
        }
    }
    remove_others(&finished, &plugins)?;
    if plugins.is_empty() {
        bail!("{} has no member that makes a component (crate-type cdylib)", manifest.display());
    }
    Ok(plugins)
}

/// The plugins of the workspace as they were built last, without variants.
///
/// # Errors
/// The workspace cannot be read.
pub(crate) fn built() -> Result<Vec<Plugin>> {
    let fixtures = repo::root().join("plugins/fixtures");
    let plugin = |package: &Package| {
        let file = folder().join(format!("{}.wasm", package.name));
        let sources = package.folder().to_owned();
        let ships = !sources.starts_with(&fixtures);
        Plugin { file, package: package.name.clone(), folder: sources, ships }
    };
    let mut plugins: Vec<Plugin> = Metadata::of(&repo::plugins_manifest())?.members().map(plugin).collect();
    plugins.retain(|plugin| plugin.file.exists());
    Ok(plugins)
}

/// The manifests in a folder of `plugins/fixtures/variants`, in the order of their names.
fn variants(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = entries.with_context(|| format!("cannot list {}", folder.display()))?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    Ok(files)
}

/// Puts the manifest in, or copies a component that has none: tests need such ones too. The keys of a variant take the
/// place of those in `plugin.toml`.
fn finish(package: &Package, component: &Path, variant: Option<&Path>, file: &Path) -> Result<()> {
    let mut wasm = fs::read(component).with_context(|| format!("cannot read {}", component.display()))?;
    let path = package.folder().join("plugin.toml");
    if path.exists() {
        let mut source = read(&path)?;
        if let Some(variant) = variant {
            let table = |path: &Path, text: &str| {
                text.parse::<toml::Table>().with_context(|| format!("{} is wrong", path.display()))
            };
            let mut merged = table(&path, &source)?;
            merged.extend(table(variant, &read(variant)?)?);
            source = merged.to_string();
        }
        // Not the Cargo.toml itself: version and description may stand in that of the workspace.
        let inherited = Inherited { version: &package.version, description: package.description.as_deref() };
        let resolved =
            toml::to_string(&CargoToml { package: inherited }).context("a package can be written as TOML")?;
        let manifest = Manifest::from_toml(&source, Some(&resolved))
            .with_context(|| format!("{} is wrong", variant.unwrap_or(&path).display()))?;
        wasm = micro_plugin::finish(&wasm, &manifest)
            .with_context(|| format!("{} cannot be finished", component.display()))?;
        let imports = micro_plugin::inspect(&wasm).imports;
        if let Some(import) = imports.iter().find(|import| !may_import(manifest.kind, import)) {
            bail!(
                "{} imports {import}, which a {} must not: it runs where nothing can wait",
                component.display(),
                manifest.kind
            );
        }
    }
    write_if_changed(file, &wasm)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Whether a plugin of a kind may import an interface. The loader is the one that decides; this is where an author, or a
/// change to the sdk, learns of it.
fn may_import(kind: Kind, import: &str) -> bool {
    let hot = matches!(kind, Kind::Wire | Kind::Selector | Kind::Codec | Kind::Filter);
    !hot || HOT_IMPORTS.iter().any(|known| import.starts_with(known))
        && (import.contains(SYNC_WASI) || !import.starts_with("wasi:"))
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

        let (file, package, sources) = (kept.clone(), "a".to_owned(), folder.path().to_owned());
        remove_others(folder.path(), &[Plugin { file, package, folder: sources, ships: true }])
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

        finish(&package, &component, None, &out).expect("no manifest, no section");
        assert_eq!(fs::read(&out).expect("there"), fs::read(&component).expect("there"));

        fs::write(folder.path().join("plugin.toml"), "name = 'x'\nkind = 'registry'").expect("writable");
        finish(&package, &component, None, &out).expect("a sound manifest");
        let plugin = fs::read(&out).expect("there");
        assert_eq!(micro_plugin::section::read(&plugin).expect("finished").version, "1.0.0");

        let variant = folder.path().join("x-two.toml");
        fs::write(&variant, "version = '2.0.0'").expect("writable");
        assert_eq!(variants(folder.path()).expect("a folder").len(), 2);
        finish(&package, &component, Some(&variant), &out).expect("a sound manifest");
        let plugin = micro_plugin::section::read(&fs::read(&out).expect("there")).expect("finished");
        assert_eq!((plugin.name.as_str(), plugin.version.as_str()), ("x", "2.0.0"));

        fs::write(folder.path().join("plugin.toml"), "name = 'x'\nkind = 'teapot'").expect("writable");
        let error = finish(&package, &component, None, &out).expect_err("no such kind").to_string();
        assert!(error.ends_with("plugin.toml is wrong"), "{error}");
    }

    #[test]
    fn hot_plugins_import_nothing_that_waits() {
        for (import, allowed) in [
            ("micro:hot/log@0.1.0", true),
            ("wasi:io/streams@0.2.6", true),
            ("wasi:cli/stderr@0.2.6", true),
            ("micro:plugin/log@0.1.0", false),
            ("wasi:cli/stderr@0.3.2", false),
            ("wasi:clocks/monotonic-clock@0.3.2", false),
            ("wasi:http/client@0.3.2", false),
            ("wasi:sockets/tcp@0.2.6", false),
            ("wasi:filesystem/types@0.2.6", false),
        ] {
            for kind in [Kind::Wire, Kind::Selector, Kind::Codec, Kind::Filter] {
                assert_eq!(may_import(kind, import), allowed, "{kind} and {import}");
            }
            assert!(may_import(Kind::Registry, import));
        }
    }
}
