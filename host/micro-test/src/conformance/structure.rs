//! What can be seen without running a plugin.

use super::run::Runner;
use super::{Failure, Subject, Verdict, ensure};
use micro_plugin::inspect::Format;
use micro_plugin::{Grant, Kind, Manifest};
use micro_wasm::{contract_of, unknown_imports};

/// What compiling in a second or two has room for.
const MODEST: usize = 8 << 20;
/// The same where an interpreter is part of the plugin.
const MODEST_INTERPRETER: usize = 32 << 20;

/// Checks the suite.
pub(super) async fn check(runner: &mut Runner<'_>) {
    let subject = runner.subject;
    runner.case("static.file.component", async { component(subject) }).await;
    runner.case("static.manifest.valid", async { manifest_of(subject).map(|_| None) }).await;
    if subject.manifest().is_none() {
        return;
    }
    runner.case("static.name.conventional", async { name(subject) }).await;
    runner.case("static.contract.served", async { contract(subject) }).await;
    runner.case("static.exports.contract", async { exports(subject) }).await;
    runner.case("static.imports.offered", async { imports(subject) }).await;
    runner.case("static.permissions.asked", async { permissions(subject) }).await;
    runner.case("static.options.documented", async { documentation(subject) }).await;
    runner.advice("static.size.modest", async { size(subject) }).await;
    runner.advice("static.names.kept", async { names(subject) }).await;
}

/// Whether it is worth while to try to run it.
pub(super) fn is_sound(subject: &Subject) -> bool {
    let vital: [fn(&Subject) -> Verdict; 4] = [component, contract, exports, imports];
    vital.into_iter().all(|check| check(subject).is_ok())
}

fn manifest_of(subject: &Subject) -> Result<&Manifest, Failure> {
    subject.report.manifest.as_ref().map_err(|error| Failure(micro_net::error_chain(error)))
}

fn component(subject: &Subject) -> Verdict {
    match subject.report.format {
        Format::Component => Ok(None),
        Format::CoreModule => Err(Failure("a core module".to_owned())),
        Format::Damaged => Err(Failure("a component that breaks off or is damaged".to_owned())),
        Format::NotWasm => Err(Failure("no WebAssembly".to_owned())),
    }
}

fn name(subject: &Subject) -> Verdict {
    let manifest = manifest_of(subject)?;
    let ending = format!("-{}", manifest.kind.suffix());
    ensure!(
        manifest.name.len() > ending.len() && manifest.name.ends_with(&ending),
        "the name {:?} of a {} plugin does not end with {ending:?}",
        manifest.name,
        manifest.kind
    );
    let file = subject.file.file_name().unwrap_or_default().to_string_lossy();
    ensure!(file == format!("{}.wasm", manifest.name), "the file {file} holds {}", manifest.name);
    Ok(None)
}

fn contract(subject: &Subject) -> Verdict {
    let manifest = manifest_of(subject)?;
    let parse = micro_plugin::manifest::Contract::parse;
    let Some(ours) = contract_of(manifest.kind) else {
        return Err(Failure(format!("{} plugins are not served by this version", manifest.kind)));
    };
    let accepted =
        parse(ours).zip(parse(&manifest.contract)).is_some_and(|(ours, theirs)| ours.accepts(&theirs));
    ensure!(accepted, "it is built for {}, and this host speaks {ours}", manifest.contract);
    Ok(None)
}

/// Names and versions only; their types are checked when it is linked, which is the first thing that loading does.
fn exports(subject: &Subject) -> Verdict {
    let manifest = manifest_of(subject)?;
    let (package, version) = manifest.contract.split_once('@').unwrap_or((&manifest.contract, ""));
    let line = version.rsplit_once('.').map_or(version, |(line, _)| line);
    let wanted = [(package, manifest.kind.as_str(), line), (lifecycle(manifest.kind), "lifecycle", "0.1")];
    for (package, interface, line) in wanted {
        let start = format!("{package}/{interface}@{line}.");
        let exports = &subject.report.exports;
        ensure!(
            exports.iter().any(|export| export.starts_with(&start)),
            "{package}/{interface}@{line} is not among its exports: {}",
            if exports.is_empty() { "none".to_owned() } else { exports.join(", ") }
        );
    }
    Ok(None)
}

fn lifecycle(kind: Kind) -> &'static str {
    if is_hot(kind) { "micro:hot" } else { "micro:plugin" }
}

fn is_hot(kind: Kind) -> bool {
    matches!(kind, Kind::Wire | Kind::Selector | Kind::Codec | Kind::Filter)
}

fn imports(subject: &Subject) -> Verdict {
    let unknown = unknown_imports(manifest_of(subject)?.kind, &subject.report.imports);
    ensure!(unknown.is_empty(), "it imports what this host does not offer: {}", unknown.join(", "));
    Ok(None)
}

fn permissions(subject: &Subject) -> Verdict {
    let manifest = manifest_of(subject)?;
    let asks = |good: fn(&Grant) -> bool| manifest.grants.iter().any(|request| good(&request.grant));
    if is_hot(manifest.kind) {
        let asked: Vec<String> = manifest.grants.iter().map(|it| it.grant.to_string()).collect();
        ensure!(asked.is_empty(), "it runs per request and asks for {}", asked.join(", "));
        return Ok(None);
    }
    let import = |name: &str| subject.report.imports.iter().find(|import| import.starts_with(name));
    let asks_for_net = asks(|grant| {
        matches!(grant, Grant::Net(_) | Grant::NetConfigured | Grant::NetPeers | Grant::Sockets)
    });
    if let Some(client) = import("wasi:http/client@").filter(|_| !asks_for_net) {
        return Err(Failure(format!("it imports {client} and asks for no net: permission")));
    }
    // The standard libraries of most languages import files, sockets and the environment without using them, so those
    // say nothing. What is tried at run time is counted there.
    Ok(None)
}

fn documentation(subject: &Subject) -> Verdict {
    let manifest = manifest_of(subject)?;
    ensure!(!manifest.description.is_empty(), "it has no description");
    let silent = manifest.options.iter().find(|option| option.doc.is_empty());
    ensure!(silent.is_none(), "option {} has no doc", silent.map_or("", |it| it.name.as_str()));
    let silent = manifest.grants.iter().find(|request| request.why.is_empty());
    let silent = silent.map(|it| it.grant.to_string());
    ensure!(silent.is_none(), "the permission {} has no why", silent.unwrap_or_default());
    Ok(None)
}

fn size(subject: &Subject) -> Verdict {
    let manifest = manifest_of(subject)?;
    // Who needs this much memory brings an interpreter along.
    let interpreter = manifest.limits.memory_mib.is_some_and(|mib| mib >= 128);
    let most = if interpreter { MODEST_INTERPRETER } else { MODEST };
    let mib = |bytes: usize| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    ensure!(subject.report.size <= most, "{}, and {} would be modest", mib(subject.report.size), mib(most));
    Ok(Some(mib(subject.report.size)))
}

fn names(subject: &Subject) -> Verdict {
    ensure!(
        subject.report.has_names,
        "no name section: traces will be numbers (strip = \"debuginfo\" keeps it)"
    );
    Ok(None)
}
