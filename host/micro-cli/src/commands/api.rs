//! `micro api`.

use super::endpoint;
use crate::args::{ApiArgs, ToolkitFlags};
use crate::failure::{Next, coded, failure};
use crate::session;
use micro::flags::LogFormat;
use micro::{Flags, Service};
use micro_core::Code;
use micro_gateway::{AccessLog, AllowList, Api, Cors, JsonForm, RpcAccess};
use micro_net::http_server::{HttpLimits, serve_http};
use micro_net::listen::Listener;
use micro_net::tls::{Identity, ServerTls};
use micro_net::{ReloadingTls, Stop, TrustedProxies};
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

    let origins = if arguments.cors.is_empty() { &toolkit.api_cors } else { &arguments.cors };
    let cors = toolkit.enable_cors.then(|| cors(origins, toolkit)).transpose()?;
    let tls = tls(toolkit)?;
    let proxies = proxies(toolkit)?;

    // The gateway is a service too: it registers, and answers Debug.Health and Debug.Stats on a port of its own.
    let alone = Flags { registry: Some("memory".to_owned()), registry_address: None, ..flags.clone() };
    let flags = if arguments.endpoint.is_empty() { flags } else { &alone };
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
    let filters = service.backends().filters.clone();
    let behind = endpoint::open(&arguments.endpoint, &arguments.definitions).await?;
    let (client, namespace) = match &behind {
        // Names of paths stand for nothing then: there are no services but those of the endpoints.
        Some(behind) => (behind.client.clone(), " ".to_owned()),
        None => (service.client().clone(), namespace),
    };
    let openapi_path = openapi_path(&arguments.openapi_path)?;
    let mut api = Api::builder(client)
        .front(micro_gateway::filter::in_front(filters))
        .namespace(namespace)
        .handler(handler)
        .rpc(rpc)
        .body_limit(toolkit.api_body_limit)
        .body_timeout(toolkit.api_client_timeout)
        .proxy_timeout(toolkit.api_proxy_timeout)
        .websocket_timeout(toolkit.api_websocket_timeout)
        .cors(cors)
        .stats(toolkit.enable_stats)
        .access_log(access_log)
        .ready(service.readiness().clone())
        .openapi(openapi_path)
        .json(if arguments.rpc_json { JsonForm::Rpc } else { JsonForm::Protobuf });
    for (service, descriptors) in behind.into_iter().flat_map(|behind| behind.services) {
        api = api.descriptors(service, descriptors);
    }
    let api = api.build();
    let listener = Listener::bind(&address).await.next("choose another address with --api_address")?;
    let mut listener =
        listener.with_max_connections(toolkit.api_max_connections).with_trusted_proxies(proxies);
    if toolkit.proxy_protocol {
        listener = listener.with_proxy_protocol();
    }
    if let Some(tls) = &tls {
        listener = listener.with_reloading_tls(tls);
    }
    let bound = listener.local_addr();
    for handler in api.mounted() {
        tracing::info!("registering {handler}");
    }
    let grace = flags.drain_timeout.unwrap_or(DRAIN_TIMEOUT);
    let router = api.router();
    let limits = HttpLimits {
        head_timeout: toolkit.api_client_timeout,
        write_timeout: toolkit.api_client_timeout,
        ..HttpLimits::default()
    };
    tracing::info!(address = %bound, tls = tls.is_some(), "API gateway listening");
    let websockets = api.clone();
    let service = service
        .companion(move |stop| serve_http(listener, router, limits, stop, grace))
        .companion(async move |stop: Stop| websockets.close_websockets(stop, grace).await)
        .companion(async move |stop: Stop| {
            if let Some(tls) = tls {
                tls.follow(stop).await;
            }
        })
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

/// Where the document is served; none for nowhere.
fn openapi_path(path: &str) -> anyhow::Result<Option<String>> {
    match path {
        "" => Ok(None),
        path if path.starts_with('/') && path.len() > 1 => Ok(Some(path.to_owned())),
        path => Err(failure(
            format!("--openapi_path={path} is no path"),
            "write for instance --openapi_path=/openapi.json, or --openapi_path= for no document",
        )),
    }
}

fn cors(origins: &[String], toolkit: &ToolkitFlags) -> anyhow::Result<Cors> {
    let mut cors = Cors::default().origins(origins);
    if !toolkit.cors_allowed_methods.is_empty() {
        cors = cors.methods(&toolkit.cors_allowed_methods).next("correct --cors_allowed_methods")?;
    }
    if !toolkit.cors_allowed_headers.is_empty() {
        cors = cors.headers(&toolkit.cors_allowed_headers).next("correct --cors_allowed_headers")?;
    }
    Ok(cors)
}

/// TLS settings that will be followed, if TLS is wanted.
fn tls(toolkit: &ToolkitFlags) -> anyhow::Result<Option<ReloadingTls>> {
    let (certificate, key) = (&toolkit.tls_cert_file, &toolkit.tls_key_file);
    if !toolkit.enable_tls {
        // Somebody who names files believes that they are used.
        return match certificate.is_some() || key.is_some() || toolkit.tls_client_ca_file.is_some() {
            true => Err(coded(
                Code::TLS,
                "TLS files without --enable_tls: nothing would be encrypted",
                "add --enable_tls",
            )),
            false => Ok(None),
        };
    }
    let (Some(certificate), Some(key)) = (certificate.clone(), key.clone()) else {
        return Err(coded(
            Code::TLS,
            "TLS certificate and key files not specified",
            "name them with --tls_cert_file and --tls_key_file",
        ));
    };
    let settings = ServerTls {
        identity: Identity { certificate, key },
        client_roots: toolkit.tls_client_ca_file.clone(),
    };
    let tls = ReloadingTls::load(settings, &["http/1.1"]);
    tls.next("correct --tls_cert_file, --tls_key_file or --tls_client_ca_file").map(Some)
}

fn proxies(toolkit: &ToolkitFlags) -> anyhow::Result<TrustedProxies> {
    let proxies = TrustedProxies::parse(toolkit.trusted_proxies.iter().map(String::as_str));
    let proxies = proxies.next("correct --trusted_proxies")?;
    if toolkit.proxy_protocol && proxies.is_empty() {
        return Err(coded(
            Code::PROXIES,
            "--proxy_protocol without --trusted_proxies: nobody could be believed",
            "name the proxies with --trusted_proxies",
        ));
    }
    Ok(proxies)
}
