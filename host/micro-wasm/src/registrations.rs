//! What this process has registered: the host keeps the truth, so that the next generation of a plugin can be told.

use micro_core::Service;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Nodes that are remembered; a process registers itself and perhaps a few others. What is beyond is left to its next
/// heartbeat.
const REMEMBERED: usize = 4096;

/// The nodes that were registered and not deregistered, by service and id.
#[derive(Debug, Default)]
pub(crate) struct Registrations(Mutex<BTreeMap<(String, String), Registration>>);

/// One node.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    /// With this node only.
    pub(crate) service: Service,
    /// Zero: for ever.
    pub(crate) ttl: Duration,
    at: Instant,
}

impl Registrations {
    /// The backend has these nodes.
    pub(crate) fn add(&self, service: &Service, ttl: Duration) {
        let mut known = self.0.lock();
        for node in &service.nodes {
            let key = (service.name.clone(), node.id.clone());
            if known.len() >= REMEMBERED && !known.contains_key(&key) {
                continue;
            }
            let mut alone = service.without_nodes();
            alone.nodes.push(node.clone());
            known.insert(key, Registration { service: alone, ttl, at: Instant::now() });
        }
    }

    /// Nobody wants the backend to have these nodes.
    pub(crate) fn remove(&self, service: &Service) {
        let mut known = self.0.lock();
        for node in &service.nodes {
            known.remove(&(service.name.clone(), node.id.clone()));
        }
    }

    /// Those that have not lapsed; the others are forgotten.
    pub(crate) fn living(&self) -> Vec<Registration> {
        let mut known = self.0.lock();
        known.retain(|_, it| it.ttl.is_zero() || it.at.elapsed() < it.ttl);
        known.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro_core::Node;

    fn service(nodes: &[&str]) -> Service {
        let node = |id: &&str| Node { id: (*id).to_owned(), ..Node::default() };
        Service { name: "greeter".to_owned(), nodes: nodes.iter().map(node).collect(), ..Service::default() }
    }

    fn ids(registrations: &Registrations) -> Vec<String> {
        registrations.living().into_iter().flat_map(|it| it.service.nodes).map(|node| node.id).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_are_known_until_they_leave_or_lapse() {
        let known = Registrations::default();
        known.add(&service(&["a", "b"]), Duration::from_secs(60));
        known.add(&service(&["c"]), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(59)).await;
        known.add(&service(&["b"]), Duration::from_secs(60));
        known.remove(&service(&["x"]));
        assert_eq!(ids(&known), ["a", "b", "c"]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(ids(&known), ["b", "c"], "a heartbeat is a new life");
        known.remove(&service(&["c"]));
        assert_eq!(ids(&known), ["b"]);
    }

    #[test]
    fn no_more_are_kept_than_fit() {
        let known = Registrations::default();
        for number in 0..REMEMBERED + 10 {
            known.add(&service(&[&number.to_string()]), Duration::ZERO);
        }
        assert_eq!(known.living().len(), REMEMBERED);
    }
}
