//! Other programs: started with a log, ended when dropped, and what the system says about them.

use crate::Failed;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// Whatever a program does before it is ready is done within this time, on a busy machine too.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// How often a condition is looked at that nobody announces.
pub(crate) const LOOK: Duration = Duration::from_millis(1);
/// In `/proc`, times are counted in this many ticks a second on all architectures that Rust has standard libraries for
/// (proc(5), USER_HZ).
const TICKS: f64 = 100.0;
/// The most of a log that becomes part of an error, in bytes.
const LAST_WORDS: usize = 2000;

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it with both outputs going to the file `log`: what it prints for each request must cost it what it would
    /// cost in service, and must not cost this process anything.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self, Failed> {
        let name = name_of(&command);
        let file =
            std::fs::File::create(log).map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Result<u32, Failed> {
        self.child.id().ok_or_else(|| self.failed("has ended"))
    }

    /// The first line that holds `text`, as soon as it is there.
    pub(crate) async fn line(&self, text: &str) -> Result<String, Failed> {
        let begun = Instant::now();
        loop {
            let log = self.log();
            // The last line may not be all there yet.
            let complete = log.rsplit_once('\n').map_or("", |(lines, _)| lines);
            if let Some(line) = complete.lines().find(|line| line.contains(text)) {
                return Ok(line.to_owned());
            }
            if begun.elapsed() > SOON {
                return Err(self.failed(&format!("did not say {text:?} within {SOON:?}")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// An error about it, with the end of what it said.
    pub(crate) fn failed(&self, what: &str) -> Failed {
        let log = self.log();
        let from = log.floor_char_boundary(log.len().saturating_sub(LAST_WORDS));
        format!("{} {what}; its last words: {}", self.name, log[from..].trim()).into()
    }

    /// Ends it and waits until it is gone, so that the next one has the machine to itself.
    pub(crate) async fn end(mut self) -> Result<(), Failed> {
        Ok(self.child.kill().await?)
    }

    /// CPU seconds that it has used.
    pub(crate) fn cpu(&self) -> Result<f64, Failed> {
        let pid = self.pid()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        ticks(&stat)
            .map(|ticks| ticks as f64 / TICKS)
            .ok_or_else(|| format!("/proc/{pid}/stat is short").into())
    }

    /// Its resident memory in MiB.
    pub(crate) fn rss_mib(&self) -> Result<f64, Failed> {
        let pid = self.pid()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        kib(&status)
            .map(|kib| kib as f64 / 1024.0)
            .ok_or_else(|| format!("/proc/{pid}/status has no VmRSS").into())
    }

    fn log(&self) -> String {
        // Not written yet is as good as empty.
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

/// utime and stime, fields 14 and 15 of proc(5). The second field, in brackets, may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Without its folder, which says more about the machine than about the program.
fn name_of(command: &Command) -> String {
    let program = Path::new(command.as_std().get_program());
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Runs a program to its end; its standard output. An error has the last line of its standard error.
pub(crate) async fn text_of(mut command: Command) -> Result<String, Failed> {
    let name = name_of(&command);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|error| format!("cannot run {name}: {error}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let last = errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word of why");
        return Err(format!("{name} failed ({}): {last}", output.status).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 500 0 0 0 12 30 0 0 20 0 5 0 99 1000 200";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a) S 1"), None);
        assert_eq!(kib("VmPeak:\t  9 kB\nVmRSS:\t   2048 kB\n"), Some(2048));
        assert_eq!(kib("VmPeak:\t  9 kB\n"), None);
    }

    #[tokio::test]
    async fn a_program_is_watched_and_ended() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("sh");
        command.args(["-c", "echo ready on 1; exec sleep 60"]);
        let program = Program::start(command, &folder.path().join("log")).expect("sh starts");
        assert_eq!(program.line("ready").await.expect("it says so"), "ready on 1");
        assert!(program.rss_mib().expect("it runs") > 0.0);
        assert!(program.cpu().expect("it runs") < 1.0);
        program.end().await.expect("it can be killed");

        let mut command = Command::new("sh");
        command.args(["-c", "echo why >&2; exit 3"]);
        let error = text_of(command).await.expect_err("exit code 3").to_string();
        assert_eq!(error, "sh failed (exit status: 3): why");
    }
}
