//! The gRPC transport, against bytes of the other side.

use super::transport::{PATHS, pack, unpack};
use crate::client::Protocol;
use crate::registry::MemoryRegistry;
use crate::{CallOptions, Client, ClientStream, Context, Error, Handler, Json, Requests, Responses, Server};
use micro_core::{Headers, Message};
use micro_net::grpc::{self, Channels, Code, Codec, Opening, Receiving, Sending, Status};
use micro_net::wire::{self, Limits, Request, serve_rpc};
use micro_net::{Listener, Stop};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn handler() -> Handler {
    let nothing = crate::Value::default;
    Handler::new("Say").json("Hello", |_, name: String| async move { Ok(format!("Hello {name}")) }).bidirectional(
        "Chat",
        nothing(),
        nothing(),
        |_: Context, mut requests: Requests<Json<String>>, responses: Responses<Json<String>>| async move {
            while let Some(request) = requests.next().await {
                responses.send(Json(format!("Hello {}", request?.0))).await?;
            }
            Ok(())
        },
    )
}

/// Knows the transport's method under one of its names.
#[derive(Clone)]
struct Named {
    server: Server,
    path: &'static str,
    refused: Arc<AtomicUsize>,
}

impl wire::Handler for Named {
    async fn handle(&self, request: Request) -> Message {
        request.message
    }

    async fn call(&self, call: grpc::Incoming) -> Result<grpc::Outgoing, Status> {
        if call.path == self.path {
            return self.server.grpc(call).await;
        }
        self.refused.fetch_add(1, Relaxed);
        Err(Status::new(Code::UNIMPLEMENTED, "unknown service"))
    }
}

/// A server at an address, how often it has refused, and what stops it.
struct Served {
    address: String,
    refused: Arc<AtomicUsize>,
    stop: Stop,
    task: JoinHandle<()>,
}

async fn serve(address: &str, path: &'static str) -> Served {
    let listener = Listener::bind(address).await.expect("a free port");
    let (address, stop, refused) = (listener.local_addr().to_string(), Stop::new(), Arc::default());
    let server = Server::builder().handler(handler()).build();
    let named = Named { server, path, refused: Arc::clone(&refused) };
    let task = tokio::spawn(serve_rpc(listener, named, Limits::default(), stop.clone(), PATIENCE));
    Served { address, refused, stop, task }
}

impl Served {
    /// Idle streams do not hold it up.
    async fn end(self) {
        self.stop.soon.cancel();
        timeout(PATIENCE / 2, self.task).await.expect("in time").expect("no panic");
    }
}

#[tokio::test]
async fn the_name_of_the_method_is_found_out_once() {
    for (path, refusals) in [(PATHS[0], 0), (PATHS[1], 1)] {
        for calls_first in [true, false] {
            let served = serve("127.0.0.1:0", path).await;
            let client = Client::builder(Arc::new(MemoryRegistry::new())).build();
            let options = CallOptions::new().address(&served.address).protocol(Protocol::MucpOverGrpc);
            let call = async || {
                let called = client.call_with("say", "Say.Hello", &Json("x".to_owned()), &options).await;
                assert_eq!(called, Ok(Json("Hello x".to_owned())), "{path}");
            };
            let talk = async || {
                let opened = client.open_stream("say", "Say.Chat", &options).await;
                let mut stream: ClientStream<Json<String>, Json<String>> = opened.expect("opens");
                stream.send(&Json("x".to_owned())).await.expect("open");
                assert_eq!(stream.next().await, Some(Ok(Json("Hello x".to_owned()))), "{path}");
                stream.close_send();
                assert_eq!(stream.next().await, None, "{path}");
            };
            for _ in 0..3 {
                if calls_first {
                    call().await;
                    talk().await;
                } else {
                    talk().await;
                    call().await;
                }
            }
            assert_eq!(served.refused.load(Relaxed), refusals, "{path}");
            served.end().await;
        }
    }
}

