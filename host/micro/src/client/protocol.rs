//! Calls to and from messages of the era E5, which E4 servers understand as well (`go-micro-wire` §§1.3, 7.1).

use crate::context::is_protocol;
use crate::rpc::{Body, RpcHead, RpcResponse};
use micro_core::{Error, Headers, Message};
use std::fmt::Write;

/// The headers of a request whose body is of `content_type`. User metadata cannot override the protocol's own.
pub(crate) fn request(
    head: &RpcHead,
    content_type: &str,
    id: u64,
    from: Option<&str>,
    metadata: &Headers,
) -> Headers {
    let mut headers = Headers::with_capacity(10 + metadata.len() + head.metadata.len(), 512);
    headers.append("Content-Type", content_type);
    headers.append("Micro-Service", &head.service);
    headers.append("Micro-Endpoint", &head.endpoint);
    // The older name of the endpoint.
    headers.append("Micro-Method", &head.endpoint);
    let mut number = NumberText::default();
    headers.append("Micro-Id", number.of(id));
    if let Some(left) = head.remaining() {
        headers.append("Timeout", number.of(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX).max(1)));
    }
    if let Some(from) = from {
        headers.append("Micro-From-Service", from);
    }
    for (name, value) in head.metadata.iter().chain(metadata.iter()) {
        if !is_protocol(name) {
            headers.append(name, value);
        }
    }
    headers
}

/// Decimal text without an allocation for each number.
#[derive(Default)]
pub(super) struct NumberText(String);

impl NumberText {
    pub(super) fn of(&mut self, number: u64) -> &str {
        self.0.clear();
        // Writing to a String cannot fail.
        _ = write!(self.0, "{number}");
        &self.0
    }
}

/// The answer in a message. Headers may be echoes of earlier requests on the same connection (`go-micro-wire` §1.2), so
/// only the error, the content type and the body count.
pub(crate) fn response(message: Message, content_type: &str) -> Result<RpcResponse, Error> {
    let Message { headers, body } = message;
    // In whichever bytes: a failure that nobody can read is no success.
    let mut errors = ["Micro-Error", "X-Micro-Error"].into_iter().filter_map(|name| headers.get_bytes(name));
    if let Some(error) = errors.find(|text| !text.is_empty()) {
        return Err(Error::parse(&String::from_utf8_lossy(error)));
    }
    let answered = headers.get("Content-Type").unwrap_or(content_type);
    // Go servers refuse a content type with a text that looks like success (§2.1).
    if answered.starts_with("text/plain")
        && body.get(1..).is_some_and(|text| text.starts_with(b"nsupported Content-Type"))
    {
        return Err(Error::new("go.micro.server", 415, String::from_utf8_lossy(&body)));
    }
    let content_type = answered.to_owned();
    Ok(RpcResponse { metadata: headers, content_type, body: Body::Unary(body) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn metadata_cannot_override_the_protocol() {
        let head = RpcHead::new("greeter", "Say.Hello", "application/json");
        let metadata = [("micro-service", "other"), ("Timeout", "1"), ("Foo", "bar")].into_iter().collect();
        let headers = request(&head, &head.content_type, 7, Some("me"), &metadata);
        let fields: Vec<_> = headers.iter_str().collect();
        let expected = [
            ("Content-Type", "application/json"),
            ("Micro-Service", "greeter"),
            ("Micro-Endpoint", "Say.Hello"),
            ("Micro-Method", "Say.Hello"),
            ("Micro-Id", "7"),
            ("Micro-From-Service", "me"),
            ("Foo", "bar"),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn errors_in_answers_are_told_from_echoes() {
        let answer = |fields: &[(&str, &str)], body: &'static str| {
            let headers = fields.iter().copied().collect();
            response(Message { headers, body: Bytes::from_static(body.as_bytes()) }, "application/json")
        };
        assert!(answer(&[("Micro-Endpoint", "A.B"), ("Micro-Error", "")], "{}").is_ok());
        assert_eq!(answer(&[("X-Micro-Error", "boom")], "").expect_err("failed").detail, "boom");
        let both = [("Micro-Error", ""), ("X-Micro-Error", "boom")];
        assert_eq!(answer(&both, "{}").expect_err("failed").detail, "boom");
        let headers = [("Micro-Error", b"b\xff")].into_iter().collect();
        let odd = response(Message { headers, body: Bytes::new() }, "application/json");
        assert_eq!(odd.expect_err("failed").detail, "b\u{fffd}");
        let refused =
            answer(&[("Content-Type", "text/plain")], "unsupported Content-Type: x").expect_err("refused");
        assert_eq!(refused.code, 415);
        assert!(answer(&[("Content-Type", "text/plain")], "hello").is_ok());
    }
}
