//! @name@: services from a list in the options, for programs that register nowhere, and whatever the same process
//! registers.
//!
//! | option  | is                                                    |
//! |---------|-------------------------------------------------------|
//! | `nodes` | nodes that are always there, each as `NAME=HOST:PORT` |
//!
//! What is registered is kept in memory: it is for calls within one process. Other processes see the list.

use micro_sdk::registry::{Batch, Node, Registry, Service, Snapshot};
use micro_sdk::{Call, ChangeLog, Context, Error};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Nodes that may be registered at the same time: whoever registers decides their number.
const MAX_NODES: usize = 10_000;

/// The registry.
#[derive(Debug)]
pub struct StaticRegistry {
    listed: Vec<Service>,
    /// By the id of its one node.
    registered: RefCell<BTreeMap<String, Registered>>,
    changelog: ChangeLog,
}

#[derive(Debug)]
struct Registered {
    /// With one node.
    service: Service,
    /// None: until it is deregistered.
    expires: Option<Instant>,
}

/// Its options.
#[derive(Debug, serde::Deserialize)]
pub struct Options {
    #[serde(default)]
    nodes: Vec<String>,
}

impl Registry for StaticRegistry {
    type Options = Options;

    fn configure(_: Context, options: Options) -> Result<Self, Error> {
        micro_sdk::info!("services are in a list", nodes = options.nodes.len());
        let listed = options.nodes.iter().map(|text| listed(text)).collect::<Result<_, _>>()?;
        Ok(Self { listed, registered: RefCell::default(), changelog: ChangeLog::new() })
    }

    async fn register(&self, _: &Call, service: Service, ttl: Option<Duration>) -> Result<(), Error> {
        let mut registered = self.registered.borrow_mut();
        registered.retain(|_, it| !it.is_over());
        if registered.len() + service.nodes.len() > MAX_NODES {
            return Err(Error::invalid(format!("more than {MAX_NODES} nodes")));
        }
        let expires = ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        for node in &service.nodes {
            let service = Service { nodes: vec![node.clone()], ..service.clone() };
            registered.insert(node.id.clone(), Registered { service, expires });
        }
        Ok(())
    }

    async fn deregister(&self, _: &Call, service: Service) -> Result<(), Error> {
        let mut registered = self.registered.borrow_mut();
        registered.retain(|id, _| service.nodes.iter().all(|node| node.id != *id));
        Ok(())
    }

    async fn get_service(&self, _: &Call, name: &str) -> Result<Snapshot, Error> {
        self.changelog.update(self.services());
        Ok(Snapshot { services: self.changelog.services(name), cursor: Some(self.changelog.cursor()) })
    }

    async fn list_services(&self, _: &Call) -> Result<Vec<String>, Error> {
        self.changelog.update(self.services());
        Ok(self.changelog.names())
    }

    async fn changes(
        &self,
        _: &Call,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, Error> {
        let refresh = async || {
            self.changelog.update(self.services());
            Ok(())
        };
        self.changelog.changes(name, after, wait, refresh).await
    }
}

impl StaticRegistry {
    /// One for each name and version, with all its nodes.
    fn services(&self) -> Vec<Service> {
        let registered = self.registered.borrow();
        let living = registered.values().filter(|it| !it.is_over()).map(|it| &it.service);
        let mut found: BTreeMap<(&str, &str), Service> = BTreeMap::new();
        for service in self.listed.iter().chain(living) {
            let key = (service.name.as_str(), service.version.as_str());
            match found.get_mut(&key) {
                Some(known) => known.nodes.extend(service.nodes.iter().cloned()),
                None => _ = found.insert(key, service.clone()),
            }
        }
        found.into_values().collect()
    }
}

impl Registered {
    fn is_over(&self) -> bool {
        self.expires.is_some_and(|expires| expires <= Instant::now())
    }
}

fn listed(text: &str) -> Result<Service, Error> {
    let wrong = || Error::invalid(format!("option nodes: {text:?} is not NAME=HOST:PORT"));
    let (name, address) = text.split_once('=').ok_or_else(wrong)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    if name.is_empty() || host.is_empty() || port.parse::<u16>().is_err() || text.contains(char::is_whitespace) {
        return Err(wrong());
    }
    let node = Node { id: format!("{name}-{address}"), address: address.to_owned(), ..Node::default() };
    Ok(Service { name: name.to_owned(), nodes: vec![node], ..Service::default() })
}

micro_sdk::register_registry!(StaticRegistry);

#[cfg(test)]
mod tests {
    use super::*;
    use micro_sdk::testing::{call, context, run};

    const PATIENCE: Duration = Duration::from_secs(5);

    fn registry(nodes: &[&str]) -> Result<StaticRegistry, Error> {
        let options = Options { nodes: nodes.iter().map(|&node| node.to_owned()).collect() };
        StaticRegistry::configure(context(), options)
    }

    fn greeter(id: &str) -> Service {
        let node = Node { id: id.to_owned(), address: "127.0.0.1:9090".to_owned(), ..Node::default() };
        Service { name: "greeter".to_owned(), version: "1".to_owned(), nodes: vec![node], ..Service::default() }
    }

    fn ids(registry: &StaticRegistry, name: &str) -> Vec<String> {
        let found = run(registry.get_service(&call(PATIENCE), name)).expect("no error").services;
        found.into_iter().flat_map(|service| service.nodes).map(|node| node.id).collect()
    }

    #[test]
    fn what_is_listed_and_what_is_registered_is_found() {
        let registry = registry(&["mail=127.0.0.1:25", "mail=127.0.0.2:25"]).expect("good options");
        assert_eq!(run(registry.list_services(&call(PATIENCE))).expect("no error"), ["mail"]);
        for id in ["a", "b", "a"] {
            run(registry.register(&call(PATIENCE), greeter(id), None)).expect("no error");
        }
        assert_eq!(ids(&registry, "greeter"), ["a", "b"]);
        run(registry.deregister(&call(PATIENCE), greeter("a"))).expect("no error");
        run(registry.deregister(&call(PATIENCE), greeter("unknown"))).expect("no error");
        assert_eq!(ids(&registry, "greeter"), ["b"]);
        assert_eq!(ids(&registry, "mail"), ["mail-127.0.0.1:25", "mail-127.0.0.2:25"]);
        assert!(ids(&registry, "unknown").is_empty());
    }

    #[test]
    fn a_waiting_call_hears_that_a_nodes_time_is_over() {
        let registry = registry(&[]).expect("good options");
        let ttl = Duration::from_millis(200);
        run(registry.register(&call(PATIENCE), greeter("a"), Some(ttl))).expect("no error");
        let first = run(registry.changes(&call(PATIENCE), None, None, PATIENCE)).expect("no error");
        assert!(first.resync && first.entries.len() == 1);
        let next = run(registry.changes(&call(PATIENCE), None, Some(&first.cursor), PATIENCE));
        let entries = next.expect("no error").entries;
        assert!(entries.len() == 1 && entries[0].services.is_empty(), "{entries:?}");
    }

    #[test]
    fn wrong_options_say_what_is_wrong() {
        for text in ["", "mail", "=127.0.0.1:25", "mail=127.0.0.1", "mail=:25", "mail=a:x", "a b=c:1"] {
            assert!(matches!(registry(&[text]), Err(Error::Invalid(_))), "{text}");
        }
    }
}
