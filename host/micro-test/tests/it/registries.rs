//! The suite against every native registry.

use micro::registry::{LocalRegistry, MemoryRegistry, MultiRegistry};
use micro_core::{Batch, Registry, RegistryError, Service, Snapshot, WatchScope};
use micro_test::doubles::FaultyRegistry;
use micro_test::registry::{Expect, contract, run};
use std::sync::Arc;
use std::time::Duration;

fn shared(registry: impl Registry + 'static) -> Arc<dyn Registry> {
    Arc::new(registry)
}

/// For registries on real time.
fn quick() -> Expect {
    let (ttl, expiry_slack) = (Duration::from_millis(400), Duration::from_secs(1));
    Expect { ttl, expiry_slack, ..Expect::default() }
}

#[tokio::test(start_paused = true)]
async fn memory() {
    contract(async || shared(MemoryRegistry::new())).await;
}

#[tokio::test(start_paused = true)]
async fn memory_shared_by_all_cases() {
    let memory = MemoryRegistry::new();
    contract(async || shared(memory.clone())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let new = async || shared(LocalRegistry::new(folder.path()));
    run(new, &quick(), None).await.assert();
}

#[tokio::test]
async fn local_detached() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let new = async || shared(LocalRegistry::new(folder.path()).detached());
    run(new, &quick(), None).await.assert();
}

#[tokio::test]
async fn several() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let new = async || {
        let local = shared(LocalRegistry::new(folder.path()));
        shared(MultiRegistry::new(vec![local, shared(MemoryRegistry::new())]))
    };
    run(new, &quick(), None).await.assert();
}

#[tokio::test(start_paused = true)]
async fn several_of_which_one_watches_names_only() {
    let new = async || {
        let names = shared(FaultyRegistry::with_scope(WatchScope::Name));
        shared(MultiRegistry::new(vec![shared(MemoryRegistry::new()), names]))
    };
    contract(new).await;
}

#[tokio::test]
async fn long_random_walks() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let expect = Expect { steps: 1000, ..Expect::default() };
    let local = async || shared(LocalRegistry::new(folder.path()));
    run(local, &expect, Some("random_steps")).await.assert();
    let memory = async || shared(MemoryRegistry::new());
    for _ in 0..10 {
        run(memory, &expect, Some("random_steps")).await.assert();
    }
}

/// As one process sees what another does.
#[tokio::test]
async fn local_from_another_process() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let new = async || {
        let (writer, reader) = (LocalRegistry::new(folder.path()), LocalRegistry::new(folder.path()));
        shared(Split { writer, reader })
    };
    run(new, &quick(), None).await.assert();
}

/// Writes here, reads there.
#[derive(Debug)]
struct Split {
    writer: LocalRegistry,
    reader: LocalRegistry,
}

#[async_trait::async_trait]
impl Registry for Split {
    fn name(&self) -> &str {
        "split"
    }
    async fn register(&self, service: &Service, ttl: Duration) -> Result<(), RegistryError> {
        self.writer.register(service, ttl).await
    }
    async fn deregister(&self, service: &Service) -> Result<(), RegistryError> {
        self.writer.deregister(service).await
    }
    async fn get_service(&self, name: &str) -> Result<Snapshot, RegistryError> {
        self.reader.get_service(name).await
    }
    async fn list_services(&self) -> Result<Vec<String>, RegistryError> {
        self.reader.list_services().await
    }
    async fn changes(
        &self,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, RegistryError> {
        self.reader.changes(name, after, wait).await
    }
    async fn health(&self) -> Result<(), RegistryError> {
        self.reader.health().await
    }
}

/// A suite that accepts anything is worth nothing.
#[tokio::test(start_paused = true)]
async fn a_registry_that_breaks_the_contract_fails() {
    #[derive(Debug)]
    struct Forgetful(MemoryRegistry);
    #[async_trait::async_trait]
    impl Registry for Forgetful {
        fn name(&self) -> &str {
            "forgetful"
        }
        async fn register(&self, service: &Service, ttl: Duration) -> Result<(), RegistryError> {
            let first = service.nodes.iter().take(1).cloned().collect();
            self.0.register(&Service { nodes: first, ..service.clone() }, ttl).await
        }
        async fn deregister(&self, service: &Service) -> Result<(), RegistryError> {
            self.0.deregister(service).await
        }
        async fn get_service(&self, name: &str) -> Result<Snapshot, RegistryError> {
            self.0.get_service(name).await
        }
        async fn list_services(&self) -> Result<Vec<String>, RegistryError> {
            Ok(self.0.list_services().await?.into_iter().rev().collect())
        }
        async fn changes(
            &self,
            name: Option<&str>,
            after: Option<&str>,
            wait: Duration,
        ) -> Result<Batch, RegistryError> {
            let _ = after;
            self.0.changes(name, Some("x"), wait).await
        }
        async fn health(&self) -> Result<(), RegistryError> {
            Ok(())
        }
    }
    let expect = Expect { reaction: Duration::from_millis(100), steps: 50, ..Expect::default() };
    let report = run(async || shared(Forgetful(MemoryRegistry::new())), &expect, None).await;
    let failed: Vec<_> = report.failures().map(|case| case.name).collect();
    for expected in [
        "lookups::steps_lead_to_the_expected_nodes",
        "lookups::the_list_is_sorted_and_has_each_name_once",
        "watching::silence_ends_with_the_wait",
        "model::random_steps_agree_with_the_model",
    ] {
        assert!(failed.contains(&expected), "{expected} passed\n{report}");
    }
}
