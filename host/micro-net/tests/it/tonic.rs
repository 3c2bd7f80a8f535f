//! The gRPC library of Rust, in both directions.

mod streams;

use crate::h2_frames::call;
use crate::support::{PATIENCE, Server, soon};
use bytes::Bytes;
use http::uri::PathAndQuery;
use micro_net::grpc::{CallError, ChannelConfig, Channels, Code};
use prost::Message;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::server::{NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

fn text(text: &str) -> Text {
    Text { text: text.to_owned() }
}

#[tokio::test]
async fn tonic_calls_us() {
    let server = Server::start().await;
    let endpoint = tonic::transport::Endpoint::try_from(format!("http://{}", server.addr)).expect("a URI");
    let mut client = Grpc::new(soon(endpoint.connect()).await.expect("connects"));
    let mut call = async |ask: &str, message: Text, timeout: Duration| {
        client.ready().await.expect("ready");
        let mut request = tonic::Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("do", ask.parse().expect("a value"));
        metadata.insert_bin("x-data-bin", MetadataValue::from_bytes(&[0, 255]));
        request.set_timeout(timeout);
        let codec = ProstCodec::<Text, Text>::default();
        soon(client.unary(request, PathAndQuery::from_static("/a.B/C"), codec)).await
    };
    for message in [text(""), text("hello"), text(&"x".repeat(1 << 20))] {
        let answer = call("echo", message.clone(), PATIENCE).await.expect("an answer");
        let data = answer.metadata().get_bin("x-data-bin").expect("there").to_bytes();
        assert_eq!(data.expect("binary"), Bytes::from_static(&[0, 255]));
        assert_eq!(answer.into_inner(), message);
    }
    let status = call("fail", text("x"), PATIENCE).await.expect_err("not found");
    assert_eq!((status.code(), status.message()), (tonic::Code::NotFound, "größer\nas asked"));
    let status = call("wait", text("x"), Duration::from_millis(50)).await.expect_err("no time");
    assert!(matches!(status.code(), tonic::Code::Cancelled | tonic::Code::DeadlineExceeded), "{status}");
    server.echo.state.dropped.reach(2).await;
}

/// `a.B/C`: gives the message back, and an error for an empty one.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "a.B";
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let codec = ProstCodec::<Text, Text>::default();
            Ok(tonic::server::Grpc::new(codec).unary(Answer, request).await)
        })
    }
}

struct Answer;

impl UnaryService<Text> for Answer {
    type Response = Text;
    type Future = std::future::Ready<Result<tonic::Response<Text>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<Text>) -> Self::Future {
        let greeting = request.metadata().get("greeting").cloned();
        let message = request.into_inner();
        if message.text.is_empty() {
            return std::future::ready(Err(tonic::Status::invalid_argument("say something: 100 %\n")));
        }
        let mut answer = tonic::Response::new(message);
        if let Some(greeting) = greeting {
            answer.metadata_mut().insert("greeting", greeting);
        }
        std::future::ready(Ok(answer))
    }
}

#[tokio::test]
async fn we_call_tonic() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let router = tonic::transport::Server::builder().add_service(Echo);
    tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
    let channels = Channels::new(ChannelConfig::default());
    for message in ["hello", &"x".repeat(1 << 20)] {
        let sent = text(message).encode_to_vec();
        let reply = soon(call(&channels, &address, &[("Greeting", "hi")], sent.clone())).await;
        let reply = reply.expect("an answer");
        assert_eq!((&reply.message[..], reply.metadata.get("greeting")), (&sent[..], Some("hi")));
    }
    let Err(CallError::Status(status)) = soon(call(&channels, &address, &[], "")).await else {
        panic!("no status")
    };
    assert_eq!((status.code, &*status.message), (Code::INVALID_ARGUMENT, "say something: 100 %\n"));
    assert_eq!(channels.open(), 1);
}
