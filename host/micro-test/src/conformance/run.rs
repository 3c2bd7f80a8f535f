//! Which rules are checked, in which order, and what is told meanwhile.

use super::report::{CaseResult, Cost, Outcome, Report};
use super::rule::{RULES, Rule, Suite};
use super::{Failure, Subject, Verdict};
use futures::FutureExt;
use micro_plugin::Kind;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// No case takes longer, whatever the plugin does.
const LONGEST: Duration = Duration::from_secs(180);

/// What is to be checked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// These suites.
    pub suites: BTreeSet<Suite>,
    /// Only rules whose names contain this.
    pub filter: Option<String>,
    /// Which faults of the network.
    pub faults: Vec<WireFault>,
    /// Where random things begin.
    pub seed: u64,
    /// What a backend may take longer for, or not do. None: what suits the plugin.
    pub expect: Option<crate::registry::Expect>,
    /// How many calls the memory is watched over, and for how long at most.
    pub memory_calls: u64,
    /// See [`Plan::memory_calls`].
    pub memory_time: Duration,
}

impl Default for Plan {
    /// Everything.
    fn default() -> Self {
        Self {
            suites: Suite::ALL.into_iter().collect(),
            filter: None,
            faults: WireFault::ALL.to_vec(),
            seed: fastrand::u64(..),
            expect: None,
            memory_calls: 100_000,
            memory_time: Duration::from_secs(20),
        }
    }
}

/// A way for the network between plugin and backend to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// 200 ms in each direction.
    Latency,
    /// Connections are reset.
    Reset,
    /// Nothing passes for 5 s.
    Partition,
}

impl WireFault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Latency, Self::Reset, Self::Partition];

    /// As it is written on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Reset => "reset",
            Self::Partition => "partition",
        }
    }
}

/// A text that names no fault of the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fault of the network: write latency, reset or partition")]
pub struct UnknownFault(String);

impl FromStr for WireFault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        Self::ALL.into_iter().find(|it| it.as_str() == text).ok_or_else(|| UnknownFault(text.to_owned()))
    }
}

/// What is going on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A case begins.
    Begins(&'static Rule),
    /// It is over.
    Ended(&'a CaseResult),
}

/// Runs the test.
pub async fn run(subject: &Subject, plan: &Plan, watch: &mut (dyn FnMut(Event<'_>) + Send)) -> Report {
    let mut runner = Runner::new(subject, plan, watch);
    super::structure::check(&mut runner).await;
    match subject.kind() {
        // Without a kind nobody knows what else to ask for.
        None => {}
        Some(_) if !super::structure::is_sound(subject) => runner.give_up("it cannot be loaded"),
        Some(Kind::Registry) => super::registry::check(&mut runner).await,
        Some(Kind::Selector | Kind::Codec | Kind::Filter | Kind::Wire) => {
            super::hot::check(&mut runner).await
        }
        _ => {}
    }
    runner.report()
}

/// Runs cases one after the other and keeps what came of them.
pub(super) struct Runner<'a> {
    pub(super) subject: &'a Subject,
    pub(super) plan: &'a Plan,
    watch: &'a mut (dyn FnMut(Event<'_>) + Send),
    cases: Vec<CaseResult>,
    pub(super) costs: Vec<Cost>,
}

