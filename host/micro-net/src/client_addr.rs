//! Who the client is when there are proxies in front: what a proxy says counts if it is known, and nothing else does.

use http::header::{FORWARDED, HeaderMap};
use http::{HeaderName, Request};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

/// More hops than this in `X-Forwarded-For` are not looked at: the client is then the last of them.
const MAX_HOPS: usize = 64;

/// In the extensions of every request that came over TCP: the client's address, as far as it can be trusted.
///
/// Without trusted proxies it is the other side of the connection. Behind a trusted one it is the rightmost address of
/// `X-Forwarded-For` (or of `Forwarded`, RFC 7239, if that is all there is) that is not a trusted proxy itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddr(pub IpAddr);

/// The proxies whose word is taken. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[IpNet]>);

/// A text that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is neither an IP address nor a network such as 10.0.0.0/8")]
pub struct NetworkError {
    text: String,
}

impl TrustedProxies {
    /// Addresses and networks in CIDR form.
    ///
    /// # Errors
    /// The first text that is neither.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NetworkError> {
        let network = |text: &str| {
            let text = text.trim();
            let network = IpNet::from_str(text).or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| NetworkError { text: text.to_owned() })
        };
        texts.into_iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Notes the client in the request's extensions and takes away what a stranger says about who forwarded what.
    pub(crate) fn apply<B>(&self, request: &mut Request<B>, peer: SocketAddr) {
        let peer = peer.ip().to_canonical();
        let trusted = self.contains(peer);
        if !trusted {
            self.forget(request.headers_mut());
        }
        let client = if trusted { self.client(request.headers()).unwrap_or(peer) } else { peer };
        request.extensions_mut().insert(ClientAddr(client));
    }

    /// `X-Forwarded-For` is a log to which everybody appends, so it stays when nothing is known about proxies: there may
    /// be one that nobody told us about. All others are statements, which count only if somebody vouches for them.
    fn forget(&self, headers: &mut HeaderMap) {
        let spoofed = |name: &&HeaderName| match name.as_str() {
            "x-forwarded-for" => !self.is_empty(),
            "forwarded" | "x-real-ip" => true,
            name => name.starts_with("x-forwarded-"),
        };
        let names: Vec<HeaderName> = headers.keys().filter(spoofed).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }

    /// From the right: each trusted hop names the one before it. What cannot be read ends the walk.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let forwarded_for = HeaderName::from_static("x-forwarded-for");
        if headers.contains_key(&forwarded_for) {
            return self.walk(items(headers, &forwarded_for).map(|item| address(&item)));
        }
        self.walk(items(headers, &FORWARDED).map(|item| forwarded(&item)))
    }

    fn walk(&self, hops: impl Iterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
        let mut client = None;
        for hop in hops.take(MAX_HOPS) {
            let Some(hop) = hop else { break };
            client = Some(hop);
            if !self.contains(hop) {
                break;
            }
        }
        client
    }
}

/// The items of a list field, the last one first. A comma in a quoted string separates too, which only makes two items
/// that cannot be read of one that nobody writes.
fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> + use<'a> {
    let fields: Vec<&[u8]> = headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
    fields.into_iter().rev().flat_map(|field| {
        let items: Vec<_> = field
            .rsplit(|&byte| byte == b',')
            .map(|item| String::from_utf8_lossy(item).into_owned())
            .collect();
        items
    })
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|it| it.ip()));
    address.ok().map(|it: IpAddr| it.to_canonical())
}

/// The `for` of one element (RFC 7239 §4); obfuscated and unknown ones are none.
fn forwarded(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        name.trim().eq_ignore_ascii_case("for").then(|| address(value)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The client of a request from `peer`, and the names of the fields that are left.
    fn seen(trusted: &[&str], peer: &str, fields: &[(&str, &str)]) -> (String, Vec<String>) {
        let trusted = TrustedProxies::parse(trusted.iter().copied()).expect("networks");
        let mut request = Request::new(());
        for (name, value) in fields {
            let name: HeaderName = name.parse().expect("a name");
            request.headers_mut().append(name, value.parse().expect("a value"));
        }
        trusted.apply(&mut request, SocketAddr::new(peer.parse().expect("an address"), 1));
        let client = request.extensions().get::<ClientAddr>().expect("always there").0.to_string();
        (client, request.headers().keys().map(ToString::to_string).collect())
    }

    #[test]
    fn the_list_is_walked_from_the_right_over_trusted_hops() {
        let trusted = &["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"];
        for (peer, list, expected) in [
            ("10.0.0.1", &["203.0.113.9"][..], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6", "203.0.113.9,10.1.2.3", "192.0.2.7"], "203.0.113.9"),
            ("2001:db8::1", &["[2001:db9::5]:4711, 10.0.0.2:80"], "2001:db9::5"),
            ("10.0.0.1", &["10.0.0.9, 10.0.0.8"], "10.0.0.9"),
            // What cannot be read is nobody's word, and neither is what stands before it.
            ("10.0.0.1", &["6.6.6.6, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("192.0.2.8", &["6.6.6.6"], "192.0.2.8"),
        ] {
            let fields: Vec<_> = list.iter().map(|value| ("x-forwarded-for", *value)).collect();
            assert_eq!(seen(trusted, peer, &fields).0, expected, "{peer} {list:?}");
        }
    }

    #[test]
    fn forwarded_is_read_when_it_is_all_there_is() {
        let fields = [("forwarded", "for=6.6.6.6, For=\"[2001:db8::7]:4711\";proto=https")];
        assert_eq!(seen(&["10.0.0.1"], "10.0.0.1", &fields).0, "2001:db8::7");
        let hidden = [("forwarded", "for=6.6.6.6, for=_hidden")];
        assert_eq!(seen(&["10.0.0.1"], "10.0.0.1", &hidden).0, "10.0.0.1");
        let both = [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "7.7.7.7")];
        assert_eq!(seen(&["10.0.0.1"], "10.0.0.1", &both).0, "7.7.7.7");
    }

    #[test]
    fn what_strangers_say_is_forgotten() {
        let fields = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "bank.example"),
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("accept", "*/*"),
        ];
        let (client, left) = seen(&["10.0.0.0/8"], "192.0.2.1", &fields);
        assert_eq!((client.as_str(), left), ("192.0.2.1", vec!["accept".to_owned()]));
        let (client, left) = seen(&[], "192.0.2.1", &fields);
        assert_eq!((client.as_str(), left.len()), ("192.0.2.1", 2), "the log stays, but it decides nothing");
        assert_eq!(seen(&["192.0.2.1"], "192.0.2.1", &fields).1.len(), 6);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "x", "10.0.0.0/33", "10.0.0", "10.0.0.0/8/8", "::/129"] {
            let error = TrustedProxies::parse([text]).expect_err(text);
            assert!(error.to_string().contains("10.0.0.0/8"), "{error}");
        }
    }
}
