//! REST: requests that `google.api.http` rules describe, as calls, and their answers.
//!
//! | part of the request | becomes |
//! |---|---|
//! | variables of the path | fields, which win over all others |
//! | the body | the message, one field of it, or nothing, as the rule says |
//! | the query | all other fields, unless the body is the message |
//!
//! Texts become values of their field's type; what fits no field is refused with its name. Where the service's
//! definitions are known ([`Definitions`]) it is called in protobuf, and its answers are protobuf's JSON; else it is
//! called in JSON, and its answers stay as they are.

mod codec;
mod definitions;
mod fields;
mod message;
mod table;
mod text;

pub(super) use codec::Codec;
pub use codec::JsonForm;
pub(super) use definitions::Definitions;
pub(super) use table::{Matched, RestRoute, find, of_endpoint};

use super::{ID, Inner, stream, websocket};
use crate::{answer, metadata};
use axum::extract::Request;
use axum::response::Response;
use http::{Method, StatusCode};
use message::Parts;
use micro::{Body, RpcRequest};
use micro_core::Error;

/// A request's route, and the fields in its path.
pub(super) type Found = (RestRoute, Vec<(String, String)>);

/// Answers a request for a path that has a rule.
pub(super) async fn serve(api: &Inner, found: Found, request: Request) -> Result<Response, Error> {
    let (route, variables) = found;
    let codec = api.codec(&route).await;
    let is_stream = route.stream || codec.is_stream();
    if is_stream && websocket::is_wanted(request.headers()) {
        let first =
            message::first(&codec.fields(route.request.as_deref()), &variables, request.uri().query())?;
        let first = first.map(|value| codec.request(value)).transpose()?;
        return websocket::serve(api, &route.target, codec, first, request);
    }
    let (request, body) = request.into_parts();
    let body = answer::read_body(body, api.body_limit, api.body_timeout, ID).await?;
    let media_type = metadata::type_of_body(&request.headers, &body);
    let parts = Parts {
        rule: &route.binding.body,
        variables: &variables,
        query: request.uri.query(),
        media_type: media_type.as_deref(),
    };
    let fields = codec.fields(route.request.as_deref());
    let (mut head, options) = Inner::call(&route.target, codec.content_type(), &request);
    if is_stream {
        let messages = message::many(&fields, &parts, &body)?;
        let messages =
            messages.into_iter().map(|value| codec.request(value)).collect::<Result<Vec<_>, _>>()?;
        head.stream = true;
        return stream::serve(
            api,
            head,
            options,
            messages,
            codec,
            &request,
            route.binding.response_body.clone(),
        )
        .await;
    }
    let value = message::one(&fields, &parts, &body)?;
    let body = Body::Unary(codec.request(value)?);
    let outcome =
        async { api.client.send(RpcRequest { head, body }, &options).await?.body.into_unary().await };
    let target = &route.target;
    let reply =
        outcome.await.map_err(|error| answer::of_call(error, ID, &target.service, &target.endpoint))?;
    let reply = codec.reply(&reply, route.binding.response_body.as_deref())?;
    Ok(answer::content(StatusCode::OK, answer::JSON, reply))
}

/// The answer for a path that is there, but not for this method.
pub(super) fn other_method(method: &Method, methods: impl IntoIterator<Item = String>) -> Response {
    let methods = methods.into_iter().collect::<Vec<_>>().join(", ");
    match *method {
        Method::OPTIONS => answer::allow_these(StatusCode::NO_CONTENT, &methods),
        _ => answer::allow_these(StatusCode::METHOD_NOT_ALLOWED, &methods),
    }
}
