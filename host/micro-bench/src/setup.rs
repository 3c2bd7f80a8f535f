//! What the hot parts of a stack (wire, selector, codec, filter) are made of. Each row of ours is a function of this.
//!
//! This is the one place that knows how a kind of parts is put into a service, a client, a bare loop: another kind is
//! a variant here and an arm in each function; rows, tables and targets follow from [`Setup::id`].

use crate::Failed;
use crate::calls::Call;
use crate::stacks::{self, Stack};
use micro::codec::JsonRpc;
use micro::{AnyWire, ClientBuilder, Flags, Selector, ServiceBuilder};
use micro_net::wire::NativeWire;
use micro_plugin::{Locator, SearchPlaces};
use micro_wasm::{Host, HostConfig, PluginRequest, PluginSelector, PluginWire};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The hot parts of a stack.
#[derive(Clone, Debug)]
pub(crate) enum Setup {
    /// Linked into the program.
    Native,
    /// Components of a distribution.
    Wasm(Arc<Components>),
}

/// The components of a distribution, on a host of their own.
#[derive(Debug)]
pub(crate) struct Components {
    plugins: PathBuf,
    host: Host,
    wire: PluginWire,
    random: Arc<PluginSelector>,
}

/// A strategy that nobody should need: the component picks.
const TWIN: fn(&str) -> Arc<dyn Selector> = |_| Arc::new(micro::selector::Random);

impl Setup {
    /// All that this program can run with the distribution `dist`, or why that is only one. Targets are for the last one.
    pub(crate) async fn all(dist: &Path) -> (Vec<Self>, Option<Failed>) {
        match Components::load(dist.join("plugins")).await {
            Ok(components) => (vec![Self::Native, Self::Wasm(Arc::new(components))], None),
            Err(error) => (vec![Self::Native], Some(error)),
        }
    }

    /// How rows are told apart: `bare-native`.
    pub(crate) fn id(&self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasm(_) => "wasm",
        }
    }

    /// How tables say it.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Self::Native => "linked natively",
            Self::Wasm(_) => "every hot plugin in WASM",
        }
    }

    /// The loops without the framework.
    pub(crate) async fn bare(&self) -> Result<Box<dyn Stack>, Failed> {
        match self {
            Self::Native => stacks::bare::start(NativeWire).await,
            Self::Wasm(components) => stacks::bare::start(components.wire.clone()).await,
        }
    }

    /// Puts the parts into a service. This program has no plugin folder beside it, so without a word it is native.
    pub(crate) async fn service(&self, service: ServiceBuilder) -> Result<ServiceBuilder, Failed> {
        match self {
            Self::Native => Ok(service),
            Self::Wasm(components) => Ok(service.flags(&Flags {
                transport: Some(components.file("http-transport")),
                selector: Some(components.file("random-selector")),
                codec: vec![components.file("jsonrpc-codec"), components.file("protorpc-codec")],
                log_level: Some("error".to_owned()),
                ..Flags::default()
            })),
        }
    }

    /// Puts the parts into a client.
    pub(crate) async fn client(&self, client: ClientBuilder) -> Result<ClientBuilder, Failed> {
        match self {
            Self::Native => Ok(client),
            Self::Wasm(components) => {
                let wire = AnyWire::Plugin(components.wire.clone());
                Ok(client.wire(wire).selector(components.random.clone()))
            }
        }
    }

    /// One call of each part.
    pub(crate) async fn calls(&self) -> Result<Vec<Call>, Failed> {
        match self {
            Self::Native => Ok([
                Call::of_wire(NativeWire)?,
                Call::of_selector(micro::selector::Random),
                Call::of_selector(micro::selector::RoundRobin),
                Call::of_codec(JsonRpc::default())?,
            ]
            .into_iter()
            .flatten()
            .collect()),
            Self::Wasm(components) => {
                let mut calls = Call::of_wire(components.wire.clone())?;
                for name in ["random-selector", "roundrobin-selector", "leastconn-selector", "p2c-selector"] {
                    let request = components.request("selector", name);
                    calls.extend(Call::of_selector(components.host.load_selector(request, TWIN).await?));
                }
                let codec = components.request("codec", "jsonrpc-codec");
                calls.extend(Call::of_codec(components.host.load_codec(codec, |_| None).await?)?);
                let filter = components.request("filter", "ip-whitelist-filter");
                let filter = filter.option("ip_whitelist", "10.0.0.0/8,127.0.0.0/8");
                calls.extend(Call::of_filter(components.host.load_filter(filter).await?)?);
                Ok(calls)
            }
        }
    }

    /// Whether `micro` and the services of a distribution run with these parts: they use the components beside them.
    pub(crate) fn is_distributed(&self) -> bool {
        matches!(self, Self::Wasm(_))
    }
}

impl Components {
    async fn load(plugins: PathBuf) -> Result<Self, Failed> {
        let places = SearchPlaces { working: plugins.clone(), folders: vec![plugins.clone()] };
        let host = Host::new(HostConfig::new(places))?;
        let request = |flag: &str, name: &str| request(&plugins, flag, name);
        let wire = host.load_wire(request("transport", "http-transport")).await?;
        let random = host.load_selector(request("selector", "random-selector"), TWIN).await?;
        Ok(Self { plugins, host, wire, random: Arc::new(random) })
    }

    fn request(&self, flag: &str, name: &str) -> PluginRequest {
        request(&self.plugins, flag, name)
    }

    fn file(&self, name: &str) -> String {
        file(&self.plugins, name).to_string_lossy().into_owned()
    }
}

fn file(plugins: &Path, name: &str) -> PathBuf {
    plugins.join(format!("{name}.wasm"))
}

fn request(plugins: &Path, flag: &str, name: &str) -> PluginRequest {
    PluginRequest::new(flag, Locator::file(file(plugins, name)))
}
