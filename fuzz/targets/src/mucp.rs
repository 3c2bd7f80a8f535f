//! Calls over HTTP/1.1, from one role to the other (`go-micro-wire` §§1.3, 2.2).

use crate::connection::{first, send};
use crate::{RUNTIME, parts};
use bytes::Bytes;
use micro::codec::{Codecs, Role as Envelope};
use micro::{Body, Error, Headers, Message, RpcHead, RpcRequest, RpcResponse, Server, fuzzing};
use micro_net::wire::{Incoming, Role, Start};
use std::sync::{LazyLock, Mutex};

/// A value that begins so makes the handler fail, with the rest as the error's text.
const FAIL: &[u8] = b"!";

/// What reached the handler last.
static REACHED: Mutex<Option<(RpcHead, Bytes)>> = Mutex::new(None);

/// Answers every endpoint with what it was sent.
static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let echo = |_inner| tower::service_fn(echo);
    Server::builder().layer(tower::layer::layer_fn(echo)).build()
});

async fn echo(request: RpcRequest) -> Result<RpcResponse, Error> {
    let value = request.body.into_unary().await?;
    *REACHED.lock().expect("nobody panics with it") = Some((request.head, value.clone()));
    outcome(value)
}

fn outcome(value: Bytes) -> Result<RpcResponse, Error> {
    match value.strip_prefix(FAIL) {
        None => Ok(RpcResponse { body: Body::Unary(value), ..RpcResponse::default() }),
        Some(text) => Err(Error::internal("fuzz", String::from_utf8_lossy(text))),
    }
}

/// The answer to a message, and what reached the handler of it.
fn ask(message: Message) -> (Message, Option<(RpcHead, Bytes)>) {
    REACHED.lock().expect("nobody panics with it").take();
    let answer = RUNTIME.block_on(SERVER.message(message, None));
    (answer, REACHED.lock().expect("nobody panics with it").take())
}

/// The header as servers of Go look for it: the later name, then the earlier one.
fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let old = format!("X-{name}");
    [name, &old].into_iter().filter_map(|name| headers.get(name)).find(|value| !value.is_empty())
}

/// A request as it comes. Whatever it is, its answer can be sent; and a client that reads it gets what the handler said
/// or, if the handler was not reached, an error.
pub(crate) fn request(data: &[u8]) {
    let Some(Incoming { message, .. }) = first(Role::Request, data) else { return };
    let asked = message.headers.clone();
    let (answer, reached) = ask(message);

    let start = Start::Response { status: 200, reason: b"OK" };
    let sent = send(start, &answer).unwrap_or_else(|| panic!("the answer cannot be sent: {answer:?}"));
    let received = first(Role::Response, &sent).expect("our own answer").message;
    assert_eq!(received.body, answer.body);
    assert_eq!(received.headers.get("Micro-Id"), header(&asked, "Micro-Id"), "whose answer it is");

    let content_type = received.headers.get("Content-Type").map(str::to_owned);
    let read = fuzzing::response(received, "");
    let Some((head, value)) = reached else {
        let error = read.expect_err("nobody was called, and it went well");
        return assert!((400..600).contains(&error.code), "{error}");
    };
    assert!(!head.endpoint.is_empty() && !head.stream, "{head:?}");
    assert_eq!(head.metadata, asked, "a handler sees all headers");
    assert_eq!(head.service, header(&asked, "Micro-Service").unwrap_or_default());
    if header(&asked, "Micro-Service").is_some() && header(&asked, "Micro-Target").is_none() {
        let named = header(&asked, "Micro-Endpoint").or(header(&asked, "Micro-Method"));
        assert!(named.is_none_or(|named| named == head.endpoint), "another endpoint than the one named");
    }
    match (outcome(value.clone()), read) {
        (Ok(_), Ok(RpcResponse { body: Body::Unary(body), .. })) => {
            let opened =
                || Codecs::default().find_legacy(&content_type?)?.open(Envelope::Response, &body).ok();
            // In an envelope JSON loses the white space around it, and has something in the place of nothing.
            let is_value = |it: &[u8]| {
                it == value || it == value.trim_ascii() || (value.trim_ascii().is_empty() && it == b"{}")
            };
            let same = body == value || opened().is_some_and(|it| is_value(&it.value) && it.error.is_empty());
            assert!(same, "{value:?} comes back as {body:?}");
        }
        (Err(said), Err(heard)) => assert_eq!(heard, said),
        // An envelope that has no place for the value.
        (Ok(_), Err(error)) => assert_eq!((&*error.id, error.code), ("go.micro.server", 500), "{error}"),
        (said, heard) => panic!("the handler said {said:?}, and the caller heard {heard:?}"),
    }
}