async fn open(channels: &Channels, address: &str) -> (Sending, Receiving) {
    let metadata = Headers::new();
    let opening = Opening { path: PATHS[0], codec: Codec::Proto, metadata: &metadata, timeout: None };
    channels.open_stream(address, &opening, PATIENCE).await.expect("opens")
}

async fn say(sending: &mut Sending, fields: &[(&str, &str)], body: &'static str) {
    let headers = fields.iter().chain(&[("Content-Type", "application/json")]).copied().collect();
    sending.send(&pack(Message { headers, body: body.into() })).await.expect("open");
}

async fn hear(receiving: &mut Receiving) -> (Headers, String) {
    let packet = timeout(PATIENCE, receiving.next()).await.expect("in time").expect("no error");
    let Message { headers, body } = unpack(packet.expect("a message")).expect("well formed");
    (headers, String::from_utf8_lossy(&body).trim().to_owned())
}

fn has(headers: &Headers, name: &str, value: &str) -> bool {
    headers.iter().any(|it| it == (name, value.as_bytes()))
}

#[tokio::test]
async fn a_stream_is_a_connection_whose_messages_find_their_conversations() {
    let served = serve("127.0.0.1:0", PATHS[0]).await;
    let channels = Channels::new(grpc::ChannelConfig::default());
    let (mut sending, mut receiving) = open(&channels, &served.address).await;
    // In the spelling of v4.10 and later, which compare with case.
    let of = |stream, error| {
        let fields = [("Micro-ID", stream), ("Micro-Stream", stream), ("Micro-Endpoint", "Say.Chat")];
        let end: &[_] = if error { &[("Micro-Error", "EOS")] } else { &[] };
        [&fields[..], end].concat()
    };
    for (stream, body) in [("1", "{}"), ("2", "{}"), ("1", r#""a""#)] {
        say(&mut sending, &of(stream, false), body).await;
    }
    let (headers, body) = hear(&mut receiving).await;
    assert_eq!(body, r#""Hello a""#);
    assert!(has(&headers, "Micro-ID", "1") && has(&headers, "Micro-Stream", "1"), "{headers:?}");
    say(&mut sending, &[("Micro-ID", "9"), ("Micro-Endpoint", "Say.Hello")], r#""call""#).await;
    let (headers, body) = hear(&mut receiving).await;
    assert_eq!(body, r#""Hello call""#);
    assert!(has(&headers, "Micro-ID", "9"), "{headers:?}");
    for stream in ["2", "1"] {
        say(&mut sending, &of(stream, true), "").await;
        let (headers, _) = hear(&mut receiving).await;
        assert!(has(&headers, "Micro-Error", "EOS") && has(&headers, "Micro-ID", stream), "{headers:?}");
    }
    // The end of the connection in the middle of a stream is told, as far as there is somebody to tell.
    say(&mut sending, &of("3", false), "{}").await;
    sending.end();
    let (headers, _) = hear(&mut receiving).await;
    let error = Error::parse(headers.get("Micro-Error").expect("an error"));
    assert!(error.detail.contains("closed without the end"), "{error}");
    assert_eq!(timeout(PATIENCE, receiving.next()).await.expect("in time").expect("a good end"), None);

    // What is no message of the transport ends all of them with a status.
    let (mut sending, mut receiving) = open(&channels, &served.address).await;
    say(&mut sending, &of("1", false), "{}").await;
    sending.send(b"\xff").await.expect("open");
    let ended = timeout(PATIENCE, receiving.next()).await.expect("in time");
    assert!(
        matches!(&ended, Err(grpc::CallError::Status(status)) if status.code == Code::INVALID_ARGUMENT),
        "{ended:?}"
    );
    // One without messages waits for nothing when the server stops.
    let (_sending, mut receiving) = open(&channels, &served.address).await;
    served.end().await;
    assert_eq!(receiving.next().await.ok(), Some(None));
}
