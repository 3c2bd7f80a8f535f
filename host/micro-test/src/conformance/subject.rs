//! The file under test, and what its user says about it.

use micro_plugin::manifest::OptionKind;
use micro_plugin::{Grant, Kind, Manifest};
use std::io;
use std::path::{Path, PathBuf};

/// No plugin is larger; hosts refuse those that are.
const MAX_FILE: u64 = 256 << 20;

/// A plugin file that is to be tested.
#[derive(Debug)]
pub struct Subject {
    /// Where it is.
    pub file: PathBuf,
    /// What can be said about it without running it.
    pub report: micro_plugin::Report,
    /// Options as behind `--registry_opt`.
    pub options: Vec<(String, String)>,
    /// Permissions as behind `--registry_allow`.
    pub allow: Vec<Grant>,
    /// A backend that works, as behind `--registry_address`.
    pub address: Option<String>,
    /// Where compiled code is kept; none compiles for each case.
    pub cache_dir: Option<PathBuf>,
}

impl Subject {
    /// Reads a file. What is wrong with its content is for the test to find.
    ///
    /// # Errors
    /// It cannot be read, or has more than 256 MiB.
    pub fn read(file: &Path) -> io::Result<Self> {
        if std::fs::metadata(file)?.len() > MAX_FILE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let report = micro_plugin::inspect(&std::fs::read(file)?);
        let file = std::path::absolute(file)?;
        Ok(Self { file, report, options: Vec::new(), allow: Vec::new(), address: None, cache_dir: None })
    }

    /// Its manifest, if it has a good one.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.report.manifest.as_ref().ok()
    }

    /// Its kind, if it has a manifest.
    pub fn kind(&self) -> Option<Kind> {
        self.manifest().map(|manifest| manifest.kind)
    }

    /// With an option. One that is a list of addresses is the backend.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        let is_address = self
            .manifest()
            .and_then(|manifest| manifest.option(name))
            .is_some_and(|option| option.kind == OptionKind::AddressList);
        match is_address {
            true => self.address = Some(value.to_owned()),
            false => self.options.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Its backend and options as they are typed, without secrets.
    pub(crate) fn as_flags(&self) -> String {
        let is_secret = |name: &str| {
            let option = self.manifest().and_then(|manifest| manifest.option(name));
            option.is_none_or(|option| option.kind == OptionKind::Secret)
        };
        let address = self.address.iter().map(|address| format!(" --address {address}"));
        let option = |(name, value): &(String, String)| match is_secret(name) {
            true => format!(" --opt {name}=…"),
            false => format!(" --opt '{name}={value}'"),
        };
        address.chain(self.options.iter().map(option)).collect()
    }

    /// Whether addresses can be given to it.
    pub(crate) fn takes_address(&self) -> bool {
        let is_address = |kind| kind == OptionKind::AddressList;
        self.manifest().is_some_and(|it| it.options.iter().any(|option| is_address(option.kind)))
    }

    /// Whether it does its work with something outside of it.
    pub(crate) fn has_backend(&self) -> bool {
        let is_net = |grant: &Grant| !matches!(grant, Grant::Fs { .. } | Grant::Env(_));
        self.takes_address()
            || self.manifest().is_some_and(|it| it.grants.iter().any(|request| is_net(&request.grant)))
    }

    /// Whether the cases that need its backend cannot be run.
    pub(crate) fn lacks_backend(&self) -> bool {
        self.takes_address() && self.address.is_none()
    }
}
