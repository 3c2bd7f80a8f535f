//! tonic's server and client, with the same messages. What its generated code would say is written out here.

use super::{ClosedLoop, InProcess, Latencies, SERVICE, Stack, TEXT};
use crate::Failed;
use greeter::srv::{Request, Response};
use http::uri::PathAndQuery;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::server::{NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic_prost::ProstCodec;
use tower::Service;

const PATH: &str = "/go.micro.srv.greeter.Say/Hello";

/// Who shares a connection.
#[derive(Clone)]
enum Connections {
    /// Nobody: each caller has its own.
    Own(Box<Endpoint>),
    /// All callers share this one, as users of tonic have it.
    Shared(Channel),
}

#[derive(Clone)]
struct Tonic(Connections);

pub(crate) async fn start(shared: bool) -> Result<Box<dyn Stack>, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    // Serves until the program ends.
    tokio::spawn(Server::builder().add_service(Greeter).serve_with_incoming(incoming));
    let endpoint = Endpoint::try_from(format!("http://{address}"))?.tcp_nodelay(true);
    let connections = if shared {
        Connections::Shared(endpoint.connect().await?)
    } else {
        Connections::Own(Box::new(endpoint))
    };
    Ok(Box::new(InProcess(Tonic(connections))))
}

#[derive(Clone)]
struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "go.micro.srv.greeter.Say";
}

impl Service<http::Request<Body>> for Greeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let codec = ProstCodec::<Response, Request>::default();
            Ok(tonic::server::Grpc::new(codec).unary(Hello, request).await)
        })
    }
}

struct Hello;

impl UnaryService<Request> for Hello {
    type Response = Response;
    type Future = Ready<Result<tonic::Response<Response>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<Request>) -> Self::Future {
        ready(Ok(tonic::Response::new(Response { msg: request.into_inner().name })))
    }
}

impl ClosedLoop for Tonic {
    async fn closed_loop(self, from: Instant, until: Instant) -> Result<Vec<u32>, Failed> {
        let mut latencies = Latencies::new(from, until);
        let channel = match self.0 {
            Connections::Own(endpoint) => endpoint.connect().await?,
            Connections::Shared(channel) => channel,
        };
        let mut client = Grpc::new(channel);
        while let Some(started) = latencies.start() {
            client.ready().await?;
            let mut request = tonic::Request::new(Request { name: TEXT.to_owned() });
            request.metadata_mut().insert("micro-from-service", SERVICE.parse()?);
            let codec = ProstCodec::<Request, Response>::default();
            let answer = client.unary(request, PathAndQuery::from_static(PATH), codec).await?;
            if answer.into_inner().msg != TEXT {
                return Err("the echo is not what was sent".into());
            }
            latencies.end(started);
        }
        Ok(latencies.done())
    }
}
