//! `micro plugin swap`: another file for a plugin of a running process.

use crate::args::{Format, SwapArgs};
use crate::failure::{Next, coded};
use crate::output::{self, plain};
use futures::future::join_all;
use micro::Flags;
use micro::admin::{self, ProcessInfo, SwapRequest};
use micro_core::Code;
use micro_plugin::Locator;
use micro_plugin::locator::Target as Place;
use micro_wasm::{Swapped, Target};
use serde_json::{Value, json};
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// A process with the plugin that is meant.
struct Candidate {
    socket: PathBuf,
    info: ProcessInfo,
    /// The names of its plugins of the kind.
    plugins: Vec<String>,
}

pub(in crate::commands) async fn swap(
    flags: &Flags,
    format: Format,
    arguments: SwapArgs,
) -> anyhow::Result<()> {
    let target: Target = arguments
        .kind
        .parse()
        .next_as(Code::VALUE, "micro plugin ps shows the kinds and names of plugins")?;
    let locator: Locator = arguments.locator.parse().next_as(
        Code::VALUE,
        "name a plugin as behind --registry: etcd, etcd.wasm, ./etcd.wasm, each perhaps with @sha256:…",
    )?;
    let locator = from_here(locator, &std::env::current_dir()?);
    let Candidate { socket, info, plugins } = candidate(flags, &target, arguments.process).await?;
    if std::io::stderr().is_terminal() {
        let service = plain(&info.service);
        super::super::tell(&format!("replacing {} of {service} (pid {}) …", plugins.join(", "), info.pid));
    }
    let request =
        SwapRequest { kind: target.to_string(), locator: locator.to_string(), persist: arguments.persist };
    let answer = admin::ask_to_swap(&socket, &request).await;
    let next = "the process may still be at it: micro plugin ps shows what is in service";
    let answer = answer.map_err(|error| anyhow::anyhow!("process {} does not answer: {error}", info.pid));
    let answer = answer.next_as(Code::SWAP_SILENT, next)?.map_err(|error| {
        coded(
            Code::SWAP_REFUSED,
            plain(&error),
            format!("process {} goes on with the plugin that it had; micro plugin ps shows it", info.pid),
        )
    })?;
    if let Some(problem) = answer.get("not_persisted").and_then(Value::as_str) {
        super::super::tell(&format!("not written down, the next start uses the old one: {}", plain(problem)));
    }
    let answer = with_process(answer, &info);
    output::answer(format, || in_words(&answer), &answer)?;
    match answer.get("not_persisted") {
        Some(_) => Err(coded(
            Code::SWAP_NOT_PERSISTED,
            "the plugin was replaced, but --persist failed",
            "make the folder writable and repeat",
        )),
        None => Ok(()),
    }
}

/// What names a file here, as the process finds it: its working directory may be another one. Names, and files that are
/// not here, are left to the process.
fn from_here(locator: Locator, here: &Path) -> Locator {
    // Components leave out what says nothing, such as the dot of ./etcd.wasm.
    let absolute = |path: &Path| here.join(path).components().collect::<PathBuf>();
    let target = match locator.target {
        Place::Path(path) => Place::Path(absolute(&path)),
        Place::File(name) if here.join(&name).is_file() => Place::Path(absolute(Path::new(&name))),
        other => other,
    };
    Locator { target, ..locator }
}

/// The process that is meant: the one that was named, or the only one that has such a plugin.
async fn candidate(flags: &Flags, target: &Target, process: Option<u32>) -> anyhow::Result<Candidate> {
    let folder = admin::folder(flags.home.clone());
    let sockets = admin::processes(&folder).await;
    let asked = join_all(sockets.into_iter().map(|socket| ask(socket, target))).await;
    let all: Vec<Candidate> = asked.into_iter().flatten().collect();
    let list = |them: &[Candidate]| them.iter().map(Candidate::line).collect::<String>();
    if let Some(pid) = process {
        let ps = "micro plugin ps shows all of them";
        let found = all.into_iter().find(|it| it.info.pid == pid);
        let found = found.ok_or_else(|| {
            coded(
                Code::SWAP_NO_PLUGIN,
                format!("no process {pid} has an admin socket in {}", folder.display()),
                ps,
            )
        })?;
        return match found.plugins.as_slice() {
            [] => Err(coded(
                Code::SWAP_NO_PLUGIN,
                format!(
                    "process {pid} ({}) has no {target} plugin; backends that are part of the program cannot be replaced",
                    plain(&found.info.service)
                ),
                ps,
            )),
            _ => Ok(found),
        };
    }
    let mut with: Vec<Candidate> = all.into_iter().filter(|it| !it.plugins.is_empty()).collect();
    match with.len() {
        0 => Err(coded(
            Code::SWAP_NO_PLUGIN,
            format!("no running process has a {target} plugin (sockets in {})", folder.display()),
            "micro plugin ps shows the processes; one that uses a plugin was started with a flag such as --registry=etcd",
        )),
        1 => Ok(with.remove(0)),
        _ => Err(coded(
            Code::SWAP_AMBIGUOUS,
            format!("several processes have a {target} plugin:\n{}", list(&with).trim_end()),
            "say which one with --process PID",
        )),
    }
}

