//! Running the tools of other languages.

use crate::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The longest answer to `--version` that is looked at.
const VERSION_BYTES: usize = 4096;

/// Runs a tool to its end. What it says is shown only if it fails, and then whole.
///
/// # Errors
/// It cannot be started, or it fails: then the error has its output, and `remedy` is what to do.
pub(crate) fn run(command: &mut Command, remedy: &str) -> Result<(), Error> {
    let line = line(command);
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        Error::new(format!("cannot run {line}"), "micro plugin doctor says what is missing").caused(error)
    })?;
    if output.status.success() {
        return Ok(());
    }
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(Error::new(format!("{line} ended with {}", output.status), remedy).with_output(said))
}

/// The first word of a tool's answer to `--version` that looks like a version; None where it cannot be run.
pub(crate) fn version(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout[..output.stdout.len().min(VERSION_BYTES)]).into_owned();
    let word = |word: &&str| word.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit());
    text.split_whitespace().find(word).map(|word| word.trim_start_matches('v').to_owned())
}

/// A program in one of `places` or else on `PATH`. The path is absolute, as tools run in the folder of the plugin.
pub(crate) fn find(name: &str, places: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = places.iter().cloned().chain(std::env::split_paths(&path));
    let file = folders.map(|folder| folder.join(name)).find(|file| is_program(file))?;
    std::path::absolute(file).ok()
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// As it would be typed, without quoting: for people.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tool_says_is_kept_when_it_fails() {
        let mut shell = Command::new("sh");
        let error = run(shell.args(["-c", "echo out; echo err >&2; exit 3"]), "do this").expect_err("fails");
        assert_eq!((error.output(), error.remedy()), ("out\nerr\n", "do this"));
        assert!(error.to_string().contains("exit status: 3"), "{error}");
        run(Command::new("sh").args(["-c", "exit 0"]), "").expect("it succeeds");
        assert!(run(&mut Command::new("/no/such/tool"), "").is_err());
    }

    #[test]
    fn versions_are_found_in_what_tools_say() {
        let folder = tempfile::tempdir().expect("writable");
        let file = folder.path().join("tool");
        let says = |text: &str| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(&file, format!("#!/bin/sh\necho '{text}'\n")).expect("writable");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("ours");
            version(&file, "--version")
        };
        assert_eq!(says("componentize-py 0.25.1").as_deref(), Some("0.25.1"));
        assert_eq!(says("v20.20.2").as_deref(), Some("20.20.2"));
        assert_eq!(says("Debian clang version 14.0.6").as_deref(), Some("14.0.6"));
        assert_eq!(says("hello"), None);
        assert_eq!(find("tool", &[folder.path().to_owned()]), Some(file));
    }

    #[test]
    fn what_is_found_in_a_relative_place_can_be_run_from_elsewhere() {
        let folder = tempfile::tempdir_in(".").expect("writable");
        let place = PathBuf::from(folder.path().file_name().expect("a name"));
        let file = place.join("tool");
        std::fs::copy("/bin/true", &file).expect("a program");
        let found = find("tool", &[place]).expect("it is there");
        assert_eq!(found, std::path::absolute(file).expect("a working directory"));
        run(Command::new(found).current_dir("/"), "").expect("it runs");
    }
}
