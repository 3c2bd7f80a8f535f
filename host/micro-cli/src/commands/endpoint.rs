//! `micro api --endpoint`: gRPC servers that stand in no registry, as services that do.

use super::definitions;
use crate::args::DefinitionArgs;
use crate::failure::{coded, with_next};
use micro::grpc::Descriptors;
use micro::registry::MemoryRegistry;
use micro::{CallOptions, Client, Protocol};
use micro_core::{Code, Endpoint, Node, Registry, Service};
use micro_rest::{METADATA_KEY, Rule};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A server has to say within this time what it serves.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands behind a gateway without a registry.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) client: Client,
    /// Names that were made up for servers, and what they serve.
    pub(super) services: Vec<(String, Descriptors)>,
}

/// Learns what the servers serve: from files, or from themselves. Those that serve the same share the calls. None
/// without addresses.
pub(super) async fn open(addresses: &[String], files: &DefinitionArgs) -> anyhow::Result<Option<Behind>> {
    let given = definitions::read(files)?;
    if addresses.is_empty() {
        return match given {
            None => Ok(None),
            Some(_) => Err(coded(
                Code::SETTINGS,
                "--proto and --descriptor_set without --endpoint: services of a registry say themselves what they serve",
                "name the server with --endpoint HOST:PORT",
            )),
        };
    }
    let registry = MemoryRegistry::new();
    let client = Client::builder(Arc::new(registry.clone())).build();
    let mut groups: BTreeMap<String, (Descriptors, Vec<&String>)> = BTreeMap::new();
    for address in addresses {
        let descriptors = match &given {
            Some(given) => given.clone(),
            None => ask(&client, address).await?,
        };
        let name = name(&descriptors);
        groups.entry(name).or_insert_with(|| (descriptors, Vec::new())).1.push(address);
    }
    let mut services = Vec::new();
    for (name, (descriptors, addresses)) in groups {
        let service = record(&name, &descriptors, &addresses)?;
        registry.register(&service, Duration::ZERO).await?;
        tracing::info!(
            service = name,
            nodes = addresses.len(),
            methods = service.endpoints.len(),
            "gRPC server behind the gateway"
        );
        services.push((name, descriptors));
    }
    Ok(Some(Behind { client, services }))
}

async fn ask(client: &Client, address: &str) -> anyhow::Result<Descriptors> {
    let options = CallOptions::new().address(address).protocol(Protocol::Grpc).timeout(PATIENCE);
    client.describe(address, &options).await.map_err(|error| {
        let next =
            format!("check that a gRPC server with reflection runs at {address}, or give its --proto FILE");
        with_next(error, next)
    })
}

/// The first of the services: a name for people.
fn name(descriptors: &Descriptors) -> String {
    let endpoints = descriptors.endpoints();
    let first = endpoints.first().and_then(|endpoint| endpoint.name.split('/').next());
    first.unwrap_or("grpc").to_owned()
}

fn record(name: &str, descriptors: &Descriptors, addresses: &[&String]) -> anyhow::Result<Service> {
    let mut endpoints = descriptors.endpoints();
    for endpoint in &mut endpoints {
        let rule = rule(descriptors, endpoint)?;
        endpoint.metadata.insert(METADATA_KEY.to_owned(), rule);
    }
    let node = |address: &&String| Node {
        id: format!("{name}-{address}"),
        address: (*address).clone(),
        metadata: [("protocol".to_owned(), "grpc".to_owned())].into(),
        ..Node::default()
    };
    Ok(Service {
        name: name.to_owned(),
        nodes: addresses.iter().map(node).collect(),
        endpoints,
        ..Service::default()
    })
}

/// The rule of a method, or a route by its name.
fn rule(descriptors: &Descriptors, endpoint: &Endpoint) -> anyhow::Result<String> {
    let (service, method) = endpoint.name.split_once('/').unwrap_or((&endpoint.name, ""));
    let service = descriptors.pool().get_service_by_name(service);
    let method = service.and_then(|service| service.methods().find(|known| known.name() == method));
    let Some(method) = method else {
        return Ok(by_name(&endpoint.name));
    };
    let next = "correct the google.api.http option";
    let rule = Rule::of_method(&method).map_err(|error| with_next(error, next))?;
    let Some(rule) = rule else {
        return Ok(by_name(&endpoint.name));
    };
    rule.check(&method).map_err(|error| with_next(error, next))?;
    Ok(rule.to_json())
}

fn by_name(endpoint: &str) -> String {
    serde_json::json!({ "post": format!("/{endpoint}"), "body": "*" }).to_string()
}
