//! Streams over gRPC: ours with ours, and with programs of Go Micro and of gRPC.

use crate::client::Protocol;
use crate::registry::MemoryRegistry;
use crate::{
    CallOptions, Client, ClientStream, Context, Error, Format, Handler, Payload, Requests, Responses,
    RunningService, Service,
};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// `greeter.Request`, and with another name of its field in JSON, `greeter.Response`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
struct Msg {
    #[prost(string, tag = "1")]
    msg: String,
}

crate::impl_proto_payload!(Name, crate::Value::default());
crate::impl_proto_payload!(Msg, crate::Value::default());

fn name(name: impl Into<String>) -> Name {
    Name { name: name.into() }
}

fn msg(msg: impl Into<String>) -> Msg {
    Msg { msg: msg.into() }
}

/// As the peers have it.
fn say() -> Handler {
    let nothing = Name::shape;
    Handler::new("Say")
        .unary("Hello", nothing(), nothing(), |_, request: Name| async move {
            Ok(msg(format!("Hello {}", request.name)))
        })
        .server_streaming(
            "Count",
            nothing(),
            nothing(),
            |_: Context, request: Name, responses: Responses<Msg>| async move {
                let until: u32 = request
                    .name
                    .parse()
                    .map_err(|_| Error::conflict("say", format!("no {}", request.name)))?;
                for n in 1..=until {
                    responses.send(msg(n.to_string())).await?;
                }
                Ok(())
            },
        )
        .client_streaming("Join", nothing(), nothing(), |_: Context, requests: Requests<Name>| async move {
            let names: Vec<_> = requests.map(|request| request.map(|request| request.name)).collect().await;
            Ok(msg(names.into_iter().collect::<Result<Vec<_>, Error>>()?.join(" ")))
        })
        .bidirectional(
            "Chat",
            nothing(),
            nothing(),
            |cx: Context, mut requests: Requests<Name>, responses: Responses<Msg>| async move {
                let greeting = cx.metadata("greeting").unwrap_or("Hello").to_owned();
                while let Some(request) = requests.next().await {
                    let request = request?;
                    if request.name == "fail" {
                        return Err(Error::conflict("say", "no fail"));
                    }
                    responses.send(msg(format!("{greeting} {}", request.name))).await?;
                }
                Ok(())
            },
        )
}

async fn serve() -> RunningService {
    let service =
        Service::builder("say").address("127.0.0.1:0").registry(MemoryRegistry::new()).handler(say());
    let service = service.handle_signals(false).drain_delay(Duration::ZERO);
    service.build().await.expect("builds").start().await.expect("starts")
}

/// A client, and options for an address that is called in gRPC.
fn client(address: &str, protocol: Protocol, format: Format) -> (Client, CallOptions) {
    let client = Client::builder(Arc::new(MemoryRegistry::new())).build();
    (client, CallOptions::new().address(address).protocol(protocol).format(format))
}

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("took too long")
}

/// All answers to these requests, and the error at the end, if that is how it ended.
async fn talk(
    (client, options): &(Client, CallOptions),
    endpoint: &str,
    requests: &[&str],
) -> (Vec<String>, Option<Error>) {
    let talking = async {
        let opened = client.open_stream("say", endpoint, options).await;
        let mut stream: ClientStream<Name, Msg> = match opened {
            Ok(stream) => stream,
            Err(error) => return (Vec::new(), Some(error)),
        };
        for request in requests {
            // When the other side has ended the stream, receiving says why.
            _ = stream.send(&name(*request)).await;
        }
        stream.close_send();
        let mut answers = Vec::new();
        loop {
            match stream.next().await {
                None => return (answers, None),
                Some(Ok(answer)) => answers.push(answer.msg),
                Some(Err(error)) => return (answers, Some(error)),
            }
        }
    };
    soon(talking).await
}

