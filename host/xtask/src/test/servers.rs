//! The real servers and peers that tests need. The scripts in `tests/` know how to get and run them.

use super::toolchains::Toolchains;
use crate::command;
use crate::repo::{self, Metadata};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Programs of others: what builds them and prints their folder, how tests are told, and which tests those are.
struct Peers {
    script: &'static str,
    variable: &'static str,
    tests: &'static str,
}

const PEERS: [Peers; 4] = [
    Peers { script: "tests/peers/build.sh", variable: "MICRO_TEST_PEERS", tests: "tests with Go Micro" },
    Peers {
        script: "tests/peers/broker/build.sh",
        variable: "MICRO_TEST_BROKER_PEERS",
        tests: "tests of events with Go Micro",
    },
    Peers {
        script: "tests/peers/grpc/build.sh",
        variable: "MICRO_TEST_GRPC_PEERS",
        tests: "tests with gRPC",
    },
    Peers {
        script: "tests/peers/toolkits/build.sh",
        variable: "MICRO_TEST_TOOLKITS",
        tests: "tests with Go's toolkits",
    },
];

/// What tests can use on this machine.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Shared by all tests.
    etcd: Option<Etcd>,
    /// Whether tests can start a consul.
    consul: bool,
    /// Whether tests can have a network of their own.
    network: bool,
    /// Where the programs of others are, by the variable that tells tests.
    peers: Vec<(&'static str, PathBuf)>,
    /// With which plugins in other languages are built.
    toolchains: Option<Toolchains>,
    /// What tests cannot use, each with how to get it.
    pub(super) missing: Vec<String>,
    /// Where the servers keep their data. Last, so that it outlives them.
    scratch: Option<TempDir>,
}

impl Found {
    /// Looks for everything and starts the servers; with `install` gets what is missing.
    ///
    /// # Errors
    /// A server does not start, or, with `install`, something cannot be had.
    pub(super) fn find(install: bool) -> Result<Self> {
        let mut found = Self::default();
        if install {
            command::run(Command::new(Etcd::script()).arg("install"))?;
            command::run(Command::new(consul_script()).arg("install"))?;
            command::run(Command::new(network_script()).arg("install"))?;
        }
        if Etcd::available() {
            let scratch =
                tempfile::Builder::new().prefix("micro-test-").tempdir().context("no temporary folder")?;
            found.etcd = Some(Etcd::start(&scratch.path().join("etcd"))?);
            found.scratch = Some(scratch);
        } else {
            found.miss("tests with etcd", "get it with tests/servers/etcd.sh install, or use --all");
        }
        found.consul = command::succeeds(Command::new(consul_script()).arg("available"));
        if !found.consul {
            found.miss("tests with consul", "get it with tests/servers/consul.sh install, or use --all");
        }
        found.network = command::succeeds(Command::new(network_script()).arg("available"));
        if !found.network {
            found.miss("tests in a network of their own", "see tests/servers/network.sh, or use --all");
        }

        if install || command::succeeds(Command::new("go").arg("version")) {
            for Peers { script, variable, tests } in &PEERS {
                match command::output(&mut Command::new(repo::root().join(script))) {
                    Ok(folder) => found.peers.push((variable, PathBuf::from(folder.trim()))),
                    Err(error) if install => {
                        return Err(error.context(format!("{tests} need programs that could not be built")));
                    }
                    Err(error) => found.miss(tests, &format!("{error:#}")),
                }
            }
        } else {
            found.miss("tests with Go Micro", "its programs are built with Go, see https://go.dev/dl");
        }
        let tools = Metadata::of(&repo::native_manifest())?.target_directory.join("xtask/toolchains");
        match Toolchains::find(&tools, install) {
            Ok(toolchains) => found.toolchains = Some(toolchains),
            Err(error) if install => return Err(error.context("tests with other languages need their tools")),
            Err(error) => found.miss("tests with plugins in other languages", &format!("{error:#}")),
        }
        if !command::succeeds(Command::new("python3").arg("--version")) {
            found.miss(
                "tests with a service in Python",
                "they run python3, see https://www.python.org/downloads",
            );
        }
        Ok(found)
    }

    /// How tests are told.
    pub(super) fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = Vec::new();
        if let Some(etcd) = &self.etcd {
            variables.push(("ETCD_ADDR", OsString::from(&etcd.address)));
            variables.push(("MICRO_TEST_ETCD_SCRIPT", Etcd::script().into_os_string()));
        }
        variables.extend(self.toolchains.iter().filter_map(Toolchains::path).map(|path| ("PATH", path)));
        if self.consul {
            variables.push(("MICRO_TEST_CONSUL_SCRIPT", consul_script().into_os_string()));
        }
        if self.network {
            variables.push(("MICRO_TEST_NETWORK_SCRIPT", network_script().into_os_string()));
        }
        variables.extend(self.peers.iter().map(|(name, folder)| (*name, folder.clone().into_os_string())));
        variables
    }

    fn miss(&mut self, what: &str, why: &str) {
        let text = format!("{what}: {why}");
        eprintln!("SKIPPED: {text}");
        self.missing.push(text);
    }
}

/// Runs a test where it has a private address.
fn network_script() -> PathBuf {
    repo::root().join("tests/servers/network.sh")
}

/// Each test starts one of its own: it forgets everything when it ends.
fn consul_script() -> PathBuf {
    repo::root().join("tests/servers/consul.sh")
}

/// An etcd that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Etcd {
    folder: PathBuf,
    /// `HOST:PORT` for clients.
    pub(crate) address: String,
}

impl Etcd {
    fn script() -> PathBuf {
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
        found.peers = vec![("MICRO_TEST_PEERS", "/p".into())];
        assert_eq!(found.variables(), [("MICRO_TEST_PEERS", "/p".into())]);
    }

    #[test]
    fn the_scripts_are_there_and_say_how_they_are_used() {
        for (script, says) in [
            (Etcd::script(), "available | install | start"),
            (consul_script(), "available | install | start"),
            (network_script(), "available | install | run"),
        ] {
            let usage = Command::new(script).output().expect("the script runs");
            assert_eq!(usage.status.code(), Some(2));
            assert!(String::from_utf8_lossy(&usage.stderr).contains(says));
        }
    }
}
