//! What a machine has of the tools of each language: `micro plugin doctor`.

use crate::build::{c, javascript, python, rust};
use crate::error::Error;
use crate::language::Language;
use crate::tool;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The state of one language's tools.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// As it is typed: `python`.
    pub language: &'static str,
    /// Whether plugins can be built here now.
    pub ready: bool,
    /// Each tool that is needed.
    pub tools: Vec<Finding>,
    /// What there is to say about the language as a whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// One tool.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// Its name.
    pub tool: &'static str,
    /// Whether what is there will do.
    pub ok: bool,
    /// The version that was found; empty where there is none.
    pub version: String,
    /// The version that is wanted: `0.25.1`, `>= 14`.
    pub wanted: String,
    /// Where it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The line that installs it; empty where nothing is missing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub install: String,
}

/// Looks at the tools of `language`, in `folder` first.
pub fn diagnose(language: Language, folder: &Path) -> Diagnosis {
    let (tools, note) = match language {
        Language::Rust => (rust_tools(folder), ""),
        Language::Python => {
            (python_tools(folder), "in a plugin's folder, micro plugin build --install gets componentize-py")
        }
        Language::JavaScript => (
            javascript_tools(folder),
            "in a plugin's folder, micro plugin build --install gets componentize-qjs",
        ),
        Language::C => (c_tools(), ""),
        Language::Go => (Vec::new(), language.obstacle(micro_plugin::Kind::Registry).unwrap_or_default()),
    };
    let ready = language != Language::Go && tools.iter().all(|it| it.ok);
    Diagnosis { language: language.as_str(), ready, tools, note: note.to_owned() }
}

/// Installs what needs no root: what the language keeps in the plugin's own folder, and Rust's target.
///
/// # Errors
/// A tool cannot be run or fails, or what is missing needs root: then the remedy is the line to type.
pub fn install(language: Language, folder: &Path) -> Result<(), Error> {
    match language {
        Language::Rust => {
            let mut rustup = std::process::Command::new("rustup");
            tool::run(rustup.args(["target", "add", rust::TARGET]), "install Rust from https://rustup.rs")
        }
        Language::Python => in_folder(folder, "requirements.txt", python::install),
        Language::JavaScript => in_folder(folder, "package-lock.json", javascript::install),
        Language::C => Err(Error::new(
            "the tools for C come from the system's packages",
            format!("as root: {}", c::INSTALL),
        )),
        Language::Go => {
            Err(Error::new("nothing that could be installed makes Go work", "use another language"))
        }
    }
}

fn in_folder(folder: &Path, file: &str, install: fn(&Path) -> Result<(), Error>) -> Result<(), Error> {
    if !folder.join(file).is_file() {
        let what = format!("no {file} in {}, so it is not known what to install", folder.display());
        return Err(Error::new(what, "run it in the folder of a plugin that micro plugin new made"));
    }
    install(folder)
}

fn rust_tools(folder: &Path) -> Vec<Finding> {
    let cargo = PathBuf::from(rust::cargo());
    let version = tool::version(&cargo, "--version");
    let target = rust::target_libraries(folder.is_dir().then_some(folder)).ok().flatten();
    vec![
        Finding::new(
            "cargo",
            version,
            tool::find("cargo", &[]),
            ">= 1.95",
            "install Rust from https://rustup.rs",
        )
        .at_least(1, 95),
        Finding::new(
            rust::TARGET,
            target.as_ref().map(|_| "installed".to_owned()),
            target,
            "any",
            rust::INSTALL,
        ),
    ]
}

fn python_tools(folder: &Path) -> Vec<Finding> {
    let python = tool::find("python3", &[]);
    let version = python.as_deref().and_then(|it| tool::version(it, "--version"));
    let tool = python::find(Some(folder));
    let tool_version = tool.as_deref().and_then(|it| tool::version(it, "--version"));
    vec![
        Finding::new("python3", version, python, ">= 3.11", "apt-get install python3 python3-venv")
            .at_least(3, 11),
        Finding::new("componentize-py", tool_version, tool, python::VERSION, python::INSTALL)
            .same_line(python::VERSION),
    ]
}

