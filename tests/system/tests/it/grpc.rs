//! gRPC in both directions: Go Micro programs that speak it, and programs that know nothing of Go Micro.

use crate::world::{Etcd, SOON, World, grpc_peers};
use micro_test::eventually;
use micro_test::process::Program;
use serde_json::{Value, json};
use tokio::process::Command;

/// Of Go Micro; all of them also have a gRPC client and server.
const VERSIONS: [&str; 3] = ["v1", "v2", "v4"];

const PROTO: &str = r#"
syntax = "proto3";
package helloworld;
import "words.proto";
service Greeter {
  rpc SayHello(HelloRequest) returns (HelloReply);
  rpc Watch(HelloRequest) returns (stream HelloReply);
}
"#;

const WORDS: &str = r#"
syntax = "proto3";
package helloworld;
message HelloRequest { string name = 1; }
message HelloReply { string msg = 1; int64 big_number = 2; }
"#;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Runs a peer to its end: what it said, and whether it succeeded.
async fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(grpc_peers().join(program));
    let output = tokio::time::timeout(SOON, command.args(arguments).output()).await;
    let output = output.unwrap_or_else(|_| panic!("{program} {arguments:?} hangs")).expect("it runs");
    let text = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8_lossy(&text).trim().to_owned())
}

/// Starts a peer; the program and its address.
async fn serve(program: &str, arguments: &[&str]) -> (Program, String) {
    let mut command = Command::new(grpc_peers().join(program));
    command.args(arguments).arg("server");
    let server = Program::start(command);
    let line = server.line("ready ", SOON).await;
    (server, line.rsplit(' ').next().expect("words").to_owned())
}

/// The address on which our greeter serves.
async fn greeter(world: &World, flags: &[&str]) -> (Program, String) {
    let flags = [&["--server_address=127.0.0.1:0", "--drain_delay=0s"], flags].concat();
    let program = world.start("greeter-srv", &flags);
    let line = program.line("registered", SOON).await;
    let address = line.split_whitespace().find_map(|word| word.strip_prefix("address=")).expect("logged");
    (program, address.trim_matches('"').to_owned())
}

