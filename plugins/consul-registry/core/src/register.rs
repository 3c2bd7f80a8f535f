//! Registering: one service of consul for each node, with one check, at the local agent.

use crate::client::{Ask, Fault};
use crate::http::{HttpClient, encode};
use crate::model::{Health, Metadata, Node, Service};
use crate::read::segment;
use crate::{Consul, Error, address, check, tags};
use futures::lock::Mutex;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What consul takes as metadata: pairs, and bytes of a key and of a value.
const MAX_META: (usize, usize, usize) = (64, 128, 512);

/// What this instance wrote of a node last. A cache: an instance that has forgotten it writes again, which changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Of everything that was written.
    digest: u64,
    /// To whom.
    agent: usize,
}

/// One call at a time works on a node.
pub(crate) type Slot = Rc<Mutex<Option<Written>>>;

impl<H: HttpClient> Consul<H> {
    /// Registers each node of `service`, or keeps it alive. With a `ttl` of zero it stays until it is deregistered.
    ///
    /// # Errors
    /// What consul refuses, and no answer within `timeout`.
    pub async fn register(&self, service: &Service, ttl: Duration, timeout: Duration) -> Result<(), Error> {
        let deadline = self.deadline(timeout);
        for node in &service.nodes {
            segment("service name", &service.name)?;
            segment("node id", &node.id)?;
            let definition = self.definition(service, node, ttl)?.to_string();
            let mut digest = DefaultHasher::new();
            (&definition, ttl).hash(&mut digest);
            let digest = digest.finish();

            let slot = self.slots.borrow_mut().entry(node.id.clone()).or_default().clone();
            let mut written = slot.lock().await;
            let first = written.map(|it| it.agent);
            if written.is_some_and(|it| it.digest == digest) {
                match self.keep(deadline, node, ttl, first).await {
                    Ok(agent) => {
                        *written = Some(Written { digest, agent });
                        continue;
                    }
                    Err(fault) if fault.is_unknown() => {}
                    Err(fault) => return Err(fault.into()),
                }
            }
            *written = None;
            let agent = self.write(deadline, node, ttl, &definition, first).await?;
            *written = Some(Written { digest, agent });
        }
        Ok(())
    }

    /// Removes each node of `service`.
    ///
    /// # Errors
    /// What consul refuses, and no answer within `timeout`.
    pub async fn deregister(&self, service: &Service, timeout: Duration) -> Result<(), Error> {
        let deadline = self.deadline(timeout);
        for node in &service.nodes {
            let path = format!("/v1/agent/service/deregister/{}", encode(segment("node id", &node.id)?));
            let slot = self.slots.borrow_mut().entry(node.id.clone()).or_default().clone();
            let mut written = slot.lock().await;
            self.remove(deadline, &path, written.map(|it| it.agent)).await?;
            *written = None;
            self.slots.borrow_mut().remove(&node.id);
        }
        Ok(())
    }

    /// An agent removes only what it has itself, and with several addresses it may be any of them. The one that is known
    /// to have it has to answer; of the others, one.
    async fn remove(&self, deadline: Instant, path: &str, agent: Option<usize>) -> Result<(), Fault> {
        let count = self.client.origins.len();
        let (mut answered, mut failed) = (false, None);
        for turn in 0..count {
            let at = (agent.unwrap_or(0) + turn) % count;
            let rest = deadline.saturating_duration_since(Instant::now());
            let share = rest / u32::try_from(count - turn).unwrap_or(u32::MAX);
            match self.client.ask_one(at, share, Ask::put(path, &[])).await {
                Ok(_) => answered = true,
                Err(fault) if fault.is_unknown() => answered = true,
                Err(fault) if agent == Some(at) => return Err(fault),
                Err(fault) => failed = Some(fault),
            }
        }
        match failed {
            Some(fault) if !answered => Err(fault),
            _ => Ok(()),
        }
    }

    /// A heartbeat. The agent that has the node is asked first.
    async fn keep(
        &self,
        deadline: Instant,
        node: &Node,
        ttl: Duration,
        first: Option<usize>,
    ) -> Result<usize, Fault> {
        let (path, ask): (String, fn(&str) -> Ask<'_>) = if self.checks.reports(ttl) {
            (report(node), |path| Ask::put(path, &[]))
        } else {
            // Nothing to report; but consul may have removed it, or have been started anew.
            (format!("/v1/agent/service/{}", encode(&node.id)), |path| Ask::get(path, ""))
        };
        Ok(self.client.ask(deadline, Ask { first, ..ask(&path) }).await?.agent)
    }

    async fn write(
        &self,
        deadline: Instant,
        node: &Node,
        ttl: Duration,
        definition: &str,
        first: Option<usize>,
    ) -> Result<usize, Fault> {
        let register = Ask { first, ..Ask::put("/v1/agent/service/register", definition.as_bytes()) };
        let agent = self.client.ask(deadline, register).await?.agent;
        let within = deadline.saturating_duration_since(Instant::now());
        // Registering again keeps the state of a check that was there; and it keeps a check that is no longer wanted.
        if self.checks.reports(ttl) {
            self.client.ask_one(agent, within, Ask::put(&report(node), &[])).await?;
        } else if ttl.is_zero() {
            let path = format!("/v1/agent/check/deregister/{}", encode(&check::id(&node.id)));
            let has_check = self.checks.of(node, ttl).is_ok_and(|check| check.is_some());
            if !has_check {
                match self.client.ask_one(agent, within, Ask::put(&path, &[])).await {
                    Err(fault) if !fault.is_unknown() => return Err(fault),
                    _ => {}
                }
            }
        }
        Ok(agent)
    }

    fn definition(&self, service: &Service, node: &Node, ttl: Duration) -> Result<Value, Error> {
        let mut tags = tags::write(service, node).map_err(|error| Error::Invalid(error.to_string()))?;
        for tag in self.add_tags.iter().chain(&node.tags) {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        let (host, port) = address::split(&node.address);
        let mut definition = json!({
            "ID": node.id,
            "Name": service.name,
            "Tags": tags,
            "Address": host,
            "Port": port.unwrap_or(0),
            "Meta": self.meta(node),
        });
        if let Some(check) = self.checks.of(node, ttl)? {
            definition["Check"] = check;
        }
        Ok(definition)
    }

    /// The metadata for people and for other programs, as far as consul takes it; the tags have all of it.
    fn meta(&self, node: &Node) -> Metadata {
        let (pairs, longest_key, longest_value) = MAX_META;
        let mut meta = node.metadata.clone();
        if let Some(zone) = &node.zone {
            meta.entry(self.foreign.zone_meta.clone()).or_insert_with(|| zone.clone());
        }
        let is_fine = |(key, value): &(String, String)| {
            let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            let key_is_fine = (1..=longest_key).contains(&key.len()) && key.bytes().all(word);
            key_is_fine && value.len() <= longest_value && !key.starts_with("consul-")
        };
        meta.into_iter().filter(is_fine).take(pairs).collect()
    }
}

/// Where a node says how it is.
fn report(node: &Node) -> String {
    let verb = match node.health {
        Health::Passing => "pass",
        Health::Warning => "warn",
        Health::Critical => "fail",
    };
    format!("/v1/agent/check/{verb}/{}", encode(&check::id(&node.id)))
}
