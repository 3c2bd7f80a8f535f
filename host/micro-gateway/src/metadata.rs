//! HTTP header fields as metadata of a call.

use http::{Extensions, HeaderMap, header};
use micro_core::Headers;
use micro_net::ClientAddr;
use micro_net::http_server::Peer;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Fields of one connection (RFC 9110 §7.6.1) and of this message's framing: they end here.
const HOP: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Fields that have a meaning in the RPC protocol.
const PROTOCOL: [&str; 4] = ["content-type", "local", "remote", "timeout"];
/// A caller may not keep a call open for longer, whatever its `Timeout` says.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// All fields that may travel, under their canonical names; several values of one name are joined with `,`.
/// `X-Forwarded-For` names the peer last.
pub(crate) fn from_http(headers: &HeaderMap, peer: Option<IpAddr>) -> Headers {
    let mut metadata = Headers::with_capacity(headers.keys_len() + 1, 512);
    let mut canonical = String::new();
    let has_listed = headers.contains_key(header::CONNECTION);
    for name in headers.keys() {
        if !travels(name.as_str()) || (has_listed && is_listed_in_connection(name.as_str(), headers)) {
            continue;
        }
        canonical.clear();
        push_canonical(&mut canonical, name.as_str());
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(only), None) => metadata.append(&canonical, only),
            _ => metadata.append(&canonical, joined(headers, name)),
        }
    }
    if let Some(forwarded) = forwarded_for(headers, peer) {
        metadata.append("X-Forwarded-For", forwarded);
    }
    metadata
}

/// The client's address behind those that earlier proxies noted; none if nothing is known.
pub(crate) fn forwarded_for(headers: &HeaderMap, peer: Option<IpAddr>) -> Option<String> {
    let earlier = joined(headers, "x-forwarded-for");
    let earlier = String::from_utf8_lossy(&earlier).into_owned();
    match (peer.map(|it| it.to_canonical()), earlier.is_empty()) {
        (Some(peer), true) => Some(peer.to_string()),
        (Some(peer), false) => Some(format!("{earlier}, {peer}")),
        (None, true) => None,
        (None, false) => Some(earlier),
    }
}

fn joined(headers: &HeaderMap, name: impl header::AsHeaderName) -> Vec<u8> {
    let values: Vec<&[u8]> = headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
    values.join(&b',')
}

/// `x-forwarded-for` is set apart because it is extended.
fn travels(name: &str) -> bool {
    passes(name) && !PROTOCOL.contains(&name) && name != "x-forwarded-for"
}

/// Whether a field may reach a service at all: it is neither of one connection nor protocol between services.
pub(crate) fn passes(name: &str) -> bool {
    let ours = name.starts_with("micro-") || name.starts_with("x-micro-");
    !(ours || HOP.contains(&name) || matches!(name, "local" | "remote" | "timeout"))
}

/// `Connection` can name more fields that belong to the connection.
pub(crate) fn is_listed_in_connection(name: &str, headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|listed| listed.trim().eq_ignore_ascii_case(name))
}

/// Whether a field of an answer belongs to the connection, and so is not for a service to set.
pub(crate) fn is_hop(name: &str) -> bool {
    HOP.iter().any(|hop| hop.eq_ignore_ascii_case(name))
}

/// `content-type` is `Content-Type`, as Go spells it.
pub(crate) fn push_canonical(to: &mut String, name: &str) {
    let mut start = true;
    for letter in name.chars() {
        to.push(if start { letter.to_ascii_uppercase() } else { letter });
        start = letter == '-';
    }
}

/// Who is at the other end of the connection.
pub(crate) fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<Peer>().map(|peer| peer.addr)
}

/// Who the client is, as far as it can be trusted.
pub(crate) fn client(extensions: &Extensions) -> Option<IpAddr> {
    let client = extensions.get::<ClientAddr>().map(|client| client.0);
    client.or_else(|| peer(extensions).map(|peer| peer.ip().to_canonical()))
}

