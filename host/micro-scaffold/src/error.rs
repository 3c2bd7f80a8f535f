use std::error::Error as StdError;
use std::path::Path;

/// What stopped a scaffold or a build, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    what: String,
    remedy: String,
    output: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into(), output: String::new(), source: None }
    }

    pub(crate) fn caused(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// With everything that a tool said.
    pub(crate) fn with_output(mut self, output: String) -> Self {
        self.output = output;
        self
    }

    /// A file or folder that cannot be read or written.
    pub(crate) fn io(verb: &str, path: &Path, source: std::io::Error) -> Self {
        let remedy = format!("see to it that {} can be used", path.display());
        Self::new(format!("cannot {verb} {}", path.display()), remedy).caused(source)
    }

    /// What to do next: one line.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// What a tool said before it failed, whole; empty where none ran.
    pub fn output(&self) -> &str {
        &self.output
    }
}
