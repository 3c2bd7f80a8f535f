//! What came of a test.

use super::rule::{Rule, Suite};
use micro_plugin::Kind;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What came of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "seen")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It holds, and something about it is worth saying.
    Noted(String),
    /// It does not hold; this was seen instead.
    Failed(String),
    /// It does not hold, and that fails nobody.
    Warned(String),
    /// Nobody knows: why it was not run.
    NotRun(String),
}

/// One rule and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// The rule's name.
    pub rule: &'static str,
    /// The rule's suite.
    pub suite: Suite,
    /// What was demanded.
    pub expected: &'static str,
    /// What was seen.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took.
    #[serde(rename = "took_ms", serialize_with = "milliseconds")]
    pub took: Duration,
    /// How to run it alone.
    pub alone: String,
}

fn milliseconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((took.as_secs_f64() * 1e6).round() / 1e3)
}

/// How far a plugin has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Not even the first.
    None,
    /// Static and contract, as far as they could be run.
    Alpha,
    /// All of static and contract, with its backend, and property and behaviour.
    Beta,
    /// The same with a network that misbehaves.
    Stable,
}

impl Level {
    /// The suites that must be complete.
    pub fn suites(self) -> &'static [Suite] {
        use Suite::{Behaviour, Contract, Faults, Property, Static};
        match self {
            Self::None => &[],
            Self::Alpha => &[Static, Contract],
            Self::Beta => &[Static, Contract, Property, Behaviour],
            Self::Stable => &[Static, Contract, Property, Behaviour, Faults],
        }
    }

    /// As it is written on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Alpha => "alpha",
            Self::Beta => "beta",
            Self::Stable => "stable",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no level: write alpha, beta or stable")]
pub struct UnknownLevel(String);

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        let all = [Self::Alpha, Self::Beta, Self::Stable];
        all.into_iter().find(|it| it.as_str() == text).ok_or_else(|| UnknownLevel(text.to_owned()))
    }
}

/// What came of all rules that were asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of this form; fields are added without changing it.
    pub schema: u32,
    /// The file.
    pub file: String,
    /// Of the file.
    pub digest: String,
    /// Of the file, in bytes.
    pub size: usize,
    /// From the manifest.
    pub name: Option<String>,
    /// From the manifest.
    pub version: Option<String>,
    /// From the manifest.
    pub kind: Option<Kind>,
    /// Where random things began; the same number makes the same ones.
    pub seed: u64,
    /// The suites that were asked for.
    pub suites: BTreeSet<Suite>,
    /// Only some rules were asked for.
    pub filtered: bool,
    /// What was reached; none is known when only some rules were asked for.
    pub level: Option<Level>,
    /// What keeps it from the next level.
    pub missing: Vec<String>,
    /// What calls cost: `pick`, nanoseconds, class.
    pub costs: Vec<Cost>,
    /// In the order in which they ran.
    pub cases: Vec<CaseResult>,
}

/// What one thing costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// An export, or `compile`, or `load`.
    pub what: String,
    /// The median.
    pub nanoseconds: f64,
    /// `A`, `B` or `C`.
    pub class: char,
}

impl Report {
    /// The rules that do not hold.
    pub fn failures(&self) -> impl Iterator<Item = &CaseResult> {
        self.cases.iter().filter(|case| matches!(case.outcome, Outcome::Failed(_)))
    }

    /// The rules that could not be checked.
    pub fn not_run(&self) -> impl Iterator<Item = &CaseResult> {
        self.cases.iter().filter(|case| matches!(case.outcome, Outcome::NotRun(_)))
    }

    /// Whether everything that was asked for holds. With a level, that level is what was asked for, and what is beyond it
    /// need not have been run.
    pub fn is_good(&self, wanted: Option<Level>) -> bool {
        let none_failed = self.failures().next().is_none() && !self.cases.is_empty();
        none_failed
            && match wanted {
                Some(level) => self.level.is_some_and(|reached| reached >= level),
                None => self.not_run().next().is_none(),
            }
    }

