//! `micro plugin ps`: the plugins of all running processes, asked at their admin sockets.

use crate::args::Format;
use crate::output::{self, plain};
use comfy_table::{Table, presets};
use futures::future::join_all;
use micro::Flags;
use micro::admin::{self, ProcessInfo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

/// A process and its plugins.
#[derive(Debug, Serialize)]
struct Process {
    #[serde(flatten)]
    info: ProcessInfo,
    /// As the process gave them; its version may know more about them than this one.
    plugins: Vec<Value>,
}

/// What the table shows of a plugin.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row {
    name: String,
    version: String,
    kind: String,
    digest: String,
    state: Value,
    generation: u64,
    restarts: u64,
    in_flight: u64,
    queued: u64,
    memory_bytes: u64,
    last_error: Option<Value>,
    last_swap: Option<Value>,
    drift: Option<String>,
    /// By export.
    calls: Value,
}

pub(in crate::commands) async fn ps(flags: &Flags, format: Format) -> anyhow::Result<()> {
    let folder = admin::folder(flags.home.clone());
    let sockets = admin::processes(&folder).await;
    let processes: Vec<Process> =
        join_all(sockets.iter().map(|socket| ask(socket))).await.into_iter().flatten().collect();
    if processes.is_empty() {
        super::super::tell(&format!("no running processes in {}", folder.display()));
    }
    output::answer(format, || table(&processes), &json!({ "processes": processes }))
}

/// None for a process that ended meanwhile, or does not answer: that is said, and the others are still shown.
async fn ask(socket: &Path) -> Option<Process> {
    let answers = async {
        let info = admin::ask(socket, "/info").await?;
        let plugins = admin::ask(socket, "/plugins").await?;
        Ok::<_, std::io::Error>(Process {
            info: serde_json::from_value(info)?,
            plugins: serde_json::from_value(plugins)?,
        })
    };
    match answers.await {
        Ok(process) => Some(process),
        Err(error) => {
            super::super::tell(&format!("no answer from {}: {error}", socket.display()));
            None
        }
    }
}

fn table(processes: &[Process]) -> String {
    if processes.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "PID",
        "SERVICE",
        "PLUGIN",
        "VERSION",
        "KIND",
        "STATE",
        "GEN",
        "RESTARTS",
        "IN-FLIGHT",
        "QUEUED",
        "MEMORY",
        "DIGEST",
    ]);
    let (mut errors, mut drifts) = (String::new(), String::new());
    let mut costs = Table::new();
    costs.load_style(presets::NOTHING);
    for Process { info, plugins } in processes {
        let process = [info.pid.to_string(), plain(&info.service).into_owned()];
        if plugins.is_empty() {
            table.add_row(process.iter().cloned().chain(["-".to_owned()]));
        }
        for plugin in plugins {
            // What cannot be read is shown empty rather than hidden.
            let row = Row::deserialize(plugin).unwrap_or_default();
            let name = plain(&row.name).into_owned();
            if let Some(reason) = row.last_error.as_ref().and_then(|error| error.get("reason")?.as_str()) {
                errors.push_str(&format!("{} of {}: {}\n", name, info.pid, plain(reason)));
            }
            if let Some(error) = row.last_swap.as_ref().and_then(|swap| swap.get("error")?.as_str()) {
                errors.push_str(&format!("{} of {}: not replaced: {}\n", name, info.pid, plain(error)));
            }
            for (export, times) in row.calls.as_object().into_iter().flatten() {
                let figure = |name: &str| times.get(name).and_then(Value::as_f64).unwrap_or_default();
                costs.add_row([
                    format!("{name} of {}:", info.pid),
                    plain(export).into_owned(),
                    format!("{} calls", figure("calls")),
                    format!("p50 {}", duration(figure("p50_ms"))),
                    format!("p99 {}", duration(figure("p99_ms"))),
                ]);
            }
            if let Some(drift) = &row.drift {
                drifts.push_str(&format!("{} of {}: {}\n", name, info.pid, plain(drift)));
            }
            table.add_row(process.iter().cloned().chain([
                name,
                plain(&row.version).into_owned(),
                plain(&row.kind).into_owned(),
                state(&row.state),
                row.generation.to_string(),
                row.restarts.to_string(),
                row.in_flight.to_string(),
                row.queued.to_string(),
                super::inspect::size(row.memory_bytes),
                short(&row.digest),
            ]));
        }
    }
    let lines = |table: &Table| table.lines().map(|line| format!("{}\n", line.trim())).collect::<String>();
    let (rows, costs) = (lines(&table), lines(&costs));
    let titled = |title: &str, lines: String| {
        if lines.is_empty() { lines } else { format!("\n{title}:\n{lines}") }
    };
    format!("{rows}{}{}{}", titled("calls", costs), titled("last errors", errors), titled("drift", drifts))
}

