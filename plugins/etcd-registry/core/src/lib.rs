//! A registry in etcd v3, without WASI: keys, records, leases, watches and fail-over, over etcd's JSON gateway.
//!
//! Records are where Go Micro keeps them and look as it writes them, so that both find each other. The plugin crate adds
//! the bindings and an [`HttpClient`]; tests add a script. It is no general client of etcd.
//!
//! - [`Etcd::register`]: one key and one lease for each node; a repeated call renews the lease and puts the record only
//!   where it differs.
//! - [`Etcd::changes`]: one kept-open watch for each scope, and a cursor that says for each prefix up to which revision
//!   the caller knows everything, and how many keys there were. The count makes a look at the cluster enough to tell
//!   whether a silent watch has missed something.
//! - Every call tries all addresses, starting with the one that answered last, and ends by itself shortly before its
//!   time is over, so that the caller learns what was tried.

mod changes;
mod client;
mod config;
mod gateway;
pub mod http;
mod keys;
mod model;
mod read;
mod record;
mod register;
#[cfg(test)]
mod tests;
mod watch;

pub use config::Config;
pub use model::{Batch, Endpoint, Entry, Error, Health, Metadata, Node, Service, Snapshot};

use client::{Client, Warn};
use http::HttpClient;
use keys::Layout;
use read::Freshness;
use register::Slot;
use serde_json::json;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};
use watch::Watch;

/// The registry. Calls may overlap on one thread.
pub struct Etcd<H: HttpClient> {
    client: Client<H>,
    layout: Layout,
    slots: RefCell<HashMap<String, Slot>>,
    watches: RefCell<Vec<Watch<H::Body>>>,
    warned: RefCell<HashSet<Vec<u8>>>,
    warn: Rc<Warn>,
}

impl<H: HttpClient> Etcd<H> {
    /// Checks the settings; asks nobody. `warn` takes what an operator should know although nothing failed.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn new(config: Config, http: H, warn: impl Fn(&str) + 'static) -> Result<Self, Error> {
        let warn: Rc<Warn> = Rc::new(Box::new(warn));
        let (client, layout) = Client::new(http, config.try_into()?, warn.clone());
        Ok(Self {
            client,
            layout,
            slots: RefCell::default(),
            watches: RefCell::default(),
            warned: RefCell::default(),
            warn,
        })
    }

    /// All versions of one service, as the member that is asked knows them.
    ///
    /// # Errors
    /// What etcd refuses, and no answer within `timeout`.
    pub async fn get_service(&self, name: &str, timeout: Duration) -> Result<Snapshot, Error> {
        let prefixes = self.layout.prefixes(Some(name))?;
        let reading = self.read(self.deadline(timeout), &prefixes, Freshness::Member).await?;
        let cursor = reading.cursor.to_string();
        Ok(Snapshot { services: reading.services_of(name), cursor })
    }

    /// The names of all services, sorted. Keys are not enough to tell, since slashes in names are not in keys.
    ///
    /// # Errors
    /// What etcd refuses, and no answer within `timeout`.
    pub async fn list_services(&self, timeout: Duration) -> Result<Vec<String>, Error> {
        let prefixes = self.layout.prefixes(None)?;
        let reading = self.read(self.deadline(timeout), &prefixes, Freshness::Member).await?;
        Ok(model::merge(reading.records).into_keys().collect())
    }

    /// Whether the cluster has a leader and lets this plugin read its records.
    ///
    /// # Errors
    /// What etcd refuses, and no answer within `timeout`.
    pub async fn health(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = self.deadline(timeout);
        for prefix in self.layout.prefixes(None)? {
            let mut any = gateway::range(&prefix, None);
            any["limit"] = json!("1");
            any["keys_only"] = json!(true);
            let _: gateway::RangeAnswer = self.client.call(deadline, "/v3/kv/range", &any).await?;
        }
        Ok(())
    }

    /// Closes what is open. Leases and records stay.
    pub fn close(&self) {
        self.watches.borrow_mut().clear();
    }

    /// Shortly before the caller gives up, so that it hears the reason.
    fn deadline(&self, timeout: Duration) -> Instant {
        const FOR_EVER: Duration = Duration::from_secs(86_400);
        let timeout = timeout.min(FOR_EVER);
        Instant::now() + (timeout - timeout / 20)
    }
}

impl<H: HttpClient> fmt::Debug for Etcd<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd").field("layout", &self.layout).finish_non_exhaustive()
    }
}
