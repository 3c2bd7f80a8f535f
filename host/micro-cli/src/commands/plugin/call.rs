//! `micro plugin call`: exports of a plugin by name, with values as text.

use super::probed::{self, Opened};
use crate::args::{Format, PluginCallArgs};
use crate::failure::{Next, coded, with_next};
use crate::output::{self, plain};
use anyhow::Context;
use micro::Flags;
use micro_core::{Code, Coded};
use micro_wasm::probe::{Answer, Argument, Call, CallError, Event, Export, Probe, Surface, Traced};
use serde_json::{Value, json};
use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// No script and no argument on standard input is longer.
const LONGEST_INPUT: u64 = 16 << 20;
/// What to do about a script that makes no sense.
const SCRIPT_HELP: &str = "write one call on a line: get-service(\"greeter\")";

pub(in crate::commands) async fn call(
    flags: &Flags,
    format: Format,
    arguments: &PluginCallArgs,
) -> anyhow::Result<()> {
    // What the guest says is told below, in its place among the rest.
    let opened = probed::open(flags, "error,plugin=off", &arguments.plugin, &arguments.probed).await?;
    let Opened { host, request, surface } = opened;
    let calls = calls(&surface, arguments)?;
    if calls.is_empty() {
        return output::answer(format, || listing(&surface), &listing_json(&surface));
    }
    let started = host.probe(&request, &surface, true).await;
    let mut probe = started.next("micro plugin inspect shows what it takes and what it asks for")?;
    let (answers, failed) = make(&mut probe, &surface, &calls, arguments).await;
    let (events, lost) = probe.trace();
    match (format, &failed) {
        (Format::Json, _) => {}
        _ if arguments.trace => output::eprint(&trace_in_words(&events, lost)),
        // A failure comes with the end of what the guest said.
        (_, Some(_)) => {}
        (_, None) => output::eprint(&said(&events, lost)),
    }
    if failed.is_none() || !answers.is_empty() {
        let text = || answers.iter().map(|it| format!("{}\n", in_words(&it.answer))).collect();
        output::answer(format, text, &as_json(&surface, &answers, &probe, arguments.trace))?;
    }
    if arguments.repeat > 1 && format != Format::Json {
        answers.iter().for_each(|it| output::eprint(&spread(it)));
    }
    if let Some(error) = failed {
        return Err(explain(error));
    }
    match answers.iter().find(|it| it.answer.is_error) {
        Some(Answered { export, answer, .. }) => Err(coded(
            Code::AUTHOR_ERROR,
            format!("{export} answered an error: {}", plain(&answer.wave)),
            "the plugin works; --trace shows what it asked of its backend",
        )),
        None => Ok(()),
    }
}

/// A call's last answer, and how long each repetition took.
struct Answered<'a> {
    export: &'a str,
    answer: Answer,
    times: Vec<Duration>,
}

/// Makes the calls, up to the first that brings no answer.
async fn make<'a>(
    probe: &mut Probe,
    surface: &Surface,
    calls: &'a [Call],
    arguments: &PluginCallArgs,
) -> (Vec<Answered<'a>>, Option<CallError>) {
    let mut answers = Vec::new();
    for call in calls {
        let mut times = Vec::new();
        let mut last = None;
        for _ in 0..arguments.repeat {
            match probe.call(surface, call, arguments.timeout).await {
                Ok(answer) => {
                    times.push(answer.took);
                    last = Some(answer);
                }
                Err(error) => return (answers, Some(error)),
            }
        }
        times.sort_unstable();
        answers.extend(last.map(|answer| Answered { export: call.export(), answer, times }));
    }
    (answers, None)
}

/// The calls that the command line or a script asks for. None at all: the exports are to be listed.
fn calls(surface: &Surface, arguments: &PluginCallArgs) -> anyhow::Result<Vec<Call>> {
    if let Some(script) = &arguments.script {
        return scripted(surface, script);
    }
    let Some(export) = &arguments.export else { return Ok(Vec::new()) };
    if export.contains('(') {
        let texts = std::iter::once(export).chain(&arguments.arguments);
        return texts.map(|text| surface.call_text(text).map_err(explain)).collect();
    }
    let read = |text: &String| match text.as_str() {
        "-" => Ok(Argument::Bytes(standard_input()?)),
        _ => Ok(Argument::Text(text.clone())),
    };
    let given = arguments.arguments.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(vec![surface.call(export, &given).map_err(explain)?])
}

/// One call on a line; empty lines and those that begin with `#` say nothing.
fn scripted(surface: &Surface, script: &Path) -> anyhow::Result<Vec<Call>> {
    let shown = script.display();
    let text = match script.to_str() {
        Some("-") => standard_input()?,
        _ => std::fs::read(script)
            .with_context(|| format!("cannot read {shown}"))
            .next_as(Code::AUTHOR_SCRIPT, SCRIPT_HELP)?,
    };
    let text = String::from_utf8(text)
        .map_err(|_| coded(Code::AUTHOR_SCRIPT, format!("{shown} is no text"), SCRIPT_HELP))?;
    let mut calls = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let call = surface.call_text(line).map_err(explain);
        let call = call.with_context(|| format!("line {number} of {shown}"));
        calls.push(call.next("micro plugin call FILE lists what can be called")?);
    }
    match calls.is_empty() {
        false => Ok(calls),
        true => Err(coded(Code::AUTHOR_SCRIPT, format!("no call in {shown}"), SCRIPT_HELP)),
    }
}

fn standard_input() -> anyhow::Result<Vec<u8>> {
    let mut input = Vec::new();
    let read = std::io::stdin().lock().take(LONGEST_INPUT + 1).read_to_end(&mut input);
    read.context("cannot read standard input").next_as(Code::AUTHOR_ARGUMENT, "hand it in with < FILE")?;
    match input.len() as u64 > LONGEST_INPUT {
        true => Err(coded(Code::AUTHOR_ARGUMENT, "standard input is longer than 16 MiB", "hand in less")),
        false => Ok(input),
    }
}

