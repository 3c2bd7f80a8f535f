//! A backend by name, with what it is given.

#[cfg(feature = "plugins")]
use super::BackendError;
use super::PluginTls;

/// A backend by name, as flags give it: native ones by their names, everything else is a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugin {
    pub(super) locator: String,
    pub(super) address: Option<String>,
    pub(super) options: Vec<(String, String)>,
    pub(super) allow: Vec<String>,
    pub(super) tls: PluginTls,
}

impl Plugin {
    /// `local`, `etcd`, `./etcd.wasm`, `local,etcd`.
    pub fn named(locator: impl Into<String>) -> Self {
        Self { locator: locator.into(), ..Self::default() }
    }

    /// The backend's addresses, separated by commas.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// An option of the plugin; values may be `file:PATH` or `env:NAME`. In a list of registries the key is
    /// `NAME.key`.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((key.into(), value.into()));
        self
    }

    /// How the plugin's `https` connections are made.
    #[must_use]
    pub fn tls(mut self, tls: PluginTls) -> Self {
        self.tls = tls;
        self
    }

    /// A grant beyond the plugin's own addresses: `net:HOST:PORT`.
    #[must_use]
    pub fn allow(mut self, grant: impl Into<String>) -> Self {
        self.allow.push(grant.into());
        self
    }
}

#[cfg(feature = "plugins")]
impl Plugin {
    pub(super) fn parse(&self, kind: micro_plugin::Kind) -> Result<micro_plugin::Locator, BackendError> {
        self.locator.parse().map_err(|error| wrong(kind.suffix(), &self.locator, &error))
    }

    pub(super) fn has_settings(&self) -> bool {
        *self != Self::named(&self.locator)
    }

    /// What the plugin host is asked for.
    pub(super) fn request(self, kind: micro_plugin::Kind) -> Result<micro_wasm::PluginRequest, BackendError> {
        let mut request = micro_wasm::PluginRequest::new(kind.suffix(), self.parse(kind)?);
        for grant in &self.allow {
            let flag = format!("{}_allow", kind.suffix());
            request.allow.push(grant.parse().map_err(|error| wrong(&flag, grant, &error))?);
        }
        request.tls = self.tls.settings()?;
        request.address = self.address;
        request.options = self.options;
        Ok(request)
    }
}

#[cfg(feature = "plugins")]
fn wrong(flag: &str, value: &str, error: &dyn std::error::Error) -> BackendError {
    BackendError::Flag(format!("--{flag}={value}: {}", micro_net::error_chain(error)))
}

/// `etcd` of `./x/etcd.wasm@sha256:…`.
pub(super) fn short_name(locator: &str) -> &str {
    let path = locator.split('@').next().unwrap_or(locator);
    let file = path.rsplit('/').next().unwrap_or(path);
    file.strip_suffix(".wasm").unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names() {
        for text in ["etcd", "etcd.wasm", "./x/etcd.wasm", "/a/etcd.wasm@sha256:00"] {
            assert_eq!(short_name(text), "etcd");
        }
    }
}
