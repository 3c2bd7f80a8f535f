//! `plugin test`: broken plugins are found out, each with the rule that it breaks, and a sound one passes.

use crate::support::{Home, Output};
use futures::stream::{StreamExt, iter};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// All rules of a registry take a minute; a busy machine may take a few.
const LONG: Duration = Duration::from_secs(400);

/// A plugin that fails one rule: its file, an option or none, and the rule.
type Broken = (&'static str, &'static str, &'static str);

const BROKEN: &[Broken] = &[
    ("broken-registry", "fault=forgets-ttl", "registry.ttl.expires"),
    ("broken-registry", "fault=loses-events", "registry.watch.changes"),
    ("broken-registry", "fault=blocks", "registry.concurrency.kept"),
    ("broken-registry", "fault=leaks", "registry.memory.steady"),
    ("broken-registry", "fault=strangers", "registry.lookup.exact"),
    ("broken-registry", "fault=ignores-deadlines", "registry.deadline.kept"),
    ("fault-registry", "fault=list-services:http:10.0.0.1:80", "registry.permissions.kept"),
    ("fault-registry", "", "static.permissions.asked"),
    ("fault-wrong-contract", "", "static.contract.served"),
    ("fault-wrong-kind", "", "static.exports.contract"),
    ("fault-missing-import", "", "static.imports.offered"),
    ("fault-selector", "choose=last", "selector.pick.fair"),
    ("fault-selector", "fault=pick:avoided#20+", "selector.pick.avoids"),
    ("fault-selector", "fault=set-candidates:spin#3+", "selector.set.replaced"),
    ("fault-codec", "fault=open:anything", "codec.open.refuses"),
    ("fault-codec", "fault=open:outside#50+", "codec.round-trip"),
    ("fault-filter", "fault=request:status#2+", "filter.verdict.sound"),
    ("fault-filter", "fault=request:teapot#4+", "filter.verdict.repeatable"),
    ("fault-wire", "fault=encode:twice#3+", "wire.round-trip"),
    ("fault-wire", "fault=decode:garbage#5+", "wire.decode.ordinary"),
    ("fault-wire", "fault=decode:balloon#3+", "hot.swap.seamless"),
];

/// A plugin of `cargo xtask plugins`.
fn plugin(name: &str) -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/target/plugins");
    let folder = std::env::var_os("MICRO_TEST_PLUGINS").map_or_else(default, PathBuf::from);
    let wasm = folder.join(format!("{name}.wasm"));
    assert!(wasm.is_file(), "{} is missing; run `cargo xtask plugins`", wasm.display());
    wasm
}

