//! A registry in etcd v3: the component around [`etcd_core`].
//!
//! | option | type | default | meaning |
//! |---|---|---|---|
//! | `address` | address list | `127.0.0.1:2379` | members of the cluster; asked in turn when one fails |
//! | `secure` | bool | `false` | TLS for addresses that do not say `http://` or `https://` |
//! | `username`, `password` | string, secret | empty | for clusters with authentication |
//! | `prefix` | string | empty | another place for records than Go Micro's |
//!
//! It needs etcd 3.4 or later with the JSON gateway, which is on unless `--enable-grpc-gateway=false`. Authentication by
//! the common name of a client certificate does not work through the gateway.

mod convert;
mod http;

use convert::{batch_out, error_out, service_in, snapshot_out};
use etcd_core::{Config, Etcd};
use http::HostHttp;
use micro_sdk::options::Secret;
use micro_sdk::registry::{Batch, Registry, Service, Snapshot};
use micro_sdk::{Call, Context, DrainReason, Error};
use serde::Deserialize;
use std::time::Duration;

#[derive(Debug)]
struct EtcdRegistry(Etcd<HostHttp>);

#[derive(Debug, Deserialize)]
struct Options {
    address: Vec<String>,
    #[serde(default)]
    secure: bool,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: Secret,
    #[serde(default)]
    prefix: String,
}

impl Registry for EtcdRegistry {
    type Options = Options;

    fn configure(_: Context, options: Options) -> Result<Self, Error> {
        let config = Config {
            addresses: options.address,
            secure: options.secure,
            username: options.username,
            password: options.password.reveal().to_owned(),
            prefix: Some(options.prefix),
        };
        let etcd = Etcd::new(config, HostHttp, |message| micro_sdk::warn!("{message}"));
        etcd.map(Self).map_err(error_out)
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

    async fn drain(&self, _: DrainReason, _: Duration) {
        self.0.close();
    }
}

micro_sdk::register_registry!(EtcdRegistry);
