//! Header fields on their way through: what belongs to one connection ends here (RFC 9110 §7.6.1), and what is protocol
//! between services does not come from outside.

use crate::api::websocket;
use crate::metadata;
use http::header::{CONNECTION, CONTENT_LENGTH, Entry, FORWARDED, HOST, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use micro_net::http_server::Peer;
use std::net::IpAddr;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whether a request asks for a websocket (RFC 6455 §4.1).
pub(super) fn wants_websocket(request: &Parts) -> bool {
    request.method == Method::GET && websocket::is_wanted(&request.headers)
}

/// The fields of the request that is passed on. What is there of `X-Forwarded-*` is from a proxy that is trusted: the
/// server drops the rest.
pub(super) fn of_request(request: &Parts, websocket: bool) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(request.headers.len() + 3);
    for (name, value) in &request.headers {
        if metadata::passes(name.as_str())
            && !metadata::is_listed_in_connection(name.as_str(), &request.headers)
        {
            fields.append(name, value.clone());
        }
    }
    let host = request.headers.get(HOST).cloned();
    let host = request.uri.authority().and_then(|it| HeaderValue::from_str(it.as_str()).ok()).or(host);
    let peer = request.extensions.get::<Peer>();
    let proto = if peer.is_some_and(|peer| peer.secure) { "https" } else { "http" };
    let peer = peer.map(|peer| peer.addr.ip().to_canonical());
    if let Some(list) = metadata::forwarded_for(&request.headers, peer)
        && let Ok(list) = HeaderValue::from_str(&list)
    {
        fields.insert(FORWARDED_FOR, list);
    }
    if let Some(peer) = peer
        && fields.contains_key(FORWARDED)
        && let Ok(element) = HeaderValue::from_str(&forwarded(peer, proto))
    {
        fields.append(FORWARDED, element);
    }
    absent(&mut fields, FORWARDED_PROTO, HeaderValue::from_static(proto));
    if let Some(host) = host {
        absent(&mut fields, FORWARDED_HOST, host.clone());
        fields.insert(HOST, host);
    }
    if websocket {
        fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    fields
}

/// One element of `Forwarded` (RFC 7239 §4).
fn forwarded(peer: IpAddr, proto: &str) -> String {
    match peer {
        IpAddr::V4(peer) => format!("for={peer};proto={proto}"),
        IpAddr::V6(peer) => format!("for=\"[{peer}]\";proto={proto}"),
    }
}

fn absent(fields: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    if let Entry::Vacant(entry) = fields.entry(name) {
        entry.insert(value);
    }
}

/// The fields of the answer that is passed back.
pub(super) fn of_response(method: &Method, status: StatusCode, answered: &HeaderMap) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(answered.len() + 2);
    for (name, value) in answered {
        if !metadata::is_hop(name.as_str()) && !metadata::is_listed_in_connection(name.as_str(), answered) {
            fields.append(name, value.clone());
        }
    }
    // Here the length is that of a body which is not sent (RFC 9110 §8.6).
    if *method == Method::HEAD
        && let Some(length) = answered.get(CONTENT_LENGTH)
    {
        fields.insert(CONTENT_LENGTH, length.clone());
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parts(fields: &[(&str, &str)], peer: Option<&str>) -> Parts {
        let mut request = Request::get("/a/b?c=d");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        if let Some(peer) = peer {
            let addr = peer.parse().expect("an address");
            request = request.extension(Peer { addr, local: addr, secure: true });
        }
        request.body(()).expect("valid").into_parts().0
    }

    fn shown(fields: &HeaderMap) -> Vec<String> {
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
        };
        let mut lines: Vec<_> = fields.iter().map(line).collect();
        lines.sort();
        lines
    }

    #[test]
    fn the_connections_own_fields_and_protocol_stay_behind() {
        let parts = parts(
            &[
                ("host", "example.org"),
                ("connection", "keep-alive, X-Mine"),
                ("keep-alive", "5"),
                ("x-mine", "1"),
                ("te", "trailers"),
                ("upgrade", "h2c"),
                ("expect", "100-continue"),
                ("proxy-authorization", "x"),
                ("micro-endpoint", "Admin.Drop"),
                ("x-micro-topic", "x"),
                ("timeout", "1"),
                ("local", "x"),
                ("remote", "x"),
                ("accept", "a"),
                ("accept", "b"),
                ("content-type", "text/plain"),
            ],
            Some("192.0.2.1:7"),
        );
        assert_eq!(
            shown(&of_request(&parts, false)),
            [
                "accept: a",
                "accept: b",
                "content-type: text/plain",
                "host: example.org",
                "x-forwarded-for: 192.0.2.1",
                "x-forwarded-host: example.org",
                "x-forwarded-proto: https",
            ]
        );
    }

    #[test]
    fn what_trusted_proxies_said_is_extended() {
        let said = [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "shop.example"),
            ("forwarded", "for=203.0.113.9"),
        ];
        assert_eq!(
            shown(&of_request(&parts(&said, Some("[2001:db8::1]:7")), false)),
            [
                "forwarded: for=\"[2001:db8::1]\";proto=https",
                "forwarded: for=203.0.113.9",
                "x-forwarded-for: 203.0.113.9, 2001:db8::1",
                "x-forwarded-host: shop.example",
                "x-forwarded-proto: http",
            ]
        );
    }

    #[test]
    fn websockets_are_asked_for_by_get_and_two_fields() {
        for (fields, expected) in [
            (&[("connection", "Upgrade"), ("upgrade", "websocket")][..], true),
            (&[("connection", "keep-alive, UPGRADE"), ("upgrade", "h2c, WebSocket")], true),
            (&[("upgrade", "websocket")], false),
            (&[("connection", "upgrade")], false),
            (&[("connection", "upgrade"), ("upgrade", "h2c")], false),
        ] {
            assert_eq!(wants_websocket(&parts(fields, None)), expected, "{fields:?}");
        }
    }

    #[test]
    fn lengths_of_absent_bodies_are_kept() {
        let answered =
            parts(&[("content-length", "7"), ("connection", "x-mine"), ("x-mine", "1")], None).headers;
        for (method, status, length) in [
            (Method::HEAD, 200, true),
            (Method::GET, 304, false),
            (Method::GET, 200, false),
            (Method::GET, 204, false),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let fields = of_response(&method, status, &answered);
            assert_eq!((fields.contains_key("content-length"), fields.len()), (length, usize::from(length)));
        }
    }
}
