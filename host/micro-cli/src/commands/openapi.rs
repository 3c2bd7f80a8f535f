//! `micro openapi`.

use super::definitions;
use crate::args::OpenapiArgs;
use crate::failure::{coded, with_next};
use crate::output;
use crate::session::Session;
use micro::grpc::Descriptors;
use micro::{CallOptions, Flags, Protocol};
use micro_core::Code;
use micro_gateway::JsonForm;
use micro_gateway::openapi::{Messages, Operation, Route, document, routes};
use micro_rest::Rule;
use std::sync::Arc;

pub(super) async fn run(flags: &Flags, arguments: OpenapiArgs) -> anyhow::Result<()> {
    let form = if arguments.rpc_json { JsonForm::Rpc } else { JsonForm::Protobuf };
    let given = definitions::read(&arguments.definitions)?;
    let text = match (&arguments.service, given) {
        (service, Some(descriptors)) => {
            let name = service.as_deref().unwrap_or("api");
            print(name, "", form, of_descriptors(name, &descriptors)?)
        }
        (Some(name), None) => {
            let session = Session::healthy(flags).await?;
            let services = session.service(name).await?;
            // A service that does not say what it serves is described by its record.
            let options = CallOptions::new().protocol(Protocol::Grpc);
            let descriptors = session.client.describe(name, &options).await.ok();
            session.close().await;
            let operation = |route: Route| {
                let converted = route.messages == Messages::Converted;
                let descriptors = descriptors.as_ref().filter(|_| converted);
                Operation { method: descriptors.and_then(|it| it.of_endpoint(&route.endpoint)), route }
            };
            let operations: Vec<_> = routes(name, &services).into_iter().map(operation).collect();
            if operations.is_empty() {
                let next = "routes come from google.api.http options of the service's proto file, or from Go Micro's \
                            endpoint metadata; see docs/rest.md";
                return Err(coded(Code::VALUE, format!("{name} has no HTTP routes"), next));
            }
            let version = services.first().map(|service| service.version.as_str()).unwrap_or_default();
            print(name, version, form, operations)
        }
        (None, None) => {
            return Err(coded(Code::ARGUMENT_MISSING, "require service name", "micro openapi SERVICE"));
        }
    };
    output::write(text.as_bytes())
}

fn print(name: &str, version: &str, form: JsonForm, operations: Vec<Operation>) -> String {
    let version = if version.is_empty() { "latest" } else { version };
    format!("{:#}\n", document(name, version, form, operations))
}

fn of_descriptors(name: &str, descriptors: &Descriptors) -> anyhow::Result<Vec<Operation>> {
    let mut operations = Vec::new();
    for method in descriptors.pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let next = format!("correct the google.api.http option of {}", method.full_name());
        let Some(rule) = Rule::of_method(&method).map_err(|error| with_next(error, next.clone()))? else {
            continue;
        };
        rule.check(&method).map_err(|error| with_next(error, next))?;
        operations.extend(rule.bindings.into_iter().map(|binding| Operation {
            route: Route {
                service: name.to_owned(),
                endpoint: format!("{}.{}", method.parent_service().name(), method.name()),
                binding: Arc::new(binding),
                request: None,
                response: None,
                stream: method.is_server_streaming(),
                messages: Messages::Converted,
            },
            method: Some(method.clone()),
        }));
    }
    Ok(operations)
}
