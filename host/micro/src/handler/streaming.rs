//! Methods with more than one message in some direction.

use super::{Handler, Kind, MethodFn, format_of, own};
use crate::context::Context;
use crate::payload::{Format, Payload};
use crate::rpc::{RpcRequest, RpcResponse};
use crate::stream::{Opening, Requests, Responses, respond};
use micro_core::{Error, Value};
use std::sync::Arc;

impl Handler {
    /// Adds a method that answers one request with any number of responses, until it returns.
    ///
    /// The request is the first message after the one that opens the stream, as generated code of Go Micro sends it. If
    /// none follows, because the caller ends its side at once, it is the opening message itself.
    ///
    /// The handler runs in a task of its own. It is dropped when the caller is gone, when its deadline has passed, and
    /// when the grace period of a shutdown is over.
    #[must_use]
    pub fn server_streaming<Req, Res, F, Fut>(
        self,
        method: &str,
        request: Value,
        response: Value,
        run: F,
    ) -> Self
    where
        Req: Payload,
        Res: Payload,
        F: Fn(Context, Req, Responses<Res>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let run = Arc::new(run);
        let run = streaming(move |cx, opening, mut requests, responses| {
            let run = run.clone();
            async move {
                let request = match requests.next().await {
                    Some(request) => request?,
                    None => opened_with(opening, responses.format())?,
                };
                // Whatever else the caller sends is not for this method.
                drop(requests);
                run(cx, request, responses).await
            }
        });
        self.method_of(Kind::ServerStreaming, method, Some(request), Some(response), run)
    }

    /// Adds a method that answers any number of requests with one response. Runs as
    /// [`server_streaming`](Self::server_streaming) does.
    #[must_use]
    pub fn client_streaming<Req, Res, F, Fut>(
        self,
        method: &str,
        request: Value,
        response: Value,
        run: F,
    ) -> Self
    where
        Req: Payload,
        Res: Payload,
        F: Fn(Context, Requests<Req>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Res, Error>> + Send + 'static,
    {
        let run = Arc::new(run);
        let run = streaming(move |cx, _opening, requests, responses| {
            let run = run.clone();
            async move {
                let response = run(cx, requests).await?;
                responses.send(response).await
            }
        });
        self.method_of(Kind::ClientStreaming, method, Some(request), Some(response), run)
    }

    /// Adds a method that reads and writes as it likes, until it returns. Runs as
    /// [`server_streaming`](Self::server_streaming) does.
    #[must_use]
    pub fn bidirectional<Req, Res, F, Fut>(
        self,
        method: &str,
        request: Value,
        response: Value,
        run: F,
    ) -> Self
    where
        Req: Payload,
        Res: Payload,
        F: Fn(Context, Requests<Req>, Responses<Res>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let run = streaming(move |cx, _opening, requests, responses| run(cx, requests, responses));
        self.method_of(Kind::Bidirectional, method, Some(request), Some(response), run)
    }
}

/// What all three have in common: messages in, a task in between, messages out.
fn streaming<Req, Res, F, Fut>(run: F) -> MethodFn
where
    Req: Payload,
    Res: Payload,
    F: Fn(Context, Option<Opening>, Requests<Req>, Responses<Res>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Error>> + Send + 'static,
{
    Arc::new(move |RpcRequest { mut head, body }: RpcRequest| {
        let respond = || {
            let format = format_of(&head)?;
            let opening = head.extensions.remove::<Opening>();
            let requests = Requests::new(body, format);
            let cx = Context::new(head);
            let body = respond(format, |responses| run(cx, opening, requests, responses));
            Ok(RpcResponse { body, content_type: format.content_type().to_owned(), ..RpcResponse::default() })
        };
        Box::pin(std::future::ready(respond()))
    })
}

/// The request in the message that opened the stream, where that holds more than nothing.
fn opened_with<T: Payload>(opening: Option<Opening>, format: Format) -> Result<T, Error> {
    let message = opening.map(|Opening(message)| message).filter(|message| !is_blank(message));
    let message = message.ok_or_else(|| {
        Error::bad_request("go.micro.server", "the caller ended the stream without sending its request")
    })?;
    T::from_bytes(format, &message).map_err(own)
}

/// What opens a stream when there is nothing to say.
fn is_blank(message: &[u8]) -> bool {
    matches!(message.trim_ascii(), b"" | b"{}" | b"null")
}
