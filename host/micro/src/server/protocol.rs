//! Messages to and from calls (`go-micro-wire` §§1.3, 2.2). In the eras E4 and E5 identity, deadline and errors live
//! in `Micro-*` headers and the body is the bare value; before, the body was an envelope that said everything.

use crate::codec::{Codecs, Envelope, Role, Sealer};
use crate::rpc::{Body, Extensions, RpcHead, RpcRequest, RpcResponse};
use bytes::Bytes;
use micro_core::{Error, Headers, Message};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// The id of errors that arise here.
pub(super) const ID: &str = "go.micro.server";
/// What a server assumes when the header is missing.
const DEFAULT_CONTENT_TYPE: &str = "application/protobuf";

/// A message that was understood, or not; it gets its answer either way.
#[derive(Debug)]
pub(super) struct Inbound {
    /// Code 400 or 501 with what is missing.
    pub(super) request: Result<RpcRequest, Error>,
    pub(super) reply: Reply,
}

/// How the answer to a message has to look.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// Echoed in the answer.
    pub(super) id: Option<String>,
    /// Whether the caller may be one that reads `X-Micro-*` only.
    old_names: bool,
    pub(super) envelope: Option<Enveloped>,
}

/// What an answer's envelope takes over from that of the request.
#[derive(Debug)]
pub(super) struct Enveloped {
    pub(super) sealer: Sealer,
    /// As the caller called it.
    pub(super) content_type: String,
    /// With the type that it had.
    pub(super) id: Bytes,
    pub(super) endpoint: String,
}

/// The first value of a header, given under the name that it had up to E3: `X-Micro-Id`. Empty is absent, as in Go: the
/// other name may say it.
pub(super) fn header<'a>(headers: &'a Headers, old_name: &str) -> Option<&'a str> {
    let name = old_name.strip_prefix("X-").unwrap_or(old_name);
    [name, old_name].into_iter().filter_map(|name| headers.get(name)).find(|value| !value.is_empty())
}

/// What an event is published under; none for a call (`go-micro-wire` §2.2).
pub(super) fn topic(headers: &Headers) -> Option<&str> {
    header(headers, "X-Micro-Topic")
}

/// Understands a message. An event has a head without an endpoint, which no call has.
pub(super) fn read(message: Message, peer: Option<SocketAddr>, codecs: &Codecs) -> Inbound {
    let Message { headers, body } = message;
    let mut reply = Reply {
        id: header(&headers, "X-Micro-Id").map(str::to_owned),
        old_names: headers.get("Micro-Id").is_none(),
        envelope: None,
    };
    let request = request(headers, body, peer, codecs, &mut reply);
    Inbound { request, reply }
}

fn request(
    headers: Headers,
    body: Bytes,
    peer: Option<SocketAddr>,
    codecs: &Codecs,
    reply: &mut Reply,
) -> Result<RpcRequest, Error> {
    let header = |name| header(&headers, name);
    if topic(&headers).is_some() {
        let deadline = headers.get("Timeout").and_then(deadline);
        let head = RpcHead { metadata: headers, deadline, peer, ..RpcHead::default() };
        return Ok(RpcRequest { head, body: Body::Unary(body) });
    }
    let endpoint = header("X-Micro-Endpoint").or_else(|| header("X-Micro-Method"));
    let content_type =
        headers.get("Content-Type").filter(|value| !value.is_empty()).unwrap_or(DEFAULT_CONTENT_TYPE);
    let nameless = endpoint.is_none() && header("X-Micro-Service").is_none();
    let legacy = (nameless || header("X-Micro-Target").is_some()) && header("X-Micro-Protocol").is_none();
    let sealer = if legacy { codecs.find_legacy(content_type) } else { codecs.find(content_type) };
    let mut endpoint = endpoint.unwrap_or_default().to_owned();
    let value_type = sealer.as_ref().map_or(content_type, |sealer| &sealer.format().value).to_owned();
    let mut value = body;
    // Without a body there is nothing to open, and for GET requests of a browser nothing to complain about.
    if let Some(sealer) = sealer.filter(|_| !value.is_empty()) {
        let opened = sealer.open(Role::Request, &value);
        let envelope =
            |id, endpoint| Enveloped { sealer, content_type: content_type.to_owned(), id, endpoint };
        match opened {
            Ok(opened) => {
                // Headers that say who is called are what layers and proxies in between have seen.
                if legacy || endpoint.is_empty() {
                    endpoint.clone_from(&opened.endpoint);
                }
                value = opened.value;
                reply.envelope = Some(envelope(opened.id, opened.endpoint));
            }
            Err(error) => {
                reply.envelope = Some(envelope(Bytes::new(), endpoint));
                let hint = if nameless { ", and no header names an endpoint (Micro-Endpoint)" } else { "" };
                let detail = format!("rpc: router cannot decode request: {error}{hint}");
                return Err(Error::bad_request(ID, detail));
            }
        }
    }
    if endpoint.is_empty() {
        let detail = "rpc: service/method request ill-formed: the request names no endpoint: set Micro-Endpoint to \
                      Struct.Method and Content-Type to application/json or application/protobuf, or send JSON-RPC";
        return Err(Error::bad_request(ID, detail));
    }
    let head = RpcHead {
        service: header("X-Micro-Service").unwrap_or_default().to_owned(),
        endpoint,
        content_type: value_type,
        deadline: headers.get("Timeout").and_then(deadline),
        peer,
        stream: header("X-Micro-Stream").is_some(),
        metadata: Headers::new(),
        extensions: Extensions::new(),
    };
    Ok(RpcRequest { head: RpcHead { metadata: headers, ..head }, body: Body::Unary(value) })
}

