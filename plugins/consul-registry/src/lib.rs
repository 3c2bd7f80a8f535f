//! A registry in consul: the component around [`consul_core`]. The options are in `plugin.toml`, and explained in the
//! README beside it.

mod convert;
mod http;

use consul_core::{CheckConfig, Config, Consul, ForeignConfig};
use convert::{batch_out, error_out, service_in, snapshot_out};
use http::HostHttp;
use micro_sdk::options::{Secret, millis};
use micro_sdk::registry::{Batch, Registry, Service, Snapshot};
use micro_sdk::{Call, Context, Error};
use serde::Deserialize;
use std::time::Duration;

#[derive(Debug)]
struct ConsulRegistry(Consul<HostHttp>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Options {
    address: Vec<String>,
    secure: bool,
    token: Secret,
    datacenter: String,
    namespace: String,
    partition: String,
    consistency: String,
    tag_filter: Vec<String>,
    add_tags: Vec<String>,
    check: String,
    #[serde(with = "millis")]
    check_interval: Duration,
    #[serde(with = "millis")]
    check_timeout: Duration,
    check_http: String,
    check_args: Vec<String>,
    #[serde(with = "millis")]
    deregister_after: Duration,
    protocol: String,
    protocol_for: Vec<String>,
    protocol_tag: Vec<String>,
    zone_meta: String,
}

impl From<Options> for Config {
    fn from(options: Options) -> Self {
        Self {
            addresses: options.address,
            secure: options.secure,
            token: options.token.reveal().to_owned(),
            datacenter: options.datacenter,
            namespace: options.namespace,
            partition: options.partition,
            consistency: options.consistency,
            tag_filter: options.tag_filter,
            add_tags: options.add_tags,
            check: CheckConfig {
                kind: options.check,
                interval: options.check_interval,
                timeout: options.check_timeout,
                http: options.check_http,
                args: options.check_args,
                deregister_after: options.deregister_after,
            },
            foreign: ForeignConfig {
                protocol: options.protocol,
                protocol_for: options.protocol_for,
                protocol_tag: options.protocol_tag,
                zone_meta: options.zone_meta,
            },
        }
    }
}

impl Registry for ConsulRegistry {
    type Options = Options;

    fn configure(_: Context, options: Options) -> Result<Self, Error> {
        let consul = Consul::new(options.into(), HostHttp, |message| micro_sdk::warn!("{message}"));
        consul.map(Self).map_err(error_out)
    }

    async fn register(&self, call: &Call, service: Service, ttl: Option<Duration>) -> Result<(), Error> {
        let ttl = ttl.unwrap_or_default();
        self.0.register(&service_in(service), ttl, call.timeout).await.map_err(error_out)
    }

    async fn deregister(&self, call: &Call, service: Service) -> Result<(), Error> {
        self.0.deregister(&service_in(service), call.timeout).await.map_err(error_out)
    }

    async fn get_service(&self, call: &Call, name: &str) -> Result<Snapshot, Error> {
        self.0.get_service(name, call.timeout).await.map(snapshot_out).map_err(error_out)
    }

    async fn list_services(&self, call: &Call) -> Result<Vec<String>, Error> {
        self.0.list_services(call.timeout).await.map_err(error_out)
    }

    async fn changes(
        &self,
        call: &Call,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, Error> {
        self.0.changes(name, after, wait, call.timeout).await.map(batch_out).map_err(error_out)
    }

    async fn health(&self, call: &Call) -> Result<(), Error> {
        self.0.health(call.timeout).await.map_err(error_out)
    }
}

micro_sdk::register_registry!(ConsulRegistry);
