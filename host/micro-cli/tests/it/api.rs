//! `micro api` as a process.

use crate::support::{GO_ON, Home, Output, SOON, WAITING};
use micro_test::eventually;
use micro_test::process::{Program, Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Starts the gateway; the program and the address that it serves.
pub(crate) async fn gateway(home: &Home, more: &[&str]) -> (Program, String) {
    let arguments = [&["api", "--address=127.0.0.1:0", "--server_address=127.0.0.1:0"][..], more].concat();
    let program = home.start(&arguments);
    let line = program.line("API gateway listening", SOON).await;
    let address = line
        .split(|it: char| it.is_whitespace() || it == '=' || it == '"')
        .find(|word| word.starts_with("127.0.0.1:"));
    let address = address.unwrap_or_else(|| panic!("no address in {line}")).to_owned();
    program.line("API gateway started", SOON).await;
    (program, address)
}

/// One HTTP exchange: status line to end of body.
async fn exchange(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let length = body.len();
    let request = format!("{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
}

#[tokio::test]
async fn requests_become_calls_until_it_is_told_to_stop() {
    let home = Home::new();
    let greeter = home.greeter("go.micro.api.greeter").await;
    let (mut program, address) = gateway(&home, &["--drain_delay=10ms"]).await;
    let head = "POST /greeter/say/hello HTTP/1.1\r\nContent-Type: application/json";
    let answer = exchange(&address, head, r#"{"name":"John"}"#).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(r#"{"msg":"Hello John","big":12345678901234567890}"#), "{answer}");
    program.line(r#""POST /greeter/say/hello HTTP/1.1" 200 "#, SOON).await;
    let ready = exchange(&address, "GET /readyz HTTP/1.1", "").await;
    assert!(ready.ends_with(r#"{"ready":true,"reasons":[]}"#), "{ready}");

    // It is a service itself, and a process with an admin socket.
    let list = home.run(&["list", "services"]).await;
    assert_eq!(list.out, "go.micro.api\ngo.micro.api.greeter\n");
    let health = home.run(&["health", "go.micro.api"]).await;
    assert!(health.out.ends_with("\t\tok\n"), "{health:?}");
    let ps = home.run(&["plugin", "ps", "--output=json"]).await.json();
    let services: Vec<_> =
        ps["processes"].as_array().expect("a list").iter().map(|it| &it["service"]).collect();
    assert!(services.iter().any(|it| **it == "go.micro.api"), "{ps}");

    program.signal(Signal::TERM);
    assert_eq!(program.exit(SOON).await.code(), Some(0), "{program}");
    assert_eq!(home.run(&["list", "services"]).await.out, "go.micro.api.greeter\n");
    greeter.stop().await.expect("stops");
}

#[tokio::test]
async fn requests_in_flight_are_finished_after_a_signal() {
    let home = Home::new();
    let greeter = home.greeter("go.micro.api.greeter").await;
    let (mut program, address) = gateway(&home, &["--drain_delay=10ms"]).await;
    let request = exchange(&address, "POST /greeter/say/wait HTTP/1.1", "{}");
    let signal = async {
        WAITING.notified().await;
        program.signal(Signal::TERM);
        eventually("it accepts nothing new", SOON, async || TcpStream::connect(&address).await.is_err())
            .await;
        GO_ON.notify_one();
    };
    let (answer, ()) = tokio::join!(request, signal);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(program.exit(SOON).await.code(), Some(0), "{program}");
    greeter.stop().await.expect("stops");
}

#[tokio::test]
async fn a_second_signal_skips_the_waits() {
    let home = Home::new();
    let (mut program, _) = gateway(&home, &["--drain_delay=1h"]).await;
    program.signal(Signal::INT);
    program.line("stopping", SOON).await;
    program.signal(Signal::INT);
    assert_eq!(program.exit(SOON).await.code(), Some(0), "{program}");
}

#[tokio::test]
async fn an_open_rpc_is_warned_about_and_a_list_is_kept_to() {
    let home = Home::new();
    let greeter = home.greeter("go.micro.srv.greeter").await;
    let call = "service=go.micro.srv.greeter&method=Say.Hello";
    let (open, address) = gateway(&home, &["--enable_rpc"]).await;
    open.line("/rpc is open", SOON).await;
    let answer = exchange(&address, "POST /rpc HTTP/1.1", call).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let (listed, address) = gateway(&home, &["--enable_rpc", "--rpc_allow=other", "--log_format=json"]).await;
    let answer = exchange(&address, "POST /rpc HTTP/1.1", call).await;
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    let line = listed.line("micro::access", SOON).await;
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(
        (&line["status"], &line["method"], &line["uri"]),
        (&403.into(), &"POST".into(), &"/rpc".into())
    );
    assert!(!listed.lines().iter().any(|line| line.contains("/rpc is open")), "{listed}");
    greeter.stop().await.expect("stops");
}

#[tokio::test]
async fn settings_that_cannot_work_end_it_with_a_reason() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let taken = format!("--address={}", taken.local_addr().expect("bound"));
    for (arguments, part) in [
        (&["api", "--handler=nonsense"][..], "use meta, api, rpc, http, proxy or web"),
        (&["--api_handler=event", "api"], "not part of this version yet"),
        (&["api", "--enable_tls"], "TLS certificate and key files not specified"),
        (&["api", "--tls_cert_file=x"], "--enable_tls"),
        (&["api", "--enable_tls", "--tls_cert_file=absent.pem", "--tls_key_file=x"], "absent.pem"),
        (&["api", "--trusted_proxies=10.0.0.0/33"], "10.0.0.0/33"),
        (&["api", "--proxy_protocol"], "--trusted_proxies"),
        (&["api", "--cors_allowed_headers=a b"], "header field"),
        (&["api", &taken], "cannot listen on"),
        (&["api", "--address=nonsense"], "cannot listen on"),
        (&["api", "--rpc_allow=x"], "--enable_rpc"),
        (&["api", "--registry=nonsense"], "nonsense"),
    ] {
        let Output { code, err, .. } = home.run(arguments).await;
        let complaint = err.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(code == 1 && complaint.contains(part), "{arguments:?}: {err}");
    }
}
