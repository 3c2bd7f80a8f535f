//! `micro registry`: the registry of the flags, as the service that Go programs with `MICRO_REGISTRY=service` call.

use crate::args::RegistryArgs;
use crate::failure::Next;
use crate::session;
use micro::{Flags, Service, registry_service};

pub(super) async fn run(flags: &Flags, arguments: RegistryArgs) -> anyhow::Result<()> {
    let address = arguments.address.or_else(|| flags.server_address.clone());
    let address = address.unwrap_or_else(|| registry_service::ADDRESS.to_owned());
    let flags = Flags { server_address: Some(address), ..flags.clone() };
    let backends = session::backends(&flags, "info", registry_service::NAME).await?;
    let handler = registry_service::handler(backends.registry.clone());
    // It registers, too: in its own registry, where programs with another way to that find it.
    let service = Service::builder(registry_service::NAME).backends(backends).handler(handler).flags(&flags);
    let service = service.build().await.next("micro registry --help lists the options")?;
    let next = "choose another address with --address, and tell the programs with MICRO_REGISTRY_ADDRESS";
    service.run().await.next(next)
}
