//! `micro api`.

use crate::args::{ApiArgs, ToolkitFlags};
use crate::failure::{Next, failure};
use crate::session;
use micro::flags::LogFormat;
use micro::{Flags, Service};
use micro_gateway::{AccessLog, AllowList, Api, RpcAccess};
use micro_net::Stop;
use micro_net::http_server::{HttpLimits, serve_http};
use micro_net::listen::Listener;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

/// The name under which the gateway registers itself.
const NAME: &str = "go.micro.api";
/// As the services have it.
const DRAIN_DELAY: Duration = Duration::from_secs(2);
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

    let mut signals = Signals::take().next("signals are needed to stop in order")?;
    // The gateway is a service too: it registers, and answers Debug.Health and Debug.Stats on a port of its own.
    let backends = session::backends(flags, "info").await?;
    let service = Service::builder(NAME).handle_signals(false).backends(backends).flags(flags).build().await;
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
    // Probes and calls are answered from here on; ready is what has registered.
    let ready = service.readiness().clone();
    ready.set("gateway", Err("starting".to_owned()));
    let stop = Stop::new();
    let grace = flags.drain_timeout.unwrap_or(DRAIN_TIMEOUT);
    let serving =
        tokio::spawn(serve_http(listener, api.router(), HttpLimits::default(), stop.clone(), grace));
    tracing::info!(address = %bound, "API gateway listening");
    // Ends with this function.
    let mut following = JoinSet::new();
    following.spawn(async move { api.follow_routes().await });
    let running = tokio::select! {
        running = service.start() => running.next("choose another RPC address with --server_address")?,
        // A start that waits can be interrupted: nothing was promised to anybody yet.
        () = signals.next() => {
            tracing::info!("stopping before the start was complete");
            return Ok(());
        }
    };
    ready.set("gateway", Ok(()));
    tracing::info!(node = running.node_id(), "API gateway started");

    signals.next().await;
    tracing::info!("stopping");
    // 1. Not ready, and out of the registry; the service does both, and then waits as long as the gateway does.
    let leaving = running.stop();
    let gateway = async {
        // 2. Load balancers and caches need a while to notice, so requests are still accepted.
        tokio::select! {
            () = tokio::time::sleep(flags.drain_delay.unwrap_or(DRAIN_DELAY)) => {}
            () = stop.now.cancelled() => {}
        }
        // 3. Nothing new; requests in flight get their time.
        stop.soon.cancel();
        serving.await
    };
    tokio::select! {
        (left, served) = async { tokio::join!(leaving, gateway) } => {
            served.next("this is a defect: please report it with the log")?;
            left.next("the log says what did not stop cleanly")
        }
        // 4. A second signal skips the waits.
        () = signals.next() => {
            tracing::warn!("stopping at once");
            stop.now.cancel();
            Ok(())
        }
    }
}

/// The signals that stop a program.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn take() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
