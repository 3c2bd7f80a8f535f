//! `plugin run` and `plugin bench`.

use crate::support::{Home, SOON, fixture};
use micro_test::process::Signal;
use std::path::Path;

/// The fixture as another version, put in place as installers do it.
fn install(file: &Path, version: &str) {
    let wasm = std::fs::read(fixture("fault-registry")).expect("readable");
    let mut manifest = micro_plugin::section::read(&wasm).expect("finished");
    version.clone_into(&mut manifest.version);
    let new = file.with_extension("part");
    std::fs::write(&new, micro_plugin::finish(&wasm, &manifest).expect("a component")).expect("writable");
    std::fs::rename(&new, file).expect("one file system");
}

#[tokio::test]
async fn a_file_that_changes_is_put_into_service() {
    let home = Home::new();
    let file = home.path().join("mine.wasm");
    install(&file, "1.0.0");
    let arguments = [
        "plugin",
        "run",
        "mine.wasm",
        "--watch",
        "--",
        "api",
        "--address=127.0.0.1:0",
        "--server_address=127.0.0.1:0",
        "--drain_delay=0s",
    ];
    let mut program = home.start(&arguments);
    program.line("API gateway started", SOON).await;
    install(&file, "2.0.0");
    program.line("fault-registry 1.0.0 -> 2.0.0, generation 1 -> 2", SOON).await;
    // What is no plugin changes nothing.
    std::fs::write(&file, "no component").expect("writable");
    program.line("[MICRO-0506]", SOON).await;
    program.line("the running plugin stays in place", SOON).await;
    install(&file, "3.0.0");
    program.line("fault-registry 2.0.0 -> 3.0.0, generation 2 -> 3", SOON).await;
    program.signal(Signal::TERM);
    assert_eq!(program.exit(SOON).await.code(), Some(0), "{program}");
    assert!(home.run(&["plugin", "ps"]).await.err.starts_with("no running processes"), "both have ended");
}

#[tokio::test]
async fn what_cannot_be_run_is_said() {
    let home = Home::new();
    home.run(&["plugin", "run"]).await.complains(&["no plugin.toml in .", "[MICRO-0709]"]);
    home.run(&["plugin", "run", "gone.wasm"]).await.complains(&["cannot read", "[MICRO-0102]"]);
    std::fs::write(home.path().join("text.wasm"), "no component").expect("writable");
    home.run(&["plugin", "run", "text.wasm"]).await.complains(&["is no plugin", "[MICRO-0104]"]);
    install(&home.path().join("mine.wasm"), "1.0.0");
    let ended = home.run(&["plugin", "run", "mine.wasm", "--", "--registry_opt=nonsense=1", "api"]).await;
    ended.complains(&["[MICRO-0107]", "micro ended with exit status: 1 [MICRO-0709]"]);
}

#[tokio::test]
async fn costs_are_measured() {
    let home = Home::new();
    let selector = fixture("random-selector").display().to_string();
    let two = fixture("roundrobin-selector").display().to_string();
    let bench = home.run(&["plugin", "bench", &selector, &two, "--rounds=1", "--output=json"]).await;
    assert_eq!((bench.code, &*bench.err), (0, ""));
    let json = bench.json();
    for file in json["files"].as_array().expect("two") {
        for name in ["size_bytes", "compile_ns", "load_ns", "instantiate_ns", "memory_bytes"] {
            assert!(file[name].as_u64().is_some_and(|it| it > 0), "{name}: {file}");
        }
        let cases = file["cases"].as_array().expect("cases");
        assert_eq!(cases.len(), 3);
        assert!(cases.iter().all(|it| it["median_ns"].as_f64().is_some_and(|ns| ns > 0.0)), "{file}");
        assert!(cases.iter().all(|it| it["native_ns"].as_f64().is_some()), "{file}");
    }
    assert!(json["ratios"]["pick, 10 nodes"].as_f64().is_some_and(|it| it > 0.0), "{json}");

    let registry = fixture("fault-registry").display().to_string();
    let calls =
        ["plugin", "bench", &registry, "--rounds=1", "--call=list-services()", "--call=get-service(\"a\")"];
    let text = home.run(&calls).await;
    assert_eq!((text.code, &*text.err), (0, ""));
    assert!(
        text.out.contains("list-services()") && text.out.contains("memory of an instance"),
        "{}",
        text.out
    );
    let faulty = ["plugin", "bench", &registry, "--opt=fault=list-services:unavailable"];
    home.run(&faulty).await.complains(&["[MICRO-0710]", "--address"]);
}
