//! What to open, and flags put over what code said.

use super::plugin::short_name;
use super::{
    BackendError, BrokerSource, DEFAULT_REGISTRY, Plugin, PluginTls, RegistrySource, SelectorSource,
};
use crate::flags::{Flags, key_value};
use crate::registry::Environment;
use micro_net::MemoryTransport;
use std::fmt;
use std::path::PathBuf;
#[cfg(feature = "plugins")]
use std::sync::Arc;

/// What to open, with flags already put over code.
#[derive(Default)]
pub struct BackendSettings {
    /// Default: `local`.
    pub registry: Option<RegistrySource>,
    /// Default: `http`.
    pub transport: Option<Plugin>,
    /// Where the `http` broker finds subscribers of this process, in place of the network. Default: none.
    pub memory: Option<MemoryTransport>,
    /// Default: `http`.
    pub broker: Option<BrokerSource>,
    /// Default: `random`.
    pub selector: Option<SelectorSource>,
    /// Beside `jsonrpc` and `protorpc`, or in their place. Default: none.
    pub codecs: Vec<Plugin>,
    /// Default: none.
    pub filters: Vec<Plugin>,
    /// `--plugin_path`, where it was given as a flag.
    pub plugin_path: Option<std::ffi::OsString>,
    /// `--home`.
    pub home: Option<PathBuf>,
    /// The name of the service, whose swaps that were written down are to be repeated. None for programs that end.
    pub service: Option<String>,
    /// This process ends at once, and what it registers in `local` is to stay.
    pub detached: bool,
    /// Asks the operator for missing grants; without it they are an error.
    #[cfg(feature = "plugins")]
    pub ask: Option<Arc<dyn micro_wasm::GrantPrompt>>,
}

impl fmt::Debug for BackendSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendSettings").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl BackendSettings {
    /// Puts flags over what code said: a flag that names a registry replaces it with its options, other registry flags
    /// add to a plugin that code chose.
    ///
    /// # Errors
    /// Values that are not of the flag's form, or flags that do not fit the registry.
    pub fn with_flags(mut self, flags: &Flags) -> Result<Self, BackendError> {
        let more = flags.registry_address.is_some()
            || !flags.registry_opt.is_empty()
            || !flags.registry_allow.is_empty()
            || PluginTls::default().with_flags(flags) != PluginTls::default();
        let mut plugin = match (&flags.registry, self.registry.take()) {
            (Some(locator), _) => Plugin::named(locator),
            (None, Some(RegistrySource::Plugin(plugin))) => plugin,
            (None, Some(instance)) if !more => {
                self.registry = Some(instance);
                return self.with_other_flags(flags);
            }
            (None, Some(_)) => {
                let problem = "this program brings its own registry: the other --registry_... flags need --registry as well";
                return Err(BackendError::Flag(problem.to_owned()));
            }
            (None, None) => Plugin::named(DEFAULT_REGISTRY),
        };
        if let Some(address) = &flags.registry_address {
            plugin.address = Some(address.clone());
        }
        for item in &flags.registry_opt {
            plugin.options.push(key_value("registry_opt", item).map_err(BackendError::Flag)?);
        }
        plugin.allow.extend(flags.registry_allow.iter().cloned());
        plugin.tls = plugin.tls.with_flags(flags);
        self.registry = Some(RegistrySource::Plugin(plugin));
        self.with_other_flags(flags)
    }

    fn with_other_flags(mut self, flags: &Flags) -> Result<Self, BackendError> {
        let transport = self.transport.take();
        self.transport = over("transport", &flags.transport, &flags.transport_opt, transport)?;
        let selector = match self.selector.take() {
            Some(SelectorSource::Instance(selector)) if flags.selector.is_none() => {
                if !flags.selector_opt.is_empty() {
                    let problem =
                        "this program brings its own selector: --selector_opt needs --selector as well";
                    return Err(BackendError::Flag(problem.to_owned()));
                }
                Some(SelectorSource::Instance(selector))
            }
            Some(SelectorSource::Plugin(plugin)) => {
                over("selector", &flags.selector, &flags.selector_opt, Some(plugin))?
                    .map(SelectorSource::from)
            }
            _ => over("selector", &flags.selector, &flags.selector_opt, None)?.map(SelectorSource::from),
        };
        self.selector = selector;
        self.broker = over_broker(self.broker.take(), flags)?;
        self.codecs.extend(several("codec", &flags.codec, &flags.codec_opt)?);
        self.filters.extend(several("filter", &flags.filter, &flags.filter_opt)?);
        self.plugin_path = flags.plugin_path.clone().or(self.plugin_path);
        self.home = flags.home.clone().or(self.home);
        Ok(self)
    }
}