/// Milliseconds in the unit that suits them. The figures are those of buckets, so three digits say enough.
fn duration(ms: f64) -> String {
    match ms {
        _ if ms >= 1000.0 => format!("{:.1} s", ms / 1000.0),
        _ if ms >= 1.0 => format!("{ms:.1} ms"),
        _ if ms >= 0.001 => format!("{:.1} µs", ms * 1000.0),
        _ => format!("{:.0} ns", ms * 1e6),
    }
}

/// `{"state": "degraded", "reason": "…"}` in words.
fn state(state: &Value) -> String {
    let text = |name: &str| state.get(name).and_then(Value::as_str).unwrap_or_default();
    let words = match text("reason") {
        "" => text("state").to_owned(),
        reason => format!("{}: {reason}", text("state")),
    };
    plain(&words).into_owned()
}

pub(super) fn short(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    plain(&hex.chars().take(12).collect::<String>()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_with_and_without_plugins_are_shown() {
        let info = |pid, service: &str| ProcessInfo {
            pid,
            service: service.to_owned(),
            address: "127.0.0.1:1".to_owned(),
            version: "0.1.0".to_owned(),
            registry: "etcd".to_owned(),
        };
        let plugin = json!({
            "name": "etcd-registry", "version": "1.2.3", "kind": "registry", "generation": 2, "restarts": 1,
            "digest": "sha256:0123456789abcdef", "state": { "state": "degraded", "reason": "etcd is away" },
            "memory_bytes": 3 << 20, "in_flight": 4, "queued": 5,
            "last_error": { "reason": "unreachable executed" }, "unheard": [1],
            "calls": { "changes": { "calls": 128, "p50_ms": 1.38, "p99_ms": 2500.0 },
                       "pick": { "calls": 64, "p50_ms": 0.000_181, "p99_ms": 0.0014 } },
            "last_swap": { "locator": "x.wasm", "error": "cannot load plugin x.wasm" }, "drift": "its file has changed"
        });
        let processes = [
            Process { info: info(7, "go.micro.api"), plugins: vec![plugin, json!({ "name": 1 })] },
            Process { info: info(8, "greeter"), plugins: vec![] },
        ];
        let text = table(&processes);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0][..4], ["PID", "SERVICE", "PLUGIN", "VERSION"]);
        let expected =
            "7 go.micro.api etcd-registry 1.2.3 registry degraded: etcd is away 2 1 4 5 3.0 MiB 0123456789ab";
        assert_eq!(lines[1].join(" "), expected);
        assert_eq!(lines[2][..2], ["7", "go.micro.api"]);
        assert_eq!(lines[3], ["8", "greeter", "-"]);
        let notes = "\ncalls:\n\
                     etcd-registry of 7:  changes  128 calls  p50 1.4 ms  p99 2.5 s\n\
                     etcd-registry of 7:  pick     64 calls   p50 181 ns  p99 1.4 µs\n\
                     \nlast errors:\n\
                     etcd-registry of 7: unreachable executed\n\
                     etcd-registry of 7: not replaced: cannot load plugin x.wasm\n\
                     \ndrift:\n\
                     etcd-registry of 7: its file has changed\n";
        assert!(text.ends_with(notes), "{text}");
    }
}
