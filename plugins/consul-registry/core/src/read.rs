//! Reading: what consul knows under one name, as versions with their nodes.

use crate::client::{Ask, Fault};
use crate::entry::Entry;
use crate::http::{HttpClient, encode};
use crate::model::{Endpoint, Metadata, Node, Service};
use crate::{Consul, Error, tags};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Nodes of one name that are read.
const MAX_NODES: usize = 10_000;
/// Bytes of an id, an address or a version.
const MAX_NAME: usize = 1 << 10;
/// Bytes of what is told about one name. The host takes 16 MiB in one answer.
const MAX_RESULT: usize = 12 << 20;
/// Names that are listed.
const MAX_NAMES: usize = 20_000;
/// Names of which was warned are remembered up to this number.
const MAX_WARNED: usize = 1024;

/// What consul knows under one name, at one moment.
pub(crate) struct Look {
    pub(crate) services: Vec<Service>,
    /// Consul's index of that moment; at least 1, since 0 means to consul that nobody wants to wait.
    pub(crate) index: u64,
    /// Differs when the services do.
    pub(crate) digest: u64,
}

/// To wait until consul knows something newer than this.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) index: u64,
    pub(crate) wait: Duration,
}

impl<H: HttpClient> Consul<H> {
    /// Reads all versions of one service, at once or when they may have changed.
    pub(crate) async fn look(
        &self,
        deadline: Instant,
        name: &str,
        block: Option<Block>,
    ) -> Result<Look, Error> {
        let mut query = self.reading.clone();
        for tag in &self.tag_filter {
            query.push_str(&format!("&tag={}", encode(tag)));
        }
        if let Some(Block { index, wait }) = block {
            query.push_str(&format!("&index={index}&wait={}ms", wait.as_millis().max(1)));
        }
        let path = format!("/v1/health/service/{}", encode(segment("service name", name)?));
        let patience = block.map(|block| block.wait);
        let answer = self.client.ask(deadline, Ask { patience, ..Ask::get(&path, &query) }).await?;
        let entries: Vec<&RawValue> = answer.json()?;
        if entries.is_empty() && answer.response.filtered {
            return Err(answer.filtered(&format!("service:read on {name:?} and node:read on its nodes")));
        }
        let services = self.services(name, &entries);
        let index = answer.response.index.unwrap_or_default().max(1);
        let mut digest = DefaultHasher::new();
        services.hash(&mut digest);
        Ok(Look { services, index, digest: digest.finish() })
    }

    /// The names of all services, sorted.
    pub(crate) async fn names(&self, deadline: Instant) -> Result<Vec<String>, Error> {
        let answer = self.client.ask(deadline, Ask::get("/v1/catalog/services", &self.reading)).await?;
        let names: HashMap<String, Option<Vec<String>>> = answer.json()?;
        if names.is_empty() && answer.response.filtered {
            return Err(answer.filtered("service:read on the services to list"));
        }
        let has_all = |tags: Option<Vec<String>>| {
            let tags = tags.unwrap_or_default();
            self.tag_filter.iter().all(|wanted| tags.contains(wanted))
        };
        let names = names.into_iter().filter(|(name, _)| !name.is_empty() && name.len() <= MAX_NAME);
        let mut names: Vec<String> = names.filter_map(|(name, tags)| has_all(tags).then_some(name)).collect();
        names.sort_unstable();
        if names.len() > MAX_NAMES {
            self.warn_once("", || {
                format!("of {} services only the first {MAX_NAMES} are listed", names.len())
            });
            names.truncate(MAX_NAMES);
        }
        Ok(names)
    }

    /// Entries that can be read, as versions with their nodes. One bad writer must not blind everybody, so the others are
    /// skipped; the operator is told once.
    fn services(&self, name: &str, entries: &[&RawValue]) -> Vec<Service> {
        let mut reader = tags::Reader::default();
        let mut found: Vec<Found> = Vec::new();
        for raw in entries {
            if found.len() == MAX_NODES {
                self.warn_once(name, || {
                    format!("{name:?} has more than {MAX_NODES} nodes; the others are skipped")
                });
                break;
            }
            let entry = match serde_json::from_str::<Entry>(raw.get()) {
                Ok(entry) => entry,
                Err(error) => {
                    self.warn_once(name, || format!("an instance of {name:?} is skipped: {error}"));
                    continue;
                }
            };
            // Consul takes names of any letter case for the same.
            if entry.service.name != name {
                continue;
            }
            match self.found(name, &entry, &mut reader) {
                Ok(new) => found.extend(new),
                Err(why) => self.warn_once(name, || {
                    let (id, machine) = (&entry.service.id, &entry.node.node);
                    format!("instance {id:?} of {name:?} on {machine:?} is skipped: {why}")
                }),
            }
        }
        let (services, skipped) = group(name, found);
        if skipped > 0 {
            self.warn_once(name, || {
                format!("what is known about {name:?} is more than {MAX_RESULT} bytes; {skipped} nodes are skipped")
            });
        }
        services
    }

