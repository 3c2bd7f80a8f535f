//! `micro list services`, `get service`, `register service`, `deregister service`.

use super::{describe, tell};
use crate::args::{Definition, Format};
use crate::failure::{Next, coded};
use crate::output;
use crate::session::Session;
use micro::{CallOptions, Flags, Protocol};
use micro_core::{Code, Node, Service, record};
use serde_json::json;
use std::time::Duration;

pub(super) async fn list(flags: &Flags, format: Format) -> anyhow::Result<()> {
    let session = Session::healthy(flags).await?;
    let listed = session.backends.registry.list_services().await;
    let mut names = listed.map_err(|error| session.registry_failed(error))?;
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        tell(&format!("no services in the registry {}", session.backends.registry.location()));
    }
    let text = || names.iter().map(|name| format!("{}\n", output::plain(name))).collect();
    output::answer(format, text, &json!({ "services": names }))?;
    session.close().await;
    Ok(())
}

pub(super) async fn get(flags: &Flags, format: Format, name: Option<String>) -> anyhow::Result<()> {
    let name =
        name.ok_or_else(|| coded(Code::ARGUMENT_MISSING, "service required", "micro get service NAME"))?;
    let session = Session::healthy(flags).await?;
    let mut services = session.service(&name).await?;
    if let Some(problem) = complete(&session, &name, &mut services).await {
        tell(&problem);
    }
    // The records as they stand in a registry, and as `micro register service` takes them.
    let records: Result<Vec<serde_json::Value>, _> =
        services.iter().map(|service| serde_json::from_str(&record::to_json(service))).collect();
    output::answer(format, || describe::service(&name, &services), &json!({ "services": records? }))?;
    session.close().await;
    Ok(())
}

/// Adds the methods that gRPC nodes say they have to records that name none. What went wrong, if something did.
async fn complete(session: &Session, name: &str, services: &mut [Service]) -> Option<String> {
    let unknown = services.iter().all(|version| version.endpoints.is_empty());
    let protocol = |node: &Node| session.client.protocol_of(name, node);
    let grpc =
        |version: &Service| version.nodes.iter().any(|node| protocol(node).is_some_and(Protocol::is_grpc));
    if !unknown || !services.iter().any(grpc) {
        return None;
    }
    match session.client.describe(name, &CallOptions::new()).await {
        Ok(descriptors) => {
            services.iter_mut().for_each(|version| version.endpoints = descriptors.endpoints());
            None
        }
        Err(error) => Some(format!("the methods of {name} are not known: {}", output::plain(&error.detail))),
    }
}

pub(super) async fn register(flags: &Flags, format: Format, definition: &Definition) -> anyhow::Result<()> {
    let service = read(definition, "register")?;
    let session = Session::healthy(flags).await?;
    // Nobody sends heartbeats for it: it stays until it is removed, or for as long as was asked for.
    let ttl = flags.register_ttl.unwrap_or(Duration::ZERO);
    let done = session.backends.registry.register(&service, ttl).await;
    done.map_err(|error| session.registry_failed(error))?;
    ok(format)?;
    session.close().await;
    Ok(())
}

pub(super) async fn deregister(flags: &Flags, format: Format, definition: &Definition) -> anyhow::Result<()> {
    let service = read(definition, "deregister")?;
    let session = Session::healthy(flags).await?;
    let done = session.backends.registry.deregister(&service).await;
    done.map_err(|error| session.registry_failed(error))?;
    ok(format)?;
    session.close().await;
    Ok(())
}

fn ok(format: Format) -> anyhow::Result<()> {
    output::answer(format, || "ok\n".to_owned(), &json!({ "ok": true }))
}

/// The words of the command line, which together are a service.
fn read(definition: &Definition, command: &str) -> anyhow::Result<Service> {
    let form = || {
        let example =
            r#"{"name": "foo", "version": "1", "nodes": [{"id": "foo-1", "address": "127.0.0.1:9000"}]}"#;
        format!("micro {command} service '{example}'")
    };
    if definition.json.is_empty() {
        return Err(coded(Code::ARGUMENT_MISSING, "require service definition", form()));
    }
    record::from_json(definition.json.join(" ").as_bytes()).next_as(Code::VALUE, form())
}
