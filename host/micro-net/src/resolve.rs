//! Names to addresses.

use futures::future::BoxFuture;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Turns a name into addresses, best first. The dialer asks once per connection and connects only to what it got.
pub trait Resolver: Send + Sync + fmt::Debug {
    /// The addresses of `host`, with `port` filled in. `host` is never a literal address.
    ///
    /// # Errors
    /// The name does not exist, or nobody answered.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// What the operating system says (`getaddrinfo`).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// A fixed table, for tests and for names that must not depend on DNS.
#[derive(Clone, Debug, Default)]
pub struct StaticResolver {
    names: HashMap<String, Vec<IpAddr>>,
}

impl StaticResolver {
    /// An empty table: no name exists.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds addresses to a name.
    #[must_use]
    pub fn with(mut self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.names.entry(name.to_ascii_lowercase()).or_default().extend(addresses);
        self
    }
}

impl Resolver for StaticResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let found = self.names.get(&host.to_ascii_lowercase());
        let answer = found
            .map(|addresses| addresses.iter().map(|address| SocketAddr::new(*address, port)).collect())
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"));
        Box::pin(std::future::ready(answer))
    }
}
