//! Adding up what test programs say.

use std::fmt;

/// The sum over all test programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) passed: usize,
    pub(super) failed: usize,
    /// Tests that say that they are ignored, and tests whose server is missing.
    pub(super) skipped: usize,
}

impl Summary {
    /// Reads one line of output; only those that report a result count.
    pub(super) fn read(&mut self, line: &str) {
        // test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_programs() {
        let mut summary = Summary::default();
        for line in [
            "running 4 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.50s",
            "test passes_or_not ... ok",
            "a test prints: test result: ok. 99 passed; 0 failed",
            "test result: ok. x passed",
            "test result: ok",
        ] {
            summary.read(line);
        }
        assert_eq!(summary, Summary { passed: 13, failed: 2, skipped: 1 });
        assert_eq!(summary.to_string(), "13 passed, 2 failed, 1 skipped");
    }
}
