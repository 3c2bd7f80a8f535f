//! gRPC's own interoperability tests (`interop-test-descriptions.md`): their client against a server of ours, and our
//! client against their server.

mod messages;
mod service;

use crate::support::{FORKS, PATIENCE, soon};
use messages::*;
use micro_core::Headers;
use micro_net::grpc::{
    Call, CallError, ChannelConfig, Channels, Code, Codec, Opening, Receiving, Reply, Sending, Status,
};
use micro_net::wire::{Limits, serve_rpc};
use micro_net::{Listener, Stop};
use prost::Message;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// What both sides are asked for.
const CASES: [&str; 14] = [
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
];

/// As the documents of the tests have it.
const SPECIAL: &str = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";

pub(crate) fn program(name: &str) -> Command {
    let folder = std::env::var_os("MICRO_TEST_GRPC_PEERS").map(PathBuf::from);
    let folder = folder.expect("MICRO_TEST_GRPC_PEERS is not set: run this with `cargo xtask test`");
    let mut command = Command::new(folder.join(name));
    command.kill_on_drop(true);
    command
}

#[tokio::test]
#[ignore = "needs the programs of gRPC"]
async fn their_client_and_our_server() {
    let listener = Listener::bind("127.0.0.1:0").await.expect("a free port");
    let (port, stop) = (listener.local_addr().port().to_string(), Stop::new());
    let serving = serve_rpc(listener, service::TestService, Limits::default(), stop.clone(), PATIENCE);
    let serving = tokio::spawn(serving);
    for case in CASES {
        let mut client = program("interop-client");
        client.args(["--server_host=127.0.0.1", "--server_port", &port, "--test_case", case]);
        let output = {
            let _fork = FORKS.lock().await;
            client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs").wait_with_output()
        };
        let output = tokio::time::timeout(3 * PATIENCE, output).await.expect("it ends").expect("its output");
        assert!(output.status.success(), "{case}: {}", String::from_utf8_lossy(&output.stderr));
    }
    stop.soon.cancel();
    soon(serving).await.expect("no panic");
}

/// Their server, and a client of ours.
struct Theirs {
    channels: Channels,
    address: String,
    _server: Child,
}

impl Theirs {
    async fn start() -> Self {
        let mut server = program("interop-server");
        server.arg("--port=0").env("GRPC_GO_LOG_SEVERITY_LEVEL", "info").stderr(Stdio::piped());
        let mut server = {
            let _fork = FORKS.lock().await;
            server.spawn().expect("it runs")
        };
        let mut lines = BufReader::new(server.stderr.take().expect("piped")).lines();
        let port = async {
            loop {
                let line = lines.next_line().await.expect("text").expect("it is still there");
                if let Some((_, address)) = line.split_once("interop server listening on ") {
                    return address.rsplit(':').next().expect("a port").to_owned();
                }
            }
        };
        let port = tokio::time::timeout(3 * PATIENCE, port).await.expect("it starts");
        // What it says later is read, or it would wait.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let channels = Channels::new(ChannelConfig::default());
        Self { channels, address: format!("127.0.0.1:{port}"), _server: server }
    }

    async fn call(&self, path: &str, metadata: &Headers, message: &impl Message) -> Result<Reply, CallError> {
        let message = message.encode_to_vec().into();
        let call = Call { path, codec: Codec::Proto, metadata, timeout: None, message: &message };
        soon(self.channels.call(&self.address, &call, PATIENCE)).await
    }

    async fn open(&self, path: &str, metadata: &Headers, timeout: Option<Duration>) -> (Sending, Receiving) {
        let opening = Opening { path, codec: Codec::Proto, metadata, timeout };
        soon(self.channels.open_stream(&self.address, &opening, PATIENCE)).await.expect("opens")
    }

    async fn full_duplex(&self, metadata: &Headers) -> (Sending, Receiving) {
        self.open("/grpc.testing.TestService/FullDuplexCall", metadata, None).await
    }
}

async fn send(sending: &mut Sending, message: impl Message) {
    soon(sending.send(&message.encode_to_vec())).await.expect("taken");
}

/// The size of the next answer; none at a good end.
async fn size(receiving: &mut Receiving) -> Option<usize> {
    let message = soon(receiving.next()).await.expect("a message or a good end")?;
    let answer = StreamingOutputCallResponse::decode(message).expect("theirs");
    Some(answer.payload.expect("a payload").body.len())
}

fn status<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> Status {
    match outcome {
        Err(CallError::Status(status)) => status,
        other => panic!("no status: {other:?}"),
    }
}

const UNARY: &str = "/grpc.testing.TestService/UnaryCall";

#[tokio::test]
#[ignore = "needs the programs of gRPC"]
async fn our_client_and_their_server() {
    let theirs = Theirs::start().await;
    for case in CASES {
        run(case, &theirs).await;
    }
    assert_eq!(theirs.channels.open(), 1, "all on one connection");
}

