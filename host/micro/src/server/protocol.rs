//! Messages of the eras E4 and E5 to and from calls (`go-micro-wire` §§1.3, 2.2): identity, deadline and errors live in
//! `Micro-*` headers, the body is the bare value.

use crate::rpc::{Body, Extensions, RpcHead, RpcRequest, RpcResponse};
use bytes::Bytes;
use micro_core::{Error, Headers, Message};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// What a server assumes when the header is missing.
const DEFAULT_CONTENT_TYPE: &str = "application/protobuf";

/// A message that names what it wants.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) request: RpcRequest,
    /// Whether the caller may be one that reads `X-Micro-*` only.
    pub(super) old_names: bool,
    /// Echoed in the answer.
    pub(super) id: Option<String>,
}

/// Understands a message.
///
/// # Errors
/// Code 400 or 501 with what is missing; the answer still goes out as a message.
pub(super) fn read(message: Message, peer: Option<SocketAddr>) -> Result<Inbound, Error> {
    let Message { headers, body } = message;
    let header = |name: &str| {
        let old = || headers.get(&format!("X-{name}"));
        headers.get(name).or_else(old).filter(|value| !value.is_empty())
    };
    if header("Micro-Topic").is_some() {
        return Err(Error::new(
            "go.micro.server",
            501,
            "this service has no subscribers: events are not accepted here",
        ));
    }
    let endpoint = header("Micro-Endpoint").or_else(|| header("Micro-Method"));
    let Some(endpoint) = endpoint else {
        let detail = "the request names no endpoint: set Micro-Endpoint to Struct.Method, \
                      and Content-Type to application/json or application/protobuf";
        return Err(Error::bad_request("go.micro.server", detail));
    };
    if header("Micro-Stream").is_some() {
        return Err(Error::new("go.micro.server", 501, format!("{endpoint} is not a stream")));
    }
    let content_type =
        headers.get("Content-Type").filter(|value| !value.is_empty()).unwrap_or(DEFAULT_CONTENT_TYPE);
    let head = RpcHead {
        service: header("Micro-Service").unwrap_or_default().to_owned(),
        endpoint: endpoint.to_owned(),
        content_type: content_type.to_owned(),
        deadline: headers.get("Timeout").and_then(deadline),
        peer,
        stream: false,
        metadata: Headers::new(),
        extensions: Extensions::new(),
    };
    let old_names = headers.get("Micro-Id").is_none();
    let id = header("Micro-Id").map(str::to_owned);
    let request = RpcRequest { head: RpcHead { metadata: headers, ..head }, body: Body::Unary(body) };
    Ok(Inbound { request, old_names, id })
}

/// `Timeout` is an unsigned decimal number of nanoseconds. Anything else is no deadline.
fn deadline(text: &str) -> Option<Instant> {
    let nanoseconds = text.parse().ok().filter(|&it| it > 0)?;
    Instant::now().checked_add(Duration::from_nanos(nanoseconds))
}

/// The answer to a request. Errors travel as text in a header, on top of status 200; `X-Micro-*` copies go to callers
/// that read those only.
pub(super) fn answer(
    id: Option<&str>,
    old_names: bool,
    outcome: Result<(RpcResponse, Bytes), Error>,
) -> Message {
    match outcome {
        Ok((RpcResponse { mut metadata, content_type, .. }, body)) => {
            if !body.is_empty() {
                metadata.insert("Content-Type", content_type);
            }
            identify(&mut metadata, id, old_names);
            Message { headers: metadata, body }
        }
        Err(error) => {
            let mut headers = Headers::with_capacity(4, 512);
            // A header cannot hold line breaks; JSON text has none of its own, and escapes those of its values.
            let text = error.to_string();
            headers.append("Micro-Error", &text);
            headers.append("X-Micro-Error", &text);
            identify(&mut headers, id, old_names);
            Message { headers, body: Bytes::new() }
        }
    }
}

fn identify(headers: &mut Headers, id: Option<&str>, old_names: bool) {
    if let Some(id) = id {
        headers.append("Micro-Id", id);
        if old_names {
            headers.append("X-Micro-Id", id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(fields: &[(&str, &str)]) -> Message {
        Message { headers: fields.iter().copied().collect(), body: Bytes::from_static(b"x") }
    }

    #[test]
    fn identity_comes_from_either_prefix_and_either_name() {
        for fields in [
            [("Micro-Service", "greeter"), ("Micro-Endpoint", "Say.Hello")],
            [("micro-service", "greeter"), ("MICRO-METHOD", "Say.Hello")],
            [("X-Micro-Service", "greeter"), ("X-Micro-Endpoint", "Say.Hello")],
            [("X-Micro-Service", "greeter"), ("X-Micro-Method", "Say.Hello")],
        ] {
            let head = read(message(&fields), None).expect("valid").request.head;
            assert_eq!(
                (head.service.as_str(), head.endpoint.as_str()),
                ("greeter", "Say.Hello"),
                "{fields:?}"
            );
            assert_eq!(head.content_type, "application/protobuf");
        }
    }

    #[test]
    fn what_names_no_endpoint_is_told_how_to() {
        for fields in [&[][..], &[("Micro-Service", "greeter")], &[("Micro-Endpoint", "")]] {
            let error = read(message(fields), None).expect_err("no endpoint");
            assert_eq!(error.code, 400);
            assert!(error.detail.contains("Micro-Endpoint"), "{error}");
        }
        let event = read(message(&[("Micro-Topic", "t"), ("Micro-Endpoint", "A.B")]), None);
        assert_eq!(event.expect_err("an event").code, 501);
    }

    #[test]
    fn timeouts_are_nanoseconds_and_nonsense_is_ignored() {
        let deadline_of = |text| {
            let fields = [("Micro-Endpoint", "A.B"), ("Timeout", text)];
            read(message(&fields), None).expect("valid").request.head.remaining()
        };
        let left = deadline_of("5000000000").expect("a deadline");
        assert!(left <= Duration::from_secs(5) && left > Duration::from_secs(4));
        for text in ["", "0", "-1", "5s", "1.5", "99999999999999999999999"] {
            assert_eq!(deadline_of(text), None, "{text}");
        }
        assert!(deadline_of("18446744073709551615").is_none_or(|left| left > Duration::from_secs(1 << 30)));
    }

    #[test]
    fn answers_carry_the_id_and_errors_both_spellings() {
        let response = RpcResponse { content_type: "application/json".to_owned(), ..RpcResponse::default() };
        let ok = answer(Some("7"), false, Ok((response, Bytes::from_static(b"{}\n"))));
        let fields: Vec<_> = ok.headers.iter_str().collect();
        assert_eq!(fields, [("Content-Type", "application/json"), ("Micro-Id", "7")]);

        let failed = answer(Some("7"), true, Err(Error::not_found("x", "line\nbreak")));
        assert_eq!(failed.headers.get("Micro-Error"), failed.headers.get("x-micro-error"));
        assert_eq!(failed.headers.get("X-Micro-Id"), Some("7"));
        assert!(!failed.headers.get("Micro-Error").expect("there").contains('\n'));
    }
}
