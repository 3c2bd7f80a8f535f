//! What the operating system says about this process.

/// Figures of the process; zero where the system does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    /// Resident memory in bytes.
    pub(super) memory: u64,
    pub(super) threads: u64,
}

impl Process {
    pub(super) fn now() -> Self {
        // Linux; elsewhere there is no such file.
        std::fs::read_to_string("/proc/self/status").map(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(status: &str) -> Self {
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default()
        };
        Self { memory: number("VmRSS:") * 1024, threads: number("Threads:") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lines_are_read() {
        let status = "Name:\tmicro\nVmRSS:\t    1080 kB\nThreads:\t17\n";
        assert_eq!(Process::parse(status), Process { memory: 1080 * 1024, threads: 17 });
        assert_eq!(Process::parse("VmRSS: much"), Process::default());
    }
}
