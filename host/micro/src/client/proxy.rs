//! A proxy that takes a client's calls in place of the services (`go-micro-wire` §7.4).

/// What `service` means in place of a proxy's name.
const PROXY: &str = "go.micro.proxy";
/// What `service` means in place of a network's name.
const NETWORK: &str = "go.micro.network";

/// Who takes the calls of a client in place of the services that they name. Those stay named in the calls, so that the
/// proxy can pass them on. Calls through a proxy are not retried: it is the proxy that looks for another node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    service: Option<String>,
    address: Vec<String>,
}

/// The settings of Go Micro programs that mean a proxy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProxySettings<'a> {
    pub(crate) proxy: Option<&'a str>,
    pub(crate) proxy_address: Option<&'a str>,
    pub(crate) network: Option<&'a str>,
    pub(crate) network_address: Option<&'a str>,
}

impl Proxy {
    /// A service whose nodes take the calls. Calls to addresses still go there.
    pub fn service(name: impl Into<String>) -> Self {
        Self { service: Some(name.into()), address: Vec::new() }
    }

    /// A `host:port` that takes the calls, also those to other addresses.
    pub fn address(address: impl Into<String>) -> Self {
        Self { service: None, address: vec![address.into()] }
    }

    /// Where Go Micro's variables lead. Those of 1.x have an address of their own; since 2.0 an address stands in
    /// `MICRO_PROXY` itself, and the network counts where there is no proxy.
    pub(crate) fn of(settings: ProxySettings<'_>) -> Self {
        let given =
            |value: Option<&str>| value.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let named = |value: Option<&str>, usual: &str| {
            given(value).map(|name| if name == "service" { usual.to_owned() } else { name })
        };
        if let Some(address) = given(settings.proxy_address) {
            return Self { service: named(settings.proxy, PROXY), address: vec![address] };
        }
        match named(settings.proxy, PROXY) {
            Some(address) if address.contains(':') => Self::address(address),
            Some(service) => Self::service(service),
            None => Self {
                service: named(settings.network, NETWORK),
                address: given(settings.network_address).into_iter().collect(),
            },
        }
    }

    /// Whether a call to these addresses goes through it; none stand for a call by name.
    pub(super) fn takes(&self, addresses: &[String]) -> bool {
        !self.address.is_empty() || (self.service.is_some() && addresses.is_empty())
    }

    /// The service and the addresses that a call goes to in place of its own.
    pub(super) fn route<'a>(&'a self, service: &'a str, addresses: &'a [String]) -> (&'a str, &'a [String]) {
        let name = self.service.as_deref().unwrap_or(service);
        match self.takes(addresses) {
            false => (service, addresses),
            true if self.address.is_empty() => (name, &[]),
            true => (name, &self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_each_version_are_understood() {
        let all = |proxy, proxy_address, network, network_address| {
            Proxy::of(ProxySettings { proxy, proxy_address, network, network_address })
        };
        for (settings, expected) in [
            (all(None, None, None, None), Proxy::default()),
            (all(Some(""), Some(" "), None, None), Proxy::default()),
            (all(Some("service"), None, None, None), Proxy::service("go.micro.proxy")),
            (all(Some("my.proxy"), None, Some("service"), Some("a:1")), Proxy::service("my.proxy")),
            (all(Some("10.0.0.1:8081"), None, None, None), Proxy::address("10.0.0.1:8081")),
            (all(None, Some("10.0.0.1:8081"), None, None), Proxy::address("10.0.0.1:8081")),
            (all(None, None, Some("service"), None), Proxy::service("go.micro.network")),
            (all(None, None, Some("net"), None), Proxy::service("net")),
            (all(None, None, None, Some("a:1")), Proxy::address("a:1")),
        ] {
            assert_eq!(settings, expected);
        }
        let both = all(Some("my.proxy"), Some("a:1"), None, None);
        assert_eq!(both.route("greeter", &[]), ("my.proxy", &["a:1".to_owned()][..]));
    }

    #[test]
    fn a_call_to_an_address_passes_by_a_proxy_that_has_but_a_name() {
        let own = ["b:2".to_owned()];
        let named = Proxy::service("proxy");
        assert_eq!(named.route("greeter", &[]), ("proxy", &[][..]));
        assert_eq!(named.route("greeter", &own), ("greeter", &own[..]));
        assert!(named.takes(&[]) && !named.takes(&own));
        let there = Proxy::address("a:1");
        assert_eq!(there.route("greeter", &own), ("greeter", &["a:1".to_owned()][..]));
        let none = Proxy::default();
        assert_eq!(none.route("greeter", &own), ("greeter", &own[..]));
        assert!(!none.takes(&[]));
    }
}