/// What a server answers whose methods are those of [`say`] or of a peer.
async fn check(server: &(Client, CallOptions), handler: &str, what: &str) {
    let chat = format!("{handler}.Chat");
    for (method, requests, expected) in [
        ("Count", &["3"][..], &["1", "2", "3"][..]),
        ("Count", &["0"], &[]),
        ("Join", &["a", "", "ö 😀"], &["a  ö 😀"]),
        ("Join", &[], &[""]),
        ("Chat", &["Go", "Rust"], &["Hello Go", "Hello Rust"]),
        ("Chat", &[], &[]),
    ] {
        let (answers, error) = talk(server, &format!("{handler}.{method}"), requests).await;
        assert_eq!(
            (answers, error),
            (expected.iter().map(|&it| it.to_owned()).collect(), None),
            "{what} {method}"
        );
    }
    let many: Vec<_> = (1..=1000).map(|n| n.to_string()).collect();
    assert_eq!(talk(server, &format!("{handler}.Count"), &["1000"]).await, (many, None), "{what}");
    let (answers, error) = talk(server, &chat, &["x", "fail"]).await;
    let error = error.expect("a failure");
    assert_eq!(
        (answers.as_slice(), error.code, &*error.detail),
        (&["Hello x".to_owned()][..], 409, "no fail"),
        "{what}"
    );
    let (answers, error) = talk(server, &format!("{handler}.Nope"), &["x"]).await;
    assert!(
        answers.is_empty() && error.as_ref().is_some_and(|it| [404, 501].contains(&it.code)),
        "{what}: {error:?}"
    );
}

#[tokio::test]
async fn ours_with_ours() {
    let server = serve().await;
    let address = server.address().to_string();
    for format in [Format::Json, Format::Protobuf] {
        let client = client(&address, Protocol::GrpcJson, format);
        check(&client, "Say", &format!("{format:?}")).await;
        let greeting = (client.0.clone(), client.1.clone().metadata("Greeting", "Hi"));
        assert_eq!(talk(&greeting, "Say.Chat", &["x"]).await, (vec!["Hi x".to_owned()], None));
        // What ends a stream is its own deadline; the timeout was for opening it.
        let short = (client.0.clone(), client.1.clone().timeout(Duration::from_millis(200)));
        let mut stream: ClientStream<Name, Msg> =
            short.0.open_stream("say", "Say.Chat", &short.1).await.expect("opens");
        tokio::time::sleep(Duration::from_millis(300)).await;
        stream.send(&name("late")).await.expect("taken");
        assert_eq!(soon(stream.next()).await, Some(Ok(msg("Hello late"))));
        let over = client.1.clone().deadline(Instant::now() + Duration::from_millis(100));
        let mut stream: ClientStream<Name, Msg> =
            client.0.open_stream("say", "Say.Chat", &over).await.expect("opens");
        let error = soon(stream.next()).await.expect("an end").expect_err("too late");
        assert_eq!(error.code, 408, "{error}");
    }
    soon(server.stop()).await.expect("stops");
}

