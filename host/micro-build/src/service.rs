//! The trait, the handler and the client of a service.

use crate::annotations::Annotations;
use crate::json::path;
use crate::names::snake;
use proc_macro2::{Ident, TokenStream};
use prost_build::{Comments, Method, Service, ServiceGenerator};
use quote::{format_ident, quote};
use std::collections::BTreeSet;

/// Writes services into prost's output.
#[derive(Debug)]
pub(crate) struct Generator {
    /// The path of the crate `micro`.
    pub(crate) micro: TokenStream,
    pub(crate) annotations: Annotations,
}

impl ServiceGenerator for Generator {
    fn generate(&mut self, service: Service, buf: &mut String) {
        let mut service = Typed::new(&self.micro, &service);
        service.more = self.annotations.of_handler(&service.full_name);
        for item in [service.server_trait(), service.handler(), service.client()] {
            buf.push_str(&item.to_string());
            buf.push('\n');
        }
    }
}

/// A service with its names and types as tokens.
struct Typed<'a> {
    micro: &'a TokenStream,
    /// As in the proto file, which is as on the wire.
    proto_name: &'a str,
    full_name: String,
    docs: TokenStream,
    name: Ident,
    client: Ident,
    handler: Ident,
    methods: Vec<TypedMethod<'a>>,
    /// What else the handler is told.
    more: TokenStream,
}

struct TypedMethod<'a> {
    proto_name: &'a str,
    docs: TokenStream,
    name: Ident,
    /// The client's variant that takes options.
    name_with: Ident,
    request: TokenStream,
    response: TokenStream,
    kind: Kind,
}

/// Which sides may send more than one message.
#[derive(Clone, Copy)]
enum Kind {
    Unary,
    ServerStreaming,
    ClientStreaming,
    Bidirectional,
}

impl<'a> Typed<'a> {
    fn new(micro: &'a TokenStream, service: &'a Service) -> Self {
        let dot = if service.package.is_empty() { "" } else { "." };
        let mut taken = BTreeSet::from(["new".to_owned()]);
        Self {
            micro,
            proto_name: &service.proto_name,
            full_name: format!("{}{dot}{}", service.package, service.proto_name),
            docs: docs(&service.comments),
            name: ident(&service.name),
            client: format_ident!("{}Client", service.name.trim_start_matches("r#")),
            handler: format_ident!("{}_handler", snake(&service.proto_name).trim_start_matches("r#")),
            methods: service.methods.iter().map(|method| TypedMethod::new(method, &mut taken)).collect(),
            more: TokenStream::new(),
        }
    }

