//! `micro api`.

use crate::args::{ApiArgs, ToolkitFlags};
use crate::failure::{Next, failure};
use crate::session;
use micro::flags::LogFormat;
use micro::{Flags, Service};
use micro_gateway::{AccessLog, AllowList, Api, RpcAccess};
use micro_net::http_server::{HttpLimits, serve_http};
use micro_net::listen::Listener;
use std::time::Duration;

/// The name under which the gateway registers itself.
const NAME: &str = "go.micro.api";
/// As the services have it.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn run(flags: &Flags, toolkit: &ToolkitFlags, arguments: ApiArgs) -> anyhow::Result<()> {
    let address = arguments.address.unwrap_or_else(|| toolkit.api_address.clone());
    let namespace = arguments.namespace.unwrap_or_else(|| toolkit.api_namespace.clone());
    let handler = arguments.handler.as_deref().unwrap_or(&toolkit.api_handler).parse();
    let handler = handler.next("choose one with --api_handler")?;
    if !toolkit.enable_rpc && !toolkit.rpc_allow.is_empty() {
        return Err(failure(
            "--rpc_allow without --enable_rpc: there is no /rpc to allow anything on",
            "add --enable_rpc",
        ));
    }
    let rpc = match (toolkit.enable_rpc, toolkit.rpc_allow.as_slice()) {
        (false, _) => RpcAccess::Off,
        (true, []) => RpcAccess::Open,
        (true, allowed) => RpcAccess::Only(AllowList::new(allowed)),
    };
    let access_log = match (toolkit.no_access_log, flags.log_format.unwrap_or_default()) {
        (true, _) => AccessLog::Off,
        (false, LogFormat::Text) => AccessLog::Combined,
        (false, LogFormat::Json) => AccessLog::Fields,
    };

    // The gateway is a service too: it registers, and answers Debug.Health and Debug.Stats on a port of its own.
    let backends = session::backends(flags, "info", NAME).await?;
    let service = Service::builder(NAME)
        .after_start(async || {
            tracing::info!("API gateway started");
            Ok(())
        })
        .backends(backends)
        .flags(flags)
        .build()
        .await;
    let service = service.next("micro api --help lists the options")?;
    let api = Api::builder(service.client().clone())
        .namespace(namespace)
        .handler(handler)
        .rpc(rpc)
        .body_limit(toolkit.api_body_limit)
        .access_log(access_log)
        .ready(service.readiness().clone())
        .build();
    let listener = Listener::bind(&address).await.next("choose another address with --api_address")?;
    let bound = listener.local_addr();
    for handler in api.mounted() {
        tracing::info!("registering {handler}");
    }
    let grace = flags.drain_timeout.unwrap_or(DRAIN_TIMEOUT);
    let router = api.router();
    tracing::info!(address = %bound, "API gateway listening");
    let service = service
        .companion(move |stop| serve_http(listener, router, HttpLimits::default(), stop, grace))
        .companion(async move |stop| {
            tokio::select! {
                () = api.follow_routes() => {}
                () = stop.soon.cancelled() => {}
            }
        });
    service
        .run()
        .await
        .next("choose another RPC address with --server_address, or see what the message names")
}
