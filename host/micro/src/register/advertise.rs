//! The address that a node is registered under (`go-micro-wire` §6.2).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What stands in front of the name of a network interface, in place of a host.
const INTERFACE: &str = "interface:";

/// What others are told: `said`, with what it leaves open filled in, or the bound address. The port may be left out, or
/// be 0. The host may be left out or be a wildcard, which stands for the first private address of this machine, else a
/// public one, else loopback; `interface:NAME` stands for the first address of that interface.
///
/// # Errors
/// A text that says what is wrong: an interface that is not there, or has no address.
pub(crate) fn address(said: Option<&str>, bound: SocketAddr) -> Result<String, String> {
    let Some(said) = said.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(advertised(bound));
    };
    let (interface, said) = match said.strip_prefix(INTERFACE) {
        Some(rest) => (true, rest),
        None => (false, said),
    };
    let (host, port) = split(said);
    let port = match port {
        Some("" | "0") | None => bound.port().to_string(),
        Some(port) => port.to_owned(),
    };
    let host = match (interface, host, host.parse::<IpAddr>()) {
        (true, name, _) => of_interface(name)?.to_string(),
        (false, "", _) => reachable(&interfaces()).to_string(),
        (false, _, Ok(ip)) => concrete(ip).to_string(),
        (false, name, Err(_)) => name.to_owned(),
    };
    Ok(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

/// What others are told of a bound address when nothing was said.
pub(crate) fn advertised(bound: SocketAddr) -> String {
    SocketAddr::new(concrete(bound.ip()), bound.port()).to_string()
}

/// Host without brackets, and port if there is one.
fn split(text: &str) -> (&str, Option<&str>) {
    if text.parse::<Ipv6Addr>().is_ok() {
        return (text, None);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    (host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host), port)
}

fn concrete(ip: IpAddr) -> IpAddr {
    if ip.is_unspecified() { reachable(&interfaces()) } else { ip }
}

/// The addresses of this machine, in the order of its interfaces.
pub(crate) fn interfaces() -> Vec<IpAddr> {
    listed().into_iter().map(|interface| interface.ip()).collect()
}

fn listed() -> Vec<if_addrs::Interface> {
    if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot list network interfaces: registering a loopback address");
        Vec::new()
    })
}

fn of_interface(name: &str) -> Result<IpAddr, String> {
    let all = listed();
    let own: Vec<IpAddr> = all.iter().filter(|it| it.name == name).map(if_addrs::Interface::ip).collect();
    let usable = own.iter().find(|ip| ip.is_ipv4()).or_else(|| own.iter().find(|ip| !is_link_local(ip)));
    usable.copied().ok_or_else(|| {
        let mut names: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let what = if own.is_empty() { "there is no such interface" } else { "it has no usable address" };
        format!(
            "--server_advertise={INTERFACE}{name}: {what}; interfaces with addresses: {}",
            names.join(", ")
        )
    })
}

/// An address that means something on one link only.
fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn reachable(addresses: &[IpAddr]) -> IpAddr {
    let private = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        IpAddr::V6(ip) => ip.segments()[0] & 0xfe00 == 0xfc00,
    };
    let global = |ip: &IpAddr| !ip.is_loopback() && !is_link_local(ip);
    let first = |wanted: &dyn Fn(&IpAddr) -> bool| {
        addresses
            .iter()
            .filter(|ip| ip.is_ipv4())
            .chain(addresses.iter().filter(|ip| ip.is_ipv6()))
            .copied()
            .find(wanted)
    };
    first(&private).or_else(|| first(&global)).unwrap_or(IpAddr::from([127, 0, 0, 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn private_addresses_come_first_and_ipv4_before_ipv6() {
        let cases: [(&[&str], &str); 7] = [
            (&["127.0.0.1", "8.8.8.8", "10.0.0.1"], "10.0.0.1"),
            (&["fd00::1", "192.168.1.1"], "192.168.1.1"),
            (&["fe80::1", "2001:db8::1", "fd00::1"], "fd00::1"),
            (&["100.64.0.1", "8.8.8.8"], "100.64.0.1"),
            (&["127.0.0.1", "169.254.1.1", "8.8.8.8"], "8.8.8.8"),
            (&["fe80::1", "::1"], "127.0.0.1"),
            (&[], "127.0.0.1"),
        ];
        for (addresses, expected) in cases {
            let addresses: Vec<_> = addresses.iter().map(|text| ip(text)).collect();
            assert_eq!(reachable(&addresses), ip(expected), "{addresses:?}");
        }
    }

    #[test]
    fn what_is_left_open_is_filled_in() {
        let bound = SocketAddr::new(ip("10.1.2.3"), 80);
        let usual = reachable(&interfaces());
        let usual = |port: u16| SocketAddr::new(usual, port).to_string();
        for (said, expected) in [
            ("10.0.0.1", "10.0.0.1:80"),
            ("10.0.0.1:0", "10.0.0.1:80"),
            ("10.0.0.1:", "10.0.0.1:80"),
            ("host:99", "host:99"),
            ("host", "host:80"),
            ("fd00::1", "[fd00::1]:80"),
            ("[fd00::1]", "[fd00::1]:80"),
            ("[fd00::1]:9", "[fd00::1]:9"),
            (" ", "10.1.2.3:80"),
            (":99", &usual(99)),
            ("0.0.0.0:99", &usual(99)),
            ("[::]:99", &usual(99)),
            ("::", &usual(80)),
        ] {
            assert_eq!(address(Some(said), bound).as_deref(), Ok(expected), "{said:?}");
        }
        let anywhere = SocketAddr::new(ip("::"), 80);
        assert_eq!(address(None, anywhere), Ok(usual(80)));
        assert_eq!(address(None, bound).as_deref(), Ok("10.1.2.3:80"));
    }

    #[test]
    fn an_interface_stands_for_its_first_address() {
        let bound = SocketAddr::new(ip("::"), 80);
        let Some(some) = listed().into_iter().find(|it| it.ip().is_ipv4()) else { return };
        let found = address(Some(&format!("interface:{}:99", some.name)), bound).expect("it is there");
        let found: SocketAddr = found.parse().expect("an address and a port");
        assert!(listed().iter().any(|it| it.name == some.name && it.ip() == found.ip()), "{found}");
        assert_eq!(found.port(), 99);
        let error = address(Some("interface:nonesuch0"), bound).expect_err("not there");
        assert!(
            error.contains("nonesuch0: there is no such interface") && error.contains(&some.name),
            "{error}"
        );
    }
}