async fn test(home: &Home, name: &str, arguments: &[&str]) -> Output {
    let file = plugin(name).display().to_string();
    let mut command = home.command(&[&["plugin", "test", &file][..], arguments].concat());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(LONG, command.output()).await;
    let output =
        ended.unwrap_or_else(|_| panic!("testing {name} {arguments:?} does not end")).expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Output {
        code: output.status.code().expect("no signal"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

async fn is_found_out(home: &Home, (name, option, rule): &Broken) {
    let option = format!("--opt={option}");
    let options: &[&str] = if option == "--opt=" { &[] } else { &[&option] };
    let alone = test(home, name, &[options, &["--case", rule, "--output=json", "--seed=7"]].concat()).await;
    assert_eq!(alone.code, 1, "{name} {option} passes {rule}: {}", alone.out);
    let report = alone.json();
    let case = report["cases"].as_array().and_then(|cases| cases.iter().find(|case| case["rule"] == *rule));
    let case = case.unwrap_or_else(|| panic!("{name}: no {rule} in {report}"));
    assert_eq!(case["outcome"], "failed", "{name} {option}: {case}");
    let line = alone.err.lines().find(|line| line.contains(&format!("FAIL  {rule}")));
    let line = line.unwrap_or_else(|| panic!("{name}: no line for {rule} in {}", alone.err));
    assert!(line.contains("expected that ") && line.contains("seen: "), "{line}");
    assert!(alone.err.contains(&format!("--case {rule} --seed 7")), "{}", alone.err);
}

#[tokio::test]
async fn broken_plugins_are_found_out_with_the_rule_that_they_break() {
    let home = Home::new();
    // Two at a time: most of them wait for something.
    iter(BROKEN).map(|broken| is_found_out(&home, broken)).buffer_unordered(2).collect::<Vec<()>>().await;
}

#[tokio::test]
async fn sound_plugins_pass_everything() {
    let home = Home::new();
    let sound = ["broken-registry", "fault-selector", "fault-codec", "fault-filter", "fault-wire"];
    let run = async |name: &str| {
        let report = home.path().join(format!("{name}.xml"));
        let report = format!("--report={}", report.display());
        let tested = test(&home, name, &["--output=json", &report]).await;
        let failed = |case: &&Value| case["outcome"] == "failed" || case["outcome"] == "not-run";
        let json = tested.json();
        let failed: Vec<&Value> = json["cases"].as_array().expect("cases").iter().filter(failed).collect();
        // By its manifest a wire is a transport, which the name of this fixture does not say.
        let failed: Vec<&&Value> = failed
            .iter()
            .filter(|case| name != "fault-wire" || case["rule"] != "static.name.conventional")
            .collect();
        assert!(failed.is_empty(), "{name}: {failed:#?}");
        if name != "fault-wire" {
            assert_eq!((tested.code, &json["level"]), (0, &Value::from("stable")), "{name}: {}", tested.err);
        }
        let xml = std::fs::read_to_string(home.path().join(format!("{name}.xml"))).expect("written");
        assert!(xml.starts_with("<?xml") && xml.contains("<testsuite name=\"property\""), "{xml}");
    };
    iter(sound).map(run).buffer_unordered(2).collect::<Vec<()>>().await;
}

#[tokio::test]
async fn what_could_not_be_checked_is_not_passed() {
    let home = Home::new();
    let all = test(&home, "etcd-registry", &["--suite=static,contract"]).await;
    assert_eq!(all.code, 1, "{}", all.out);
    assert!(all.out.contains("registry.ttl.expires: not run (give --address)"), "{}", all.out);
    assert!(all.out.contains("level: alpha\nmissing for beta: "), "{}", all.out);
    assert!(all.err.contains("could not be checked") && all.err.contains("--level alpha"), "{}", all.err);
    let alpha = test(&home, "etcd-registry", &["--level=alpha"]).await;
    assert_eq!(alpha.code, 0, "{}{}", alpha.out, alpha.err);
    assert!(alpha.out.contains("pass  registry.backend.silent"), "{}", alpha.out);
}

#[tokio::test]
async fn rules_are_listed() {
    let home = Home::new();
    let all = home.run(&["plugin", "test", "--list"]).await;
    assert_eq!((all.code, &*all.err), (0, ""));
    assert!(all.out.contains("registry.ttl.expires") && all.out.contains("wire.round-trip"), "{}", all.out);
    let file = plugin("http-transport").display().to_string();
    let wire = home.run(&["plugin", "test", "--list", &file, "--output=json"]).await.json();
    let of_wire = wire.as_array().expect("a list");
    assert!(of_wire.iter().any(|rule| rule["id"] == "wire.round-trip"), "{wire}");
    assert!(!of_wire.iter().any(|rule| rule["id"] == "registry.ttl.expires"), "{wire}");
}

#[tokio::test]
async fn what_makes_no_sense_is_an_error() {
    let home = Home::new();
    home.run(&["plugin", "test"]).await.complains(&["FILE"]);
    home.run(&["plugin", "test", "x.wasm"]).await.complains(&["cannot read x.wasm"]);
    let file = plugin("http-transport").display().to_string();
    for (arguments, parts) in [
        (["--suite=everything", "--seed=1"], &["everything", "contract"][..]),
        (["--level=gold", "--seed=1"], &["gold", "stable"]),
        (["--faults=rain", "--seed=1"], &["rain", "partition"]),
        (["--case=registry.ttl.expires.not", "--seed=1"], &["no rule has", "--list"]),
        (["--opt=novalue", "--seed=1"], &["KEY=VALUE"]),
        (["--expect=mood=good", "--seed=1"], &["known: ttl"]),
        (["--expect=ttl=0s", "--seed=1"], &["for ever"]),
        (["--allow=everything", "--seed=1"], &["is not a permission"]),
    ] {
        home.run(&["plugin", "test", &file, arguments[0], arguments[1]]).await.complains(parts);
    }
    home.run(&["--output=junit", "list", "services"]).await.complains(&["for micro plugin test"]);
    std::fs::write(home.path().join("text.wasm"), "no WebAssembly").expect("writable");
    let text = home.run(&["plugin", "test", "text.wasm"]).await;
    assert_eq!(text.code, 1);
    assert!(
        text.out.contains("FAIL  static.file.component") && text.out.contains("level: none"),
        "{}",
        text.out
    );
}
