//! `micro openapi`.

use super::definitions;
use crate::args::OpenapiArgs;
use crate::failure::{coded, with_next};
use crate::output;
use crate::session::Session;
use micro::grpc::Descriptors;
use micro::{CallOptions, Flags, Protocol};
use micro_core::{Code, Endpoint, Service};
use micro_gateway::JsonForm;
use micro_gateway::openapi::{Operation, document};
use micro_rest::{METADATA_KEY, Rule};

/// An rpc with a rule.
struct Ruled<'a> {
    service: &'a str,
    endpoint: String,
    rule: Rule,
    method: Option<micro::prost_reflect::MethodDescriptor>,
    record: Option<&'a Endpoint>,
}

pub(super) async fn run(flags: &Flags, arguments: OpenapiArgs) -> anyhow::Result<()> {
    let form = if arguments.rpc_json { JsonForm::Rpc } else { JsonForm::Protobuf };
    let given = definitions::read(&arguments.definitions)?;
    let text = match (&arguments.service, given) {
        (service, Some(descriptors)) => {
            let name = service.as_deref().unwrap_or("api");
            print(name, "", form, &of_descriptors(name, &descriptors)?)
        }
        (Some(name), None) => {
            let session = Session::healthy(flags).await?;
            let services = session.service(name).await?;
            // A service that does not say what it serves is described by its record.
            let options = CallOptions::new().protocol(Protocol::Grpc);
            let descriptors = session.client.describe(name, &options).await.ok();
            let ruled = of_record(name, &services, descriptors.as_ref());
            let version = services.first().map(|service| service.version.as_str()).unwrap_or_default();
            let text = print(name, version, form, &ruled);
            session.close().await;
            if ruled.is_empty() {
                let next =
                    "routes come from google.api.http options of the service's proto file; see docs/rest.md";
                return Err(coded(Code::VALUE, format!("{name} has no HTTP routes"), next));
            }
            text
        }
        (None, None) => {
            return Err(coded(Code::ARGUMENT_MISSING, "require service name", "micro openapi SERVICE"));
        }
    };
    output::write(text.as_bytes())
}

fn print(name: &str, version: &str, form: JsonForm, ruled: &[Ruled<'_>]) -> String {
    let operations = ruled.iter().flat_map(|ruled| {
        ruled.rule.bindings.iter().map(|binding| Operation {
            service: ruled.service,
            endpoint: &ruled.endpoint,
            binding,
            method: ruled.method.clone(),
            shapes: ruled.record.map_or((None, None), |it| (it.request.as_ref(), it.response.as_ref())),
            stream: match (&ruled.method, ruled.record) {
                (Some(method), _) => method.is_server_streaming(),
                (None, record) => {
                    record.is_some_and(|it| it.metadata.get("stream").is_some_and(|it| it == "true"))
                }
            },
        })
    });
    let version = if version.is_empty() { "latest" } else { version };
    format!("{:#}\n", document(name, version, form, operations))
}

fn of_descriptors<'a>(name: &'a str, descriptors: &Descriptors) -> anyhow::Result<Vec<Ruled<'a>>> {
    let mut ruled = Vec::new();
    for method in descriptors.pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let next = format!("correct the google.api.http option of {}", method.full_name());
        let Some(rule) = Rule::of_method(&method).map_err(|error| with_next(error, next.clone()))? else {
            continue;
        };
        rule.check(&method).map_err(|error| with_next(error, next))?;
        let endpoint = format!("{}.{}", method.parent_service().name(), method.name());
        ruled.push(Ruled { service: name, endpoint, rule, method: Some(method), record: None });
    }
    Ok(ruled)
}

fn of_record<'a>(
    name: &'a str,
    services: &'a [Service],
    descriptors: Option<&Descriptors>,
) -> Vec<Ruled<'a>> {
    let mut ruled: Vec<Ruled<'a>> = Vec::new();
    for endpoint in services.iter().flat_map(|service| &service.endpoints) {
        let rule = endpoint.metadata.get(METADATA_KEY).and_then(|text| Rule::parse(text).ok());
        let known = ruled.iter().any(|known| known.endpoint == endpoint.name);
        if let Some(rule) = rule.filter(|_| !known) {
            let method = descriptors.and_then(|it| it.of_endpoint(&endpoint.name));
            ruled.push(Ruled {
                service: name,
                endpoint: endpoint.name.clone(),
                rule,
                method,
                record: Some(endpoint),
            });
        }
    }
    ruled
}
