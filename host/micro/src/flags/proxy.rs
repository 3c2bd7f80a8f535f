//! Flags about a proxy in front of all services (`go-micro-wire` §7.4).

use crate::client::Proxy;
use crate::client::proxy::ProxySettings;
use clap::Args;

/// Where this process's calls go in place of the services that they name. The variables are Go Micro's, of 1.x and of
/// 2.0 and later.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Framework options")]
pub struct ProxyFlags {
    /// Proxy that takes all calls: a service's name, an address host:port, or `service` for go.micro.proxy
    #[arg(long = "client_proxy", env = "MICRO_PROXY", global = true, value_name = "NAME|ADDRESS")]
    pub client_proxy: Option<String>,

    /// Address of the proxy that takes all calls
    #[arg(long = "client_proxy_address", env = "MICRO_PROXY_ADDRESS", global = true, value_name = "ADDRESS")]
    pub client_proxy_address: Option<String>,

    /// Network that takes all calls where there is no proxy: a service's name, or `service` for go.micro.network
    #[arg(long = "client_network", env = "MICRO_NETWORK", global = true, value_name = "NAME")]
    pub client_network: Option<String>,

    /// Address of the network that takes all calls where there is no proxy
    #[arg(
        long = "client_network_address",
        env = "MICRO_NETWORK_ADDRESS",
        global = true,
        value_name = "ADDRESS"
    )]
    pub client_network_address: Option<String>,
}

impl ProxyFlags {
    /// None when nothing was said.
    pub(crate) fn proxy(&self) -> Option<Proxy> {
        let proxy = Proxy::of(ProxySettings {
            proxy: self.client_proxy.as_deref(),
            proxy_address: self.client_proxy_address.as_deref(),
            network: self.client_network.as_deref(),
            network_address: self.client_network_address.as_deref(),
        });
        (proxy != Proxy::default()).then_some(proxy)
    }
}
