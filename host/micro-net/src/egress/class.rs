//! Addresses that are more than another machine's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Ordinary,
    Loopback,
    Special,
}

/// Metadata services of clouds that live outside the link-local ranges: Alibaba, Azure, Oracle.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// The same of EC2 and of Google Cloud, within the unique local range.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

pub(super) fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(v4) => class_v4(v4),
        IpAddr::V6(v6) if v6.is_loopback() => Class::Loopback,
        IpAddr::V6(v6)
            if v6.is_multicast()
                || v6.is_unspecified()
                || v6.is_unicast_link_local()
                || METADATA_V6.contains(&v6) =>
        {
            Class::Special
        }
        // A gateway would forward these to the IPv4 address inside.
        IpAddr::V6(v6) => embedded_v4(v6).map_or(Class::Ordinary, class_v4),
    }
}

fn class_v4(v4: Ipv4Addr) -> Class {
    // All of 0.0.0.0/8 is "this host" (RFC 1122 §3.2.1.3).
    let this_host = v4.octets()[0] == 0;
    if v4.is_loopback() {
        Class::Loopback
    } else if this_host
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_broadcast()
        || METADATA_V4.contains(&v4)
    {
        Class::Special
    } else {
        Class::Ordinary
    }
}

/// The IPv4 address inside a NAT64 (RFC 6052), 6to4 (RFC 3056) or IPv4-compatible (RFC 4291 §2.5.5.1) address.
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// IPv4-mapped IPv6 as the IPv4 that it is.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
