//! Calls in envelopes: to nodes that want them, and where the caller asks for one (`go-micro-wire` §§2.3–2.5).

use crate::client::nodes::NodeState;
use crate::client::protocol::NumberText;
use crate::client::speaks::Protocol;
use crate::codec::{Codecs, Envelope, Role, Sealer, legacy};
use crate::rpc::{Body, RpcHead, RpcResponse};
use bytes::Bytes;
use micro_core::Error;

/// The id of errors that arise here (`go-micro-wire` §4.2).
const ID: &str = "go.micro.client.codec";
/// So much of an answer that cannot be read is shown.
const SHOWN: usize = 80;

/// The body of a request.
#[derive(Debug)]
pub(super) struct Outbound<'a> {
    pub(super) content_type: &'a str,
    pub(super) body: Bytes,
    /// Opens the answer. None: it is bare.
    pub(super) sealer: Option<Sealer>,
}

/// Puts a value into an envelope, if this node or this content type wants one.
///
/// # Errors
/// Code 415 for a content type in which the node cannot be called, 400 for a value that does not fit.
pub(super) fn wrap<'a>(
    codecs: &Codecs,
    node: &NodeState,
    head: &'a RpcHead,
    id: u64,
    value: &Bytes,
) -> Result<Outbound<'a>, Error> {
    let mut content_type = &*head.content_type;
    let sealer = if node.protocol == Protocol::Envelopes {
        content_type = legacy(content_type);
        let Some(sealer) = codecs.find_legacy(content_type) else {
            let detail = format!(
                "node {} at {} takes envelopes only, and there is none for {content_type}: call it with \
                 application/json or application/protobuf, or register it with metadata protocol=mucp",
                node.name, node.address
            );
            return Err(Error::new(ID, 415, detail));
        };
        Some(sealer)
    } else {
        codecs.find(content_type)
    };
    let Some(sealer) = sealer else {
        return Ok(Outbound { content_type, body: value.clone(), sealer: None });
    };
    let mut number = NumberText::default();
    let envelope = Envelope { id: number.of(id).as_bytes(), endpoint: &head.endpoint, error: "" };
    let body = sealer
        .seal(Role::Request, envelope, value)
        .map_err(|error| Error::bad_request(ID, format!("cannot send the request: {error}")))?;
    Ok(Outbound { content_type, body, sealer: Some(sealer) })
}

/// The bare answer in an answer that had no `Micro-Error`.
///
/// # Errors
/// The one in the envelope; code 500 for what is no envelope.
pub(super) fn unwrap(sealer: &Sealer, answer: RpcResponse, node: &NodeState) -> Result<RpcResponse, Error> {
    let Body::Unary(body) = answer.body else {
        return Ok(answer);
    };
    let opened = sealer.open(Role::Response, &body).map_err(|error| {
        let shown = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
        let what = if body.is_empty() { "nothing".to_owned() } else { format!("{shown:?}") };
        let detail = format!(
            "node {} at {} answered {what}: {error}; if it speaks mucp, register it with metadata protocol=mucp",
            node.name, node.address
        );
        Error::internal(ID, detail)
    })?;
    if !opened.error.is_empty() {
        return Err(remote(&opened.error));
    }
    let content_type = sealer.format().value.clone();
    Ok(RpcResponse { content_type, body: Body::Unary(opened.value), ..answer })
}

