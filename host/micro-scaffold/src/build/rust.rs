//! Rust: cargo makes the component itself.

use super::Project;
use crate::error::Error;
use crate::tool;
use serde::Deserialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) const TARGET: &str = "wasm32-wasip2";
/// What a person would type to install it.
pub(crate) const INSTALL: &str = "rustup target add wasm32-wasip2";

/// The cargo that is used: that of the variable `CARGO`, as cargo itself sets it, else the one on `PATH`.
pub fn cargo() -> OsString {
    program("CARGO", "cargo")
}

/// The programs that cargo itself would use.
fn program(variable: &str, name: &str) -> OsString {
    std::env::var_os(variable).filter(|value| !value.is_empty()).unwrap_or_else(|| name.into())
}

/// The folder of the target's libraries, where it is installed: cargo's own message about a missing target is about a
/// missing crate `std`.
pub(crate) fn target_libraries(folder: Option<&Path>) -> Result<Option<PathBuf>, Error> {
    let mut rustc = Command::new(program("RUSTC", "rustc"));
    rustc.args(["--print", "target-libdir", "--target", TARGET]).stdin(Stdio::null());
    if let Some(folder) = folder {
        rustc.current_dir(folder);
    }
    let output = rustc.output().map_err(|error| {
        Error::new("cannot run rustc", "install Rust from https://rustup.rs").caused(error)
    })?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    Ok(Some(libraries).filter(|libraries| output.status.success() && libraries.is_dir()))
}

pub(super) fn build(project: &Project<'_>) -> Result<(Vec<u8>, String), Error> {
    let manifest = project.folder.join("Cargo.toml");
    if !manifest.is_file() {
        let next = "name the folder of a Rust crate, or finish what another compiler made with --wasm FILE";
        return Err(Error::new(format!("no Cargo.toml in {}", project.folder.display()), next));
    }
    if target_libraries(Some(project.folder))?.is_none() {
        if !project.options.install {
            return Err(Error::new(format!("the target {TARGET} is not installed"), INSTALL));
        }
        tool::run(Command::new("rustup").args(["target", "add", TARGET]), "see what rustup says above")?;
    }
    let cargo = cargo();
    let version = tool::version(Path::new(&cargo), "--version").unwrap_or_default();
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    // Cargo shows its progress and its diagnostics itself.
    command.current_dir(project.folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let output = command.spawn().and_then(std::process::Child::wait_with_output);
    let output = output.map_err(|error| {
        Error::new("cannot run cargo", "install Rust from https://rustup.rs").caused(error)
    })?;
    if !output.status.success() {
        let what = format!("cargo build ended with {}", output.status);
        return Err(Error::new(what, "correct what cargo says above"));
    }
    let absolute = std::path::absolute(&manifest).map_err(|error| Error::io("find", &manifest, error))?;
    let file = component(&output.stdout, &absolute).ok_or_else(|| {
        let next = "give the crate a [lib] with crate-type = [\"cdylib\"]";
        Error::new(format!("{} has no library that becomes a component", manifest.display()), next)
    })?;
    Ok((super::read(&file)?, format!("cargo {version}")))
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
}
