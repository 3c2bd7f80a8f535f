//! Everything that a run found, and the forms in which it is given: tables, Markdown, a line of history.

mod machine;
mod markdown;
mod tables;

pub(crate) use machine::{Machine, commit};
pub(crate) use markdown::write as write_markdown;
pub(crate) use tables::print;

use crate::Failed;
use crate::calls::CallFigures;
use crate::figures::Figures;
use crate::rows::{Effort, Measured, Missing};
use crate::start_up::StartUp;
use crate::targets::Target;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// A run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// When it began, RFC 3339.
    pub(crate) date: String,
    pub(crate) version: &'static str,
    /// Of the repository, with `-dirty` when something was not committed.
    pub(crate) commit: String,
    pub(crate) machine: Machine,
    pub(crate) effort: Effort,
    /// Worker threads of the runtime that the Rust rows share.
    pub(crate) workers: usize,
    pub(crate) rpc: Vec<Measured>,
    pub(crate) events: Vec<Measured>,
    pub(crate) gateway: Vec<Measured>,
    pub(crate) calls: Vec<CallFigures>,
    pub(crate) starts: Vec<StartUp>,
    pub(crate) targets: Vec<Target>,
    pub(crate) missing: Vec<Missing>,
}

impl Report {
    /// The figures of a row of the RPC, event or gateway tables.
    pub(crate) fn row(&self, id: &str, connections: usize) -> Option<&Figures> {
        let mut rows = self.rpc.iter().chain(&self.events).chain(&self.gateway);
        rows.find(|row| row.id == id && row.connections == connections).map(|row| &row.figures)
    }

    /// Appends it to `file` as one line of JSON.
    pub(crate) fn append_to(&self, file: &Path) -> Result<(), Failed> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let line = serde_json::to_string(self)?;
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
        let written = opened.and_then(|mut file| writeln!(file, "{line}"));
        written.map_err(|error| format!("cannot append to {}: {error}", file.display()).into())
    }
}