/// An error as it stood in an envelope. Objects of other makes keep their text.
fn remote(text: &str) -> Error {
    let error = Error::parse(text);
    if error.detail.is_empty() { Error { detail: text.to_owned(), ..error } } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::nodes::{NodeTable, Way};
    use micro_core::Headers;
    use std::sync::Arc;

    fn node(enveloped: bool) -> Arc<NodeState> {
        let protocol = if enveloped { Protocol::Envelopes } else { Protocol::Mucp };
        NodeTable::default().address("127.0.0.1:1", Way { protocol, ..Way::default() })
    }

    fn sent(enveloped: bool, content_type: &str, value: &'static str) -> Result<(String, Bytes), Error> {
        let head = RpcHead::new("greeter", "Say.Hello", content_type);
        let value = Bytes::from_static(value.as_bytes());
        let outbound = wrap(&Codecs::default(), &node(enveloped), &head, 3, &value)?;
        Ok((outbound.content_type.to_owned(), outbound.body))
    }

    fn answered(body: &'static str) -> Result<RpcResponse, Error> {
        let sealer = Codecs::default().find("application/json-rpc").expect("native");
        let answer = RpcResponse {
            metadata: Headers::new(),
            content_type: "application/json-rpc".to_owned(),
            body: Body::Unary(Bytes::from_static(body.as_bytes())),
        };
        unwrap(&sealer, answer, &node(true))
    }

    #[test]
    fn the_node_and_the_content_type_decide() {
        let sealed = "{\"method\":\"Say.Hello\",\"params\":[{}],\"id\":3}\n";
        for (enveloped, content_type, expected, body) in [
            (false, "application/json", "application/json", "{}"),
            (false, "application/json-rpc", "application/json-rpc", sealed),
            (false, "text/plain", "text/plain", "{}"),
            (true, "application/json", "application/json-rpc", sealed),
            (true, "application/json-rpc", "application/json-rpc", sealed),
        ] {
            let expected = (expected.to_owned(), Bytes::from_static(body.as_bytes()));
            assert_eq!(sent(enveloped, content_type, "{}"), Ok(expected), "{enveloped} {content_type}");
        }
        for (content_type, expected) in [
            ("application/protobuf", "application/proto-rpc"),
            ("application/proto-rpc", "application/proto-rpc"),
            ("application/octet-stream", "application/octet-stream"),
        ] {
            let (content_type, body) = sent(true, content_type, "x").expect("sealed");
            assert_eq!(content_type, expected);
            assert!(body.ends_with(b"\0\0\0\x01x"), "{body:?}");
        }
    }

    #[test]
    fn what_cannot_be_sent_says_why() {
        let error = sent(true, "text/plain", "x").expect_err("no envelope");
        assert_eq!(error.code, 415);
        assert!(error.detail.contains("protocol=mucp"), "{error}");
        let error =
            sent(true, "application/json", "1],\"method\":\"Other.Call\",\"x\":[1").expect_err("no JSON");
        assert_eq!(error.code, 400);
        assert!(error.detail.contains("application/json"), "{error}");
    }

    #[tokio::test]
    async fn answers_come_out_bare() {
        let answer = answered(r#"{"id":"0","result":{"msg":"hi"},"error":null}"#).expect("an answer");
        assert_eq!(answer.content_type, "application/json");
        assert_eq!(answer.body.into_unary().await.expect("one"), r#"{"msg":"hi"}"#);
    }

    #[test]
    fn errors_in_answers_are_errors() {
        for (body, code, detail) in [
            (r#"{"result":{},"error":"boom"}"#, 0, "boom"),
            (r#"{"result":null,"error":"{\"id\":\"a\",\"code\":409,\"detail\":\"no\"}"}"#, 409, "no"),
            (r#"{"error":{"code":404,"message":"gone"}}"#, 404, r#"{"code":404,"message":"gone"}"#),
            (r#"{"error":{"code":-32601,"message":"gone"}}"#, 0, r#"{"code":-32601,"message":"gone"}"#),
            (r#"{"error":""}"#, 0, "unspecified error"),
        ] {
            let error = answered(body).expect_err(body);
            assert_eq!((error.code, &*error.detail), (code, detail), "{body}");
        }
    }

    #[test]
    fn what_is_no_answer_is_shown_and_who_gave_it() {
        for (body, shown) in [
            ("", "answered nothing"),
            (r#"{"msg":"hi"}"#, r#"answered "{\"msg\":\"hi\"}""#),
            ("<html>", "<html>"),
        ] {
            let error = answered(body).expect_err(body);
            assert_eq!((&*error.id, error.code), (ID, 500));
            for part in [shown, "127.0.0.1:1", "application/json-rpc", "protocol=mucp"] {
                assert!(error.detail.contains(part), "{part}: {error}");
            }
        }
    }
}
