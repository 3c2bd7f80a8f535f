//! Running other programs.

use crate::repo;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// A cargo command in the repository: the cargo that runs this program.
pub(crate) fn cargo<I: IntoIterator<Item: AsRef<OsStr>>>(args: I) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repo::root()).args(args);
    // Cargo tells this program about its own package. Build scripts that look at these variables (ring's does) would
    // run again, and everything above them, whenever cargo is called the other way.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs it with our own output.
///
/// # Errors
/// It did not start or did not succeed; the error has the whole command line.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", line(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", line(command));
    }
    Ok(())
}

/// Runs it and gives its standard output; standard error is ours.
///
/// # Errors
/// As [`run`], and output that is not UTF-8.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {}", line(command)))?;
    if !output.status.success() {
        bail!("{} failed ({})", line(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} did not print text", line(command)))
}

/// Whether it runs and succeeds, with no output either way.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// The command line as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// One word for a shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Removes the settings of `micro` that the caller has in the environment: what is started must not depend on them.
/// Those of the tests stay.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("MICRO_") && !text.starts_with("MICRO_TEST_") {
            command.env_remove(&name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("--api_address=127.0.0.1:80"), "--api_address=127.0.0.1:80");
        assert_eq!(quoted(r#"{"name":"O'Hara"}"#), r#"'{"name":"O'\''Hara"}'"#);
        assert_eq!(quoted(""), "''");
        for word in ["a b", "$x", "it's", "\"", "a\nb", ""] {
            let echoed = output(Command::new("sh").args(["-c", &format!("printf %s {}", quoted(word))]));
            assert_eq!(echoed.expect("sh runs"), word);
        }
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).expect_err("exit code 3").to_string();
        assert_eq!(error, "sh -c 'exit 3' failed (exit status: 3)");
        assert!(run(&mut Command::new("/none")).expect_err("no such program").to_string().contains("/none"));
    }
}
