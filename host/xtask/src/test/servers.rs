//! The real servers and peers that tests need. The scripts in `tests/` know how to get and run them.

use crate::command;
use crate::repo;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What tests can use on this machine.
#[derive(Debug, Default)]
pub(super) struct Found {
    etcd: bool,
    peers: Option<PathBuf>,
    /// What they cannot, each with how to get it.
    pub(super) missing: Vec<String>,
}

impl Found {
    /// How tests are told.
    pub(super) fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        let etcd = self.etcd.then(|| ("MICRO_TEST_ETCD_SCRIPT", Etcd::script()));
        etcd.into_iter().chain(self.peers.clone().map(|folder| ("MICRO_TEST_PEERS", folder))).collect()
    }

    fn miss(&mut self, what: &str, why: &str) {
        eprintln!("SKIPPED: {what}: {why}");
        self.missing.push(format!("{what}: {why}"));
    }
}

/// Looks for everything; with `install` gets what is missing.
///
/// # Errors
/// With `install`, something cannot be had.
pub(super) fn find(install: bool) -> Result<Found> {
    let mut found = Found::default();
    if install {
        command::run(Command::new(Etcd::script()).arg("install"))?;
    }
    found.etcd = Etcd::available();
    if !found.etcd {
        found.miss("tests with etcd", "get it with tests/servers/etcd.sh install, or run with --all");
    }

    let go = command::succeeds(Command::new("go").arg("version"));
    let built = match go || install {
        true => Some(command::output(&mut Command::new(repo::root().join("tests/peers/build.sh")))),
        false => None,
    };
    match built {
        Some(Ok(folder)) => found.peers = Some(PathBuf::from(folder.trim())),
        Some(Err(error)) if install => return Err(error.context("tests with Go Micro need its programs")),
        Some(Err(error)) => found.miss("tests with Go Micro programs", &format!("{error:#}")),
        None => found.miss("tests with Go Micro programs", "they are built with Go, see https://go.dev/dl"),
    }
    Ok(found)
}

/// An etcd that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Etcd {
    folder: PathBuf,
    /// `HOST:PORT` for clients.
    pub(crate) address: String,
}

impl Etcd {
    pub(super) fn script() -> PathBuf {
        repo::root().join("tests/servers/etcd.sh")
    }

    /// Whether one can be started here.
    pub(crate) fn available() -> bool {
        command::succeeds(Command::new(Self::script()).arg("available"))
    }

    /// Starts one with its data in `folder`, and waits until it answers.
    ///
    /// # Errors
    /// It is not installed or does not start; its script has said why.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let exports = command::output(Command::new(Self::script()).arg("start").arg(folder))?;
        let address = exports.lines().find_map(|line| line.strip_prefix("export ETCD_ADDR="));
        let address = address.context("the script did not say where etcd listens")?.to_owned();
        Ok(Self { folder: folder.to_owned(), address })
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        if let Err(error) = command::run(Command::new(Self::script()).arg("stop").arg(&self.folder)) {
            eprintln!("etcd may still run in {}: {error:#}", self.folder.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_only_what_there_is() {
        let mut found = Found::default();
        assert_eq!(found.variables(), []);
        found.peers = Some("/p".into());
        assert_eq!(found.variables(), [("MICRO_TEST_PEERS", PathBuf::from("/p"))]);
        found.etcd = true;
        assert_eq!(found.variables()[0].0, "MICRO_TEST_ETCD_SCRIPT");
        assert!(found.variables()[0].1.is_file());
    }
}
