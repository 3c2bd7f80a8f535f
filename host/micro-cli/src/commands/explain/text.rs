//! The explanation for people: a line for each step, with the time at which it was done.

use super::Explanation;
use crate::commands::call::indented;
use crate::output::plain;
use micro::client::{Step, VersionSeen};
use std::fmt::Write;

/// Width of the names of steps.
const NAME: usize = 10;
/// Before the lines that go on with a step: where its text begins.
const INDENT: usize = 2 + 10 + 2 + NAME + 2;

pub(super) fn of(explanation: &Explanation) -> String {
    let mut text = String::new();
    for traced in &explanation.steps {
        let (name, lines) = lines(explanation, &traced.step);
        #[allow(clippy::cast_precision_loss, reason = "milliseconds with two decimals")]
        let ms = traced.at_us as f64 / 1000.0;
        for (at, line) in lines.iter().enumerate() {
            // Writing to a String cannot fail.
            _ = match at {
                0 => writeln!(text, "{ms:>9.2} ms  {name:<NAME$}  {}", plain(line)),
                _ => writeln!(text, "{:INDENT$}{}", "", plain(line)),
            };
        }
    }
    for note in &explanation.notes {
        _ = writeln!(text, "\nnote: {}", plain(note));
    }
    if let Some(answer) = &explanation.answer {
        let first = if explanation.stream { "the first message:\n" } else { "" };
        _ = write!(text, "\n{first}{}", indented(answer.get().as_bytes()).unwrap_or_default());
    } else if explanation.error.is_none() && !explanation.called {
        _ = writeln!(text, "\nnothing was sent: give a request to call it, for instance '{{}}'");
    }
    text
}

fn lines(explanation: &Explanation, step: &Step) -> (&'static str, Vec<String>) {
    match step {
        Step::Registry { registry, location, from_memory, age_ms, stale, versions } => {
            let plugin = explanation.plugin.as_ref();
            let plugin =
                plugin.map_or_else(|| "part of micro".to_owned(), |it| format!("{} {}", it.name, it.version));
            let asked = match (from_memory, age_ms) {
                (false, _) => "asked now".to_owned(),
                (true, Some(age)) => format!("from memory, {age} ms old"),
                (true, None) => "from memory".to_owned(),
            };
            let stale = if *stale { ", stale" } else { "" };
            let mut lines = vec![format!("{registry} ({plugin}) at {location}: {asked}{stale}")];
            lines.extend(versions.iter().map(version));
            if versions.is_empty() {
                lines.push("no such service".to_owned());
            }
            ("registry", lines)
        }
        Step::Candidates { filters, nodes } => {
            let mut lines: Vec<String> = nodes
                .iter()
                .map(|node| {
                    let called = node.protocol.as_deref().unwrap_or("nothing known here");
                    let tls = if node.tls == "off" { String::new() } else { format!(", TLS {}", node.tls) };
                    let refused =
                        node.refused.as_ref().map(|why| format!("; NOT CALLED: {why}")).unwrap_or_default();
                    format!("{} at {}: {called}{tls}: {}{refused}", node.id, node.address, node.because)
                })
                .collect();
            if !filters.is_empty() {
                lines.insert(0, format!("filters: {}", filters.join(", ")));
            }
            ("candidates", lines)
        }
        Step::Pick {
            selector, node, address, protocol, of, ejected, tried, in_flight, latency_us, ..
        } => {
            let mut lines =
                vec![format!("{node} at {address}, called in {protocol}: {selector}, one of {of}")];
            if *tried > 0 {
                lines.push(format!("after {tried} others"));
            }
            if *in_flight > 0 || *latency_us > 0 {
                lines.push(format!("{in_flight} calls on it, {latency_us} µs on average"));
            }
            if !ejected.is_empty() {
                lines.push(format!("left alone for a while: {}", ejected.join(", ")));
            }
            ("pick", lines)
        }
        Step::Dial { target } => ("dial", vec![target.clone()]),
        Step::Resolved { addresses } => {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            ("resolved", vec![addresses.join(", ")])
        }
        Step::Connected { address } => {
            ("connected", vec![address.map(|it| format!("TCP to {it}")).unwrap_or_default()])
        }
        Step::Tls { version, cipher, alpn } => {
            let inside = if alpn.is_empty() { "nothing agreed on" } else { alpn };
            ("tls", vec![format!("{version}, {cipher}, inside: {inside}")])
        }
        Step::Reached { kept } => (
            "reached",
            vec![if *kept { "by a connection that was there" } else { "by a new connection" }.to_owned()],
        ),
        Step::Request { protocol, content_type, path, headers, bytes } => {
            let path = path.as_ref().map(|path| format!(" to {path}")).unwrap_or_default();
            let mut lines = vec![format!("{protocol}{path}: {bytes} bytes of {content_type}")];
            lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
            ("request", lines)
        }
        Step::Answer { content_type, headers, bytes } => {
            let what = match bytes {
                Some(bytes) => {
                    format!("{bytes} bytes of {}", if content_type.is_empty() { "?" } else { content_type })
                }
                None => "a status, and no message".to_owned(),
            };
            let mut lines = vec![what];
            lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
            ("answer", lines)
        }
        Step::Message { bytes } => ("message", vec![format!("the first one, {bytes} bytes")]),
        Step::Ended { by, messages, bytes } => {
            let by = match *by {
                "service" => "by the service",
                "caller" => "here, when the time was over: it was still open",
                _ => "by a failure",
            };
            let came = match messages {
                0 => "nothing came".to_owned(),
                1 => format!("1 message of {bytes} bytes came"),
                _ => format!("{messages} messages of {bytes} bytes came"),
            };
            ("ended", vec![format!("{by}; {came}")])
        }
        Step::Failed { stage, error, executed } => {
            let stage = format!("{stage:?}").to_lowercase();
            ("FAILED", vec![format!("in {stage}: {}", error.detail), format!("the handler ran: {executed}")])
        }
        Step::Retry { attempt, pause_ms } => {
            ("retry", vec![format!("number {attempt}, after {pause_ms} ms")])
        }
        // What a newer client tells.
        _ => ("", Vec::new()),
    }
}

fn version(seen: &VersionSeen) -> String {
    let VersionSeen { version, nodes, has_endpoint, .. } = seen;
    let nodes = if *nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
    let lists = match has_endpoint {
        Some(true) => "lists the endpoint",
        Some(false) => "does not list the endpoint",
        None => "lists no endpoints",
    };
    format!("version {:?} with {nodes}, {lists}", version)
}
