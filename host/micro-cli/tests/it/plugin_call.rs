//! `plugin call`: exports by name, values as text, what plugins do wrong.

use crate::support::{Home, Output, fixture};
use serde_json::{Value, json};

/// `micro plugin call FIXTURE …`.
async fn call(home: &Home, plugin: &str, arguments: &[&str]) -> Output {
    let file = fixture(plugin).display().to_string();
    home.run(&[&["plugin", "call", &file], arguments].concat()).await
}

#[tokio::test]
async fn exports_are_listed_in_the_words_of_the_contract() {
    let home = Home::new();
    let listed = call(&home, "fault-registry", &[]).await;
    assert_eq!((listed.code, &*listed.err), (0, ""));
    for line in [
        "micro:plugin/lifecycle@0.1.0:",
        "micro:registry/registry@0.1.0:",
        "  get-service: async func(c: call, name: string, options: list<tuple<string, string>>) -> result<snapshot, error>",
        "  drain: async func(reason: string, deadline-ms: u64)",
        "  node-status = enum { passing, warning, critical }",
    ] {
        assert!(listed.out.lines().any(|it| it == line), "{line}: {}", listed.out);
    }
    let json = call(&home, "fault-selector", &["--output=json"]).await.json();
    let exports = json["exports"].as_array().expect("a list");
    let pick = exports.iter().find(|it| it["name"] == "pick").expect("it picks");
    assert_eq!((&pick["async"], &pick["result"]), (&json!(false), &json!("option<u32>")));
}

#[tokio::test]
async fn what_the_host_fills_in_may_be_left_out() {
    let home = Home::new();
    for export in ["list-services", "registry#list-services", "micro:registry/registry@0.1.0#list-services"] {
        call(&home, "fault-registry", &[export]).await.is("ok([])\n");
    }
    let empty = "ok({services: [], cursor: some(\"";
    for name in ["greeter", "\"greeter\"", "two words"] {
        let answer = call(&home, "fault-registry", &["get-service", name]).await;
        assert!(answer.code == 0 && answer.out.starts_with(empty), "{answer:?}");
    }
    let whole = ["get-service", "{timeout-ms: 1000, request-id: 7}", "greeter", "[(\"a\", \"b\")]"];
    let answer = call(&home, "fault-registry", &whole).await;
    assert!(answer.code == 0 && answer.out.starts_with(empty), "{answer:?}");
    let json = call(&home, "fault-registry", &["list-services", "--output=json", "--repeat=5"]).await.json();
    let made = &json["calls"][0];
    assert_eq!(
        (&made["result"], &made["error"], &made["calls"]),
        (&json!({ "ok": [] }), &json!(false), &json!(5))
    );
    assert!(json["memory_bytes"].as_u64().is_some_and(|it| it > 0), "{json}");
}

/// Calls of one instance see what the ones before them did, in WAVE and in JSON.
#[tokio::test]
async fn several_calls_are_made_on_one_instance() {
    let home = Home::new();
    let set = "set-candidates(1, [{id: 7, weight: 1000, metadata: []}, {id: 8, weight: 1000, metadata: [(\"a\", \"b\")]}])";
    let picks = [
        set,
        "pick(1, 0, 0, [])",
        "pick(1, 0, 0, [0, 1])",
        "micro:selector/selector@0.1.0#pick(1, 0, 0, [0])",
    ];
    call(&home, "fault-selector", &picks).await.is("()\nsome(0)\nnone\nsome(1)\n");

    let service = r#"{"name": "greeter", "version": "1.0.0", "metadata": [["a", "b"]], "endpoints": [],
        "nodes": [{"id": "greeter-1", "address": "127.0.0.1:1", "metadata": [], "status": "warning", "zone": null, "tags": []}]}"#;
    call(&home, "fault-registry", &["register", service, "0"]).await.is("ok\n");
    let script = "# a whole life\nregister({name: \"greeter\", version: \"\", metadata: [], endpoints: [], nodes: [{id: \"1\", address: \"a:1\", metadata: [], status: passing, tags: []}]}, 0)\n\n  list-services()\n";
    std::fs::write(home.path().join("calls"), script).expect("writable");
    call(&home, "fault-registry", &["--script", "calls"]).await.is("ok\nok([\"greeter\"])\n");
}

