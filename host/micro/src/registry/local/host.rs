//! What tells this machine, this boot and this process from others, and clocks that all processes here share.

use rustix::process::{Pid, test_kill_process};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a record was written. Empty texts: not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Origin {
    /// The machine's id and name. Both, since copied images share the id.
    machine: String,
    /// Changes with every boot.
    boot: String,
    /// Process ids mean something within one namespace only (`pid_namespaces(7)`).
    pid_namespace: String,
}

/// A process that may have ended since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pid: u32,
    /// Clock ticks from boot to its start, where `/proc` tells; tells it from a later process of the same id.
    #[serde(default)]
    started: Option<u64>,
}

/// One moment, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moment {
    /// Wall clock, in milliseconds since 1970.
    unix_ms: u64,
    /// Milliseconds on the monotonic clock, which all processes of one boot share. It does not jump when the wall clock
    /// is set, and stands still while the machine sleeps, like the timers behind heartbeats.
    uptime_ms: u64,
}

impl Origin {
    /// Of this process.
    pub(super) fn here() -> Self {
        let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let name = rustix::system::uname();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Self {
            machine: format!("{}/{}", id.trim(), name.nodename().to_string_lossy()),
            boot: boot.trim().to_owned(),
            pid_namespace: namespace.to_string_lossy().into_owned(),
        }
    }

    /// Whether `self` and `other` are the same boot of the same machine, so that their monotonic clock is the same.
    pub(super) fn shares_boot(&self, other: &Self) -> bool {
        !self.boot.is_empty() && self.boot == other.boot
    }

    /// Whether a process that ran at `self` has certainly ended, seen from `here`.
    pub(super) fn has_ended(&self, process: Process, here: &Self) -> bool {
        if self.machine != here.machine {
            return false;
        }
        let rebooted = !self.boot.is_empty() && !here.boot.is_empty() && self.boot != here.boot;
        rebooted || (self.pid_namespace == here.pid_namespace && !process.runs())
    }
}

impl Process {
    /// This one.
    pub(super) fn this() -> Self {
        let pid = std::process::id();
        let started = std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| start_time(&stat));
        Self { pid, started }
    }

    /// Whether it still runs; true when that cannot be found out. A zombie does not run.
    fn runs(self) -> bool {
        let Some(started) = self.started else {
            let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
            return pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH));
        };
        match std::fs::read_to_string(format!("/proc/{}/stat", self.pid)) {
            Ok(stat) => start_time(&stat) == Some(started),
            // The process may also end between open and read.
            Err(error) => {
                error.kind() != std::io::ErrorKind::NotFound
                    && error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error())
            }
        }
    }
}

/// The start time in the text of `/proc/<pid>/stat` (`proc_pid_stat(5)`, field 22); none for a zombie.
fn start_time(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(started)
}

impl Moment {
    pub(super) fn now() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let uptime = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(uptime.tv_sec).unwrap_or_default();
        let nanos = u64::try_from(uptime.tv_nsec).unwrap_or_default();
        Self { unix_ms: millis(unix), uptime_ms: seconds.saturating_mul(1000) + nanos / 1_000_000 }
    }

    pub(super) fn after(self, time: Duration) -> Self {
        Self {
            unix_ms: self.unix_ms.saturating_add(millis(time)),
            uptime_ms: self.uptime_ms.saturating_add(millis(time)),
        }
    }

    /// How long it is from `now` until `self`, on the monotonic clock if that is `shared` and else on the wall clock;
    /// an error holds how long ago it was.
    pub(super) fn left(self, now: Self, shared: bool) -> Result<Duration, Duration> {
        let (end, now) = if shared { (self.uptime_ms, now.uptime_ms) } else { (self.unix_ms, now.unix_ms) };
        match end.checked_sub(now) {
            Some(left) if left > 0 => Ok(Duration::from_millis(left)),
            _ => Err(Duration::from_millis(now - end)),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_its_predecessor_does_not() {
        let here = Origin::here();
        let this = Process::this();
        assert!(!here.has_ended(this, &here));
        let predecessor = Process { started: this.started.map(|ticks| ticks - 1), ..this };
        assert!(predecessor.started.is_none() || here.has_ended(predecessor, &here));
    }

    #[test]
    fn nothing_is_concluded_about_other_machines_and_namespaces() {
        let here = Origin::here();
        let nobody = Process { pid: u32::MAX, started: Some(1) };
        assert!(here.has_ended(nobody, &here));
        let elsewhere = Origin { machine: "other".into(), ..here.clone() };
        assert!(!elsewhere.has_ended(nobody, &here));
        let container = Origin { pid_namespace: "pid:[1]".into(), ..here.clone() };
        assert!(!container.has_ended(nobody, &here));
        let before = Origin { boot: "earlier".into(), ..here.clone() };
        assert!(before.has_ended(Process::this(), &here) || here.boot.is_empty());
    }

    #[test]
    fn without_proc_the_process_id_alone_decides() {
        assert!(Process { started: None, ..Process::this() }.runs());
        assert!(!Process { pid: i32::MAX as u32, started: None }.runs());
        assert!(!Process { pid: u32::MAX, started: None }.runs());
    }

    #[test]
    fn start_times_are_found_behind_strange_names() {
        let stat = |state: &str| format!("7 (a) b (c)) {state} 1 {} 4242 0 0", "0 ".repeat(17).trim_end());
        assert_eq!(start_time(&stat("S")), Some(4242));
        assert_eq!(start_time(&stat("Z")), None);
        for odd in ["", "7 (a", "7 (a) S 1", "7 (a) S x x x x x x x x x x x x x x x x x x x x x"] {
            assert_eq!(start_time(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_wall_clock_that_jumps_is_ignored_within_one_boot() {
        let now = Moment::now();
        let end = now.after(Duration::from_secs(30));
        let jumped = Moment { unix_ms: now.unix_ms + 86_400_000, ..now };
        assert_eq!(end.left(jumped, true), Ok(Duration::from_secs(30)));
        assert!(end.left(jumped, false).is_err());
        assert_eq!(now.left(now, true), Err(Duration::ZERO));
    }
}