/// Calls through Go Micro's gRPC transport, as of a server whose methods are those of [`say`] or of a peer. `hasty` is
/// whether its handlers may send messages back to back.
async fn check_transport(address: &str, format: Format, hasty: bool, what: &str) {
    let (client, options) = client(address, Protocol::MucpOverGrpc, format);
    for text in ["Go", "ö 😀"] {
        let answer: Msg =
            soon(client.call_with("say", "Say.Hello", &name(text), &options)).await.expect("an answer");
        assert_eq!(answer.msg, format!("Hello {text}"), "{what}");
    }
    let error = soon(client.call_with::<_, Msg>("say", "Say.Nope", &name("x"), &options)).await;
    let error = error.expect_err("no such method");
    assert!(error.detail.contains("Nope"), "{what}: {error}");
    let server = (client, options);
    let many: Vec<_> = (1..=300).map(|n| n.to_string()).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for (endpoint, requests, expected) in [
        ("Say.Count", &["3"][..], &["1", "2", "3"][..]),
        ("Say.Count", &["300"], &many),
        ("Say.Count", &["0"], &[]),
        ("Say.Join", &["a", "", "ö 😀"], &["a  ö 😀"]),
        ("Say.Chat", &["Go", "Rust"], &["Hello Go", "Hello Rust"]),
        ("Say.Chat", &[], &[]),
    ] {
        if expected.len() > 1 && !hasty {
            continue;
        }
        assert_eq!(
            talk(&server, endpoint, requests).await,
            (expected.iter().map(|&it| it.to_owned()).collect(), None),
            "{what} {endpoint}"
        );
    }
    let (answers, error) = talk(&server, "Say.Chat", &["x", "fail"]).await;
    let error = error.expect("a failure");
    assert_eq!(
        (&*answers, error.code, &*error.detail),
        (&["Hello x".to_owned()][..], 409, "no fail"),
        "{what}"
    );
    let (answers, error) = talk(&server, "Say.Nope", &["x"]).await;
    assert!(answers.is_empty() && error.is_some_and(|it| it.detail.contains("Nope")), "{what}");
}

#[tokio::test]
async fn ours_with_ours_through_the_transport() {
    let server = serve().await;
    for format in [Format::Json, Format::Protobuf] {
        check_transport(&server.address().to_string(), format, true, &format!("{format:?}")).await;
    }
    soon(server.stop()).await.expect("stops");
}