fn javascript_tools(folder: &Path) -> Vec<Finding> {
    let node = tool::find("node", &[]);
    let version = node.as_deref().and_then(|it| tool::version(it, "--version"));
    let npm = tool::find("npm", &[]);
    let npm_version = npm.as_deref().and_then(|it| tool::version(it, "--version"));
    let tool = javascript::find(Some(folder));
    let tool_version = tool.as_deref().and_then(javascript::version);
    vec![
        Finding::new("node", version, node, ">= 20", "apt-get install nodejs, or see https://nodejs.org")
            .at_least(20, 0),
        Finding::new("npm", npm_version, npm, "any", "apt-get install npm"),
        Finding::new("componentize-qjs", tool_version, tool, javascript::VERSION, javascript::INSTALL)
            .same_line(javascript::VERSION),
    ]
}

fn c_tools() -> Vec<Finding> {
    let clang = c::find();
    let version = clang.as_deref().and_then(|it| tool::version(it, "--version"));
    let complete = clang.as_deref().filter(|it| c::complete(it).is_ok());
    let oldest = format!(">= {}", c::OLDEST);
    vec![
        Finding::new("clang", version, clang.clone(), &oldest, c::INSTALL).at_least(c::OLDEST, 0),
        Finding::new(
            "lld, wasi-libc, libclang-rt for wasm32",
            complete.map(|_| "installed".to_owned()),
            None,
            "any",
            c::INSTALL,
        ),
    ]
}

impl Finding {
    fn new(
        tool: &'static str,
        version: Option<String>,
        path: Option<PathBuf>,
        wanted: &str,
        install: &str,
    ) -> Self {
        let ok = version.is_some();
        let install = if ok { String::new() } else { install.to_owned() };
        // Where it does not run, it does not matter where it is.
        let path = path.filter(|_| ok);
        Self { tool, ok, version: version.unwrap_or_default(), wanted: wanted.to_owned(), path, install }
    }

    fn at_least(self, major: u32, minor: u32) -> Self {
        let new_enough = numbers(&self.version).is_some_and(|it| it >= (major, minor));
        self.require(new_enough)
    }

    fn same_line(self, pinned: &str) -> Self {
        let fits = same_line(&self.version, pinned);
        self.require(fits)
    }

    fn require(mut self, fits: bool) -> Self {
        if self.ok && !fits {
            self.ok = false;
            self.install = format!("version {} is wanted", self.wanted);
        }
        self
    }
}

/// Whether `version` has the pinned major and minor number.
pub(crate) fn same_line(version: &str, pinned: &str) -> bool {
    numbers(version).is_some() && numbers(version) == numbers(pinned)
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-', '+']);
    let major = parts.next()?.parse().ok()?;
    Some((major, parts.next().and_then(|it| it.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(same_line("0.25.3", "0.25.1") && !same_line("0.26.0", "0.25.1") && !same_line("", "0.25.1"));
        let found = |version: &str| {
            Finding::new("x", Some(version.to_owned()), None, ">= 3.11", "get it").at_least(3, 11).ok
        };
        assert!(found("3.11.7") && found("4") && !found("3.9.2") && !found("unknown"));
        let missing = Finding::new("x", None, Some("/x".into()), "any", "get it");
        assert_eq!((missing.ok, missing.install.as_str(), missing.path), (false, "get it", None));
    }

    #[test]
    fn go_says_why_it_is_never_ready() {
        let diagnosis = diagnose(Language::Go, Path::new("."));
        assert!(
            !diagnosis.ready && diagnosis.note.contains("go.bytecodealliance.org/pkg"),
            "{}",
            diagnosis.note
        );
        assert!(install(Language::Go, Path::new(".")).is_err());
        let error = install(Language::C, Path::new(".")).expect_err("needs root");
        assert!(error.remedy().contains("apt-get install clang"), "{}", error.remedy());
    }
}
