//! A program that runs in the background until it is stopped, or dropped.

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(15);
/// How much of a log is worth printing.
const LOG_LINES: usize = 40;

#[derive(Debug)]
pub(super) struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it with standard output and standard error going to `log`.
    pub(super) fn start(name: &str, command: &mut Command, log: PathBuf) -> Result<Self> {
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = file.try_clone().context("no second handle of a log")?;
        let command = command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// # Errors
    /// It has ended, which it should not before it is stopped.
    pub(super) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait().with_context(|| format!("lost {}", self.name))? {
            bail!("{} ended by itself ({status})", self.name);
        }
        Ok(())
    }

    /// Asks it to end, and waits.
    ///
    /// # Errors
    /// It had ended already, does not end in time, or ends with an error. Its log is printed.
    pub(super) fn stop(mut self) -> Result<()> {
        let stopped = self.check().and_then(|()| self.end());
        let failed = match stopped {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => anyhow::anyhow!("{} ended with an error ({status})", self.name),
            Err(error) => error,
        };
        self.print_log();
        Err(failed)
    }

    fn end(&mut self) -> Result<ExitStatus> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .with_context(|| format!("cannot signal {}", self.name))?;
        let deadline = Instant::now() + GRACE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(
                Instant::now() < deadline,
                "{} did not end in {} s after SIGTERM",
                self.name,
                GRACE.as_secs()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The end of its log, to standard error.
    pub(super) fn print_log(&self) {
        eprintln!("--- log of {}", self.name);
        let text = match fs::read(&self.log) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => format!("(cannot be read: {error})"),
        };
        let lines: Vec<_> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
            eprintln!("{line}");
        }
        eprintln!("---");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) && self.end().is_err() {
            // It was asked first. Nothing may be left behind, and a failure here leaves nothing else to try.
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(folder: &tempfile::TempDir, script: &str) -> Program {
        let log = folder.path().join("log");
        Program::start("sh", Command::new("sh").args(["-c", script]), log).expect("sh starts")
    }

    fn wait_for_log(program: &Program, text: &str) {
        let end = Instant::now() + GRACE;
        while !fs::read_to_string(&program.log).is_ok_and(|log| log.contains(text)) {
            assert!(Instant::now() < end, "no {text:?} in the log");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn stopping_is_polite_and_reports_how_it_ended() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let polite = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done";
        let mut program = shell(&folder, polite);
        wait_for_log(&program, "up");
        program.check().expect("alive");
        let log = program.log.clone();
        program.stop().expect("exit code 0");
        assert!(fs::read_to_string(log).expect("a log").contains("bye"));

        let rude = shell(&folder, "trap 'exit 3' TERM; echo up; while :; do sleep 0.01; done");
        wait_for_log(&rude, "up");
        assert!(rude.stop().expect_err("exit code 3").to_string().contains("exit status: 3"));
    }

    #[test]
    fn an_early_end_is_noticed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut program = shell(&folder, "exit 0");
        program.child.wait().expect("ends");
        assert!(program.check().expect_err("gone").to_string().contains("ended by itself"));
        assert!(program.stop().is_err());
    }
}