/// What to do about a call that brought no answer.
pub(super) fn explain(error: CallError) -> anyhow::Error {
    let (details, next) = match &error {
        CallError::Unknown { .. } | CallError::Ambiguous { .. } => (String::new(), "use one of these names"),
        CallError::Count { .. } => (String::new(), "micro plugin call FILE lists the types"),
        CallError::Argument { .. } | CallError::Syntax { .. } => {
            (String::new(), "micro plugin call --help shows how values are written")
        }
        CallError::Trapped { backtrace, stderr, .. } => (
            details(stderr, backtrace.as_deref()),
            "the frames are functions of the plugin; --trace shows what it asked of the host before",
        ),
        CallError::Late { stderr, .. } => {
            (details(stderr, None), "give it more time with --timeout; --trace shows what it waits for")
        }
        CallError::Gone => (String::new(), "look at the error of the call before"),
    };
    match details.as_str() {
        "" => with_next(error, next),
        details => coded(error.code(), format!("{error}{details}"), next),
    }
}

/// What a guest left behind, indented.
fn details(stderr: &str, backtrace: Option<&str>) -> String {
    let mut text = String::new();
    for (title, part) in [("standard error", stderr), ("guest stack", backtrace.unwrap_or_default())] {
        if part.trim().is_empty() {
            continue;
        }
        // Writing to a String cannot fail.
        _ = write!(text, "\n  {title}:");
        for line in part.trim().lines() {
            _ = write!(text, "\n    {}", plain(line));
        }
    }
    text
}

fn in_words(answer: &Answer) -> String {
    match answer.wave.as_str() {
        "" => "()".to_owned(),
        wave => plain(wave).into_owned(),
    }
}

fn as_json(surface: &Surface, answers: &[Answered<'_>], probe: &Probe, traced: bool) -> Value {
    let nanos = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let calls = answers.iter().map(|Answered { export, answer, times }| {
        json!({
            "export": export, "result": answer.json, "error": answer.is_error,
            "calls": times.len(), "median_ns": times.get(times.len() / 2).map(nanos),
        })
    });
    let mut all = json!({
        "plugin": surface.manifest.name, "version": surface.manifest.version,
        "calls": calls.collect::<Vec<_>>(), "memory_bytes": probe.memory(),
    });
    let (events, lost) = probe.trace();
    if traced && let Some(members) = all.as_object_mut() {
        members.insert("trace".to_owned(), json!(events));
        members.insert("trace_lost".to_owned(), json!(lost));
    }
    all
}

/// The lines of the guest's own that matter without a trace.
fn said(events: &[Traced], lost: u64) -> String {
    let lines = events.iter().filter_map(|Traced { event, .. }| match event {
        Event::Log { level, .. } if !matches!(level.as_str(), "trace" | "debug") => {
            Some(format!("{}\n", plain(&event_in_words(event))))
        }
        _ => None,
    });
    let more = if lost > 0 { format!("and {lost} more\n") } else { String::new() };
    lines.chain([more]).collect()
}

fn trace_in_words(events: &[Traced], lost: u64) -> String {
    let mut text = String::new();
    for Traced { at_us, event } in events {
        // Writing to a String cannot fail.
        _ = writeln!(text, "{:>10.3} ms  {}", *at_us as f64 / 1000.0, plain(&event_in_words(event)));
    }
    if lost > 0 {
        _ = writeln!(text, "and {lost} more");
    }
    text
}

fn event_in_words(event: &Event) -> String {
    match event {
        Event::Import { interface, function } => format!("{interface} {function}"),
        Event::Log { level, message, fields } => {
            let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            format!("{level}: {message}{fields}")
        }
        Event::Http { method, url, status, error, took_us } => {
            let outcome = match (status, error) {
                (Some(status), _) => status.to_string(),
                (None, Some(error)) => error.clone(),
                (None, None) => return format!("{method} {url}: no answer yet"),
            };
            format!("{method} {url}: {outcome} ({})", probed::duration(Duration::from_micros(*took_us)))
        }
        Event::Denied { grant } => format!("denied; --allow={grant} would allow it"),
    }
}

fn spread(Answered { export, times, .. }: &Answered<'_>) -> String {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return String::new() };
    let [fastest, median, slowest] = [*first, times[times.len() / 2], *last].map(probed::duration);
    format!("{export}: {} calls, fastest {fastest}, median {median}, slowest {slowest}\n", times.len())
}

fn listing(surface: &Surface) -> String {
    let manifest = &surface.manifest;
    let mut text = format!("{} {} ({})\n", manifest.name, plain(&manifest.version), manifest.kind);
    let mut interface = None;
    let mut types: Vec<&String> = Vec::new();
    for export in surface.exports() {
        let Export { interface: of, .. } = export;
        // Writing to a String cannot fail.
        if interface.replace(of) != Some(of) {
            _ = write!(text, "\n{}:\n", plain(of));
        }
        _ = writeln!(text, "  {}", plain(&export.signature()));
        types.extend(export.types.iter().filter(|line| !types.contains(line)).collect::<Vec<_>>());
    }
    if !types.is_empty() {
        text.push_str("\ntypes:\n");
        types.iter().for_each(|line| _ = writeln!(text, "  {}", plain(line)));
    }
    text
}

fn listing_json(surface: &Surface) -> Value {
    let manifest = &surface.manifest;
    json!({
        "plugin": manifest.name, "version": manifest.version, "kind": manifest.kind,
        "exports": surface.exports().collect::<Vec<_>>(),
    })
}
