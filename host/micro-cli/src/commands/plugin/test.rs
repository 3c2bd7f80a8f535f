//! `micro plugin test`: the conformance test of `micro-test` against a file.

use crate::args::{Format, TestArgs};
use crate::failure::{Next, failure};
use crate::output;
use micro::Flags;
use micro_plugin::Grant;
use micro_test::conformance::{self, Event, Outcome, Plan, RULES, Report, Rule, Subject, Suite, render};
use micro_test::registry::Expect;
use std::io::{IsTerminal, Write};
use std::path::Path;

const NEXT: &str = "micro plugin test --help shows how it is written";

pub(in crate::commands) async fn test(
    flags: &Flags,
    format: Format,
    arguments: TestArgs,
) -> anyhow::Result<()> {
    let level = flags.log_level.as_deref().unwrap_or("off");
    micro::logging::init(Some(level), flags.log_format.unwrap_or_default())
        .next("--log_level takes trace, debug, info, warn, error, off, or a list of target=level")?;
    let subject = arguments.file.as_deref().map(|file| subject(file, &arguments)).transpose()?;
    if arguments.list {
        return list(format, subject.as_ref(), &arguments);
    }
    let Some(subject) = subject else { return Err(failure("no file to test", NEXT)) };
    let plan = plan(&arguments)?;
    let mut progress = Progress::new();
    let report = conformance::run(&subject, &plan, &mut |event| progress.show(event)).await;
    progress.clear();
    if let Some(file) = &arguments.report {
        let content = in_form(form_of(file), &report)?;
        std::fs::write(file, content)
            .map_err(|error| anyhow::anyhow!("cannot write {}: {error}", file.display()))
            .next("choose another --report")?;
    }
    output::write(&in_form(format, &report)?)?;
    if report.is_good(arguments.level) {
        return Ok(());
    }
    Err(verdict(&report, &arguments))
}

fn subject(file: &Path, arguments: &TestArgs) -> anyhow::Result<Subject> {
    let subject =
        Subject::read(file).map_err(|error| anyhow::anyhow!("cannot read {}: {error}", file.display()));
    let mut subject = subject.next("micro plugin test takes the path of a .wasm file")?;
    for option in &arguments.opt {
        let (name, value) = pair(option, "--opt")?;
        subject = subject.option(name, value);
    }
    if arguments.address.is_some() {
        subject.address.clone_from(&arguments.address);
    }
    for grant in &arguments.allow {
        subject.allow.extend(Grant::parse_list(grant).next(NEXT)?);
    }
    subject.cache_dir = micro_wasm::cache_folder(|name| std::env::var_os(name));
    Ok(subject)
}

fn pair<'a>(text: &'a str, flag: &str) -> anyhow::Result<(&'a str, &'a str)> {
    text.split_once('=').ok_or_else(|| failure(format!("{flag}={text}: expected KEY=VALUE"), NEXT))
}

fn plan(arguments: &TestArgs) -> anyhow::Result<Plan> {
    let mut plan = Plan::default();
    // The suites that a level needs, and the costs, unless suites are named.
    if let Some(level) = arguments.level {
        plan.suites = level.suites().iter().copied().collect();
    }
    if !arguments.suite.is_empty() {
        plan.suites = arguments.suite.iter().copied().collect();
    }
    if !arguments.faults.is_empty() {
        plan.faults.clone_from(&arguments.faults);
    }
    if let Some(filter) = &arguments.case {
        if !RULES.iter().any(|rule| rule.id.contains(filter.as_str())) {
            return Err(failure(
                format!("no rule has {filter:?} in its name"),
                "micro plugin test --list shows them",
            ));
        }
        plan.suites = Suite::ALL.into_iter().collect();
        plan.filter = Some(filter.clone());
    }
    plan.seed = arguments.seed.unwrap_or(plan.seed);
    if !arguments.expect.is_empty() {
        let mut expect = Expect::default();
        for text in &arguments.expect {
            let (name, value) = pair(text, "--expect")?;
            expect.set(name, value).map_err(|why| failure(format!("--expect={text}: {why}"), NEXT))?;
        }
        plan.expect = Some(expect);
    }
    Ok(plan)
}

/// The rules, without running anything.
fn list(format: Format, subject: Option<&Subject>, arguments: &TestArgs) -> anyhow::Result<()> {
    let kind = subject.and_then(Subject::kind);
    let wanted = |rule: &&Rule| {
        kind.is_none_or(|kind| rule.is_for(kind))
            && (arguments.suite.is_empty() || arguments.suite.contains(&rule.suite))
            && arguments.case.as_ref().is_none_or(|filter| rule.id.contains(filter.as_str()))
    };
    let rules: Vec<&Rule> = RULES.iter().filter(wanted).collect();
    let text = || {
        rules.iter().map(|rule| format!("{:<11}  {:<28}  {}\n", rule.suite, rule.id, rule.demands)).collect()
    };
    output::answer(format, text, &rules)
}

fn form_of(file: &Path) -> Format {
    match file.extension().and_then(|it| it.to_str()) {
        Some("json") => Format::Json,
        Some("xml") => Format::Junit,
        _ => Format::Text,
    }
}

fn in_form(format: Format, report: &Report) -> anyhow::Result<Vec<u8>> {
    Ok(match format {
        Format::Json => [serde_json::to_vec(report)?, b"\n".to_vec()].concat(),
        Format::Junit => [render::junit(report)?, b"\n".to_vec()].concat(),
        Format::Text | Format::Raw => render::text(report).into_bytes(),
    })
}

/// Why the exit code is 1.
fn verdict(report: &Report, arguments: &TestArgs) -> anyhow::Error {
    let (failed, left) = (report.failures().count(), report.not_run().count());
    let file = report.name.as_deref().unwrap_or("it");
    if failed > 0 {
        let first = report.failures().next().map_or("", |case| &case.alone);
        return failure(format!("{file} breaks {failed} rules"), format!("run one alone: {first}"));
    }
    if report.cases.is_empty() {
        return failure(
            "nothing was checked: no rule of that kind fits",
            "micro plugin test FILE --list shows the rules",
        );
    }
    match arguments.level {
        Some(level) => {
            let missing = report.missing.join("; ");
            let text = format!("{file} does not reach {level}: {missing}");
            failure(text, "a backend that works is named with --address")
        }
        None => failure(
            format!("{left} rules could not be checked"),
            "give what they need, as the report says, or ask for less: --level alpha, or --suite",
        ),
    }
}

/// One line on a terminal that says which rule is being checked.
struct Progress {
    shown: bool,
    terminal: bool,
}

impl Progress {
    fn new() -> Self {
        Self { shown: false, terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, event: Event<'_>) {
        match event {
            Event::Begins(rule) if self.terminal => {
                self.shown = true;
                say(&format!("\r\u{1b}[K{} …", rule.id));
            }
            // Where nobody watches, each rule that does not hold is still told at once.
            Event::Ended(case) if matches!(case.outcome, Outcome::Failed(_)) => {
                self.clear();
                say(&render::line(case));
            }
            _ => {}
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            say("\r\u{1b}[K");
        }
    }
}

fn say(text: &str) {
    let mut err = std::io::stderr().lock();
    // Nothing can be done about a closed terminal.
    _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}