/// The `Timeout` field: whole seconds, or a duration such as `500ms`. Anything else counts as absent.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("timeout")?.to_str().ok()?.trim();
    let seconds = || text.parse().map(Duration::from_secs).ok();
    let timeout = seconds().or_else(|| micro::flags::duration(text).ok())?;
    (!timeout.is_zero()).then_some(timeout.min(LONGEST_TIMEOUT))
}

/// The media type, lower case and without parameters; none if the field is absent or empty.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let name = value.split(';').next().unwrap_or_default().trim();
    (!name.is_empty()).then(|| name.to_ascii_lowercase())
}

/// [`media_type`], but what begins with a brace is no form, whatever it is called: `curl -d` calls everything one, and
/// forms have it escaped.
pub(crate) fn type_of_body(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let named = media_type(headers)?;
    let form = named == "application/x-www-form-urlencoded" && body.trim_ascii_start().starts_with(b"{");
    Some(if form { "application/json".to_owned() } else { named })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        HeaderMap::from_iter(fields.iter().map(field))
    }

    #[test]
    fn nothing_from_outside_becomes_protocol() {
        let outside = headers(&[
            ("micro-endpoint", "Admin.Drop"),
            ("micro-error", "x"),
            ("x-micro-topic", "x"),
            ("timeout", "1"),
            ("local", "x"),
            ("remote", "x"),
            ("host", "example.org"),
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("transfer-encoding", "chunked"),
            ("content-type", "application/json"),
            ("content-length", "2"),
            ("proxy-authorization", "x"),
        ]);
        assert_eq!(from_http(&outside, None), Headers::new());
    }

    #[test]
    fn everything_else_travels() {
        let mut outside =
            headers(&[("authorization", "Bearer x"), ("x-request-id", "7"), ("user-agent", "curl")]);
        outside.append("x-list", http::HeaderValue::from_static("a"));
        outside.append("x-list", http::HeaderValue::from_static("b"));
        outside.append("x-latin", http::HeaderValue::from_bytes(b"\xe9").expect("obs-text"));
        let metadata = from_http(&outside, None);
        for (name, value) in
            [("Authorization", "Bearer x"), ("X-Request-Id", "7"), ("User-Agent", "curl"), ("X-List", "a,b")]
        {
            assert!(metadata.iter_str().any(|it| it == (name, value)), "{name}: {metadata:?}");
        }
        assert_eq!(metadata.get_bytes("x-latin"), Some(&b"\xe9"[..]));
    }

    #[test]
    fn the_peer_is_added_to_those_who_forwarded() {
        let peer = Some("::ffff:10.0.0.1".parse().expect("an address"));
        assert_eq!(forwarded_for(&headers(&[]), peer).as_deref(), Some("10.0.0.1"));
        let earlier = headers(&[("x-forwarded-for", "1.2.3.4, 5.6.7.8")]);
        assert_eq!(from_http(&earlier, peer).get("X-Forwarded-For"), Some("1.2.3.4, 5.6.7.8, 10.0.0.1"));
        assert_eq!(forwarded_for(&headers(&[]), None), None);
    }

    #[test]
    fn objects_are_no_forms() {
        let form = headers(&[("content-type", "application/x-www-form-urlencoded; charset=utf-8")]);
        for (headers, body, expected) in [
            (&form, " {\"a\":1}", Some("application/json")),
            (&form, "a=%7B", Some("application/x-www-form-urlencoded")),
            (&form, "", Some("application/x-www-form-urlencoded")),
            (&headers(&[("content-type", "application/protobuf")]), "{", Some("application/protobuf")),
            (&headers(&[]), "{", None),
        ] {
            assert_eq!(type_of_body(headers, body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn timeouts_are_seconds_or_durations() {
        for (text, expected) in [
            ("3", Some(3000)),
            ("500ms", Some(500)),
            ("1m30s", Some(90_000)),
            ("5000000000", Some(3_600_000)),
            ("0", None),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let parsed = timeout(&headers(&[("timeout", text)])).map(|it| it.as_millis());
            assert_eq!(parsed, expected, "{text}");
        }
    }
}
