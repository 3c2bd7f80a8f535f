//! `micro stream`, `micro openapi`, and `micro api` in front of a gRPC server.

use crate::api::gateway;
use crate::support::{Home, SOON};
use library::{Book, Shelves, library_handler};
use micro::{Context, Flags, Handler, Json, Requests, Responses, RunningService, Service};
use micro_core::Error;
use micro_test::process::Signal;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const LIBRARY: &str = "go.micro.api.library";
const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/library/proto/library.proto");

/// Counts, repeats, and counts without an end.
fn count() -> Handler {
    let nothing = micro::Value::default;
    let to = |_: Context, Json(request): Json<Value>, out: Responses<Json<Value>>| async move {
        for number in 1..=request["n"].as_u64().unwrap_or(u64::MAX) {
            if number == 13 {
                return Err(Error::conflict("count", "unlucky"));
            }
            out.send(Json(json!({ "n": number }))).await?;
        }
        Ok(())
    };
    let echo = |_: Context, mut messages: Requests<Json<Value>>, out: Responses<Json<Value>>| async move {
        while let Some(message) = messages.next().await {
            out.send(message?).await?;
        }
        Ok(())
    };
    let forever = |_: Context, _: Json<Value>, out: Responses<Json<Value>>| async move {
        out.send(Json(json!("first"))).await?;
        std::future::pending::<Result<(), Error>>().await
    };
    Handler::new("Count")
        .server_streaming("To", nothing(), nothing(), to)
        .bidirectional("Echo", nothing(), nothing(), echo)
        .server_streaming("Forever", nothing(), nothing(), forever)
}

pub(crate) async fn service(home: &Home) -> RunningService {
    let flags =
        Flags { home: Some(home.path().to_owned()), log_level: Some("error".to_owned()), ..Flags::default() };
    let book = Book {
        name: "shelves/1/books/1".to_owned(),
        title: "One".to_owned(),
        page_count: 7,
        ..Book::default()
    };
    let service = Service::builder(LIBRARY)
        .address("127.0.0.1:0")
        .handle_signals(false)
        .drain_delay(Duration::ZERO)
        .handler(library_handler(Shelves::with([book])))
        .handler(count())
        .flags(&flags);
    service.build().await.expect("builds").start().await.expect("starts")
}

async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
}

#[tokio::test]
async fn messages_of_streams_are_lines() {
    let home = Home::new();
    let service = service(&home).await;
    home.run(&["stream", LIBRARY, "Count.To", r#"{"n":3}"#]).await.is("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    let unlucky = home.run(&["stream", LIBRARY, "Count.To", r#"{"n":20}"#]).await;
    assert_eq!((unlucky.code, unlucky.out.lines().count()), (1, 12), "{unlucky:?}");
    assert!(unlucky.err.contains("unlucky"), "{unlucky:?}");
    home.run(&["stream", LIBRARY]).await.complains(&["require service and method"]);
    home.run(&["stream", LIBRARY, "Count.To", "{"]).await.complains(&["next: write the request as JSON"]);
    home.run(&["stream", "nobody", "Count.To"]).await.complains(&["not found"]);

    // Lines of standard input, one after the other, until one is none.
    let mut command = home.command(&["stream", LIBRARY, "Count.Echo", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut program = command.spawn().expect("starts");
    let mut input = program.stdin.take().expect("piped");
    input.write_all(b"{\"a\":1}\n\n[ 2 ]\n").await.expect("it reads");
    drop(input);
    let output =
        tokio::time::timeout(SOON, program.wait_with_output()).await.expect("it ends").expect("it ran");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"a\":1}\n[2]\n", "{output:?}");
    assert!(output.status.success(), "{output:?}");
    service.stop().await.expect("stops");
}

#[tokio::test]
async fn streams_go_over_grpc_too() {
    let home = Home::new();
    let service = service(&home).await;
    let address = format!("--address={}", service.address());
    let json = "--protocol=grpc+json";
    for how in [&[json][..], &[json, &address]] {
        let stream = ["stream", LIBRARY, "Count.To"];
        let three = home.run(&[&stream[..], &[r#"{"n":3}"#], how].concat()).await;
        three.is("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
        let unlucky = home.run(&[&stream[..], &[r#"{"n":20}"#], how].concat()).await;
        assert_eq!((unlucky.code, unlucky.out.lines().count()), (1, 12), "{unlucky:?}");
        assert!(unlucky.err.contains("unlucky"), "{unlucky:?}");
    }
    // What takes protobuf only has to be defined somewhere.
    let undefined = home.run(&["stream", LIBRARY, "Count.To", "{}", "--protocol=grpc"]).await;
    undefined.complains(&["Count.To"]);
    service.stop().await.expect("stops");
}

#[tokio::test]
async fn an_interrupt_ends_a_stream() {
    let home = Home::new();
    let service = service(&home).await;
    let mut program = home.start(&["stream", LIBRARY, "Count.Forever"]);
    program.line("first", SOON).await;
    program.signal(Signal::INT);
    assert_eq!(program.exit(SOON).await.code(), Some(0), "{program}");
    service.stop().await.expect("stops");
}

#[tokio::test]
async fn routes_have_a_document() {
    let home = Home::new();
    let of_file = home.run(&["openapi", "--proto", PROTO]).await.json();
    assert_eq!(of_file["openapi"], "3.1.0");
    let operation = &of_file["paths"]["/v1/books/{number}"]["get"];
    assert_eq!(operation["parameters"][0]["schema"]["format"], "uint32", "{of_file}");
    let service = service(&home).await;
    let of_service = home.run(&["openapi", LIBRARY]).await.json();
    assert_eq!(
        of_service["paths"].as_object().map(serde_json::Map::len),
        of_file["paths"].as_object().map(serde_json::Map::len)
    );
    let greeter = home.greeter("greeter").await;
    home.run(&["openapi", "greeter"]).await.complains(&["has no HTTP routes"]);
    home.run(&["openapi", "--proto", "absent.proto"]).await.complains(&["absent.proto"]);
    greeter.stop().await.expect("stops");
    service.stop().await.expect("stops");
}

#[tokio::test]
async fn a_grpc_server_needs_no_registry() {
    let home = Home::new();
    let service = service(&home).await;
    let server = service.address().to_string();
    for files in [vec![], vec!["--proto", PROTO]] {
        let arguments = [vec!["--endpoint", &server], files].concat();
        let (_program, address) = gateway(&home, &arguments).await;
        micro_test::eventually("the routes are there", SOON, async || {
            get(&address, "/v1/shelves/1/books/1").await.starts_with("HTTP/1.1 200 ")
        })
        .await;
        let book = get(&address, "/v1/shelves/1/books/1").await;
        assert!(book.contains(r#""pageCount":"7""#), "{book}");
        assert!(get(&address, "/v1/shelves/1/books/2").await.starts_with("HTTP/1.1 404 "));
        assert!(get(&address, "/openapi.json").await.contains("/v1/books/{number}"));
    }
    let alone = home.run(&["api", "--proto", PROTO]).await;
    assert!(alone.code == 1 && alone.err.contains("without --endpoint"), "{alone:?}");
    let nobody = ["api", "--endpoint=127.0.0.1:1", "--address=127.0.0.1:0", "--server_address=127.0.0.1:0"];
    let nobody = home.run(&nobody).await;
    assert!(nobody.code == 1 && nobody.err.contains("gRPC server with reflection"), "{nobody:?}");
    service.stop().await.expect("stops");
}
