//! The registry as a service: what programs of Go Micro call that were started with `MICRO_REGISTRY=service`
//! (`go-micro-wire` §5.9).
//!
//! ```text
//! Go program -- Registry.Register, GetService, ... --> this handler -- micro_core::Registry --> etcd, consul, a plugin
//! ```
//!
//! A registration lives as long as it says, and the program that made it renews it, as it would in any registry: nothing
//! is kept alive for it here.

mod feed;
mod messages;
mod names;
#[cfg(test)]
mod tests;
mod watch;

pub use messages::{
    EmptyResponse, EndpointRecord, GetRequest, GetResponse, ListRequest, ListResponse, NodeRecord,
    RegisterOptions, ServiceRecord, ValueRecord, WatchRequest, WatchResult,
};

use crate::context::Context;
use crate::handler::Handler;
use crate::payload::Payload;
use crate::stream::Responses;
use feed::Feed;
use futures::StreamExt;
use messages::ID;
use micro_core::{Error, Registry, RegistryError, Service};
use names::Namespace;
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

/// The name under which programs look for it.
pub const NAME: &str = "go.micro.registry";
/// Where programs look for it that were not told an address: port 8000 of their own machine.
pub const ADDRESS: &str = ":8000";

/// The handler `Registry` over a registry: `GetService`, `ListServices`, `Register`, `Deregister` and the stream `Watch`.
///
/// Its errors have the id `go.micro.registry`: 404 with Go's text for a name that nobody serves, 400 for a record that
/// is none, 403 and 503 for what the registry refuses or cannot do now, 408 when it does not answer.
pub fn handler(registry: Arc<dyn Registry>) -> Handler {
    let feed = Arc::new(Feed::new(registry.clone()));
    let (get, list, register) = (registry.clone(), registry.clone(), registry.clone());
    Handler::new("Registry")
        .unary("GetService", GetRequest::shape(), GetResponse::shape(), move |cx, request| {
            get_service(get.clone(), cx, request)
        })
        .unary("ListServices", ListRequest::shape(), ListResponse::shape(), move |cx, _: ListRequest| {
            list_services(list.clone(), cx)
        })
        .unary("Register", ServiceRecord::shape(), EmptyResponse::shape(), move |cx, record| {
            self::register(register.clone(), cx, record)
        })
        .unary("Deregister", ServiceRecord::shape(), EmptyResponse::shape(), move |cx, record| {
            deregister(registry.clone(), cx, record)
        })
        .server_streaming(
            "Watch",
            WatchRequest::shape(),
            WatchResult::shape(),
            move |cx, request, responses| watch(feed.clone(), cx, request, responses),
        )
}

async fn get_service(
    registry: Arc<dyn Registry>,
    cx: Context,
    request: GetRequest,
) -> Result<GetResponse, Error> {
    let namespace = Namespace::of(cx.headers());
    let mut services = Vec::new();
    for name in namespace.visible(&request.service) {
        let found = registry.get_service(&name).await.map_err(failed)?.services;
        services.extend(found.iter().filter_map(|service| namespace.show(service)).map(ServiceRecord::from));
    }
    if services.is_empty() {
        // The words of every registry of Go, for which programs look.
        return Err(Error::not_found(ID, "service not found"));
    }
    Ok(GetResponse { services })
}

async fn list_services(registry: Arc<dyn Registry>, cx: Context) -> Result<ListResponse, Error> {
    let namespace = Namespace::of(cx.headers());
    let names = registry.list_services().await.map_err(failed)?;
    let names: BTreeSet<&str> = names.iter().filter_map(|name| namespace.seen(name)).collect();
    let service = |name: &str| Service { name: name.to_owned(), ..Service::default() }.into();
    Ok(ListResponse { services: names.into_iter().map(service).collect() })
}

async fn register(
    registry: Arc<dyn Registry>,
    cx: Context,
    record: ServiceRecord,
) -> Result<EmptyResponse, Error> {
    let ttl = record.ttl();
    let service = kept(&cx, record)?;
    registry.register(&service, ttl).await.map_err(failed)?;
    let node = &service.nodes[0];
    tracing::debug!(
        service = service.name,
        node = node.id,
        address = node.address,
        ?ttl,
        "registered for a caller"
    );
    Ok(EmptyResponse {})
}

async fn deregister(
    registry: Arc<dyn Registry>,
    cx: Context,
    record: ServiceRecord,
) -> Result<EmptyResponse, Error> {
    let service = kept(&cx, record)?;
    registry.deregister(&service).await.map_err(failed)?;
    tracing::debug!(service = service.name, node = service.nodes[0].id, "deregistered for a caller");
    Ok(EmptyResponse {})
}

async fn watch(
    feed: Arc<Feed>,
    cx: Context,
    request: WatchRequest,
    responses: Responses<WatchResult>,
) -> Result<(), Error> {
    let mut results = pin!(watch::results(feed, Namespace::of(cx.headers()), request.service));
    while let Some(result) = results.next().await {
        responses.send(result?).await?;
    }
    Ok(())
}

/// A caller's record under the name of its namespace. It has a node.
fn kept(cx: &Context, record: ServiceRecord) -> Result<Service, Error> {
    let mut service = record.into_service()?;
    service.name = Namespace::of(cx.headers()).own(&service.name);
    Ok(service)
}

/// What of the registry's failure a caller gets: Go's registry said 500 to everything.
fn failed(error: RegistryError) -> Error {
    let code = match &error {
        RegistryError::Denied { .. } => 403,
        RegistryError::Invalid { .. } => 400,
        RegistryError::Conflict { .. } => 409,
        RegistryError::Timeout { .. } => 408,
        RegistryError::Unavailable { .. } => 503,
        RegistryError::Plugin { .. } | RegistryError::Other { .. } => 500,
    };
    tracing::warn!(%error, "the registry did not do what a caller asked for");
    Error::new(ID, code, error.to_string())
}
