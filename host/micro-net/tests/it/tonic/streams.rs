//! Streams of the three kinds.

use super::{Text, text};
use crate::support::{PATIENCE, Server, soon};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use http::uri::PathAndQuery;
use micro_core::Headers;
use micro_net::grpc::{CallError, ChannelConfig, Channels, Code, Codec, Opening, Receiving, Sending};
use prost::Message;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::server::{ClientStreamingService, NamedService, ServerStreamingService, StreamingService};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

const PATH: PathAndQuery = PathAndQuery::from_static("/a.B/C");

fn codec() -> ProstCodec<Text, Text> {
    ProstCodec::default()
}

/// A request to do something with a stream of messages.
fn asking<T>(what: &'static str, messages: T) -> Request<T> {
    let mut request = Request::new(messages);
    request.metadata_mut().insert("do", what.parse().expect("a value"));
    request
}

#[tokio::test]
async fn tonic_calls_us() {
    let server = Server::start().await;
    let endpoint = tonic::transport::Endpoint::try_from(format!("http://{}", server.addr)).expect("a URI");
    let mut client = Grpc::new(soon(endpoint.connect()).await.expect("connects"));

    client.ready().await.expect("ready");
    let one = soon(client.server_streaming(asking("stream-echo", text("a")), PATH, codec())).await;
    let answers: Vec<_> = soon(one.expect("opens").into_inner().collect()).await;
    assert_eq!(answers.into_iter().map(|it| it.expect("a message")).collect::<Vec<_>>(), [text("a")]);

    client.ready().await.expect("ready");
    // Of several protobuf messages in a row the last one's field counts.
    let many = asking("stream-join", stream::iter((0..1000).map(|n| text(&n.to_string()))));
    let joined = soon(client.client_streaming(many, PATH, codec())).await.expect("an answer");
    assert_eq!(joined.into_inner(), text("999"));

    client.ready().await.expect("ready");
    let (requests, mut messages) = mpsc::channel(1);
    let messages = stream::poll_fn(move |cx| messages.poll_recv(cx));
    let opened = soon(client.streaming(asking("stream-echo", messages), PATH, codec())).await;
    let mut answers = opened.expect("opens before anything was said").into_inner();
    for message in [text("one"), text(""), text(&"long ".repeat(100_000))] {
        requests.send(message.clone()).await.expect("open");
        assert_eq!(soon(answers.message()).await.expect("no error"), Some(message));
    }
    drop(requests);
    assert_eq!(soon(answers.message()).await.expect("a good end"), None);
    let trailers = answers.trailers().await.expect("no error").expect("there are some");
    assert_eq!(trailers.get("x-end").and_then(|it| it.to_str().ok()), Some("over"));

    client.ready().await.expect("ready");
    let refused = soon(client.server_streaming(asking("stream-refuse", text("x")), PATH, codec())).await;
    let status = refused.expect_err("before any message");
    assert_eq!((status.code(), status.message()), (tonic::Code::NotFound, "before any"));
}

/// `a.S`: `Count` as far as the message says, `Join` all messages, `Echo` each. An empty message is an error.
#[derive(Clone)]
struct Streams;

type Answers = BoxStream<'static, Result<Text, Status>>;

fn checked(message: Result<Text, Status>) -> Result<Text, Status> {
    message.and_then(|message| match message.text.is_empty() {
        true => Err(Status::out_of_range("nothing to say")),
        false => Ok(message),
    })
}

impl ServerStreamingService<Text> for Streams {
    type Response = Text;
    type ResponseStream = Answers;
    type Future = BoxFuture<'static, Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        let until: u32 = request.into_inner().text.parse().expect("a number");
        let answers = stream::iter((0..until).map(|n| Ok(text(&n.to_string())))).boxed();
        Box::pin(async move { Ok(Response::new(answers)) })
    }
}

impl ClientStreamingService<Text> for Streams {
    type Response = Text;
    type Future = BoxFuture<'static, Result<Response<Text>, Status>>;

    fn call(&mut self, request: Request<Streaming<Text>>) -> Self::Future {
        let mut messages = request.into_inner().map(checked);
        Box::pin(async move {
            let mut all = String::new();
            while let Some(message) = messages.next().await {
                all += &message?.text;
            }
            Ok(Response::new(text(&all)))
        })
    }
}

impl StreamingService<Text> for Streams {
    type Response = Text;
    type ResponseStream = Answers;
    type Future = BoxFuture<'static, Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<Streaming<Text>>) -> Self::Future {
        let answers = request.into_inner().map(checked).boxed();
        Box::pin(async move { Ok(Response::new(answers)) })
    }
}

impl NamedService for Streams {
    const NAME: &'static str = "a.S";
}

impl tower::Service<http::Request<Body>> for Streams {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut grpc = tonic::server::Grpc::new(codec());
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/a.S/Count" => grpc.server_streaming(Self, request).await,
                "/a.S/Join" => grpc.client_streaming(Self, request).await,
                _ => grpc.streaming(Self, request).await,
            })
        })
    }
}

async fn open(channels: &Channels, address: &str, path: &str) -> (Sending, Receiving) {
    let metadata = Headers::new();
    let opening = Opening { path, codec: Codec::Proto, metadata: &metadata, timeout: Some(PATIENCE) };
    soon(channels.open_stream(address, &opening, PATIENCE)).await.expect("opens")
}

async fn say(sending: &mut Sending, message: &str) {
    soon(sending.send(&text(message).encode_to_vec())).await.expect("taken");
}

async fn hear(receiving: &mut Receiving) -> Result<Option<String>, CallError> {
    let message = soon(receiving.next()).await?;
    Ok(message.map(|message| Text::decode(message).expect("well formed").text))
}

#[tokio::test]
async fn we_call_tonic() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let router = tonic::transport::Server::builder().add_service(Streams);
    tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
    let channels = Channels::new(ChannelConfig::default());

    let (mut sending, mut receiving) = open(&channels, &address, "/a.S/Count").await;
    say(&mut sending, "1000").await;
    sending.end();
    for n in 0..1000 {
        assert_eq!(hear(&mut receiving).await.expect("a message"), Some(n.to_string()));
    }
    assert_eq!(hear(&mut receiving).await.expect("a good end"), None);

    let (mut sending, mut receiving) = open(&channels, &address, "/a.S/Join").await;
    for message in ["a", "ö", "😀"] {
        say(&mut sending, message).await;
    }
    sending.end();
    assert_eq!(hear(&mut receiving).await.expect("a message").as_deref(), Some("aö😀"));
    assert_eq!(hear(&mut receiving).await.expect("a good end"), None);

    let (mut sending, mut receiving) = open(&channels, &address, "/a.S/Echo").await;
    for message in ["a", &"long ".repeat(100_000)] {
        say(&mut sending, message).await;
        assert_eq!(hear(&mut receiving).await.expect("a message").as_deref(), Some(message));
    }
    say(&mut sending, "").await;
    let Err(CallError::Status(status)) = hear(&mut receiving).await else { panic!("no status") };
    assert_eq!((status.code, &*status.message), (Code::OUT_OF_RANGE, "nothing to say"));
    assert_eq!(channels.open(), 1, "none of that costs the connection");
}