/// `Timeout` is an unsigned decimal number of nanoseconds. Anything else is no deadline.
pub(super) fn deadline(text: &str) -> Option<Instant> {
    let nanoseconds = text.parse().ok().filter(|&it| it > 0)?;
    Instant::now().checked_add(Duration::from_nanos(nanoseconds))
}

impl Reply {
    /// The answer to a request. Errors travel as text in a header, on top of status 200; `X-Micro-*` copies go to
    /// callers that read those only. Callers that sent an envelope get one, with the error in it as well.
    pub(super) fn answer(self, outcome: Result<(RpcResponse, Bytes), Error>) -> Message {
        let (outcome, sealed) = match &self.envelope {
            None => (outcome, None),
            Some(envelope) => envelope.seal(outcome),
        };
        let (mut headers, mut body) = match outcome {
            Ok((RpcResponse { mut metadata, content_type, .. }, body)) => {
                if sealed.is_none() && !body.is_empty() {
                    metadata.insert("Content-Type", content_type);
                }
                (metadata, body)
            }
            Err(error) => {
                let mut headers = Headers::with_capacity(4, 512);
                // A header cannot hold line breaks; JSON text has none of its own, and escapes those of its values.
                let text = error.to_string();
                headers.append("Micro-Error", &text);
                headers.append("X-Micro-Error", &text);
                (headers, Bytes::new())
            }
        };
        if let (Some(sealed), Some(envelope)) = (sealed, &self.envelope) {
            headers.insert("Content-Type", &envelope.content_type);
            body = sealed;
        }
        if let Some(id) = &self.id {
            headers.append("Micro-Id", id);
            if self.old_names {
                headers.append("X-Micro-Id", id);
            }
        }
        Message { headers, body }
    }
}

impl Enveloped {
    /// The outcome, which becomes an error when the value cannot be sealed, and the body that says it. No body if the
    /// envelope has no place even for that: the header has it then.
    fn seal(
        &self,
        outcome: Result<(RpcResponse, Bytes), Error>,
    ) -> (Result<(RpcResponse, Bytes), Error>, Option<Bytes>) {
        let seal = |error: &str, value: &[u8]| {
            let envelope = Envelope { id: &self.id, endpoint: &self.endpoint, error };
            self.sealer.seal(Role::Response, envelope, value)
        };
        let error = match outcome {
            Ok((response, value)) => match seal("", &value) {
                Ok(sealed) => return (Ok((response, value)), Some(sealed)),
                Err(error) => Error::internal(ID, format!("cannot send the answer: {error}")),
            },
            Err(error) => error,
        };
        let sealed = seal(&error.to_string(), &[]);
        (Err(error), sealed.ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: Message) -> Result<RpcRequest, Error> {
        super::read(message, None, &Codecs::default()).request
    }

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
            let head = read(message(&fields)).expect("valid").head;
            assert_eq!(
                (head.service.as_str(), head.endpoint.as_str()),
                ("greeter", "Say.Hello"),
                "{fields:?}"
            );
            assert_eq!(head.content_type, "application/protobuf");
        }
    }

    #[test]
    fn an_empty_header_hides_no_other() {
        let fields =
            [("Micro-Endpoint", ""), ("X-Micro-Endpoint", "A.B"), ("Micro-Id", ""), ("X-Micro-Id", "4")];
        let Inbound { request, reply } = super::read(message(&fields), None, &Codecs::default());
        assert_eq!(request.expect("valid").head.endpoint, "A.B");
        assert_eq!(reply.id.as_deref(), Some("4"));
    }

    #[test]
    fn what_names_no_endpoint_is_told_how_to() {
        for fields in [&[][..], &[("Micro-Service", "greeter")], &[("Micro-Endpoint", "")]] {
            let error = read(message(fields)).expect_err("no endpoint");
            assert_eq!(error.code, 400);
            assert!(error.detail.contains("endpoint"), "{error}");
        }
    }

    #[test]
    fn events_have_a_topic_and_no_endpoint() {
        for name in ["Micro-Topic", "x-micro-topic"] {
            let event = read(message(&[(name, "t"), ("Micro-Endpoint", "A.B")])).expect("an event");
            assert_eq!((&*event.head.endpoint, topic(&event.head.metadata)), ("", Some("t")));
        }
        let call = read(message(&[("Micro-Topic", ""), ("Micro-Endpoint", "A.B")])).expect("a call");
        assert_eq!(call.head.endpoint, "A.B");
    }

    #[test]
    fn timeouts_are_nanoseconds_and_nonsense_is_ignored() {
        let deadline_of = |text| {
            let fields = [("Micro-Endpoint", "A.B"), ("Timeout", text)];
            read(message(&fields)).expect("valid").head.remaining()
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
        let reply = |old_names| Reply { id: Some("7".to_owned()), old_names, envelope: None };
        let ok = reply(false).answer(Ok((response, Bytes::from_static(b"{}\n"))));
        let fields: Vec<_> = ok.headers.iter_str().collect();
        assert_eq!(fields, [("Content-Type", "application/json"), ("Micro-Id", "7")]);

        let failed = reply(true).answer(Err(Error::not_found("x", "line\nbreak")));
        assert_eq!(failed.headers.get("Micro-Error"), failed.headers.get("x-micro-error"));
        assert_eq!(failed.headers.get("X-Micro-Id"), Some("7"));
        assert!(!failed.headers.get("Micro-Error").expect("there").contains('\n'));
    }
}