#[tokio::test]
#[ignore = "needs Go Micro over gRPC"]
async fn the_transport_with_go_micro() {
    let ours = serve().await;
    let address = ours.address().to_string();
    for program in ["v1", "v2"] {
        let to = ["--registry", "", "--transport", "grpc", "--address", &address];
        let hello = ["call", "say", "Say.Hello", r#"{"name":"Go"}"#];
        let answers = run(program, &[&hello[..], &to[..]].concat()).await;
        assert_eq!(answers, Ok(vec![serde_json::json!({ "msg": "Hello Go" })]), "{program}");
        let nope = ["call", "say", "Say.Nope", "{}"];
        let error = run(program, &[&nope[..], &to[..]].concat()).await.expect_err("no such method");
        assert!(error.contains("Nope"), "{program}: {error}");
        for (endpoint, requests, expected) in [
            ("Say.Count", &["3"][..], &["1", "2", "3"][..]),
            ("Say.Chat", &["Go", "😀"], &["Hello Go", "Hello 😀"]),
        ] {
            let requests = requests.iter().map(|name| serde_json::json!({ "name": name }).to_string());
            let (requests, count) = (requests.collect::<Vec<_>>(), expected.len().to_string());
            let mut arguments = vec!["stream", "say", endpoint, "--answers", &count];
            arguments.extend(requests.iter().map(String::as_str).chain(to));
            let answers = run(program, &arguments).await.expect("a good end");
            let answers: Vec<_> = answers.iter().map(|it| it["msg"].as_str().unwrap_or_default()).collect();
            assert_eq!(answers, expected, "{program} {endpoint}");
        }
        let fail = ["stream", "say", "Say.Chat", r#"{"name":"fail"}"#];
        let error = run(program, &[&fail[..], &to[..]].concat()).await.expect_err("it fails");
        assert!(error.contains("409") && error.contains("no fail"), "{program}: {error}");
        let (_server, theirs) = start(program, &["--registry", "", "--transport", "grpc"]).await;
        // Messages of v2 overwrite each other on their way to the connection.
        check_transport(&theirs, Format::Json, program != "v2", program).await;
    }
    soon(ours.stop()).await.expect("stops");
}

fn peer(program: &str) -> Command {
    let folder = std::env::var_os("MICRO_TEST_GRPC_PEERS").map(PathBuf::from);
    let folder = folder.expect("MICRO_TEST_GRPC_PEERS is not set: run this with `cargo xtask test`");
    let mut command = Command::new(folder.join(program));
    command.kill_on_drop(true);
    command
}

/// Runs a peer to its end: the values that it printed, or its last words.
async fn run(program: &str, arguments: &[&str]) -> Result<Vec<serde_json::Value>, String> {
    let output = soon(peer(program).args(arguments).output()).await.expect("it runs");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let lines = String::from_utf8(output.stdout).expect("text");
    let values = lines.lines().filter(|line| line.starts_with('{'));
    Ok(values.map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

#[tokio::test]
#[ignore = "needs Go Micro over gRPC"]
async fn go_micro_and_grpc_call_us() {
    let server = serve().await;
    let address = server.address().to_string();
    let json = |name: &str| serde_json::json!({ "name": name }).to_string();
    for (program, content_type) in [
        ("v1", "application/json"),
        ("v1", "application/protobuf"),
        ("v2", "application/json"),
        ("v2", "application/protobuf"),
        ("v4", "application/json"),
        ("v4", "application/protobuf"),
        ("plain", ""),
    ] {
        for (method, requests, expected) in [
            ("Count", &["3"][..], &["1", "2", "3"][..]),
            ("Join", &["a", "b"], &["a b"]),
            ("Chat", &["Go", "😀"], &["Hello Go", "Hello 😀"]),
        ] {
            // Its callers cannot end their direction alone.
            if program == "v2" && method == "Join" {
                continue;
            }
            let requests: Vec<_> = requests.iter().map(|name| json(name)).collect();
            let (endpoint, path) = (format!("Say.{method}"), format!("/any.Say/{method}"));
            let count = expected.len().to_string();
            let mut arguments = match program {
                "plain" => vec!["stream", &address, &path],
                _ => vec!["stream", "say", &endpoint],
            };
            arguments.extend(requests.iter().map(String::as_str));
            if program != "plain" {
                arguments.extend(["--registry", "", "--address", &address]);
                arguments.extend(["--content-type", content_type, "--answers", &count]);
            }
            let answers = run(program, &arguments).await.expect("a good end");
            let answers: Vec<_> = answers.iter().map(|it| it["msg"].as_str().unwrap_or_default()).collect();
            assert_eq!(answers, expected, "{program} {content_type} {method}");
        }
        let (fail, path) = (json("fail"), "/any.Say/Chat");
        let error = match program {
            "plain" => run(program, &["stream", &address, path, &fail]).await,
            _ => {
                let to = ["--registry", "", "--address", &address, "--content-type", content_type];
                run(program, &[&["stream", "say", "Say.Chat", &fail], &to[..]].concat()).await
            }
        };
        let error = error.expect_err("it fails");
        assert!(error.contains("409") && error.contains("no fail"), "{program} {content_type}: {error}");
    }
    soon(server.stop()).await.expect("stops");
}

async fn start(program: &str, arguments: &[&str]) -> (Child, String) {
    let mut server = peer(program);
    let mut server = server.args(arguments).arg("server").stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(server.stdout.take().expect("piped")).lines();
    let address = async {
        loop {
            let line = lines.next_line().await.expect("text").expect("it is still there");
            if let Some(address) = line.strip_prefix("ready ") {
                return address.to_owned();
            }
        }
    };
    let address = soon(address).await;
    // What it says later is read, or it would wait.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (server, address)
}

#[tokio::test]
#[ignore = "needs Go Micro over gRPC"]
async fn we_call_go_micro_and_grpc() {
    for program in ["v1", "v2", "v4"] {
        let (_server, address) = start(program, &["--registry", ""]).await;
        for format in [Format::Json, Format::Protobuf] {
            let client = client(&address, Protocol::GrpcJson, format);
            check(&client, "Say", &format!("{program} {format:?}")).await;
        }
    }
    let (_server, address) = start("plain", &[]).await;
    // JSON is converted, by what the server says of itself.
    for format in [Format::Json, Format::Protobuf] {
        let client = client(&address, Protocol::Grpc, format);
        check(&client, "helloworld.Greeter", &format!("plain {format:?}")).await;
    }
}
