//! The tools with which plugins in other languages are built, as the scaffolds pin them.

use crate::command;
use crate::repo;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder whose `bin` has all of them, but for those that are the system's.
#[derive(Debug)]
pub(super) struct Toolchains {
    folder: PathBuf,
}

impl Toolchains {
    /// Looks for all of them in `folder`; with `install` gets what is missing.
    ///
    /// # Errors
    /// Something is missing; with `install`, it cannot be had.
    pub(super) fn find(folder: &Path, install: bool) -> Result<Self> {
        let toolchains = Self { folder: folder.to_owned() };
        if install {
            toolchains.install()?;
        }
        for tool in ["componentize-py", "pytest", "componentize-qjs"] {
            if !folder.join("bin").join(tool).exists() {
                bail!("no {tool} in {}; cargo xtask test --all installs it", folder.display());
            }
        }
        if !can_build_c() {
            bail!("no clang that links for wasm32-wasi: apt-get install {}", C.join(" "));
        }
        Ok(toolchains)
    }

    /// `PATH` with the tools before everything else; None if a folder's name cannot stand in it.
    pub(super) fn path(&self) -> Option<OsString> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::join_paths(std::iter::once(self.folder.join("bin")).chain(std::env::split_paths(&path)))
            .ok()
    }

    fn install(&self) -> Result<()> {
        fs::create_dir_all(self.folder.join("bin"))
            .with_context(|| format!("cannot make {}", self.folder.display()))?;
        self.python()?;
        self.javascript()?;
        if !can_build_c() {
            let apt = || {
                let mut apt = Command::new("apt-get");
                apt.env("DEBIAN_FRONTEND", "noninteractive").args(["-y", "-q"]);
                apt
            };
            let why = "as root: the tools for C come from the system's packages";
            command::run(apt().arg("update")).context(why)?;
            command::run(apt().args(["install", "--no-install-recommends"]).args(C)).context(why)?;
        }
        Ok(())
    }

    /// An environment of its own, with what the scaffold's requirements name.
    fn python(&self) -> Result<()> {
        let environment = self.folder.join("python");
        if !environment.join("bin/componentize-py").exists() {
            let requirements = templates().join("python/common/requirements.txt");
            command::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
            let mut pip = Command::new(environment.join("bin/python"));
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--require-hashes",
                "-r",
            ]);
            command::run(pip.arg(requirements))?;
        }
        self.link("componentize-py", &environment.join("bin/componentize-py"))?;
        self.link("pytest", &environment.join("bin/pytest"))
    }

    /// A package with the scaffold's lock file.
    fn javascript(&self) -> Result<()> {
        let package = self.folder.join("js");
        let tool = package.join("node_modules/.bin/componentize-qjs");
        if !tool.exists() {
            fs::create_dir_all(&package).with_context(|| format!("cannot make {}", package.display()))?;
            for file in ["package.json", "package-lock.json"] {
                let template = templates().join("js/common").join(file).with_extension("json.in");
                let text = fs::read_to_string(&template)
                    .with_context(|| format!("cannot read {}", template.display()))?;
                fs::write(package.join(file), text.replace("@name@", "tools"))
                    .with_context(|| format!("cannot write {file}"))?;
            }
            command::run(
                Command::new("npm").args(["install", "--no-audit", "--no-fund"]).current_dir(&package),
            )?;
        }
        self.link("componentize-qjs", &tool)
    }

    fn link(&self, name: &str, target: &Path) -> Result<()> {
        let link = self.folder.join("bin").join(name);
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
        }
        std::os::unix::fs::symlink(target, &link).with_context(|| format!("cannot make {}", link.display()))
    }
}

/// Debian's packages for C.
const C: [&str; 4] = ["clang", "lld", "wasi-libc", "libclang-rt-dev-wasm32"];

/// Whether there is a compiler and something to link with: the runtime of the target is the part that is missed last.
fn can_build_c() -> bool {
    let mut clang = Command::new("clang");
    clang.args(["--target=wasm32-wasi", "-mexec-model=reactor", "-x", "c", "/dev/null", "-o", "/dev/null"]);
    command::succeeds(&mut clang)
}

fn templates() -> PathBuf {
    repo::root().join("host/micro-scaffold/templates")
}