/// An answer as it comes. What says an error is one, in whichever header and in whatever bytes; and everything else is
/// the value.
pub(crate) fn response(data: &[u8]) {
    let Some(Incoming { message, .. }) = first(Role::Response, data) else { return };
    let (headers, body) = (message.headers.clone(), message.body.clone());
    let said = ["Micro-Error", "X-Micro-Error"].map(|name| headers.get_bytes(name));
    let said = said.into_iter().flatten().find(|text| !text.is_empty());
    match (said, fuzzing::response(message, "application/json")) {
        (None, Ok(RpcResponse { metadata, content_type, body: Body::Unary(value) })) => {
            assert_eq!((&value, &metadata), (&body, &headers));
            assert_eq!(content_type, headers.get("Content-Type").unwrap_or("application/json"));
        }
        (None, Err(error)) => {
            assert!(error.code == 415 && body.get(1..).is_some_and(|text| text.starts_with(b"nsupported")));
        }
        (Some(text), Err(error)) => {
            // Hops hand errors on as text.
            assert_eq!(Error::parse(&error.to_string()), error);
            assert!(!text.starts_with(b"{") || !error.to_string().is_empty());
        }
        (said, read) => panic!("{said:?} is read as {read:?}"),
    }
}

/// Service, endpoint, content type, then names and values of metadata; behind an empty text the value. What a client
/// sends is what the server's handler gets, and no metadata is taken for anything else.
pub(crate) fn call(data: &[u8]) {
    let (texts, value) = parts(data);
    // HTTP takes white space around values away.
    let text = |text| Some(std::str::from_utf8(text).ok()?.trim_matches([' ', '\t']));
    let texts: Vec<&str> = texts.into_iter().filter_map(text).collect();
    let [service, endpoint, content_type, metadata @ ..] = &texts[..] else { return };
    if endpoint.is_empty() || content_type.is_empty() {
        return;
    }
    let mut head = RpcHead::new(*service, *endpoint, *content_type);
    head.metadata = metadata.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let headers = fuzzing::request(&head, 7);
    let message = Message { headers, body: Bytes::copy_from_slice(value) };
    let start = Start::Request { method: "POST", path: b"/", host: b"a" };
    let Some(sent) = send(start, &message) else { return };
    let Incoming { message, .. } = first(Role::Request, &sent).expect("our own request");
    let asked = message.headers.clone();
    let (answer, reached) = ask(message);

    assert_eq!(answer.headers.get("Micro-Id"), Some("7"));
    if Codecs::default().find(content_type).is_some() {
        // It belongs into an envelope, and was not put into one here.
        return;
    }
    let (seen, got) = reached.unwrap_or_else(|| panic!("the handler was not reached: {answer:?}"));
    assert_eq!((&*seen.service, &*seen.endpoint), (*service, *endpoint));
    assert_eq!((&*seen.content_type, &got[..]), (*content_type, value));
    let protocol =
        asked.iter().filter(|(name, _)| name.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("micro-")));
    assert_eq!(protocol.count(), 4, "metadata is taken for the protocol's own: {asked:?}");
    let user = |headers: &Headers| -> Vec<(String, Vec<u8>)> {
        let user = headers.iter().filter(|(name, _)| name.starts_with("U-"));
        user.map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
    };
    assert_eq!(user(&seen.metadata), user(&head.metadata));
}