    fn server_trait(&self) -> TokenStream {
        let Self { micro, docs, name, full_name, .. } = self;
        let summary = format!("The service `{full_name}`, for its implementation.");
        let methods = self.methods.iter().map(|method| {
            let TypedMethod { docs, name, request, response, proto_name, kind, .. } = method;
            let summary = format!("Answers `{}.{proto_name}`.", self.proto_name);
            let docs = or(docs, &summary);
            let (arguments, output) = match kind {
                Kind::Unary => (quote!(request: #request), response.clone()),
                Kind::ServerStreaming => {
                    (quote!(request: #request, responses: #micro::Responses<#response>), quote!(()))
                }
                Kind::ClientStreaming => (quote!(requests: #micro::Requests<#request>), response.clone()),
                Kind::Bidirectional => (
                    quote!(requests: #micro::Requests<#request>, responses: #micro::Responses<#response>),
                    quote!(()),
                ),
            };
            quote! {
                #docs
                fn #name(
                    &self,
                    cx: #micro::Context,
                    #arguments,
                ) -> impl ::core::future::Future<Output = ::core::result::Result<#output, #micro::Error>>
                     + ::core::marker::Send;
            }
        });
        let docs = or(docs, &summary);
        let allow = allow_dead_code();
        quote! {
            #docs
            #allow
            pub trait #name: ::core::marker::Send + ::core::marker::Sync + 'static {
                #(#methods)*
            }
        }
    }

    fn handler(&self) -> TokenStream {
        let Self { micro, name, handler, proto_name, more, .. } = self;
        let summary =
            doc(&format!("Serves the endpoints `{proto_name}.*` with an implementation of [`{name}`]."));
        let methods = self.methods.iter().map(|method| {
            let TypedMethod { proto_name, name, request, response, kind, .. } = method;
            let (add, arguments) = match kind {
                Kind::Unary => (quote!(unary), quote!(request)),
                Kind::ServerStreaming => (quote!(server_streaming), quote!(request, responses)),
                Kind::ClientStreaming => (quote!(client_streaming), quote!(requests)),
                Kind::Bidirectional => (quote!(bidirectional), quote!(requests, responses)),
            };
            quote! {
                .#add::<#request, #response, _, _>(
                    #proto_name,
                    <#request as #micro::Payload>::shape(),
                    <#response as #micro::Payload>::shape(),
                    {
                        let service = ::std::sync::Arc::clone(&service);
                        move |cx, #arguments| {
                            let service = ::std::sync::Arc::clone(&service);
                            async move { service.#name(cx, #arguments).await }
                        }
                    },
                )
            }
        });
        let (argument, share) = if self.methods.is_empty() {
            (quote!(_service), quote!())
        } else {
            (quote!(service), quote!(let service = ::std::sync::Arc::new(service);))
        };
        let allow = allow_dead_code();
        quote! {
            #summary
            #allow
            pub fn #handler(#argument: impl #name) -> #micro::Handler {
                #share
                #micro::Handler::new(#proto_name) #(#methods)* #more
            }
        }
    }

    fn client(&self) -> TokenStream {
        let Self { micro, client, full_name, .. } = self;
        let summary = doc(&format!("Calls `{full_name}` at whoever is registered under a service name."));
        let methods = self.methods.iter().map(|method| {
            let TypedMethod { docs, name, name_with, request, response, proto_name, kind } = method;
            let endpoint = format!("{}.{proto_name}", self.proto_name);
            let docs = or(docs, &format!("Calls `{endpoint}`."));
            let with = doc(&format!("As [`{name}`](Self::{name}), with options of its own."));
            let (output, call) = match kind {
                Kind::Unary => (response.clone(), quote!(call_with::<#request, #response>)),
                Kind::ServerStreaming => {
                    (quote!(#micro::StreamReceiver<#response>), quote!(server_stream::<#request, #response>))
                }
                Kind::ClientStreaming | Kind::Bidirectional => (
                    quote!(#micro::ClientStream<#request, #response>),
                    quote!(open_stream::<#request, #response>),
                ),
            };
            // Streams of requests are sent when they are open.
            let (argument, value, reference) = match kind {
                Kind::Unary | Kind::ServerStreaming => {
                    (quote!(request: #request,), quote!(request,), quote!(&request,))
                }
                Kind::ClientStreaming | Kind::Bidirectional => (quote!(), quote!(), quote!()),
            };
            quote! {
                #docs
                pub async fn #name(&self, #argument) -> ::core::result::Result<#output, #micro::Error> {
                    self.#name_with(#value #micro::CallOptions::new()).await
                }

                #with
                pub async fn #name_with(
                    &self,
                    #argument
                    options: #micro::CallOptions,
                ) -> ::core::result::Result<#output, #micro::Error> {
                    self.client.#call(&self.service, #endpoint, #reference &options).await
                }
            }
        });
        let allow = allow_dead_code();
        quote! {
            #summary
            #allow
            #[derive(Clone, Debug)]
            pub struct #client {
                service: ::std::string::String,
                client: #micro::Client,
            }

            #allow
            impl #client {
                /// A client of the nodes that are registered as `service`.
                pub fn new(service: impl ::core::convert::Into<::std::string::String>, client: #micro::Client) -> Self {
                    Self { service: service.into(), client }
                }

                #(#methods)*
            }
        }
    }
}

impl<'a> TypedMethod<'a> {
    /// `taken` holds the names of the client's functions so far. A method whose name is taken gets underscores.
    fn new(method: &'a Method, taken: &mut BTreeSet<String>) -> Self {
        let mut name = method.name.clone();
        let with = |name: &str| format!("{}_with", name.trim_start_matches("r#").trim_end_matches('_'));
        while taken.contains(&name) || taken.contains(&with(&name)) {
            name = format!("{}_", name.trim_start_matches("r#"));
        }
        taken.extend([name.clone(), with(&name)]);
        Self {
            proto_name: &method.proto_name,
            docs: docs(&method.comments),
            name: ident(&name),
            name_with: ident(&with(&name)),
            request: rust_type(&method.input_type),
            response: rust_type(&method.output_type),
            kind: match (method.client_streaming, method.server_streaming) {
                (false, false) => Kind::Unary,
                (false, true) => Kind::ServerStreaming,
                (true, false) => Kind::ClientStreaming,
                (true, true) => Kind::Bidirectional,
            },
        }
    }
}

fn ident(name: &str) -> Ident {
    match name.strip_prefix("r#") {
        Some(keyword) => Ident::new_raw(keyword, proc_macro2::Span::call_site()),
        None => format_ident!("{name}"),
    }
}

/// The proto file's comments as doc attributes. Detached ones belong to nothing, and are left out.
fn docs(comments: &Comments) -> TokenStream {
    let attached = Comments { leading_detached: Vec::new(), ..comments.clone() };
    let mut text = String::new();
    attached.append_with_indent(0, &mut text);
    text.parse().unwrap_or_default()
}

fn or(docs: &TokenStream, summary: &str) -> TokenStream {
    if docs.is_empty() { doc(summary) } else { docs.clone() }
}

/// One line of documentation, spaced as `/// text` is.
fn doc(line: &str) -> TokenStream {
    let line = format!(" {line}");
    quote!(#[doc = #line])
}

/// One crate serves, another calls.
pub(crate) fn allow_dead_code() -> TokenStream {
    quote!(#[allow(dead_code, reason = "a crate may use one part of the generated code")])
}

/// A type as prost spells it: a path, or `()` for an empty message.
fn rust_type(name: &str) -> TokenStream {
    if name == "()" { quote!(()) } else { path(name).unwrap_or_default() }
}
