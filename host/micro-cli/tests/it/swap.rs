//! `plugin swap`, `--watch_plugins` and SIGHUP: plugins of a running process are replaced.

use crate::support::{Home, SOON};
use micro_test::process::{Program, Signal};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A registry plugin of this version, in a file of the home. It is built by `cargo xtask plugins`.
fn plugin(home: &Home, file: &str, version: &str) -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/target/plugins");
    let folder = std::env::var_os("MICRO_TEST_PLUGINS").map_or_else(default, PathBuf::from);
    let wasm = folder.join("fault-registry.wasm");
    let wasm = std::fs::read(&wasm)
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask plugins`", wasm.display()));
    let mut manifest = micro_plugin::section::read(&wasm).expect("finished");
    version.clone_into(&mut manifest.version);
    let path = home.path().join(file);
    // Written beside it and renamed, as installers do it.
    let new = path.with_extension("part");
    std::fs::write(&new, micro_plugin::finish(&wasm, &manifest).expect("a component")).expect("writable");
    std::fs::rename(&new, &path).expect("one file system");
    path
}

/// A gateway whose registry is a plugin.
async fn gateway(home: &Home, more: &[&str]) -> Program {
    let arguments = ["api", "--address=127.0.0.1:0", "--server_address=127.0.0.1:0", "--drain_delay=0s"];
    let program = home.start(&[&arguments[..], more].concat());
    program.line("API gateway started", SOON).await;
    program
}

async fn stop(mut program: Program) {
    program.signal(Signal::TERM);
    assert_eq!(program.exit(SOON).await.code(), Some(0), "{program}");
}

/// What `plugin ps` says of the only plugin of a process.
async fn shown(home: &Home, program: &Program) -> Value {
    let ps = home.run(&["plugin", "ps", "--output=json"]).await.json();
    let processes = ps["processes"].as_array().expect("a list");
    let process = processes.iter().find(|it| it["pid"] == program.pid()).expect("it is found");
    process["plugins"][0].clone()
}

#[tokio::test]
async fn a_plugin_is_replaced_by_command() {
    let home = Home::new();
    home.run(&["plugin", "swap", "registry", "b.wasm"])
        .await
        .complains(&["no running process has a registry plugin", "micro plugin ps"]);
    plugin(&home, "a.wasm", "1.0.0");
    plugin(&home, "b.wasm", "2.0.0");
    std::fs::write(home.path().join("text.wasm"), "no component").expect("writable");
    let program = gateway(&home, &["--registry=a.wasm"]).await;
    assert_eq!(shown(&home, &program).await["drift"], Value::Null);

    let swap = home.run(&["plugin", "swap", "registry", "b.wasm"]).await;
    assert_eq!((swap.code, &*swap.err), (0, ""));
    assert!(swap.out.starts_with("fault-registry 1.0.0 -> 2.0.0, generation 1 -> 2, "), "{}", swap.out);
    let plugin = shown(&home, &program).await;
    assert_eq!((&plugin["generation"], &plugin["version"]), (&2.into(), &"2.0.0".into()));
    assert_eq!(plugin["drift"], "the configuration names a.wasm; the next start uses that");
    let table = home.run(&["plugin", "ps"]).await.out;
    assert!(table.contains("\ndrift:\nfault-registry of "), "{table}");

    let swap = ["plugin", "swap", "registry:fault", "./a.wasm", "--output=json"];
    let swapped = home.run(&swap).await.json();
    assert_eq!((&swapped["from"]["generation"], &swapped["to"]["generation"]), (&2.into(), &3.into()));
    assert_eq!((&swapped["pid"], &swapped["service"]), (&program.pid().into(), &"go.micro.api".into()));
    assert_eq!(swapped["to"]["file"], home.path().join("a.wasm").display().to_string());

    let wrong: [(&[&str], &[&str]); 6] = [
        (&["registry", "text.wasm"], &["manifest", "text.wasm", "goes on with the plugin"]),
        (&["registry", "gone.wasm"], &["locate", "gone.wasm"]),
        (&["registry", "a.so"], &["native plugins are not supported"]),
        (&["broker", "a.wasm"], &["no running process has a broker plugin"]),
        (&["registrar", "a.wasm"], &["is no kind of plugin", "micro plugin ps"]),
        (&["registry", "a.wasm", "--process=1"], &["no process 1 has an admin socket"]),
    ];
    for (arguments, parts) in wrong {
        home.run(&[&["plugin", "swap"], arguments].concat()).await.complains(parts);
    }
    assert_eq!(shown(&home, &program).await["generation"], 3);

    let native = gateway(&home, &[]).await;
    let pid = format!("--process={}", native.pid());
    home.run(&["plugin", "swap", "registry", "a.wasm", &pid])
        .await
        .complains(&["has no registry plugin", "part of the program"]);
    let second = gateway(&home, &["--registry=b.wasm"]).await;
    let pids = [program.pid().to_string(), second.pid().to_string()];
    home.run(&["plugin", "swap", "registry", "a.wasm"]).await.complains(&[
        "several processes have a registry plugin",
        &pids[0],
        &pids[1],
        "--process PID",
    ]);
    let swap = ["plugin", "swap", "registry", "a.wasm", "--process", &pids[1], "--output=json"];
    assert_eq!(home.run(&swap).await.json()["pid"], second.pid());
    assert_eq!(shown(&home, &program).await["generation"], 3);
    for program in [program, native, second] {
        stop(program).await;
    }
}

#[tokio::test]
async fn a_swap_that_is_written_down_is_repeated_at_the_next_start() {
    let home = Home::new();
    plugin(&home, "a.wasm", "1.0.0");
    plugin(&home, "b.wasm", "2.0.0");
    let program = gateway(&home, &["--registry=a.wasm"]).await;
    let swap = home.run(&["plugin", "swap", "registry", "b.wasm", "--persist"]).await;
    let file = home.path().join("swaps.json").display().to_string();
    assert!(swap.out.ends_with(&format!("written down in {file}: the next start uses it\n")), "{swap:?}");
    assert_eq!(shown(&home, &program).await["drift"], Value::Null);
    stop(program).await;

    let again = gateway(&home, &["--registry=a.wasm"]).await;
    again.line("a swap that was written down is repeated", SOON).await;
    let plugin_now = shown(&home, &again).await;
    assert_eq!((&plugin_now["version"], &plugin_now["generation"]), (&"2.0.0".into(), &1.into()));
    assert_eq!((&plugin_now["configured"], &plugin_now["drift"]), (&"a.wasm".into(), &Value::Null));
    stop(again).await;

    plugin(&home, "c.wasm", "3.0.0");
    let other = gateway(&home, &["--registry=c.wasm"]).await;
    other.line("is for another --registry and has no effect", SOON).await;
    assert_eq!(shown(&home, &other).await["version"], "3.0.0");
    stop(other).await;

    std::fs::remove_file(home.path().join("b.wasm")).expect("it is there");
    let without = gateway(&home, &["--registry=a.wasm"]).await;
    without.line("cannot be repeated", SOON).await;
    assert_eq!(shown(&home, &without).await["version"], "1.0.0");
    // Back to what the configuration names.
    assert_eq!(home.run(&["plugin", "swap", "registry", "c.wasm"]).await.code, 0);
    let back = ["plugin", "swap", "registry", "a.wasm", "--persist"];
    assert_eq!(home.run(&back).await.code, 0);
    assert!(!std::fs::read_to_string(&file).expect("written").contains("b.wasm"));
    stop(without).await;
}

#[tokio::test]
async fn files_that_change_are_swapped_in() {
    let home = Home::new();
    plugin(&home, "a.wasm", "1.0.0");
    let program = gateway(&home, &["--registry=a.wasm", "--watch_plugins"]).await;
    plugin(&home, "a.wasm", "2.0.0");
    program.line("version=\"2.0.0\" generation=2", SOON).await;

    std::fs::write(home.path().join("a.wasm"), "half a file").expect("writable");
    program.line("plugin not replaced", SOON).await;
    let status = shown(&home, &program).await;
    assert_eq!((&status["version"], &status["generation"]), (&"2.0.0".into(), &2.into()));
    assert!(status["drift"].as_str().is_some_and(|drift| drift.contains("has changed")), "{status}");
    assert!(
        status["last_swap"]["error"].as_str().is_some_and(|error| error.contains("manifest")),
        "{status}"
    );

    plugin(&home, "a.wasm", "3.0.0");
    program.line("version=\"3.0.0\" generation=3", SOON).await;
    stop(program).await;
}

#[tokio::test]
async fn a_folder_that_is_replaced_is_watched_anew() {
    let home = Home::new();
    for (folder, version) in [("now", "1.0.0"), ("next", "2.0.0")] {
        std::fs::create_dir(home.path().join(folder)).expect("writable");
        plugin(&home, &format!("{folder}/a.wasm"), version);
    }
    let program = gateway(&home, &["--registry=now/a.wasm", "--watch_plugins"]).await;
    std::fs::rename(home.path().join("now"), home.path().join("old")).expect("one file system");
    std::fs::rename(home.path().join("next"), home.path().join("now")).expect("one file system");
    program.line("version=\"2.0.0\" generation=2", SOON).await;
    plugin(&home, "now/a.wasm", "3.0.0");
    program.line("version=\"3.0.0\" generation=3", SOON).await;
    stop(program).await;
}

#[tokio::test]
async fn a_hangup_looks_for_files_that_changed() {
    let home = Home::new();
    plugin(&home, "a.wasm", "1.0.0");
    let program = gateway(&home, &["--registry=a.wasm"]).await;
    plugin(&home, "a.wasm", "2.0.0");
    let drift = shown(&home, &program).await["drift"].clone();
    assert!(drift.as_str().is_some_and(|drift| drift.contains("has changed")), "{drift}");
    assert_eq!(shown(&home, &program).await["generation"], 1, "nobody asked yet");
    program.signal(Signal::HUP);
    program.line("version=\"2.0.0\" generation=2", SOON).await;
    program.signal(Signal::HUP);
    micro_test::eventually("it was heard twice", SOON, async || {
        program.lines().iter().filter(|line| line.contains("SIGHUP")).count() == 2
    })
    .await;
    assert_eq!(shown(&home, &program).await["generation"], 2, "the file is the same");
    stop(program).await;
}

#[tokio::test]
async fn the_admin_address_wants_its_header_for_swaps_too() {
    let home = Home::new();
    plugin(&home, "a.wasm", "1.0.0");
    let program = gateway(&home, &["--registry=a.wasm", "--admin_address=127.0.0.1:0"]).await;
    let line = program.line("admin pages", SOON).await;
    let address =
        line.split_whitespace().find_map(|word| word.strip_prefix("address=")).expect("it says where");
    let post = async |header: &str, body: &str| {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let (length, head) =
            (body.len(), "POST /plugins/swap HTTP/1.1\r\nHost: localhost\r\nConnection: close");
        let request = format!("{head}{header}\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = Vec::new();
        // One that is refused early may be answered before all of it was read.
        _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).expect("UTF-8")
    };
    let ours = "\r\nMicro-Admin: 1";
    let swap = r#"{"kind":"registry","locator":"a.wasm"}"#;
    let cases = [
        ("", swap, "403", "Micro-Admin"),
        (ours, "", "400", "cannot read the request"),
        (ours, r#"{"kind":"registry","locator":"a.wasm","persits":true}"#, "400", "persits"),
        (ours, r#"{"kind":"registrar","locator":"a.wasm"}"#, "400", "is no kind of plugin"),
        (ours, r#"{"kind":"registry","locator":""}"#, "400", "missing"),
        (ours, r#"{"kind":"broker","locator":"a.wasm"}"#, "404", "registry:fault-registry can be replaced"),
        (ours, r#"{"kind":"registry","locator":"gone.wasm"}"#, "409", "locate"),
        (ours, swap, "200", r#""generation":2"#),
    ];
    for (header, body, status, text) in cases {
        let answer = post(header, body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{body}: {answer}");
        assert!(answer.contains(text), "{body}: {answer}");
    }
    let answer = post(ours, &" ".repeat(70_000)).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    stop(program).await;
}
