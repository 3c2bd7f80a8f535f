//! Where a registry comes from: a part of the program, a plugin, a value, or a list of them.

use super::opener::Opener;
use super::plugin::short_name;
use super::{BackendError, Plugin, PluginTls};
use crate::registry::{LocalRegistry, MemoryRegistry, MultiRegistry};
use micro_core::Registry;
use std::fmt;
use std::sync::Arc;

/// Registries that are part of the program.
const NATIVE: [&str; 2] = ["local", "memory"];

/// Where a registry comes from.
#[derive(Clone)]
pub enum RegistrySource {
    /// A name, a file, or a comma list of them, with options.
    Plugin(Plugin),
    /// A value of yours.
    Instance(Arc<dyn Registry>),
}

impl From<Plugin> for RegistrySource {
    fn from(plugin: Plugin) -> Self {
        Self::Plugin(plugin)
    }
}

impl<R: Registry + 'static> From<Arc<R>> for RegistrySource {
    fn from(registry: Arc<R>) -> Self {
        Self::Instance(registry)
    }
}

impl From<MemoryRegistry> for RegistrySource {
    fn from(registry: MemoryRegistry) -> Self {
        Self::Instance(Arc::new(registry))
    }
}

impl From<Arc<dyn Registry>> for RegistrySource {
    fn from(registry: Arc<dyn Registry>) -> Self {
        Self::Instance(registry)
    }
}

impl fmt::Debug for RegistrySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plugin(plugin) => plugin.fmt(f),
            Self::Instance(registry) => registry.fmt(f),
        }
    }
}

impl Opener {
    pub(super) async fn registries(&mut self, plugin: Plugin) -> Result<Arc<dyn Registry>, BackendError> {
        let members: Vec<String> = plugin.locator.split(',').map(|it| it.trim().to_owned()).collect();
        #[cfg(feature = "plugins")]
        if let Some(kept) = &self.plugins.kept {
            kept.warn_of_others(micro_plugin::Kind::Registry, &members);
        }
        if let [_] = members.as_slice() {
            return self.registry(plugin).await;
        }
        let is_native = |name: &&String| NATIVE.contains(&name.as_str());
        let plugins: Vec<&String> = members.iter().filter(|name| !is_native(name)).collect();
        let mut opened = Vec::new();
        for member in &members {
            let own = own_part(&plugin, member, &plugins)?;
            opened.push(self.registry(own).await?);
        }
        Ok(Arc::new(MultiRegistry::new(opened)))
    }

    async fn registry(&mut self, plugin: Plugin) -> Result<Arc<dyn Registry>, BackendError> {
        let native: Arc<dyn Registry> = match plugin.locator.as_str() {
            "local" => {
                let local = LocalRegistry::new(self.environment.registry_folder());
                Arc::new(if self.detached { local.detached() } else { local })
            }
            "memory" => Arc::new(MemoryRegistry::new()),
            _ => return self.plugin(plugin).await,
        };
        let what = match &plugin {
            Plugin { address: Some(_), .. } => "address",
            Plugin { options, .. } if !options.is_empty() => "options",
            Plugin { allow, .. } if !allow.is_empty() => "grants",
            Plugin { tls, .. } if *tls != PluginTls::default() => "TLS files",
            _ => return Ok(native),
        };
        Err(BackendError::NoOptions { registry: plugin.locator, what })
    }

    #[cfg(feature = "plugins")]
    async fn plugin(&mut self, plugin: Plugin) -> Result<Arc<dyn Registry>, BackendError> {
        let load = async |host: Arc<micro_wasm::Host>, request| host.load_registry(request).await;
        self.load(micro_plugin::Kind::Registry, plugin, load).await
    }

    #[cfg(not(feature = "plugins"))]
    async fn plugin(&mut self, plugin: Plugin) -> Result<Arc<dyn Registry>, BackendError> {
        Err(BackendError::NoPlugins(plugin.locator))
    }
}

/// The options of one member of a list: everything when it is the only plugin, else those with its name in front.
fn own_part(plugin: &Plugin, member: &str, plugins: &[&String]) -> Result<Plugin, BackendError> {
    let mut own = Plugin::named(member);
    if plugins.iter().any(|name| *name == member) {
        let alone = plugins.len() == 1;
        let name = short_name(member);
        let ambiguous = |what, example: String| BackendError::Ambiguous {
            what,
            first: short_name(plugins[0]).to_owned(),
            example,
        };
        if let Some(address) = &plugin.address {
            if !alone {
                return Err(ambiguous("address", format!("address={address}")));
            }
            own.address = Some(address.clone());
        }
        for (key, value) in &plugin.options {
            match key.split_once('.') {
                Some((whose, key)) if whose == name => own.options.push((key.to_owned(), value.clone())),
                Some((whose, _)) if plugins.iter().any(|it| short_name(it) == whose) => {}
                _ if alone => own.options.push((key.clone(), value.clone())),
                _ => return Err(ambiguous("option", format!("{key}={value}"))),
            }
        }
        own.allow = plugin.allow.clone();
        own.tls = plugin.tls.clone();
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(locator: &str) -> Plugin {
        Plugin::named(locator)
    }

    #[test]
    fn options_in_a_list_belong_to_their_plugin() {
        let names = ["etcd".to_owned(), "consul".to_owned()];
        let both: Vec<&String> = names.iter().collect();
        let list = plugin("etcd,consul").option("etcd.username", "me").option("consul.token", "t");
        assert_eq!(
            own_part(&list, "etcd", &both).expect("clear").options,
            [("username".into(), "me".into())]
        );
        assert_eq!(own_part(&list, "local", &both).expect("clear"), plugin("local"));

        let unclear =
            own_part(&plugin("etcd,consul").option("token", "t"), "etcd", &both).expect_err("whose?");
        assert!(unclear.to_string().contains("--registry_opt=etcd.token=t"), "{unclear}");
        let unclear = own_part(&plugin("etcd,consul").address("a:1"), "etcd", &both).expect_err("whose?");
        assert!(unclear.to_string().contains("etcd.address=a:1"), "{unclear}");

        let alone =
            own_part(&plugin("local,etcd").address("a:1").option("username", "me"), "etcd", &both[..1]);
        assert_eq!(alone.expect("clear"), plugin("etcd").address("a:1").option("username", "me"));
    }
}