    /// None: it has expired.
    fn found(&self, name: &str, entry: &Entry, reader: &mut tags::Reader) -> Result<Option<Found>, String> {
        let decoded = reader.read(&entry.service.tags).map_err(|error| error.to_string())?;
        if decoded.micro && entry.is_expired() {
            return Ok(None);
        }
        let address = entry.address().ok_or("its port is none")?;
        let machine = &entry.node.node;
        // Consul's ids are unique on one machine only; those of Micro are unique.
        let id = match decoded.micro {
            true => entry.service.id.clone(),
            false => format!("{}@{machine}", entry.service.id),
        };
        let mut metadata = if decoded.micro { decoded.metadata } else { entry.service.meta.clone() };
        let version = match (decoded.version, decoded.micro) {
            (Some(version), _) => version,
            (None, true) => String::new(),
            (None, false) => metadata.get("version").cloned().unwrap_or_default(),
        };
        if entry.service.id.is_empty() || [&id, &address, &version].iter().any(|it| it.len() > MAX_NAME) {
            return Err(format!(
                "its id is missing, or its id, address or version is longer than {MAX_NAME} bytes"
            ));
        }
        self.foreign.mark(name, decoded.micro, &decoded.plain, &mut metadata);
        let zone = entry.zone(&self.foreign.zone_meta).filter(|zone| zone.len() <= MAX_NAME);
        let health = entry.health();
        Ok(Some(Found {
            version,
            metadata: decoded.service_metadata,
            endpoints: decoded.endpoints,
            size: decoded.size,
            machine: machine.clone(),
            node: Node { id, address, metadata, health, zone, tags: decoded.plain },
        }))
    }

    pub(crate) fn warn_once(&self, name: &str, message: impl FnOnce() -> String) {
        let mut warned = self.warned.borrow_mut();
        if warned.len() >= MAX_WARNED {
            warned.clear();
        }
        if warned.insert(name.to_owned()) {
            (self.warn)(&crate::client::shorten(&message()));
        }
    }
}

/// One instance.
struct Found {
    version: String,
    metadata: Metadata,
    endpoints: Vec<Rc<Endpoint>>,
    /// What its tags unpacked to, in bytes.
    size: usize,
    machine: String,
    node: Node,
}

impl Found {
    /// About so many bytes are told of the node itself.
    fn weight(&self) -> usize {
        let pairs = self.node.metadata.iter().map(|(key, value)| key.len() + value.len());
        let tags = self.node.tags.iter().map(String::len);
        64 + self.node.id.len() + self.node.address.len() + pairs.chain(tags).map(|it| it + 16).sum::<usize>()
    }
}

/// Puts nodes of one version into one [`Service`], everything in a fixed order, and says how many did not fit. Endpoints
/// and metadata of a version are those of its first node that is well.
fn group(name: &str, mut found: Vec<Found>) -> (Vec<Service>, usize) {
    let mut ids: HashMap<String, String> = HashMap::new();
    let by_id = |it: &Found| (it.node.id.clone(), it.node.health, it.machine.clone());
    found.sort_by_cached_key(by_id);
    found.retain_mut(|found| {
        if let Some(address) = ids.get(&found.node.id) {
            // Registered with another agent when the first one did not answer: the better half counts.
            if *address == found.node.address {
                return false;
            }
            found.node.id = format!("{}@{}", found.node.id, found.machine);
        }
        ids.insert(found.node.id.clone(), found.node.address.clone()).is_none()
    });
    found.sort_by_cached_key(|it| (it.version.clone(), it.node.health, it.node.id.clone()));

    let mut services: Vec<Service> = Vec::new();
    let (mut left, mut skipped) = (MAX_RESULT, 0);
    for found in found {
        let known = services.last_mut().filter(|service| service.version == found.version);
        let weight = found.weight() + if known.is_some() { 0 } else { found.size };
        let Some(rest) = left.checked_sub(weight) else {
            skipped += 1;
            continue;
        };
        left = rest;
        let Found { version, metadata, endpoints, node, .. } = found;
        if let Some(service) = known {
            service.nodes.push(node);
            continue;
        }
        let endpoints = endpoints.iter().map(|endpoint| Endpoint::clone(endpoint)).collect();
        services.push(Service { name: name.to_owned(), version, metadata, endpoints, nodes: vec![node] });
    }
    for service in &mut services {
        service.nodes.sort_by(|a, b| a.id.cmp(&b.id));
    }
    (services, skipped)
}

/// What stands between two slashes of a path. An empty one would ask for something else.
pub(crate) fn segment<'a>(what: &str, text: &'a str) -> Result<&'a str, Error> {
    match text {
        // Proxies on the way fold these, encoded or not.
        "" | "." | ".." => Err(Error::Invalid(format!("{text:?} is no {what}"))),
        text => Ok(text),
    }
}

impl crate::client::Answer {
    fn filtered(&self, rights: &str) -> Error {
        let text =
            format!("{}: the token hides everything that was asked for; it needs {rights}", self.origin);
        Error::Denied(text)
    }

    pub(crate) fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, Fault> {
        serde_json::from_slice(&self.response.body).map_err(|error| Fault::Malformed {
            origin: self.origin.clone(),
            what: format!("{}: {error}", self.path),
        })
    }
}
