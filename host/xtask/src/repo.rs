//! Where things are.

use crate::command;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    const HERE: &str = env!("CARGO_MANIFEST_DIR");
    // host/xtask/../..
    Path::new(HERE).ancestors().nth(2).expect("this crate is two folders deep")
}

/// Whether this runs in CI, where nothing may be left out.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// The manifest of everything native.
pub(crate) fn native_manifest() -> PathBuf {
    root().join("Cargo.toml")
}

/// The manifest of the plugins' workspace, which is built for WebAssembly.
pub(crate) fn plugins_manifest() -> PathBuf {
    root().join("plugins/Cargo.toml")
}

/// The manifest of what Rust plugins are written with. It belongs to no workspace, so that it can be copied elsewhere.
pub(crate) fn sdk_manifest() -> PathBuf {
    root().join("sdk/rust/Cargo.toml")
}

/// The manifest of the fuzzer, which another compiler builds.
pub(crate) fn fuzz_manifest() -> PathBuf {
    root().join("fuzz/Cargo.toml")
}

/// All that ship or are tested: whatever cargo does is done to each of these.
pub(crate) fn workspaces() -> [PathBuf; 3] {
    [native_manifest(), plugins_manifest(), sdk_manifest()]
}

/// Where everything for WebAssembly is built, whatever `CARGO_TARGET_DIR` says: tests and other programs look there.
pub(crate) fn plugins_target() -> PathBuf {
    root().join("plugins/target")
}

/// What `cargo metadata` says, as far as it is used here.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    pub(crate) target_directory: PathBuf,
}

/// A package of [`Metadata`].
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    /// Nothing for a package of this repository.
    pub(crate) source: Option<String>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) targets: Vec<Target>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A target of a [`Package`].
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

/// A dependency of a [`Package`] as its manifest has it.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Nothing for a normal one, otherwise `dev` or `build`.
    pub(crate) kind: Option<String>,
}

impl Package {
    /// The folder of its manifest.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("/"))
    }
}

impl Metadata {
    /// Reads a workspace.
    ///
    /// # Errors
    /// Cargo cannot; it has said why.
    pub(crate) fn of(manifest: &Path) -> Result<Self> {
        let mut cargo = command::cargo(["metadata", "--format-version=1", "--manifest-path"]);
        let json = command::output(cargo.arg(manifest))?;
        serde_json::from_str(&json)
            .with_context(|| format!("cannot read cargo's metadata of {}", manifest.display()))
    }

    /// The packages of the workspace itself.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }
}

#[cfg(test)]
impl Package {
    /// Version 1.0.0, from this repository, with nothing in it.
    pub(crate) fn new(name: &str, manifest: &Path) -> Self {
        Self {
            id: name.to_owned(),
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            description: None,
            license: None,
            source: None,
            manifest_path: manifest.to_owned(),
            targets: Vec::new(),
            dependencies: Vec::new(),
        }
    }
}