/// The flag names a broker, or adds to the one that code named.
fn over_broker(chosen: Option<BrokerSource>, flags: &Flags) -> Result<Option<BrokerSource>, BackendError> {
    let more = flags.broker_address.is_some()
        || flags.broker_tls_ca_file.is_some()
        || flags.broker_tls_skip_verify.is_some();
    let mut plugin = match (&flags.broker, chosen) {
        (None, chosen) if !more => return Ok(chosen),
        (Some(name), _) => Plugin::named(name),
        (None, None) => Plugin::named(super::broker::DEFAULT),
        (None, Some(BrokerSource::Plugin(plugin))) => plugin,
        (None, Some(_)) => {
            let problem =
                "this program brings its own broker: the other --broker_... flags need --broker as well";
            return Err(BackendError::Flag(problem.to_owned()));
        }
    };
    plugin.address = flags.broker_address.clone().or(plugin.address);
    plugin.tls.ca_file = flags.broker_tls_ca_file.clone().or(plugin.tls.ca_file);
    plugin.tls.skip_verify = flags.broker_tls_skip_verify.unwrap_or(plugin.tls.skip_verify);
    Ok(Some(plugin.into()))
}

/// A plugin of which there is one: the flag names it, or adds options to what code chose.
fn over(
    flag: &str,
    locator: &Option<String>,
    options: &[String],
    chosen: Option<Plugin>,
) -> Result<Option<Plugin>, BackendError> {
    let mut plugin = match (locator, chosen) {
        (Some(locator), _) => Plugin::named(locator),
        (None, Some(chosen)) => chosen,
        (None, None) if options.is_empty() => return Ok(None),
        (None, None) => {
            return Err(BackendError::Flag(format!("--{flag}_opt needs --{flag}, whose plugin it is for")));
        }
    };
    for item in options {
        plugin.options.push(key_value(&format!("{flag}_opt"), item).map_err(BackendError::Flag)?);
    }
    Ok(Some(plugin))
}

/// The plugins that a flag with a comma list names, with their options: everything for the only one, else `NAME.key`.
fn several(flag: &str, locators: &[String], options: &[String]) -> Result<Vec<Plugin>, BackendError> {
    let mut plugins: Vec<Plugin> = locators.iter().map(|locator| Plugin::named(locator.trim())).collect();
    for item in options {
        let (key, value) = key_value(&format!("{flag}_opt"), item).map_err(BackendError::Flag)?;
        let named = key.split_once('.').and_then(|(name, key)| {
            let at = plugins.iter().position(|it| short_name(&it.locator) == name)?;
            Some((at, key.to_owned()))
        });
        let (at, key) = match named {
            Some(named) => named,
            None if plugins.len() == 1 => (0, key),
            None => {
                let names: Vec<&str> = plugins.iter().map(|it| short_name(&it.locator)).collect();
                let problem = format!(
                    "--{flag}_opt={item}: say which plugin it is for, as NAME.key=value; NAME is one of: {}",
                    names.join(", ")
                );
                return Err(BackendError::Flag(problem));
            }
        };
        plugins[at].options.push((key, value));
    }
    Ok(plugins)
}

/// The environment of this process, with `--home` put over it.
pub(super) fn environment(home: Option<PathBuf>) -> Environment {
    let environment = Environment::of_process();
    Environment { micro_home: home.or(environment.micro_home.clone()), ..environment }
}

#[cfg(feature = "plugins")]
impl BackendSettings {
    /// Where programs with these settings look for plugins, and where they keep compiled ones.
    pub fn host_config(&self) -> micro_wasm::HostConfig {
        plugin_host_config(self, &environment(self.home.clone()))
    }
}

#[cfg(feature = "plugins")]
pub(super) fn plugin_host_config(
    settings: &BackendSettings,
    environment: &Environment,
) -> micro_wasm::HostConfig {
    let home = environment.micro_home.clone();
    let lookup = |name: &str| match (name, &settings.plugin_path, &home) {
        ("MICRO_PLUGIN_PATH", Some(path), _) => Some(path.clone()),
        ("MICRO_HOME", _, Some(home)) => Some(home.clone().into_os_string()),
        _ => std::env::var_os(name),
    };
    let executable = std::env::current_exe().ok();
    let working = std::env::current_dir().unwrap_or_default();
    let places = micro_plugin::SearchPlaces::from_env(executable.as_deref(), working, lookup);
    let cache_dir = home.as_ref().map(|home| home.join("cache/plugins"));
    micro_wasm::HostConfig {
        cache_dir: cache_dir.or_else(|| micro_wasm::cache_folder(lookup)),
        ask: settings.ask.clone(),
        ..micro_wasm::HostConfig::new(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::MemoryRegistry;

    fn plugin(locator: &str) -> Plugin {
        Plugin::named(locator)
    }

    #[test]
    fn flags_win_over_code() {
        let flags = Flags { registry_opt: vec!["ttl=1".to_owned()], ..Flags::default() };
        let settings =
            BackendSettings { registry: Some(plugin("etcd").address("a:1").into()), ..Default::default() };
        let RegistrySource::Plugin(merged) =
            settings.with_flags(&flags).expect("valid").registry.expect("there")
        else {
            panic!("a plugin was given");
        };
        assert_eq!(merged, plugin("etcd").address("a:1").option("ttl", "1"));

        let flags = Flags { registry: Some("consul".to_owned()), ..Flags::default() };
        let settings = BackendSettings { registry: Some(MemoryRegistry::new().into()), ..Default::default() };
        let RegistrySource::Plugin(merged) =
            settings.with_flags(&flags).expect("valid").registry.expect("there")
        else {
            panic!("the flag names a plugin");
        };
        assert_eq!(merged, plugin("consul"));
    }
}
