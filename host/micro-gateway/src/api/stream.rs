//! Streams over plain HTTP: the answer is one JSON document on each line, or server-sent events.
//!
//! | `Accept` | content type | a message | an error, which ends it |
//! |---|---|---|---|
//! | `text/event-stream` | the same | `data: {…}` | `event: error`, `data: {"id":…,"code":…}` |
//! | anything else | `application/x-ndjson` | `{…}` | `{"error":{"id":…,"code":…}}` |
//!
//! An error before the first message is an answer with its status, as that of any call.

use super::rest::Codec;
use super::{ID, Inner, Target};
use crate::answer;
use axum::body::Body as HttpBody;
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use micro::{Body, CallOptions, RpcHead, RpcRequest};
use micro_core::Error;
use std::convert::Infallible;

/// How a stream looks in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Lines,
    Events,
}

/// Opens a stream with messages that are there already, and answers with what comes back.
pub(super) async fn serve(
    api: &Inner,
    head: RpcHead,
    options: CallOptions,
    messages: Vec<Bytes>,
    codec: Codec,
    request: &Parts,
    field: Option<String>,
) -> Result<Response, Error> {
    let target = Target { service: head.service.clone(), endpoint: head.endpoint.clone() };
    let outside = |error: Error| answer::of_call(error, ID, &target.service, &target.endpoint);
    let body = Body::Stream(stream::iter(messages.into_iter().map(Ok)).boxed());
    let opened = api.client.send(RpcRequest { head, body }, &options).await.map_err(outside)?;
    if codec.answers_once() {
        let reply = opened.body.into_unary().await.map_err(outside)?;
        return Ok(answer::content(StatusCode::OK, answer::JSON, codec.reply(&reply, field.as_deref())?));
    }
    let mut replies = opened.body.into_messages();
    let first = replies.next().await.transpose().map_err(outside)?;
    let first = first.map(|message| codec.reply(&message, field.as_deref())).transpose()?;
    let form = Form::of(request);
    let rest = Replies { replies, codec, field, target, form, ended: first.is_none() };
    let first = stream::iter(first.map(|message| Ok::<_, Infallible>(form.message(&message))));
    let body = HttpBody::from_stream(first.chain(rest.into_chunks()));
    let mut response = answer::content(StatusCode::OK, form.content_type(), body);
    // Proxies in between are asked not to collect it.
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// What is still to come. Dropping it ends the call.
struct Replies {
    replies: BoxStream<'static, Result<Bytes, Error>>,
    codec: Codec,
    field: Option<String>,
    target: Target,
    form: Form,
    ended: bool,
}

impl Replies {
    fn into_chunks(self) -> impl futures::Stream<Item = Result<Bytes, Infallible>> + Send {
        stream::unfold(self, async |mut this| {
            if this.ended {
                return None;
            }
            let reply = this.replies.next().await?;
            let json = reply
                .map_err(|error| answer::of_call(error, ID, &this.target.service, &this.target.endpoint))
                .and_then(|message| this.codec.reply(&message, this.field.as_deref()));
            let chunk = match json {
                Ok(json) => this.form.message(&json),
                Err(error) => {
                    this.ended = true;
                    this.form.error(&error)
                }
            };
            Some((Ok(chunk), this))
        })
    }
}

impl Form {
    fn of(request: &Parts) -> Self {
        let accepted = request.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut types = accepted.flat_map(|list| list.split(','));
        let events = types.any(|item| {
            item.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("text/event-stream"))
        });
        if events { Self::Events } else { Self::Lines }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        })
    }

    fn message(self, json: &[u8]) -> Bytes {
        match self {
            Self::Lines => framed(b"", json, b"\n"),
            Self::Events => framed(b"data: ", json, b"\n\n"),
        }
    }

    fn error(self, error: &Error) -> Bytes {
        let json = error.to_string();
        match self {
            Self::Lines => framed(b"{\"error\":", json.as_bytes(), b"}\n"),
            Self::Events => framed(b"event: error\ndata: ", json.as_bytes(), b"\n\n"),
        }
    }
}

/// JSON on one line: line breaks in JSON are space between its parts, because those in texts are escaped.
fn framed(before: &[u8], json: &[u8], behind: &[u8]) -> Bytes {
    let json = json.trim_ascii();
    let mut chunk = BytesMut::with_capacity(before.len() + json.len() + behind.len());
    chunk.put_slice(before);
    chunk.extend(json.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    chunk.put_slice(behind);
    chunk.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stand_on_one_line() {
        let json = b" {\n\t\"a\": \"b\\n\"\r\n}\n";
        assert_eq!(&Form::Lines.message(json)[..], b"{ \t\"a\": \"b\\n\"  }\n");
        assert_eq!(&Form::Events.message(b"{}\n")[..], b"data: {}\n\n");
        let error = Error::new("a", 409, "b");
        let expected = r#"{"error":{"id":"a","code":409,"detail":"b","status":"Conflict"}}"#;
        assert_eq!(&Form::Lines.error(&error)[..], format!("{expected}\n").as_bytes());
    }

    #[test]
    fn events_are_asked_for() {
        let form = |accept: &'static str| {
            let request = http::Request::builder().header(header::ACCEPT, accept).body(()).expect("valid");
            Form::of(&request.into_parts().0)
        };
        assert_eq!(form("text/event-stream"), Form::Events);
        assert_eq!(form("application/json, Text/Event-Stream;q=0.9"), Form::Events);
        assert_eq!(form("*/*"), Form::Lines);
    }
}
