//! Python: componentize-py puts CPython, the plugin and the modules that it imports into a component.

use super::Project;
use crate::error::Error;
use crate::{tool, wit};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of componentize-py that scaffolds pin. Others of the same line are taken as well.
pub(crate) const VERSION: &str = "0.25.1";
/// What scaffolds call their file.
const ENTRY: &str = "plugin.py";

/// Where a folder's own environment has its programs.
fn own(folder: &Path) -> PathBuf {
    folder.join(".venv/bin")
}

pub(crate) fn find(folder: Option<&Path>) -> Option<PathBuf> {
    tool::find("componentize-py", &folder.map(own).into_iter().collect::<Vec<_>>())
}

/// What a person would type to install it.
pub(crate) const INSTALL: &str =
    "python3 -m venv .venv && .venv/bin/pip install --require-hashes -r requirements.txt";

/// Installs it into the folder.
pub(crate) fn install(folder: &Path) -> Result<(), Error> {
    let remedy = "install Python 3.11 or newer with its venv module (Debian: apt-get install python3-venv)";
    tool::run(Command::new("python3").args(["-m", "venv", ".venv"]).current_dir(folder), remedy)?;
    let mut pip = Command::new(own(folder).join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]);
    tool::run(pip.args(["-r", "requirements.txt"]).current_dir(folder), "see what pip says above")
}

pub(super) fn build(project: &Project<'_>) -> Result<(Vec<u8>, String), Error> {
    let entry = project.entry(ENTRY)?;
    // The tool runs in the folder, so a relative path would be taken from there.
    let wit =
        std::path::absolute(project.wit()?).map_err(|error| Error::io("find", project.folder, error))?;
    if project.options.install && !own(project.folder).join("componentize-py").exists() {
        install(project.folder)?;
    }
    let missing = || {
        let next = format!("cd {} && {INSTALL}, or micro plugin build --install", project.folder.display());
        Error::new("componentize-py is not installed", next)
    };
    let program = find(Some(project.folder)).ok_or_else(missing)?;
    let version = tool::version(&program, "--version").unwrap_or_default();
    if !crate::doctor::same_line(&version, VERSION) {
        let what = format!("{} is version {version:?}, and plugins need {VERSION}", program.display());
        return Err(Error::new(what, format!("cd {} && {INSTALL}", project.folder.display())));
    }

    let module = entry.strip_suffix(".py").unwrap_or(&entry).replace('/', ".");
    let scratch = project.scratch()?;
    let out = scratch.path().join("component.wasm");
    let mut command = Command::new(program);
    command.arg("--quiet").arg("--wit-path").arg(&wit).args(["--world", wit::WORLD, "componentize"]);
    command
        .args(["--python-path", "."])
        .args(["--python-path", "vendor"])
        .arg("--output")
        .arg(&out)
        .arg(module);
    // The folder's own environment has the tools in it; what the plugin imports is in the folder or in `vendor`.
    command.env_remove("VIRTUAL_ENV").env_remove("PYTHONPATH").current_dir(project.folder);
    tool::run(&mut command, "correct what it says above; imports must work while the component is built")?;
    Ok((super::read(&out)?, format!("componentize-py {version}")))
}
