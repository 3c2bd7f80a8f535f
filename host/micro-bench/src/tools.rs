//! What rows need that is not part of this program: Go Micro, wrk, etcd, a distribution. The scripts in `tests/` know
//! how to get and run them.

use crate::Failed;
use crate::process::text_of;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    const HERE: &str = env!("CARGO_MANIFEST_DIR");
    // host/micro-bench/../..
    Path::new(HERE).ancestors().nth(2).expect("this crate is two folders deep")
}

/// Builds a program of `tests/peers/bench` unless that was done before. The error says why it cannot be had.
pub(crate) async fn go_program(name: &str) -> Result<PathBuf, Failed> {
    eprintln!("looking for Go Micro's {name}; building it takes a minute");
    let mut build = Command::new(root().join("tests/peers/bench/build.sh"));
    build.arg(name);
    let folder = text_of(build).await.map_err(|error| format!("not built: {error}"))?;
    Ok(Path::new(&folder).join(name))
}

/// Makes sure that wrk is on PATH. The error says why it cannot be had.
pub(crate) async fn wrk() -> Result<(), Failed> {
    let mut install = Command::new(root().join("tests/peers/bench/wrk.sh"));
    install.arg("install");
    text_of(install).await.map(drop).map_err(|error| format!("no wrk: {error}").into())
}

/// A program of the distribution.
pub(crate) fn ours(dist: &Path, name: &str) -> Result<PathBuf, Failed> {
    let program = dist.join("bin").join(name);
    if !program.is_file() {
        return Err(format!("no {}: `cargo xtask bench` builds it", program.display()).into());
    }
    Ok(program)
}

/// `program` of the distribution with nothing of the caller's environment that could change what it does.
pub(crate) fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MICRO_") {
            command.env_remove(name);
        }
    }
    command.env("MICRO_HOME", home).current_dir(home);
    command
}

/// An etcd that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Etcd {
    folder: PathBuf,
    /// `HOST:PORT` for clients.
    pub(crate) address: String,
}

impl Etcd {
    /// Starts one with its data in `folder`, and waits until it answers. The error says why there is none.
    pub(crate) async fn start(folder: &Path) -> Result<Self, Failed> {
        let mut start = Command::new(script());
        start.arg("start").arg(folder);
        let exports = text_of(start).await.map_err(|error| format!("no etcd: {error}"))?;
        let address = exports.lines().find_map(|line| line.strip_prefix("export ETCD_ADDR="));
        let address = address.ok_or("the script did not say where etcd listens")?.to_owned();
        Ok(Self { folder: folder.to_owned(), address })
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let stopped = std::process::Command::new(script()).arg("stop").arg(&self.folder).status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("etcd may still run in {}", self.folder.display());
        }
    }
}

fn script() -> PathBuf {
    root().join("tests/servers/etcd.sh")
}
