//! What the proto files say of services beyond their methods: `google.api.http` options, as metadata that endpoints are
//! registered with, and the definitions themselves.
//!
//! | key | value | read by |
//! |---|---|---|
//! | `google.api.http` | the rule, as JSON | gateways of this project |
//! | `endpoint`, `handler`, `method`, `path`, `body` | the rule's own binding, and the paths of others that differ in nothing else | Go Micro's gateway too |

use crate::error::Error;
use crate::sources::Sources;
use micro_rest::{BodyRule, METADATA_KEY, Rule};
use proc_macro2::{Literal, TokenStream};
use protox::prost_reflect::MethodDescriptor;
use quote::quote;
use std::collections::{BTreeMap, HashMap};

/// By the full names of services.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    services: HashMap<String, Annotated>,
}

#[derive(Debug, Default)]
struct Annotated {
    /// Method, key, value.
    metadata: Vec<(String, &'static str, String)>,
    definitions: Vec<u8>,
}

impl Annotations {
    /// Reads and checks the options of all services that are generated.
    pub(crate) fn of(sources: &Sources) -> Result<Self, Error> {
        let packages = sources.packages();
        let mut services = HashMap::new();
        let mut routes = BTreeMap::new();
        for service in sources.pool.services().filter(|it| packages.contains(it.package_name())) {
            let mut annotated =
                Annotated { definitions: sources.set_of(&service.parent_file()), ..Annotated::default() };
            for method in service.methods() {
                if let Some(rule) = rule(&method)? {
                    claim(&mut routes, &method, &rule)?;
                    let metadata = metadata(&method, &rule);
                    annotated.metadata.extend(
                        metadata.into_iter().map(|(key, value)| (method.name().to_owned(), key, value)),
                    );
                }
            }
            services.insert(service.full_name().to_owned(), annotated);
        }
        Ok(Self { services })
    }

    /// Calls on a new handler of the service.
    pub(crate) fn of_handler(&self, service: &str) -> TokenStream {
        let Some(Annotated { metadata, definitions }) = self.services.get(service) else {
            return TokenStream::new();
        };
        let metadata =
            metadata.iter().map(|(method, key, value)| quote!(.endpoint_metadata(#method, #key, #value)));
        let definitions = Literal::byte_string(definitions);
        quote!(#(#metadata)* .definitions(#definitions))
    }
}

fn rule(method: &MethodDescriptor) -> Result<Option<Rule>, Error> {
    let error = |source: Box<dyn std::error::Error + Send + Sync>| Error::Rule {
        place: place(method),
        rpc: method.full_name().to_owned(),
        source,
    };
    let Some(rule) = Rule::of_method(method).map_err(|source| error(source.into()))? else {
        return Ok(None);
    };
    rule.check(method).map_err(|source| error(source.into()))?;
    Ok(Some(rule))
}

/// Refuses routes that another method of the same proto files has.
fn claim(
    routes: &mut BTreeMap<(String, String), String>,
    method: &MethodDescriptor,
    rule: &Rule,
) -> Result<(), Error> {
    for binding in &rule.bindings {
        let key = (binding.method.clone(), binding.template.shape());
        let second = method.full_name().to_owned();
        if let Some(first) = routes.insert(key, second.clone()) {
            let route = format!("{} {}", binding.method, binding.template);
            return Err(Error::RouteClash { place: place(method), route, first, second });
        }
    }
    Ok(())
}

fn metadata(method: &MethodDescriptor, rule: &Rule) -> Vec<(&'static str, String)> {
    let mut metadata = vec![(METADATA_KEY, rule.to_json())];
    let Some(first) = rule.bindings.first() else {
        return metadata;
    };
    let same = |binding: &&micro_rest::Binding| binding.method == first.method && binding.body == first.body;
    let paths: Vec<&str> =
        rule.bindings.iter().filter(same).map(|binding| binding.template.as_str()).collect();
    // Go Micro's lists have commas between their items, and no other ones.
    if paths.iter().any(|path| path.contains(',')) {
        return metadata;
    }
    metadata.push(("endpoint", format!("{}.{}", method.parent_service().name(), method.name())));
    metadata.push(("handler", "rpc".to_owned()));
    if first.method != "*" {
        metadata.push(("method", first.method.clone()));
    }
    metadata.push(("path", paths.join(",")));
    match &first.body {
        BodyRule::None => {}
        BodyRule::Whole => metadata.push(("body", "*".to_owned())),
        BodyRule::Field(field) => metadata.push(("body", field.clone())),
    }
    metadata
}

/// The file that defines the method, with the line where that is known.
fn place(method: &MethodDescriptor) -> String {
    let file = method.parent_service().parent_file();
    let locations = file.file_descriptor_proto().source_code_info.as_ref().map(|info| &info.location);
    let mut locations = locations.into_iter().flatten();
    let line = locations.find(|it| it.path == method.path()).and_then(|it| it.span.first());
    match line {
        Some(line) => format!("{}:{}", file.name(), line + 1),
        None => file.name().to_owned(),
    }
}
