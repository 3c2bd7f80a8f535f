//! From a plugin's folder to a component, with the tools of its language.

pub(crate) mod c;
pub(crate) mod javascript;
pub(crate) mod python;
pub(crate) mod rust;

use crate::error::Error;
use crate::language::{self, Language};
use micro_plugin::Kind;
use std::path::{Path, PathBuf};

pub(crate) use c::bindings as c_bindings;
pub use rust::cargo;

/// A component that a language's tool made. Nobody has finished it yet.
#[derive(Debug)]
pub struct Built {
    /// Its bytes.
    pub component: Vec<u8>,
    /// What it is written in.
    pub language: Language,
    /// The tool and its version: `componentize-py 0.25.1`.
    pub tool: String,
}

/// What is built.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The plugin's kind, which decides how it is built: those that run per request have nothing async in them.
    pub kind: Kind,
    /// Whether tools may be installed into the plugin's own folder (`.venv`, `node_modules`).
    pub install: bool,
}

/// Builds the plugin in `folder`. Waits for the tools; nothing outside of the folder is changed, but for the caches that
/// the tools keep.
///
/// # Errors
/// The language is unknown or cannot be built here, a tool is missing, or it failed: then [`Error::output`] is what it said.
pub fn build(folder: &Path, options: Options) -> Result<Built, Error> {
    let language = Language::of(folder)?;
    if let Some(obstacle) = language.obstacle(options.kind) {
        let what = format!("{} plugins cannot be built from {language}: {obstacle}", options.kind);
        return Err(Error::new(what, "micro plugin new --help lists what works"));
    }
    let project = Project { folder, options, entry: language::build_table(folder)?.entry };
    let (component, tool) = match language {
        Language::Rust => rust::build(&project)?,
        Language::Python => python::build(&project)?,
        Language::JavaScript => javascript::build(&project)?,
        Language::C => c::build(&project)?,
        Language::Go => return Err(Error::new("Go plugins cannot be built", "use another language")),
    };
    Ok(Built { component, language, tool })
}

/// What all languages need to know.
struct Project<'a> {
    folder: &'a Path,
    options: Options,
    entry: Option<String>,
}

impl Project<'_> {
    /// The file that is built, which must be there and in the folder.
    fn entry(&self, default: &str) -> Result<String, Error> {
        let entry = self.entry.as_deref().unwrap_or(default);
        let inside =
            Path::new(entry).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !inside || !self.folder.join(entry).is_file() {
            return Err(Error::new(
                format!("no {entry} in {}", self.folder.display()),
                "name the plugin's folder, or say in plugin.toml what is built: [build] entry = \"…\"",
            ));
        }
        Ok(entry.to_owned())
    }

    /// The folder of the contracts.
    fn wit(&self) -> Result<PathBuf, Error> {
        let wit = self.folder.join("wit");
        if !wit.join("world.wit").is_file() {
            return Err(Error::new(
                format!("no wit/world.wit in {}", self.folder.display()),
                "copy the folder wit of what micro plugin new makes for this kind and language",
            ));
        }
        Ok(wit)
    }

    /// Where a tool writes: gone when it is dropped.
    fn scratch(&self) -> Result<tempfile::TempDir, Error> {
        tempfile::Builder::new().prefix("micro-build-").tempdir().map_err(|error| {
            Error::new("cannot make a temporary folder", "see to it that TMPDIR can be used").caused(error)
        })
    }
}

/// What a tool has written.
fn read(file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file).map_err(|error| Error::io("read", file, error))
}