    /// Decides what was reached.
    pub(crate) fn conclude(&mut self) {
        if self.filtered {
            return;
        }
        let mut reached = Level::None;
        for level in [Level::Alpha, Level::Beta, Level::Stable] {
            self.missing = self.missing_for(level);
            if !self.missing.is_empty() {
                break;
            }
            reached = level;
        }
        self.level = Some(reached);
    }

    fn missing_for(&self, level: Level) -> Vec<String> {
        let mut missing = Vec::new();
        for suite in level.suites() {
            let cases = || self.cases.iter().filter(|case| case.suite == *suite);
            if !self.suites.contains(suite) {
                missing.push(format!("{suite} was not asked for"));
            }
            let failed = cases().filter(|case| matches!(case.outcome, Outcome::Failed(_))).count();
            if failed > 0 {
                missing.push(format!("{failed} of {suite} failed"));
            }
            let left = cases().filter(|case| matches!(case.outcome, Outcome::NotRun(_)));
            let left: Vec<_> = left.collect();
            let tolerated = level == Level::Alpha && left.iter().all(|case| Rule::named(case.rule).backend);
            if let (Some(CaseResult { outcome: Outcome::NotRun(why), .. }), false) = (left.first(), tolerated)
            {
                missing.push(format!("{} of {suite} not run ({why})", left.len()));
            }
        }
        missing
    }
}

#[cfg(test)]
impl Report {
    /// Of these cases, with everything asked for.
    pub(crate) fn of(cases: Vec<CaseResult>) -> Self {
        Self {
            schema: 1,
            file: String::new(),
            digest: String::new(),
            size: 0,
            name: None,
            version: None,
            kind: None,
            seed: 0,
            suites: Suite::ALL.into_iter().collect(),
            filtered: false,
            level: None,
            missing: Vec::new(),
            costs: Vec::new(),
            cases,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(cases: &[(&'static str, Outcome)]) -> Report {
        let case = |(rule, outcome): &(&'static str, Outcome)| CaseResult {
            rule,
            suite: Rule::named(rule).suite,
            expected: "",
            outcome: outcome.clone(),
            took: Duration::ZERO,
            alone: String::new(),
        };
        let mut report = Report::of(cases.iter().map(case).collect());
        report.conclude();
        report
    }

    #[test]
    fn levels_build_on_each_other() {
        let fail = || Outcome::Failed("x".to_owned());
        let absent = || Outcome::NotRun("give --address".to_owned());
        let level = |cases: &[(&'static str, Outcome)]| report(cases).level;
        let fine = ("static.file.component", Outcome::Passed);
        assert_eq!(level(std::slice::from_ref(&fine)), Some(Level::Stable));
        assert_eq!(level(&[fine.clone(), ("registry.faults.reset", fail())]), Some(Level::Beta));
        assert_eq!(level(&[fine.clone(), ("registry.model.walk", fail())]), Some(Level::Alpha));
        assert_eq!(level(&[("registry.ttl.expires", fail())]), Some(Level::None));
        assert_eq!(level(&[fine.clone(), ("registry.ttl.expires", absent())]), Some(Level::Alpha));
        assert_eq!(level(&[fine.clone(), ("registry.backend.fails", absent())]), Some(Level::None));
        let warned = ("static.names.kept", Outcome::Warned("x".to_owned()));
        assert_eq!(level(&[fine, warned]), Some(Level::Stable));
    }

    #[test]
    fn everything_that_was_asked_for_must_hold() {
        let absent = ("registry.ttl.expires", Outcome::NotRun("give --address".to_owned()));
        let partly = report(&[("static.file.component", Outcome::Passed), absent]);
        assert!(!partly.is_good(None) && partly.is_good(Some(Level::Alpha)));
        assert!(!partly.is_good(Some(Level::Beta)));
        assert!(!report(&[]).is_good(None), "nothing was checked");
        assert_eq!(partly.missing, ["1 of contract not run (give --address)"]);
    }
}
