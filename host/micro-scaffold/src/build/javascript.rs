//! JavaScript: componentize-qjs puts QuickJS and the plugin into a component.

use super::Project;
use crate::error::Error;
use crate::{tool, wit};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of componentize-qjs that scaffolds pin. Others of the same line are taken as well.
pub(crate) const VERSION: &str = "0.4.5";
/// What scaffolds call their file.
const ENTRY: &str = "plugin.js";

fn own(folder: &Path) -> PathBuf {
    folder.join("node_modules/.bin")
}

pub(crate) fn find(folder: Option<&Path>) -> Option<PathBuf> {
    tool::find("componentize-qjs", &folder.map(own).into_iter().collect::<Vec<_>>())
}

/// The version of an installed one, which does not say it itself.
pub(crate) fn version(program: &Path) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Package {
        version: String,
    }
    // `bin/componentize-qjs` of the package, behind the link that npm makes.
    let package = program.canonicalize().ok()?.parent()?.parent()?.join("package.json");
    let package: Package = serde_json::from_slice(&std::fs::read(package).ok()?).ok()?;
    Some(package.version)
}

/// What a person would type to install it.
pub(crate) const INSTALL: &str = "npm install";

/// Installs it into the folder.
pub(crate) fn install(folder: &Path) -> Result<(), Error> {
    let remedy = "install Node.js 20 or newer with npm (Debian: apt-get install nodejs npm)";
    tool::run(Command::new("npm").args(["install", "--no-audit", "--no-fund"]).current_dir(folder), remedy)
}

pub(super) fn build(project: &Project<'_>) -> Result<(Vec<u8>, String), Error> {
    let entry = project.entry(ENTRY)?;
    let wit =
        std::path::absolute(project.wit()?).map_err(|error| Error::io("find", project.folder, error))?;
    if project.options.install && !own(project.folder).join("componentize-qjs").exists() {
        install(project.folder)?;
    }
    let missing = || {
        let next = format!("cd {} && {INSTALL}, or micro plugin build --install", project.folder.display());
        Error::new("componentize-qjs is not installed", next)
    };
    let program = find(Some(project.folder)).ok_or_else(missing)?;
    let version = version(&program).unwrap_or_default();
    if !crate::doctor::same_line(&version, VERSION) {
        let what = format!("{} is version {version:?}, and plugins need {VERSION}", program.display());
        return Err(Error::new(what, format!("cd {} && {INSTALL}", project.folder.display())));
    }

    let scratch = project.scratch()?;
    let out = scratch.path().join("component.wasm");
    let mut command = Command::new(program);
    command.arg("--wit").arg(wit).args(["--world", wit::WORLD, "--js", &entry, "--module-root", "."]);
    if wit::is_hot(project.options.kind) {
        // The other runtime imports the machinery of async calls, which nothing that runs per request may have.
        command.arg("--sync");
    }
    command.arg("--output").arg(&out).current_dir(project.folder);
    tool::run(&mut command, "correct what it says above")?;
    Ok((super::read(&out)?, format!("componentize-qjs {version}")))
}
