//! Lists of addresses and networks: who is on one.
//!
//! ```
//! use ip_whitelist_core::Whitelist;
//! let list = Whitelist::parse(["127.0.0.1", "10.0.0.0/8", "fd00::/8"])?;
//! assert!(list.contains("10.1.2.3".parse()?) && !list.contains("11.1.2.3".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

use ipnet::{IpNet, Ipv4Net};
use std::net::IpAddr;

/// Addresses and networks. It is never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whitelist(Vec<IpNet>);

/// A list that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Nobody would be let in.
    #[error("the list is empty: name addresses and networks, such as 127.0.0.1,10.0.0.0/8")]
    Empty,
    /// Something else than an address or a network.
    #[error("{0:?} is neither an address, such as 10.0.0.1 or fd00::1, nor a network, such as 10.0.0.0/8")]
    Entry(String),
}

impl Whitelist {
    /// Reads addresses and networks (CIDR, RFC 4632), of IPv4 and IPv6. Bits of a network's address behind its prefix do
    /// not count. White space around an entry does not count either.
    ///
    /// # Errors
    /// See [`ListError`].
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, ListError> {
        let networks = entries.into_iter().map(network).collect::<Result<Vec<_>, _>>()?;
        if networks.is_empty() { Err(ListError::Empty) } else { Ok(Self(networks)) }
    }

    /// Whether an address is on the list. An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`, RFC 4291 §2.5.5.2),
    /// as listeners for both see it, is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn network(entry: &str) -> Result<IpNet, ListError> {
    let entry = entry.trim();
    let network = match entry.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => entry.parse::<IpNet>().map_err(|_| ListError::Entry(entry.to_owned()))?,
    };
    Ok(canonical(network))
}

/// The IPv4 network, where one is written as IPv6.
fn canonical(network: IpNet) -> IpNet {
    /// Of `::ffff:0:0/96`, in which IPv4 lies within IPv6.
    const MAPPED: u8 = 96;
    let IpNet::V6(v6) = network else { return network };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(MAPPED));
    v4.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lets_in(list: &[&str], address: &str) -> bool {
        let list = Whitelist::parse(list.iter().copied()).expect("a list");
        list.contains(address.parse().expect("an address"))
    }

    #[test]
    fn addresses_and_networks_of_both_families() {
        assert!(lets_in(&["10.0.0.1"], "10.0.0.1") && !lets_in(&["10.0.0.1"], "10.0.0.2"));
        assert!(lets_in(&["10.0.0.0/8"], "10.255.0.1") && !lets_in(&["10.0.0.0/8"], "11.0.0.0"));
        assert!(lets_in(&["10.9.9.9/8"], "10.1.1.1"), "bits behind the prefix do not count");
        assert!(lets_in(&["fd00::/8"], "fdff::1") && !lets_in(&["fd00::/8"], "fe80::1"));
        assert!(lets_in(&["::1", " 127.0.0.1 "], "127.0.0.1") && lets_in(&["::1", "127.0.0.1"], "::1"));
        assert!(lets_in(&["0.0.0.0/0"], "203.0.113.9") && !lets_in(&["0.0.0.0/0"], "2001:db8::1"));
        assert!(lets_in(&["::/0"], "2001:db8::1") && !lets_in(&["::/0"], "203.0.113.9"));
    }

    #[test]
    fn mapped_addresses_are_those_of_ipv4_on_both_sides() {
        assert!(lets_in(&["10.0.0.0/8"], "::ffff:10.1.2.3") && !lets_in(&["10.0.0.0/8"], "::ffff:11.1.2.3"));
        assert!(lets_in(&["::ffff:10.0.0.1"], "10.0.0.1") && lets_in(&["::ffff:10.0.0.0/104"], "10.7.7.7"));
        assert!(!lets_in(&["::ffff:10.0.0.0/104"], "11.0.0.1"));
        assert!(!lets_in(&["::10.0.0.1"], "10.0.0.1"), "the compatible form is another address");
    }

    #[test]
    fn what_is_no_list_is_named() {
        assert_eq!(Whitelist::parse([]), Err(ListError::Empty));
        for entry in [
            "",
            "10.0.0",
            "10.0.0.1/33",
            "fd00::/129",
            "localhost",
            "10.0.0.1:80",
            "1.2.3.4/",
            "/8",
            "+1.2.3.4",
        ] {
            let error = Whitelist::parse(["127.0.0.1", entry]).expect_err(entry);
            assert_eq!(error, ListError::Entry(entry.to_owned()));
            assert!(error.to_string().starts_with(&format!("{entry:?} is neither")));
        }
    }
}
