//! Nodes for requests that somebody else sends: the selection without the call.

use super::nodes::{NodeState, Running};
use super::security::{self, Security};
use super::{Client, note_ejection};
use micro_core::Error;
use rustls::ClientConfig;
use std::sync::Arc;

/// A node that was chosen for one request. Counts as a request in flight until it is dropped.
#[derive(Debug)]
pub struct PickedNode {
    node: Arc<NodeState>,
    running: Running,
    tls: Option<Arc<ClientConfig>>,
}

impl PickedNode {
    /// Where it is.
    pub fn address(&self) -> &str {
        &self.node.address
    }

    /// What a connection to it is to be secured with.
    pub fn security(&self) -> Security {
        self.node.security
    }

    /// TLS as this client uses it with the node, which offers HTTP/1.1; none for plain TCP. The same for all nodes of
    /// one [`Security`].
    pub fn tls(&self) -> Option<&Arc<ClientConfig>> {
        self.tls.as_ref()
    }

    /// An error of a connection to it with all its causes and, where it is about TLS, what to do about it.
    pub fn reason(&self, error: &(dyn std::error::Error + 'static)) -> String {
        let cause = micro_net::error_chain(error);
        match security::advice_on(self.security(), error, &cause) {
            Some(advice) => format!("{cause}; {advice}"),
            None => cause,
        }
    }

    /// The id under which it is registered.
    pub fn name(&self) -> &str {
        &self.node.name
    }

    /// Its id in this process, for the list of nodes that were tried.
    pub fn id(&self) -> u32 {
        self.node.id
    }

    /// The node took the request and answered, whatever it said.
    pub fn answered(self) {
        self.running.answered();
    }

    /// Nothing of the request reached it. It is left alone for a while.
    pub fn refused(self, why: &str) {
        note_ejection(&self.node, self.node.refused(), why);
    }

    /// It took the request and did not answer. When that goes on, it is left alone for a while.
    pub fn failed(self, why: &str) {
        note_ejection(&self.node, self.node.failed(), why);
    }
}

impl Client {
    /// Chooses a node of `service` for a request that is not this client's to send, such as one that a proxy passes on:
    /// from the registry cache, by the client's selector, of whatever protocol the nodes name. Those in `tried` come
    /// last. Say what became of it: the node table learns from that.
    ///
    /// # Errors
    /// Id `go.micro.client`: code 404 for a service that nobody registered, 500 when none of its nodes can be used, the
    /// registry does not answer, or the node is called over TLS and the settings for that cannot be used.
    pub async fn pick(&self, service: &str, tried: &[u32]) -> Result<PickedNode, Error> {
        let core = &self.core;
        let found = core.look_up(service).await?;
        let set = core.candidates.of_any_protocol(service, &found, &core.nodes);
        let node = set.pick(&*core.selector, None, tried);
        let node = node.ok_or_else(|| set.nobody(service, core.registry.registry().location()))?;
        let tls = core.lines.of(node.security)?.tls.clone();
        let running = node.start();
        Ok(PickedNode { node, running, tls })
    }
}
