//! Handlers: what a service can be asked to do.

mod streaming;

use crate::context::Context;
use crate::payload::{Format, Payload};
use crate::rpc::{Body, RpcHead, RpcRequest, RpcResponse};
use futures::future::BoxFuture;
use micro_core::registry::Metadata;
use micro_core::{Endpoint, Error, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A group of methods under one name, as Go Micro's handler struct is: `Say` with `Hello` is the endpoint `Say.Hello`.
///
/// Generated code makes one from a trait (`say_handler(service)`). By hand:
///
/// ```
/// use micro::{Handler, Json};
///
/// let handler = Handler::new("Echo").json("Upper", |_cx, text: String| async move { Ok(text.to_uppercase()) });
/// # let _ = handler;
/// ```
#[derive(Clone)]
pub struct Handler {
    name: String,
    internal: bool,
    methods: BTreeMap<String, Method>,
    definitions: Option<&'static [u8]>,
}

#[derive(Clone)]
pub(crate) struct Method {
    pub(crate) request: Option<Value>,
    pub(crate) response: Option<Value>,
    pub(crate) metadata: Metadata,
    pub(crate) kind: Kind,
    pub(crate) run: MethodFn,
}

/// How many messages a method takes and gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// One, and one.
    #[default]
    Unary,
    /// One, and any number.
    ServerStreaming,
    /// Any number, and one.
    ClientStreaming,
    /// Any number, and any number.
    Bidirectional,
}

impl Kind {
    /// Whether there may be more than one message in some direction.
    pub fn is_stream(self) -> bool {
        self != Self::Unary
    }
}

/// Takes the encoded request, or many, and gives the encoded response, or many.
pub(crate) type MethodFn =
    Arc<dyn Fn(RpcRequest) -> BoxFuture<'static, Result<RpcResponse, Error>> + Send + Sync>;

impl Handler {
    /// A handler without methods.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), internal: false, methods: BTreeMap::new(), definitions: None }
    }

    /// Keeps the endpoints out of the registry. They can still be called.
    #[must_use]
    pub fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    /// Adds a method that answers one request with one response. A later method of the same name replaces it.
    #[must_use]
    pub fn unary<Req, Res, F, Fut>(self, method: &str, request: Value, response: Value, run: F) -> Self
    where
        Req: Payload,
        Res: Payload,
        F: Fn(Context, Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Res, Error>> + Send + 'static,
    {
        let run = Arc::new(run);
        let run: MethodFn = Arc::new(move |call: RpcRequest| {
            let run = run.clone();
            Box::pin(async move {
                let RpcRequest { head, body } = call;
                let format = format_of(&head)?;
                let request = Req::from_bytes(format, &body.into_unary().await?).map_err(own)?;
                let response = run(Context::new(head), request).await?;
                let body = Body::Unary(response.to_bytes(format).map_err(own)?);
                Ok(RpcResponse {
                    body,
                    content_type: format.content_type().to_owned(),
                    ..RpcResponse::default()
                })
            })
        });
        self.method(method, Some(request), Some(response), run)
    }

    /// Adds a method over plain serde types. It can be called with `application/json` only.
    #[must_use]
    pub fn json<Req, Res, F, Fut>(self, method: &str, run: F) -> Self
    where
        Req: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
        Res: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
        F: Fn(Context, Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Res, Error>> + Send + 'static,
    {
        use crate::payload::Json;
        let run = Arc::new(run);
        let run = move |cx, Json(request)| {
            let run = run.clone();
            async move { run(cx, request).await.map(Json) }
        };
        self.unary::<Json<Req>, Json<Res>, _, _>(method, Json::<Req>::shape(), Json::<Res>::shape(), run)
    }

    /// Sets metadata of an endpoint, for instance the routes of the API gateway.
    ///
    /// # Panics
    /// If the handler has no such method: a mistake in the program.
    #[must_use]
    pub fn endpoint_metadata(
        mut self,
        method: &str,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        let name = &self.name;
        let known =
            self.methods.get_mut(method).unwrap_or_else(|| panic!("handler {name} has no method {method}"));
        known.metadata.insert(key.into(), value.into());
        self
    }

    /// What the methods take and give, as a `FileDescriptorSet` in which files of `google/protobuf` may be missing.
    /// Generated code sets it; callers are told by reflection.
    #[must_use]
    pub fn definitions(mut self, set: &'static [u8]) -> Self {
        self.definitions = Some(set);
        self
    }

    /// What was set by [`definitions`](Self::definitions).
    pub(crate) fn definition_set(&self) -> Option<&'static [u8]> {
        self.definitions
    }

    pub(crate) fn method(
        self,
        method: &str,
        request: Option<Value>,
        response: Option<Value>,
        run: MethodFn,
    ) -> Self {
        self.method_of(Kind::Unary, method, request, response, run)
    }

    fn method_of(
        mut self,
        kind: Kind,
        method: &str,
        request: Option<Value>,
        response: Option<Value>,
        run: MethodFn,
    ) -> Self {
        let nothing = |shape: &Value| shape.name.is_empty() && shape.kind.is_empty();
        let request = request.filter(|shape| !nothing(shape));
        let response = response.filter(|shape| !nothing(shape));
        let mut metadata = Metadata::new();
        if kind.is_stream() {
            metadata.insert("stream".to_owned(), "true".to_owned());
        }
        self.methods.insert(method.to_owned(), Method { request, response, metadata, kind, run });
        self
    }

    /// `(Struct.Method, method)` for all of them, by name.
    pub(crate) fn into_methods(self) -> impl Iterator<Item = (String, Method)> {
        self.methods.into_iter().map(move |(method, run)| (format!("{}.{method}", self.name), run))
    }

    /// What the registry shows (`go-micro-wire` §6.3); empty for an internal handler.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let shown = if self.internal { None } else { Some(&self.methods) };
        let endpoint = |(method, known): (&String, &Method)| Endpoint {
            name: format!("{}.{method}", self.name),
            request: known.request.clone(),
            response: known.response.clone(),
            metadata: known.metadata.clone(),
        };
        shown.into_iter().flatten().map(endpoint).collect()
    }

    /// The handler's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods: Vec<_> = self.methods.keys().collect();
        f.debug_struct("Handler").field("name", &self.name).field("methods", &methods).finish_non_exhaustive()
    }
}

fn format_of(head: &RpcHead) -> Result<Format, Error> {
    Format::of(&head.content_type).ok_or_else(|| {
        let detail = format!(
            "unsupported content type {:?}: use application/json or application/protobuf",
            head.content_type
        );
        Error::new("go.micro.server", 415, detail)
    })
}

/// Payloads do not know where they are used; here it is the server.
fn own(error: Error) -> Error {
    Error { id: "go.micro.server".to_owned(), ..error }
}