impl Candidate {
    fn line(&self) -> String {
        let mut line = String::new();
        // Writing to a String cannot fail.
        _ = writeln!(line, "  {}  {}  {}", self.info.pid, plain(&self.info.service), self.plugins.join(", "));
        line
    }
}

/// None for a process that ends just now, or that does not answer.
async fn ask(socket: PathBuf, target: &Target) -> Option<Candidate> {
    let info = serde_json::from_value(admin::ask(&socket, "/info").await.ok()?).ok()?;
    let plugins = admin::ask(&socket, "/plugins").await.ok()?;
    let text =
        |plugin: &Value, name: &str| plugin.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let fits = |plugin: &&Value| {
        let kind = text(plugin, "kind").parse();
        // A part of the program that serves in place of a plugin cannot be replaced.
        let native = plugin["state"]["state"] == "native";
        !native && kind.is_ok_and(|kind| target.fits(kind, &text(plugin, "name")))
    };
    let fitting = plugins.as_array()?.iter().filter(fits);
    let plugins = fitting.map(|plugin| plain(&text(plugin, "name")).into_owned()).collect();
    Some(Candidate { socket, info, plugins })
}

fn with_process(mut answer: Value, info: &ProcessInfo) -> Value {
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("pid".to_owned(), json!(info.pid));
        fields.insert("service".to_owned(), json!(info.service));
    }
    answer
}

fn in_words(answer: &Value) -> String {
    // The process may be of a later version; what it did is not in doubt.
    let Ok(swapped) = serde_json::from_value::<Swapped>(answer.clone()) else {
        return "replaced\n".to_owned();
    };
    let Swapped { plugin, from, to, took_ms, .. } = &swapped;
    let mut text = format!(
        "{} {} -> {}, generation {} -> {}, {} -> {}, after {took_ms} ms\n",
        plain(plugin),
        plain(&from.version),
        plain(&to.version),
        from.generation,
        to.generation,
        super::ps::short(&from.digest),
        super::ps::short(&to.digest),
    );
    if let Some(file) = answer.get("persisted").and_then(Value::as_str) {
        _ = writeln!(text, "written down in {}: the next start uses it", plain(file));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_those_of_this_folder() {
        let here = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(here.path().join("here.wasm"), b"").expect("writable");
        let seen = |text: &str| from_here(text.parse().expect("a locator"), here.path()).to_string();
        let inside = |name: &str| here.path().join(name).display().to_string();
        assert_eq!(seen("etcd"), "etcd");
        assert_eq!(seen("elsewhere.wasm"), "elsewhere.wasm");
        assert_eq!(seen("here.wasm"), inside("here.wasm"));
        assert_eq!(seen("./x/there.wasm"), inside("x/there.wasm"));
        assert_eq!(seen("/opt/there.wasm"), "/opt/there.wasm");
        let pin = format!("@sha256:{}", "ab".repeat(32));
        assert_eq!(seen(&format!("here.wasm{pin}")), format!("{}{pin}", inside("here.wasm")));
    }

    #[test]
    fn what_was_done_is_said() {
        let version = |generation: u64, version: &str, digest: &str| json!({ "generation": generation, "version": version, "digest": digest, "file": "/x.wasm" });
        let answer = json!({
            "plugin": "etcd-registry", "kind": "registry", "took_ms": 12, "configured": "etcd", "locator": "/x.wasm",
            "from": version(1, "1.0.0", "0123456789abcdef"), "to": version(2, "1.1.0", "fedcba9876543210"),
            "persisted": "/home/swaps.json", "later": true
        });
        assert_eq!(
            in_words(&answer),
            "etcd-registry 1.0.0 -> 1.1.0, generation 1 -> 2, 0123456789ab -> fedcba987654, after 12 ms\n\
             written down in /home/swaps.json: the next start uses it\n"
        );
        assert_eq!(in_words(&json!({})), "replaced\n");
    }
}
