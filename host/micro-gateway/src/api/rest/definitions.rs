//! What the methods of services take and give: from files, or as the services say by reflection.

use micro::grpc::Descriptors;
use micro::{CallOptions, Client, Protocol};
use parking_lot::RwLock;
use prost_reflect::MethodDescriptor;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer is good, for a service that may be replaced.
const FRESH: Duration = Duration::from_secs(60);
/// How long a service that did not say is not asked again.
const ABSENT: Duration = Duration::from_secs(10);
/// How long one that did not answer at all is not asked again. Meanwhile what it said before counts.
const AWAY: Duration = Duration::from_secs(1);
/// How long it may take to say it. The request waits.
const PATIENCE: Duration = Duration::from_secs(2);
/// Services come from registries: what more of them say is not kept.
const MOST_KNOWN: usize = 4096;

/// By service.
#[derive(Debug, Default)]
pub(in crate::api) struct Definitions {
    given: HashMap<String, Descriptors>,
    learned: RwLock<HashMap<String, Learned>>,
}

#[derive(Clone, Debug)]
struct Learned {
    until: Instant,
    descriptors: Option<Descriptors>,
}

impl Definitions {
    /// From files, for good.
    pub(in crate::api) fn give(&mut self, service: String, descriptors: Descriptors) {
        self.given.insert(service, descriptors);
    }

    /// The definition of an endpoint, if there is one.
    pub(in crate::api) async fn method(
        &self,
        client: &Client,
        service: &str,
        endpoint: &str,
    ) -> Option<MethodDescriptor> {
        if let Some(given) = self.given.get(service) {
            return given.of_endpoint(endpoint);
        }
        let known = self.learned.read().get(service).cloned();
        let descriptors = match known {
            Some(known) if Instant::now() < known.until => known.descriptors,
            known => {
                self.put_off(service);
                self.ask(client, service, known.and_then(|known| known.descriptors)).await
            }
        };
        descriptors?.of_endpoint(endpoint)
    }

    /// Who finds that an answer is old asks again; meanwhile the answer is good for everybody else.
    fn put_off(&self, service: &str) {
        if let Some(known) = self.learned.write().get_mut(service) {
            known.until = Instant::now() + PATIENCE;
        }
    }

    /// What the service says of itself.
    async fn ask(&self, client: &Client, service: &str, before: Option<Descriptors>) -> Option<Descriptors> {
        // Nodes of other protocols answer gRPC too, where they have definitions at all.
        let options = CallOptions::new().protocol(Protocol::Grpc).timeout(PATIENCE);
        let (good_for, descriptors) = match client.describe(service, &options).await {
            Ok(descriptors) => (FRESH, Some(descriptors)),
            Err(error) => {
                tracing::debug!(service, %error, "its definitions are not known");
                if error.code == 501 { (ABSENT, None) } else { (AWAY, before) }
            }
        };
        let mut learned = self.learned.write();
        if learned.len() < MOST_KNOWN || learned.contains_key(service) {
            let known = Learned { until: Instant::now() + good_for, descriptors: descriptors.clone() };
            learned.insert(service.to_owned(), known);
        }
        descriptors
    }
}