async fn run(case: &str, theirs: &Theirs) {
    let none = Headers::new();
    match case {
        "empty_unary" => {
            let reply = theirs.call("/grpc.testing.TestService/EmptyCall", &none, &Empty {}).await;
            assert_eq!(reply.expect("an answer").message.len(), 0);
        }
        "large_unary" => {
            let reply = theirs.call(UNARY, &none, &simple(314_159, 271_828)).await.expect("an answer");
            let answer = SimpleResponse::decode(reply.message).expect("theirs");
            assert_eq!(answer.payload.expect("a payload").body.len(), 314_159);
        }
        "client_streaming" => {
            let path = "/grpc.testing.TestService/StreamingInputCall";
            let (mut sending, mut receiving) = theirs.open(path, &none, None).await;
            for size in [27_182, 8, 1828, 45_904] {
                send(&mut sending, StreamingInputCallRequest { payload: payload(size) }).await;
            }
            sending.end();
            let answer = soon(receiving.next()).await.expect("an answer").expect("a message");
            let answer = StreamingInputCallResponse::decode(answer).expect("theirs");
            assert_eq!(answer.aggregated_payload_size, 74_922);
            assert_eq!(soon(receiving.next()).await.expect("a good end"), None);
        }
        "server_streaming" => {
            let path = "/grpc.testing.TestService/StreamingOutputCall";
            let (mut sending, mut receiving) = theirs.open(path, &none, None).await;
            send(&mut sending, output(&[31_415, 9, 2653, 58_979], 0)).await;
            sending.end();
            for expected in [Some(31_415), Some(9), Some(2653), Some(58_979), None] {
                assert_eq!(size(&mut receiving).await, expected);
            }
        }
        "ping_pong" => {
            let (mut sending, mut receiving) = theirs.full_duplex(&none).await;
            for (there, back) in [(27_182, 31_415), (8, 9), (1828, 2653), (45_904, 58_979)] {
                send(&mut sending, output(&[back], there)).await;
                assert_eq!(size(&mut receiving).await, Some(back as usize));
            }
            sending.end();
            assert_eq!(size(&mut receiving).await, None);
        }
        "empty_stream" => {
            let (sending, mut receiving) = theirs.full_duplex(&none).await;
            sending.end();
            assert_eq!(size(&mut receiving).await, None);
        }
        "timeout_on_sleeping_server" => {
            let path = "/grpc.testing.TestService/FullDuplexCall";
            let timeout = Some(Duration::from_millis(1));
            let (mut sending, mut receiving) = theirs.open(path, &none, timeout).await;
            // It may be over already.
            _ = soon(sending.send(&output(&[], 27_182).encode_to_vec())).await;
            match soon(receiving.next()).await {
                Err(CallError::Status(status)) => assert_eq!(status.code, Code::DEADLINE_EXCEEDED),
                Err(error) => assert!(error.is_cancelled(), "{error}"),
                Ok(message) => panic!("{message:?}"),
            }
        }
        "cancel_after_begin" => {
            let path = "/grpc.testing.TestService/StreamingInputCall";
            let (sending, mut receiving) = theirs.open(path, &none, None).await;
            sending.cancel();
            soon(receiving.next()).await.expect_err("cancelled");
        }
        "cancel_after_first_response" => {
            let (mut sending, mut receiving) = theirs.full_duplex(&none).await;
            send(&mut sending, output(&[31_415], 27_182)).await;
            assert_eq!(size(&mut receiving).await, Some(31_415));
            sending.cancel();
            soon(receiving.next()).await.expect_err("cancelled");
        }
        "status_code_and_message" | "special_status_message" => {
            let message = if case.starts_with("special") { SPECIAL } else { "test status message" };
            let echo = Some(EchoStatus { code: 2, message: message.to_owned() });
            let request = SimpleRequest { response_status: echo.clone(), ..SimpleRequest::default() };
            let expected = Status::new(Code::UNKNOWN, message);
            assert_eq!(status(theirs.call(UNARY, &none, &request).await), expected);
            let (mut sending, mut receiving) = theirs.full_duplex(&none).await;
            let request =
                StreamingOutputCallRequest { response_status: echo, ..StreamingOutputCallRequest::default() };
            send(&mut sending, request).await;
            sending.end();
            assert_eq!(status(soon(receiving.next()).await), expected);
        }
        "custom_metadata" => {
            let sent = [
                ("x-grpc-test-echo-initial", &b"test_initial_metadata_value"[..]),
                ("x-grpc-test-echo-trailing-bin", &[0xab, 0xab, 0xab]),
            ];
            let sent: Headers = sent.into_iter().collect();
            let reply = theirs.call(UNARY, &sent, &simple(314_159, 271_828)).await.expect("an answer");
            let (mut sending, mut receiving) = theirs.full_duplex(&sent).await;
            send(&mut sending, output(&[314_159], 271_828)).await;
            assert_eq!(size(&mut receiving).await, Some(314_159));
            sending.end();
            assert_eq!(size(&mut receiving).await, None);
            for back in [&reply.metadata, receiving.metadata()] {
                let back: Vec<_> = back.iter().filter(|(name, _)| name.starts_with("x-grpc-test")).collect();
                assert_eq!(back, sent.iter().collect::<Vec<_>>());
            }
        }
        "unimplemented_method" | "unimplemented_service" => {
            let service = if case.ends_with("service") { "UnimplementedService" } else { "TestService" };
            let path = format!("/grpc.testing.{service}/UnimplementedCall");
            assert_eq!(status(theirs.call(&path, &none, &Empty {}).await).code, Code::UNIMPLEMENTED);
        }
        other => panic!("no case {other}"),
    }
}