impl<'a> Runner<'a> {
    fn new(subject: &'a Subject, plan: &'a Plan, watch: &'a mut (dyn FnMut(Event<'_>) + Send)) -> Self {
        Self { subject, plan, watch, cases: Vec::new(), costs: Vec::new() }
    }

    /// Whether a rule is asked for and was not run yet.
    fn wants(&self, rule: &Rule) -> bool {
        self.plan.suites.contains(&rule.suite)
            && self.plan.filter.as_ref().is_none_or(|filter| rule.id.contains(filter.as_str()))
            && self.subject.kind().is_none_or(|kind| rule.is_for(kind))
            && !self.cases.iter().any(|case| case.rule == rule.id)
    }

    /// Whether any rule of a suite is asked for.
    pub(super) fn wants_suite(&self, suite: Suite) -> bool {
        RULES.iter().any(|rule| rule.suite == suite && self.wants(rule))
    }

    /// Checks a rule, unless nobody asked for it. `work` is not begun before that is known.
    pub(super) async fn case(&mut self, id: &'static str, work: impl Future<Output = Verdict>) {
        let rule = Rule::named(id);
        if !self.wants(rule) {
            return;
        }
        if rule.backend && self.subject.lacks_backend() {
            self.note(rule, Outcome::NotRun("give --address".to_owned()), Duration::ZERO);
            return;
        }
        (self.watch)(Event::Begins(rule));
        let since = Instant::now();
        let caught = AssertUnwindSafe(work).catch_unwind();
        let outcome = match tokio::time::timeout(LONGEST, caught).await {
            Ok(Ok(Ok(None))) => Outcome::Passed,
            Ok(Ok(Ok(Some(note)))) => Outcome::Noted(note),
            Ok(Ok(Err(Failure(seen)))) => Outcome::Failed(seen),
            Ok(Err(_)) => Outcome::Failed("the check itself panicked".to_owned()),
            Err(_) => Outcome::Failed(format!("no end after {LONGEST:?}")),
        };
        self.note(rule, outcome, since.elapsed());
    }

    /// Notes what came of a rule that was checked because others depend on it.
    pub(super) fn settled(&mut self, id: &'static str, since: Instant, verdict: &Verdict) {
        let rule = Rule::named(id);
        if self.wants(rule) {
            let outcome = match verdict {
                Ok(None) => Outcome::Passed,
                Ok(Some(note)) => Outcome::Noted(note.clone()),
                Err(Failure(seen)) => Outcome::Failed(seen.clone()),
            };
            self.note(rule, outcome, since.elapsed());
        }
    }

    /// [`Runner::case`] for a rule that only warns.
    pub(super) async fn advice(&mut self, id: &'static str, work: impl Future<Output = Verdict>) {
        let before = self.cases.len();
        self.case(id, work).await;
        if let Some(case) = self.cases.get_mut(before)
            && let Outcome::Failed(seen) = &case.outcome
        {
            case.outcome = Outcome::Warned(seen.clone());
        }
    }

    fn note(&mut self, rule: &'static Rule, outcome: Outcome, took: Duration) {
        let file = self.subject.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let given = self.subject.as_flags();
        let alone = format!("micro plugin test {file}{given} --case {} --seed {}", rule.id, self.plan.seed);
        let Rule { id, suite, demands, .. } = *rule;
        let result = CaseResult { rule: id, suite, expected: demands, outcome, took, alone };
        (self.watch)(Event::Ended(&result));
        self.cases.push(result);
    }

    /// Notes that whatever is left cannot be run.
    pub(super) fn give_up(&mut self, why: &str) {
        for rule in RULES {
            if self.wants(rule) {
                self.note(rule, Outcome::NotRun(why.to_owned()), Duration::ZERO);
            }
        }
    }

    fn report(self) -> Report {
        let manifest = self.subject.manifest();
        let mut report = Report {
            schema: 1,
            file: self.subject.file.display().to_string(),
            digest: format!("sha256:{}", self.subject.report.digest),
            size: self.subject.report.size,
            name: manifest.map(|it| it.name.clone()),
            version: manifest.map(|it| it.version.clone()),
            kind: manifest.map(|it| it.kind),
            seed: self.plan.seed,
            suites: self.plan.suites.clone(),
            filtered: self.plan.filter.is_some() || self.plan.faults.len() < WireFault::ALL.len(),
            level: None,
            missing: Vec::new(),
            costs: self.costs,
            cases: self.cases,
        };
        report.conclude();
        report
    }
}

impl fmt::Debug for Runner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("subject", &self.subject).field("cases", &self.cases).finish()
    }
}
