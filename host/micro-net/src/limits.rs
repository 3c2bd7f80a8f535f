//! What the operating system lets the process have.

use rustix::process::{Resource, getrlimit, setrlimit};

/// More descriptors than any process of ours uses, for systems whose hard limit is "unlimited".
const ENOUGH: u64 = 1 << 20;

/// The limit on open files and sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimit {
    /// How many there could be when the process started; `None` for no limit.
    pub before: Option<u64>,
    /// How many there can be now.
    pub now: Option<u64>,
}

/// Raises the limit on open files to what this user may have. A service has a socket per caller, and the usual 1024
/// are for programs that use `select`. A limit that cannot be raised is reported and left alone.
pub fn raise() -> FileLimit {
    let limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    let wanted = limit.maximum.unwrap_or(ENOUGH);
    if before.is_none_or(|before| before >= wanted) {
        return FileLimit { before, now: before };
    }
    let mut raised = limit;
    raised.current = Some(wanted);
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => {
            tracing::debug!(before, now = wanted, "raised the limit on open files");
            FileLimit { before, now: Some(wanted) }
        }
        Err(error) => {
            tracing::warn!(before, wanted, %error, "cannot raise the limit on open files");
            FileLimit { before, now: before }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_the_hard_one_and_stays() {
        let hard = getrlimit(Resource::Nofile).maximum;
        let first = raise();
        assert_eq!(first.now, hard.or(first.now));
        assert_eq!(raise(), FileLimit { before: first.now, now: first.now });
    }
}
