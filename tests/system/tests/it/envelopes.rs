//! JSON-RPC over HTTP, with programs that know nothing of us.

use crate::world::{SOON, World, ask};
use hyper::StatusCode;
use micro_test::process::Program;
use serde_json::{Value, json};
use std::path::Path;
use tokio::process::Command;

const SERVICE: &str = "go.micro.srv.greeter";

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A record as somebody would write it who knows no more than the address.
fn record(address: &str) -> String {
    let node = json!({ "id": format!("by-hand-{address}"), "address": address });
    json!({ "name": SERVICE, "version": "1", "nodes": [node] }).to_string()
}

/// The example, run by these lines of Python; it says each connection. In HTTP/1.0 the end of the connection is that of
/// the answer.
async fn python(world: &World, version: &str) -> (Program, String) {
    let lines = format!(
        "import greeter, http.server\n\
         class Service(greeter.Service):\n\
         \x20   protocol_version = '{version}'\n\
         \x20   def setup(self):\n\
         \x20       print('connected', flush=True)\n\
         \x20       super().setup()\n\
         \x20   def send_header(self, name, value):\n\
         \x20       if name != 'Content-Length' or self.protocol_version == 'HTTP/1.1':\n\
         \x20           super().send_header(name, value)\n\
         server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Service)\n\
         print('listening on 127.0.0.1:%d' % server.server_port, flush=True)\n\
         server.serve_forever()\n"
    );
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/python-jsonrpc");
    let mut command = Command::new("python3");
    command.args(["-B", "-c", &lines]).env("PYTHONPATH", example).current_dir(world.path());
    listening(Program::start(command)).await
}

async fn listening(program: Program) -> (Program, String) {
    let line = program.line("listening on ", SOON).await;
    let address = line.rsplit(' ').next().expect("words").to_owned();
    (program, address)
}

fn connections(program: &Program) -> usize {
    program.to_string().matches("connected").count()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python 3"]
async fn a_service_in_plain_python_is_one_like_any_other() {
    let world = World::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/python-jsonrpc/greeter.py");
    let mut command = Command::new("python3");
    command.arg(example).arg("0");
    let (_program, address) = listening(Program::start(command)).await;
    world.succeed("micro", &["register", "service", &record(&address)]).await;

    let answer = world.succeed("micro", &["call", SERVICE, "Say.Hello", r#"{"name":"Jörg \"😀\""}"#]).await;
    assert_eq!(parsed(&answer), json!({ "msg": "Hello Jörg \"😀\"" }));
    assert_eq!(world.succeed("greeter-cli", &["Rust"]).await, "Hello Rust\n");
    assert!(world.succeed("micro", &["health", SERVICE]).await.contains("\t\tok"));
    let refused = world.fail("micro", &["call", SERVICE, "Say.Hello", "{}"]).await;
    assert!(refused.contains("KeyError('name')"), "{refused}");
    let unknown = world.fail("micro", &["call", SERVICE, "Say.Nope", "{}"]).await;
    assert!(unknown.contains("Say.Nope"), "{unknown}");

    let gateway = world.gateway(&["--api_namespace=go.micro.srv", "--enable_rpc"]).await;
    gateway.greets("HTTP").await;
    let call =
        json!({ "service": SERVICE, "endpoint": "Say.Hello", "request": { "name": "RPC" } }).to_string();
    let (status, body) = gateway.ask("POST", "/rpc", "application/json", &call).await.expect("an answer");
    assert_eq!((status, parsed(&body)), (StatusCode::OK, json!({ "msg": "Hello RPC" })));
    let (status, body) =
        gateway.ask("POST", "/greeter/say/hello", "application/json", "{}").await.expect("an answer");
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
    assert!(body.contains("KeyError"), "{body}");

    // A Rust greeter beside it, which is called without envelopes.
    let _greeter = world.greeter(&["--server_version=1"]).await;
    for turn in 0..20 {
        gateway.greets(&turn.to_string()).await;
    }
    world.succeed("micro", &["deregister", "service", &record(&address)]).await;
    assert!(!world.succeed("micro", &["get", "service", SERVICE]).await.contains(&address));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python 3"]
async fn connections_are_kept_if_the_service_keeps_them() {
    for (version, expected) in [("HTTP/1.1", 1), ("HTTP/1.0", 20)] {
        let world = World::new();
        let (program, address) = python(&world, version).await;
        world.succeed("micro", &["register", "service", &record(&address)]).await;
        let gateway = world.gateway(&["--api_namespace=go.micro.srv"]).await;
        for turn in 0..20 {
            let (status, body) = gateway.greet(&turn.to_string()).await.expect("an answer");
            assert_eq!((status, parsed(&body)), (StatusCode::OK, json!({ "msg": format!("Hello {turn}") })));
        }
        assert_eq!(connections(&program), expected, "{version}: {program}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_services_answer_plain_json_rpc() {
    let world = World::new();
    let program = world.start("greeter-srv", &["--server_address=127.0.0.1:0", "--drain_delay=0s"]);
    let line = program.line("registered", SOON).await;
    let address = line.split_whitespace().find_map(|word| word.strip_prefix("address=")).expect("logged");
    let address = address.trim_matches('"');
    for (content_type, id) in [
        ("application/json", "0"),
        ("application/json-rpc", "\"a\""),
        ("application/json; charset=utf-8", "null"),
    ] {
        let call = format!(r#"{{"id":{id},"params":[{{"name":"John"}}],"method":"Say.Hello"}}"#);
        let (status, body) = ask(address, "POST", "/", content_type, &call).await.expect("an answer");
        let expected = format!("{{\"id\":{id},\"result\":{{\"msg\":\"Hello John\"}},\"error\":null}}\n");
        assert_eq!((status, body), (StatusCode::OK, expected));
    }
    let call = r#"{"method":"Say.Nope","params":[{}],"id":5}"#;
    let (status, body) = ask(address, "POST", "/rpc", "application/json", call).await.expect("an answer");
    let (body, error) = (parsed(&body), "rpc: can't find method Nope");
    assert_eq!((status, &body["id"], &body["result"]), (StatusCode::OK, &json!(5), &Value::Null));
    assert!(body["error"].as_str().is_some_and(|text| text.contains(error)), "{body}");
}
