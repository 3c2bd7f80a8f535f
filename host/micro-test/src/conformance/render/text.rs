//! A report for people.

use super::plain;
use crate::conformance::report::{CaseResult, Level, Outcome, Report};
use crate::conformance::rule::Suite;
use std::fmt::Write;
use std::time::Duration;

/// How many characters of what was seen are shown.
const MOST: usize = 600;

/// One rule in a line; with what to know about it in further ones.
pub fn line(case: &CaseResult) -> String {
    let took = match case.took {
        took if took < Duration::from_millis(1) => String::new(),
        took if took < Duration::from_secs(1) => format!("  ({} ms)", took.as_millis()),
        took => format!("  ({:.1} s)", took.as_secs_f64()),
    };
    let CaseResult { rule, expected, alone, .. } = case;
    match &case.outcome {
        Outcome::Passed => format!("  pass  {rule}{took}\n"),
        Outcome::Noted(note) => format!("  pass  {rule}{took}  {}\n", plain(note)),
        Outcome::Warned(seen) => format!("  warn  {rule}: {}; better: {expected}\n", shortened(seen)),
        Outcome::NotRun(why) => format!("  ----  {rule}: not run ({})\n", plain(why)),
        Outcome::Failed(seen) => {
            format!(
                "  FAIL  {rule}{took}: expected that {expected}; seen: {}; alone: {alone}\n",
                shortened(seen)
            )
        }
    }
}

/// On one line; the other forms of the report have all of it.
fn shortened(text: &str) -> String {
    let line = plain(text).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// All of it: the rules by suite, the level, and what is missing for the next.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    let name = report.name.as_deref().unwrap_or("no plugin");
    let kind = report.kind.map_or(String::new(), |kind| format!(" ({kind})"));
    // Writing to a String cannot fail.
    _ = writeln!(
        text,
        "{} {}{kind}, {} KiB, seed {}",
        plain(name),
        plain(report.version.as_deref().unwrap_or_default()),
        report.size >> 10,
        report.seed
    );
    for suite in Suite::ALL {
        let cases: Vec<_> = report.cases.iter().filter(|case| case.suite == suite).collect();
        if cases.is_empty() {
            continue;
        }
        let took: Duration = cases.iter().map(|case| case.took).sum();
        _ = writeln!(text, "\n{suite}: {} rules, {:.1} s", cases.len(), took.as_secs_f64());
        cases.iter().for_each(|case| text.push_str(&line(case)));
    }
    text.push('\n');
    let count = |good: fn(&Outcome) -> bool| report.cases.iter().filter(|case| good(&case.outcome)).count();
    _ = writeln!(
        text,
        "{} passed, {} failed, {} warnings, {} not run",
        count(|it| matches!(it, Outcome::Passed | Outcome::Noted(_))),
        count(|it| matches!(it, Outcome::Failed(_))),
        count(|it| matches!(it, Outcome::Warned(_))),
        count(|it| matches!(it, Outcome::NotRun(_))),
    );
    if let Some(level) = report.level {
        _ = writeln!(text, "level: {level}");
        let next = match level {
            Level::None => "alpha",
            Level::Alpha => "beta",
            Level::Beta => "stable",
            Level::Stable => return text,
        };
        _ = writeln!(text, "missing for {next}: {}", plain(&report.missing.join("; ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_that_cannot_steer_a_terminal() {
        let seen = format!("a\n  b\u{1b}[2J {}", "\u{fc}".repeat(2 * MOST));
        let case = CaseResult {
            rule: "registry.ttl.expires",
            suite: Suite::Contract,
            expected: "it ends",
            outcome: Outcome::Failed(seen),
            took: Duration::ZERO,
            alone: "micro plugin test x.wasm --case registry.ttl.expires --seed 1".to_owned(),
        };
        let line = line(&case);
        assert!(
            line.starts_with("  FAIL  registry.ttl.expires: expected that it ends; seen: a b\\u{1b}[2J "),
            "{line}"
        );
        assert!(
            line.ends_with("…; alone: micro plugin test x.wasm --case registry.ttl.expires --seed 1\n"),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }
}
