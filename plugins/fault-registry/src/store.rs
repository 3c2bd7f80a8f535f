//! A small correct registry in memory.

use crate::bindings::exports::micro::registry::registry::{Batch, Entry, Service, Snapshot};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(crate) struct Store {
    instance: u64,
    revision: u64,
    /// One node each, by its id.
    nodes: BTreeMap<String, (Service, Option<Instant>)>,
}

impl Store {
    pub(crate) fn new(instance: u64) -> Self {
        Self { instance, ..Self::default() }
    }

    pub(crate) fn register(&mut self, service: Service, ttl_ms: u64) {
        let expiry = (ttl_ms > 0).then(|| Instant::now() + Duration::from_millis(ttl_ms.min(86_400_000)));
        for node in &service.nodes {
            let one = Service { nodes: vec![node.clone()], ..service.clone() };
            let new = (one, expiry);
            if self.nodes.insert(node.id.clone(), new).is_none() {
                self.revision += 1;
            }
        }
    }

    pub(crate) fn deregister(&mut self, service: &Service) {
        for node in &service.nodes {
            if self.nodes.remove(&node.id).is_some() {
                self.revision += 1;
            }
        }
    }

    pub(crate) fn names(&mut self) -> Vec<String> {
        self.entries(None).into_iter().map(|entry| entry.name).collect()
    }

    pub(crate) fn snapshot(&mut self, name: &str) -> Snapshot {
        let services = self.entries(Some(name)).into_iter().flat_map(|entry| entry.services).collect();
        Snapshot { services, cursor: Some(self.cursor()) }
    }

    /// Everything, unless nothing happened since `after`.
    pub(crate) fn changes(&mut self, name: Option<&str>, after: Option<&str>) -> Batch {
        let entries = self.entries(name);
        let cursor = self.cursor();
        if after == Some(cursor.as_str()) {
            return Batch { cursor, resync: false, entries: Vec::new() };
        }
        Batch { cursor, resync: true, entries }
    }

    /// An instance knows nothing of what another one counted.
    fn cursor(&self) -> String {
        format!("{}-{}", self.instance, self.revision)
    }

    fn entries(&mut self, name: Option<&str>) -> Vec<Entry> {
        let (now, before) = (Instant::now(), self.nodes.len());
        self.nodes.retain(|_, (_, expiry)| expiry.is_none_or(|expiry| expiry > now));
        if self.nodes.len() != before {
            self.revision += 1;
        }
        let mut entries: BTreeMap<&str, Vec<Service>> = BTreeMap::new();
        for (service, _) in self.nodes.values().filter(|(service, _)| name.is_none_or(|it| it == service.name)) {
            let versions = entries.entry(&service.name).or_default();
            match versions.iter_mut().find(|known| known.version == service.version) {
                Some(known) => known.nodes.extend(service.nodes.iter().cloned()),
                None => versions.push(service.clone()),
            }
        }
        let entry = |(name, services): (&str, _)| Entry { name: name.to_owned(), services };
        entries.into_iter().map(entry).collect()
    }
}