#[tokio::test]
async fn wrong_calls_say_what_is_right() {
    let home = Home::new();
    let wrong: [(&str, &[&str], &[&str]); 12] = [
        (
            "fault-registry",
            &["get-servce"],
            &["no export \"get-servce\"", "get-service: async func(", "MICRO-0703"],
        ),
        (
            "fault-registry",
            &["get-service"],
            &["get-service takes 1 to 3 arguments, not 0", "name: string", "MICRO-0704"],
        ),
        ("fault-registry", &["get-service", "1", "2", "3", "4"], &["not 4"]),
        (
            "fault-registry",
            &["register", "{name: 1}", "0"],
            &["argument \"service\" of register is no service", "service = record { name: string"],
        ),
        ("fault-registry", &["register", "{\"name\": \"a\"}", "0"], &["field \"version\" is missing"]),
        ("fault-registry", &["register", "{\"nam\": \"a\"}", "0"], &["it has no field \"nam\""]),
        ("fault-selector", &["pick", "one", "0", "0", "[]"], &["argument \"set\" of pick is no u32"]),
        ("fault-selector", &["pick", "4294967296", "0", "0", "[]"], &["argument \"set\" of pick is no u32"]),
        ("fault-selector", &["pick(1, 0, 0, [)"], &["is no call", "MICRO-0704"]),
        (
            "p2c-selector",
            &["pick", "1", "0", "0", "[]"],
            &["several exports are called \"pick\"", "micro:selector/load@0.1.0#pick", "MICRO-0703"],
        ),
        ("fault-registry", &["health", "--opt=nonsense"], &["--opt takes key=value", "MICRO-0004"]),
        (
            "fault-registry",
            &["health", "--opt=nonsense=1"],
            &["unknown option \"nonsense\"", "correct --address and --opt", "MICRO-0107"],
        ),
    ];
    for (plugin, arguments, parts) in wrong {
        call(&home, plugin, arguments).await.complains(parts);
    }
    call(&home, "fault-registry", &["--script", "gone"]).await.complains(&["cannot read gone", "MICRO-0708"]);
    std::fs::write(home.path().join("bad"), "list-services()\nnonsense\n").expect("writable");
    call(&home, "fault-registry", &["--script", "bad"]).await.complains(&["line 2 of bad", "is no call"]);
    std::fs::write(home.path().join("empty"), "# nothing\n").expect("writable");
    call(&home, "fault-registry", &["--script", "empty"]).await.complains(&["no call in empty"]);
    home.run(&["plugin", "call", "gone.wasm"]).await.complains(&["locate", "MICRO-0101"]);
}

#[tokio::test]
async fn errors_are_answers_and_exit_with_1() {
    let home = Home::new();
    let refused = call(&home, "fault-registry", &["health", "--opt=fault=health:denied"]).await;
    assert_eq!(refused.code, 1);
    assert!(refused.out.starts_with("err(denied("), "{refused:?}");
    assert!(
        refused.err.contains("health answered an error: err(denied(") && refused.err.contains("[MICRO-0707]"),
        "{refused:?}"
    );
    let json =
        call(&home, "fault-registry", &["health", "--opt=fault=health:timeout", "--output=json"]).await;
    assert_eq!((json.code, &json.json()["calls"][0]["result"]), (1, &json!({ "err": "timeout" })));
}

#[tokio::test]
async fn what_goes_wrong_inside_is_shown() {
    let home = Home::new();
    let faults: [(&str, &str, &[&str], &[&str]); 6] = [
        (
            "fault-registry",
            "list-services:trap",
            &["list-services"],
            &["list-services trapped", "standard error:", "guest stack:", "MICRO-0705"],
        ),
        (
            "fault-registry",
            "list-services:balloon",
            &["list-services"],
            &["it ran out of memory", "MICRO-0705"],
        ),
        (
            "fault-registry",
            "list-services:hang",
            &["list-services", "--timeout=100ms"],
            &["did not answer within 300ms", "MICRO-0706"],
        ),
        (
            "fault-registry",
            "list-services:spin",
            &["list-services", "--timeout=100ms"],
            &["did not answer within 300ms"],
        ),
        (
            "fault-selector",
            "pick:spin",
            &["pick(1, 0, 0, [])"],
            &["pick trapped", "processor time", "MICRO-0705"],
        ),
        ("fault-selector", "pick:trap", &["pick(1, 0, 0, [])"], &["pick trapped", "guest stack:"]),
    ];
    for (plugin, fault, arguments, parts) in faults {
        let fault = format!("--opt=fault={fault}");
        let arguments: Vec<&str> = arguments.iter().copied().chain([fault.as_str()]).collect();
        call(&home, plugin, &arguments).await.complains(parts);
    }
    let answered =
        call(&home, "fault-registry", &["list-services()", "health()", "--opt=fault=health:trap"]).await;
    assert_eq!((answered.code, &*answered.out), (1, "ok([])\n"), "what was answered before is shown");
    let spoken = call(&home, "fault-registry", &["health", "--opt=fault=health:stderr-flood"]).await;
    assert!(
        spoken.code == 0 && spoken.err.starts_with("warn: ") && spoken.err.lines().count() <= 10_001,
        "{}",
        spoken.code
    );
}

#[tokio::test]
async fn a_trace_shows_what_the_plugin_asks_of_the_host() {
    let home = Home::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let serve = async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut head = [0; 1024];
        _ = stream.read(&mut head).await.expect("a request");
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await.expect("open");
    };
    let (fault, allow) = (format!("--opt=fault=health:http:{address}"), format!("--allow=net:{address}"));
    let traced = ["health", "--trace", &fault, &allow];
    let (traced, ()) = tokio::join!(call(&home, "fault-registry", &traced), serve);
    assert!(traced.err.contains(&format!("ms  GET http://{address}/: 404 (")), "{traced:?}");

    let denied = call(&home, "fault-registry", &["health", "--trace", &fault, "--output=json"]).await;
    let trace = denied.json()["trace"].as_array().expect("a list").clone();
    let grants = |it: &&Value| it["what"] == "denied";
    assert_eq!(trace.iter().find(grants).expect("denied")["grant"], format!("net:{address}"));
    assert!(trace.iter().any(|it| it["what"] == "http" && it["error"].is_string()), "{trace:?}");

    let logged =
        call(&home, "fault-selector", &["pick(1, 0, 0, [])", "--trace", "--opt=fault=pick:trap"]).await;
    assert!(
        logged.err.contains("wasi:cli/stderr get-stderr\n") && logged.err.contains("  warn: "),
        "{logged:?}"
    );
}
