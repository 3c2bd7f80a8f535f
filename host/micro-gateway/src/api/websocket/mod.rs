//! Streams over websockets (RFC 6455): a request to change the protocol, for an endpoint that is a stream, opens it.
//!
//! | frame of the client's | means |
//! |---|---|
//! | text | a message in JSON |
//! | binary | a message in protobuf |
//! | an empty text | that was the last message; answers still come |
//! | close | the end of the call |
//!
//! Answers come in the form of the client's last message, and in text before the first, unless the subprotocol `binary`
//! or a content type of protobuf was asked for. An error is a text, `{"error":{"id":…,"code":…}}`, and then the end with
//! the code 4000 + the error's. What the path and the query say is the first message.
//!
//! Nobody is read further ahead than [`AHEAD`] messages: a slow service holds the client, a slow client the service.

mod close;
mod session;

use super::rest::Codec;
use super::{ID, Inner, METHODS, Target};
use crate::answer;
use axum::body::Body as HttpBody;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use micro_core::Error;
use session::Session;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Messages that wait for the service.
const AHEAD: usize = 4;
/// Larger messages end the call, in bytes.
const LARGEST_MESSAGE: usize = 4 << 20;
/// The subprotocols that are understood: the form of answers.
const BINARY: &str = "binary";
const JSON: &str = "json";
/// What belongs to the handshake is no metadata of the call.
const HANDSHAKE: [&str; 4] =
    ["Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol"];

/// Whether a request asks for a websocket.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    listed(headers, header::CONNECTION, "upgrade") && listed(headers, header::UPGRADE, "websocket")
}

/// Agrees to a websocket, and makes the call beside it.
///
/// # Errors
/// Code 400 for a malformed handshake, 403 for scripts of sites that may not call.
pub(super) fn serve(
    api: &Inner,
    target: &Target,
    codec: Codec,
    first: Option<Bytes>,
    mut request: Request,
) -> Result<Response, Error> {
    if request.method() != Method::GET || request.version() != Version::HTTP_11 {
        return Ok(answer::method_not_allowed(METHODS));
    }
    if !may_call(api, request.headers()) {
        return Err(Error::forbidden(ID, "scripts of this origin may not call"));
    }
    if request.headers().get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let mut response = answer::empty(StatusCode::UPGRADE_REQUIRED);
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Ok(response);
    }
    let accept = accept_key(request.headers())
        .ok_or_else(|| Error::bad_request(ID, "Sec-WebSocket-Key is missing or malformed"))?;
    let subprotocol = [BINARY, JSON]
        .into_iter()
        .find(|name| listed(request.headers(), header::SEC_WEBSOCKET_PROTOCOL, name));

    let upgrade = hyper::upgrade::on(&mut request);
    let (request, _) = request.into_parts();
    let media_type = crate::metadata::media_type(&request.headers);
    let proto = media_type.is_some_and(|it| it.contains("proto") && !it.contains("json"));
    let binary = subprotocol == Some(BINARY) || (proto && subprotocol != Some(JSON));
    let content_type = if binary { "application/protobuf" } else { codec.content_type() };
    let (mut head, options) = Inner::call(target, content_type, &request);
    head.stream = true;
    for name in HANDSHAKE {
        head.metadata.remove(name);
    }
    let session = Session { client: api.client.clone(), head, options, codec, first, binary };
    api.tunnels.spawn(|stop, idle| session.run(upgrade, stop, idle));

    let mut response = Response::new(HttpBody::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(name) = subprotocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    Ok(response)
}

/// The answer to the client's key, which is 16 bytes in base64.
fn accept_key(headers: &HeaderMap) -> Option<HeaderValue> {
    use base64::Engine;
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.as_bytes();
    let bytes = base64::engine::general_purpose::STANDARD.decode(key).ok()?;
    if bytes.len() != 16 {
        return None;
    }
    HeaderValue::from_str(&derive_accept_key(key)).ok()
}

/// Browsers let scripts of any site open websockets, with the cookies of whoever looks at it: what CORS does for other
/// requests is done here. Without it only the gateway's own pages may.
fn may_call(api: &Inner, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    match &api.cors {
        Some(cors) => cors.allows(origin),
        None => {
            let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            origin.zip(host).is_some_and(|((_, origin), host)| origin.eq_ignore_ascii_case(host))
        }
    }
}

/// Whether a list with commas has an item.
fn listed(headers: &HeaderMap, name: header::HeaderName, item: &str) -> bool {
    let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|listed| listed.trim().eq_ignore_ascii_case(item))
}
