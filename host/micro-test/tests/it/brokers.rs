//! The suite against every native broker.

use micro::broker::{HttpBroker, HttpBrokerSettings, MemoryBroker};
use micro::registry::{Cache, LocalRegistry, MemoryRegistry};
use micro_core::{Broker, Registry};
use micro_test::broker::{Pair, contract};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
    contract(async || Pair { publisher: broker.clone(), consumer: broker.clone() }).await;
}

fn http(registry: impl Registry + 'static) -> Arc<dyn Broker> {
    let registry: Arc<dyn Registry> = Arc::new(registry);
    let settings =
        HttpBrokerSettings { address: Some("127.0.0.1:0".to_owned()), ..HttpBrokerSettings::default() };
    Arc::new(HttpBroker::new(registry.clone(), Arc::new(Cache::new(registry)), settings))
}

#[tokio::test(flavor = "multi_thread")]
async fn http_in_one_process() {
    let broker = http(MemoryRegistry::new());
    contract(async || Pair { publisher: broker.clone(), consumer: broker.clone() }).await;
    broker.shutdown().await;
}

/// As one process publishes to another.
#[tokio::test(flavor = "multi_thread")]
async fn http_between_processes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let new = || http(LocalRegistry::new(folder.path()));
    let pair = Pair { publisher: new(), consumer: new() };
    contract(async || pair.clone()).await;
    pair.consumer.shutdown().await;
}
