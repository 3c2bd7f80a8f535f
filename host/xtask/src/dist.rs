//! `cargo xtask dist`: what a user gets.
//!
//! ```text
//! bin/      micro and the greeter example
//! plugins/  the plugins that ship; the programs look for them beside their own folder
//! LICENSE
//! ```

use crate::command;
use crate::plugins::{self, Plugin};
use crate::repo::{self, Metadata};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Package and binary of every program that ships.
pub(crate) const PROGRAMS: [(&str, &str); 6] = [
    ("micro-cli", "micro"),
    ("greeter", "greeter-srv"),
    ("greeter", "greeter-cli"),
    ("greeter", "greeter-api"),
    ("greeter", "greeter-sub"),
    ("streamer", "streamer-srv"),
];

/// Builds everything into `out`, in place of an older distribution there.
///
/// # Errors
/// A build fails, `out` cannot be written, or it holds something that is no distribution.
pub(crate) fn build(out: &Path) -> Result<()> {
    let plugins = plugins::build()?;
    compile()?;
    lay_out(out, &plugins)
}

/// Builds the programs.
pub(crate) fn compile() -> Result<()> {
    let mut cargo = command::cargo(["build", "--release"]);
    for (package, program) in PROGRAMS {
        cargo.args(["-p", package, "--bin", program]);
    }
    command::run(&mut cargo)
}

/// Puts the programs as they were built last, and the plugins that ship, into `out`.
pub(crate) fn lay_out(out: &Path, plugins: &[Plugin]) -> Result<()> {
    let built = Metadata::of(&repo::native_manifest())?.target_directory.join("release");
    make_room(out)?;
    for (_, program) in PROGRAMS {
        program_without_debug_info(&built.join(program), &out.join("bin").join(program))?;
    }
    for plugin in plugins.iter().filter(|plugin| plugin.ships) {
        let name = plugin.file.file_name().context("a plugin has a name")?;
        copy(&plugin.file, &out.join("plugins").join(name))?;
    }
    copy(&repo::root().join("LICENSE"), &out.join("LICENSE"))
}

/// Removes an older distribution. Anything else in the folder is not ours to remove.
fn make_room(out: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(out) else { return Ok(()) };
    let foreign = |name: &std::ffi::OsStr| name != "bin" && name != "plugins" && name != "LICENSE";
    for entry in entries {
        let name = entry?.file_name();
        if foreign(&name) {
            bail!(
                "{} holds {name:?}, which is no part of a distribution: name another folder",
                out.display()
            );
        }
    }
    fs::remove_dir_all(out).with_context(|| format!("cannot empty {}", out.display()))
}

/// Four fifths of a program are line tables. Function names stay, so a backtrace still says where.
fn program_without_debug_info(from: &Path, to: &Path) -> Result<()> {
    copy(from, to)?;
    // It comes with the linker that cargo needs. Where it does not, the program is large and works.
    if !command::succeeds(Command::new("strip").arg("-S").arg(to)) {
        eprintln!("{} keeps its debug information: no program strip", to.display());
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_distribution_is_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("dist");
        make_room(&out).expect("nothing is there");
        fs::create_dir_all(out.join("bin")).expect("writable");
        make_room(&out).expect("a distribution");
        assert!(!out.exists());

        fs::create_dir_all(out.join("bin")).expect("writable");
        fs::write(out.join("thesis.tex"), "").expect("writable");
        assert!(make_room(&out).expect_err("not ours").to_string().contains("thesis.tex"));
        assert!(out.join("thesis.tex").exists() && out.join("bin").exists());
    }
}
