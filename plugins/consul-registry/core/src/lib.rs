//! A registry in consul, without WASI: tags, checks, blocking queries and fail-over, over consul's HTTP API.
//!
//! Records are where Go Micro keeps them and look as it writes them, so that both find each other. The plugin crate adds
//! the bindings and an [`http::HttpClient`]; tests add a script. It is no general client of consul.
//!
//! - [`Consul::register`]: one service of consul for each node, at the local agent; a repeated call reports to its check,
//!   and writes only what differs or what the agent has forgotten.
//! - [`Consul::changes`]: one blocking query for each name, and a cursor with a digest, so that only what changed is told.
//! - Services that others registered are read as well; [`ForeignConfig`] says which protocol they speak.
//! - Every call tries all addresses, starting with the one that answered last, and ends by itself shortly before its
//!   time is over, so that the caller learns what was tried.

mod address;
mod changes;
mod check;
mod client;
mod config;
mod endpoint;
mod entry;
mod foreign;
mod gate;
pub mod http;
mod model;
mod read;
mod register;
mod tags;
#[cfg(test)]
mod tests;

pub use check::CheckConfig;
pub use config::Config;
pub use foreign::ForeignConfig;
pub use model::{Batch, Endpoint, Entry, Error, Health, Metadata, Node, Service, Snapshot};

use changes::{Cursor, Watched};
use check::Checks;
use client::{Ask, Client, Fault};
use config::Settings;
use foreign::Foreign;
use gate::Gate;
use http::HttpClient;
use register::Slot;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

/// Blocking queries at the same time. An agent lets one machine have 200 connections, the host a plugin 256 requests, and
/// heartbeats need some of them.
const MAX_WAITING: usize = 128;

/// Where warnings go.
type Warn = Box<dyn Fn(&str)>;

/// The registry. Calls may overlap on one thread.
pub struct Consul<H: HttpClient> {
    client: Client<H>,
    reading: String,
    tag_filter: Vec<String>,
    add_tags: Vec<String>,
    checks: Checks,
    foreign: Foreign,
    slots: RefCell<HashMap<String, Slot>>,
    watched: RefCell<HashMap<String, Watched>>,
    /// Blocking queries.
    waiting: Gate,
    warned: RefCell<HashSet<String>>,
    warn: Warn,
}

impl<H: HttpClient> Consul<H> {
    /// Checks the settings; asks nobody. `warn` takes what an operator should know although nothing failed.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn new(config: Config, http: H, warn: impl Fn(&str) + 'static) -> Result<Self, Error> {
        let Settings { origins, token, everywhere, reading, tag_filter, add_tags, checks, foreign } =
            config.try_into()?;
        Ok(Self {
            client: Client::new(http, origins, token, everywhere),
            reading,
            tag_filter,
            add_tags,
            checks,
            foreign,
            slots: RefCell::default(),
            watched: RefCell::default(),
            waiting: Gate::new(MAX_WAITING),
            warned: RefCell::default(),
            warn: Box::new(warn),
        })
    }

    /// All versions of one service.
    ///
    /// # Errors
    /// What consul refuses, and no answer within `timeout`.
    pub async fn get_service(&self, name: &str, timeout: Duration) -> Result<Snapshot, Error> {
        let look = self.look(self.deadline(timeout), name, None).await?;
        let cursor = Cursor::of(&look);
        self.remember(name, cursor);
        Ok(Snapshot { services: look.services, cursor: cursor.to_string() })
    }

    /// The names of all services, sorted. Consul's own is among them.
    ///
    /// # Errors
    /// What consul refuses, and no answer within `timeout`.
    pub async fn list_services(&self, timeout: Duration) -> Result<Vec<String>, Error> {
        self.names(self.deadline(timeout)).await
    }

    /// Whether the cluster has a leader and takes the token.
    ///
    /// # Errors
    /// What consul refuses, and no answer within `timeout`.
    pub async fn health(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = self.deadline(timeout);
        let answer = self.client.ask(deadline, Ask::get("/v1/status/leader", "")).await?;
        let leader: String = answer.json()?;
        if leader.is_empty() {
            return Err(Error::Unavailable(format!("{}: the cluster has no leader", answer.origin)));
        }
        if self.client.has_token() {
            let known = self.client.ask(deadline, Ask::get("/v1/acl/token/self", "")).await;
            return known.map(drop).or_else(|fault| self.judge_token(fault));
        }
        // To a reader without rights consul looks empty. But nobody who has any does not see consul itself.
        for path in ["/v1/catalog/service/consul", "/v1/catalog/services"] {
            let found: Value = self.client.ask(deadline, Ask::get(path, "")).await?.json()?;
            let is_empty = found.as_array().is_some_and(Vec::is_empty)
                || found.as_object().is_some_and(serde_json::Map::is_empty);
            if !is_empty {
                return Ok(());
            }
        }
        let text = format!("{}: it shows nothing without a token; set the option token", answer.origin);
        Err(Error::Denied(text))
    }

    /// What it means when consul does not tell what a token is for.
    fn judge_token(&self, fault: Fault) -> Result<(), Error> {
        match fault {
            Fault::Refused { status: 401, text, .. } if text.contains("ACL support disabled") => {
                self.warn_once("", || "consul has ACLs switched off: the token is not used".to_owned());
                Ok(())
            }
            Fault::Refused { status: 400 | 404 | 405, .. } => Ok(()),
            fault => Err(fault.into()),
        }
    }

    /// Shortly before the caller gives up, so that it hears the reason.
    fn deadline(&self, timeout: Duration) -> Instant {
        const FOR_EVER: Duration = Duration::from_secs(86_400);
        let timeout = timeout.min(FOR_EVER);
        Instant::now() + (timeout - timeout / 20)
    }
}

impl<H: HttpClient> fmt::Debug for Consul<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consul").field("checks", &self.checks).finish_non_exhaustive()
    }
}