/// Registers a gRPC server that does not do so itself.
async fn register(world: &World, name: &str, address: &str, metadata: Value) {
    let node = json!({ "id": format!("{name}-1"), "address": address, "metadata": metadata });
    let record = json!({ "name": name, "version": "1", "nodes": [node] }).to_string();
    world.succeed("micro", &["register", "service", &record]).await;
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn go_micro_over_grpc_calls_us() {
    let (world, etcd) = (World::new(), Etcd::start().await);
    let (_greeter, _) = greeter(&world, &["--registry=etcd", &etcd.flag()]).await;
    let service = "go.micro.srv.greeter";
    for version in VERSIONS {
        for content_type in ["application/json", "application/protobuf"] {
            let call = async |method: &str, name: &str| {
                let flags = ["--registry", &etcd.address, "--content-type", content_type];
                let request = json!({ "name": name }).to_string();
                run(version, &[&flags[..], &["call", service, method, &request]].concat()).await
            };
            for name in ["Go", "Jörg \"😀\"\n", ""] {
                let (done, answer) = call("Say.Hello", name).await;
                assert!(done, "{version} {content_type} {name:?}: {answer}");
                let expected = json!({ "msg": format!("Hello {name}") });
                assert_eq!(parsed(&answer), expected, "{version} {content_type}");
            }
            let (done, error) = call("Say.Nope", "x").await;
            assert!(!done, "{version} {content_type}: {error}");
            // Its log goes to the same place.
            let error = parsed(error.lines().last().unwrap_or_default());
            assert_eq!(error["code"], 501, "{version} {content_type}: {error}");
            assert!(error["detail"].as_str().expect("a text").contains("unknown method Nope"), "{error}");
        }
    }
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn grpc_without_go_micro_calls_us() {
    let world = World::new();
    let (_greeter, address) = greeter(&world, &[]).await;
    let call = async |method: &str| run("plain", &["call", &address, method, r#"{"name":"gRPC"}"#]).await;
    for method in ["/go.micro.srv.greeter.Say/Hello", "/Say/Hello", "/any.package.Say/Hello"] {
        assert_eq!(call(method).await, (true, r#"{"msg":"Hello gRPC"}"#.to_owned()), "{method}");
    }
    for (method, expected) in
        [("/Say/Nope", "unknown method Nope"), ("/a.Nobody/Hello", "unknown service a.Nobody")]
    {
        let (done, error) = call(method).await;
        assert!(!done && error.starts_with("Unimplemented: ") && error.contains(expected), "{error}");
    }
    for service in ["", "go.micro.srv.greeter.Say"] {
        assert_eq!(run("plain", &["health", &address, service]).await, (true, "SERVING".to_owned()));
    }
    let (done, error) = run("plain", &["health", &address, "nobody"]).await;
    assert!(!done && error.starts_with("NotFound: "), "{error}");
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn grpcurl_finds_out_what_we_serve() {
    let world = World::new();
    let (_greeter, address) = greeter(&world, &[]).await;
    let run = async |arguments: &[&str]| run("grpcurl", &[&["-plaintext"], arguments].concat()).await;
    let (done, listed) = run(&[&address, "list"]).await;
    let services: Vec<_> = listed.lines().collect();
    assert!(done && services.contains(&"go.micro.srv.greeter.Say"), "{listed}");
    assert!(services.contains(&"grpc.health.v1.Health"), "{listed}");
    let (done, described) = run(&[&address, "describe", "go.micro.srv.greeter.Say"]).await;
    assert!(done && described.contains("rpc Hello"), "{described}");
    let hello = ["-d", r#"{"name":"John"}"#, &address, "go.micro.srv.greeter.Say/Hello"];
    let (done, answer) = run(&hello).await;
    assert!(done, "{answer}");
    assert_eq!(parsed(&answer), json!({ "msg": "Hello John" }));
    let (done, healthy) = run(&[&address, "grpc.health.v1.Health/Check"]).await;
    assert!(done && parsed(&healthy) == json!({ "status": "SERVING" }), "{healthy}");
    // A stream that goes on until somebody ends it.
    let watch = ["-plaintext", "-max-time", "1", &address, "grpc.health.v1.Health/Watch"];
    let output = Command::new(grpc_peers().join("grpcurl")).args(watch).output().await.expect("it runs");
    assert!(!output.status.success(), "it has an end");
    assert_eq!(parsed(&String::from_utf8_lossy(&output.stdout)), json!({ "status": "SERVING" }));
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn we_call_go_micro_over_grpc() {
    let etcd = Etcd::start().await;
    for version in VERSIONS {
        let world = World::new();
        let service = format!("go.micro.srv.go{version}");
        let (_server, address) = serve(version, &["--registry", &etcd.address, "--name", &service]).await;
        let registry = ["--registry=etcd", &etcd.flag()];
        let call = [&registry[..], &["call", &service]].concat();
        let answer =
            world.succeed("micro", &[&call[..], &["Say.Hello", r#"{"name":"Jörg 😀"}"#]].concat()).await;
        assert_eq!(parsed(&answer), json!({ "msg": "Hello Jörg 😀" }), "{version}");
        let hi = ["--metadata=Greeting=Hi", "Say.Hello", r#"{"name":"x"}"#];
        let answer = world.succeed("micro", &[&call[..], &hi].concat()).await;
        assert_eq!(parsed(&answer), json!({ "msg": "Hi x" }), "{version}");
        let refused = world.fail("micro", &[&call[..], &["Say.Fail", r#"{"name":"x"}"#]].concat()).await;
        assert!(refused.contains("409") && refused.contains("no x"), "{version}: {refused}");
        let unknown = world.fail("micro", &[&call[..], &["Say.Nope", "{}"]].concat()).await;
        assert!(unknown.contains("unknown"), "{version}: {unknown}");
        let direct = format!("--address={address}");
        let direct = ["call", &direct, "--protocol=grpc+json", &service, "Say.Hello", r#"{"name":"x"}"#];
        assert_eq!(parsed(&world.succeed("micro", &direct).await), json!({ "msg": "Hello x" }), "{version}");

        let gateway = world.gateway(&[&registry[..], &["--api_namespace=go.micro.srv"]].concat()).await;
        let path = format!("/go{version}/say/hello");
        let ask =
            async |path: &str, kind, body| gateway.ask("POST", path, kind, body).await.expect("an answer");
        let (status, body) = ask(&path, "application/json", r#"{"name":"HTTP"}"#).await;
        assert_eq!((status.as_u16(), parsed(&body)), (200, json!({ "msg": "Hello HTTP" })), "{version}");
        // `greeter.Request{name: "Go"}` and its answer.
        let (status, body) = ask(&path, "application/protobuf", "\n\x02Go").await;
        assert_eq!((status.as_u16(), &*body), (200, "\n\x08Hello Go"), "{version}");
        let (status, body) = ask(&path.replace("hello", "fail"), "application/json", r#"{"name":"x"}"#).await;
        assert_eq!((status.as_u16(), &parsed(&body)["detail"]), (409, &json!("no x")), "{version}");
    }
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn services_that_know_nothing_of_us_are_described_and_called() {
    let world = World::new();
    let (_server, address) = serve("plain", &[]).await;
    // Somebody else registered it, and did not say what it speaks.
    register(&world, "pets", &address, json!({})).await;
    let rule = "--service_protocol=pets=grpc";
    let described = world.succeed("micro", &[rule, "describe", "service", "pets"]).await;
    for part in ["Endpoint: helloworld.Greeter/SayHello", "name string", "big_number int64", "stream=true"] {
        assert!(described.contains(part), "{part}: {described}");
    }
    assert!(!described.contains("grpc.reflection"), "{described}");
    let health = world.succeed("micro", &[rule, "health", "pets"]).await;
    assert!(health.contains(&format!("{address}\t\tok")), "{health}");

    let call = async |endpoint: &str, request: &str| {
        world.run("micro", &[rule, "call", "pets", endpoint, request]).await
    };
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let expected = json!({ "msg": "Hello Rex", "big_number": 9_007_199_254_740_993_u64 });
    for endpoint in ["helloworld.Greeter/SayHello", "helloworld.Greeter.SayHello", "Greeter.SayHello"] {
        let output = call(endpoint, r#"{"name":"Rex"}"#).await;
        assert_eq!(parsed(&said(&output.stdout)), expected, "{endpoint}: {}", said(&output.stderr));
    }
    for (endpoint, request, parts) in [
        ("Greeter.SayFail", r#"{"name":"Rex"}"#, &["409", "no Rex 100%"][..]),
        ("Greeter.Watch", "{}", &["501", "is a stream"]),
        ("Greeter.SayBye", "{}", &["404", "helloworld.Greeter/SayHello"]),
        ("Greeter.SayHello", r#"{"nome":"Rex"}"#, &["400", "nome", "helloworld.HelloRequest"]),
    ] {
        let output = call(endpoint, request).await;
        let error = said(&output.stderr);
        assert!(output.status.code() == Some(1) && parts.iter().all(|part| error.contains(part)), "{error}");
    }

    let gateway = world.gateway(&["--service_protocol=*=grpc", "--api_namespace=", "--enable_rpc"]).await;
    let request =
        json!({ "service": "pets", "endpoint": "helloworld.Greeter/SayHello", "request": { "name": "Rex" } });
    let (status, body) =
        gateway.ask("POST", "/rpc", "application/json", &request.to_string()).await.expect("an answer");
    assert_eq!((status.as_u16(), parsed(&body)), (200, expected.clone()));
    let (status, body) = gateway
        .ask("POST", "/pets/greeter/sayHello", "application/json", r#"{"name":"Rex"}"#)
        .await
        .expect("an answer");
    assert_eq!((status.as_u16(), parsed(&body)), (200, expected));
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn streams_of_servers_that_know_nothing_of_us_are_opened() {
    let world = World::new();
    let (_server, address) = serve("plain", &[]).await;
    let there = format!("--address={address}");
    let way = ["--protocol=grpc", &there, "pets"];
    let open = async |words: &[&str]| world.run("micro", &[&["stream"], &way[..], words].concat()).await;
    let three = open(&["helloworld.Greeter/Count", r#"{"name":"3"}"#]).await;
    let said = |lines: &str| lines.lines().map(|line| parsed(line)["msg"].clone()).collect::<Vec<_>>();
    assert_eq!(said(&String::from_utf8_lossy(&three.stdout)), ["1", "2", "3"]);
    let joined = open(&["Greeter.Join", r#"{"name":"Rex"}"#]).await;
    assert_eq!(said(&String::from_utf8_lossy(&joined.stdout)), ["Rex"]);
    let refused = open(&["Greeter.Count", r#"{"name":"x"}"#]).await;
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && error.contains("no number: x"), "{error}");
    let call = [&["explain"], &way[..], &["Greeter.Count", r#"{"name":"2"}"#, "--stream"]].concat();
    let explained = world.succeed("micro", &call).await;
    for part in ["to /helloworld.Greeter/Count", "message ", "ended       by the service; 2 messages"] {
        assert!(explained.contains(part), "{part}: {explained}");
    }

    let more = ["--api_address=127.0.0.1:0", "--server_address=127.0.0.1:0", "--drain_delay=0s"];
    let gateway = world.start("micro", &[&more[..], &["api", "--endpoint", &address]].concat());
    let line = gateway.line("API gateway listening", SOON).await;
    let at = line.split_whitespace().find_map(|word| word.strip_prefix("address=")).expect("logged");
    let count = async || {
        let path = "/helloworld.Greeter/Count";
        crate::world::ask(at, "POST", path, "application/json", r#"{"name":"2"}"#).await
    };
    // Routes are known a moment after it listens.
    eventually("the route is known", SOON, async || count().await.is_ok_and(|(it, _)| it == 200)).await;
    assert_eq!(said(&count().await.expect("an answer").1), ["1", "2"]);
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn without_reflection_definitions_come_from_files() {
    let world = World::new();
    let (_server, address) = serve("plain", &["--bare"]).await;
    register(&world, "pets", &address, json!({ "protocol": "grpc" })).await;
    let call = ["call", "pets", "helloworld.Greeter/SayHello", r#"{"name":"Rex"}"#];
    let refused = world.fail("micro", &call).await;
    for part in ["501", "no reflection", "--proto", "--descriptor_set", "grpc+json"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    std::fs::write(world.path().join("greeter.proto"), PROTO).expect("written");
    std::fs::write(world.path().join("words.proto"), WORDS).expect("written");
    let answer = world.succeed("micro", &[&call[..], &["--proto=greeter.proto"]].concat()).await;
    assert_eq!(parsed(&answer)["msg"], "Hello Rex");
    let missing = world.fail("micro", &[&call[..], &["--proto=nowhere.proto"]].concat()).await;
    assert!(missing.contains("nowhere.proto") && missing.contains("--proto_path"), "{missing}");
    let nonsense = world.fail("micro", &[&call[..], &["--descriptor_set=greeter.proto"]].concat()).await;
    assert!(nonsense.contains("unusable protobuf definitions"), "{nonsense}");
    let ill = world.fail("micro", &["health", "pets"]).await;
    assert!(ill.contains("1 of 1 nodes"), "{ill}");
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn who_gives_up_says_so() {
    let world = World::new();
    let (server, address) = serve("plain", &[]).await;
    let direct = format!("--address={address}");
    let call = ["call", &direct, "--protocol=grpc", "--timeout=300ms", "pets", "Greeter.SayNothing", "{}"];
    let error = world.fail("micro", &call).await;
    assert!(error.contains("408"), "{error}");
    server.line("cancelled", SOON).await;
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn other_protocols_are_refused_until_a_rule_says_how() {
    let world = World::new();
    let (_server, address) = serve("plain", &[]).await;
    register(&world, "pets", &address, json!({ "protocol": "thrift" })).await;
    let call = ["call", "pets", "Greeter.SayHello", r#"{"name":"Rex"}"#];
    let refused = world.fail("micro", &call).await;
    assert!(refused.contains("pets-1 (thrift)") && refused.contains("--service_protocol pets="), "{refused}");
    let answer = world.succeed("micro", &[&["--service_protocol=p*=grpc"], &call[..]].concat()).await;
    assert_eq!(parsed(&answer)["msg"], "Hello Rex");
    let wrong = world.fail("micro", &[&["--service_protocol=pets=thrift"], &call[..]].concat()).await;
    assert!(wrong.contains("one of mucp, grpc"), "{wrong}");
}
