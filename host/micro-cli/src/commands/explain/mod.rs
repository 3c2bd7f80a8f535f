//! `micro explain`: what a call does, told by the client that makes it.

mod advice;
mod text;

use crate::args::{CallArgs, ExplainArgs, Format};
use crate::commands::{call, definitions};
use crate::failure::{Next, coded};
use crate::output;
use crate::session::Session;
use bytes::Bytes;
use futures::StreamExt;
use micro::client::{Stage, Step, Trace, TracedStep};
use micro::{Body, CallOptions, Flags, RpcHead, RpcRequest};
use micro_core::{Code, Coded, Error};
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// Names that may have been meant, shown for one that nobody serves.
const MOST_SIMILAR: usize = 3;
/// How long a stream is followed where nothing is said about it: as long as a call may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the registry may take for what only makes the explanation better.
const ASIDE: Duration = Duration::from_secs(2);

/// Everything that is printed. The members of its JSON stay as they are.
#[derive(Debug, Serialize)]
struct Explanation {
    service: String,
    endpoint: String,
    /// Whether the request was sent, or only the way to the node tried.
    called: bool,
    /// Whether it was called as a stream.
    stream: bool,
    /// The plugin behind the registry; none for one that is part of the program.
    plugin: Option<PluginName>,
    steps: Vec<TracedStep>,
    /// Where it failed; none when it did not.
    failed: Option<Stage>,
    error: Option<Error>,
    /// The first one of a stream.
    answer: Option<Box<RawValue>>,
    /// What is worth knowing about these nodes.
    notes: Vec<String>,
    /// What to do about a failure.
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct PluginName {
    name: String,
    version: String,
}

pub(super) async fn run(flags: &Flags, format: Format, arguments: ExplainArgs) -> anyhow::Result<()> {
    let example = r#"micro explain go.micro.srv.greeter Say.Hello '{"name": "John"}'"#;
    let ExplainArgs { call: arguments, stream } = arguments;
    let (Some(service), Some(endpoint)) = (arguments.service.clone(), arguments.endpoint.clone()) else {
        return Err(coded(Code::ARGUMENT_MISSING, "require service and method", example));
    };
    let called = !arguments.request.is_empty();
    let request = call::request(&arguments.request);
    let request = request.next_as(Code::VALUE, format!("write the request as JSON: {example}"))?;
    let options = call::options(&arguments)?;
    // A registry that is away is something to explain.
    let session = Session::open(flags).await?;
    let stream = called && (stream || is_stream(&session, &arguments, &service, &endpoint).await?);
    let trace = Trace::new();
    let options = options.trace(&trace);
    let mut answer = None;
    let head = RpcHead { stream, ..RpcHead::new(&service, &endpoint, "application/json") };
    let outcome = if stream {
        let patience = arguments.timeout.or(flags.client_request_timeout).unwrap_or(PATIENCE);
        follow(&session, head, request, &options, patience, &mut answer).await
    } else if called {
        let request = RpcRequest { head, body: Body::Unary(request) };
        let answered = async { session.client.send(request, &options).await?.body.into_unary().await };
        answered.await.map(|reply| answer = Some(reply))
    } else {
        session.client.reach(&service, &endpoint, &options).await
    };

    let plugins = session.backends.plugins();
    let plugin = plugins.into_iter().find(|plugin| plugin.flag == "registry");
    let mut explanation = Explanation {
        service,
        endpoint,
        called,
        stream,
        plugin: plugin.map(|plugin| PluginName { name: plugin.name, version: plugin.version }),
        steps: trace.steps(),
        failed: outcome.is_err().then(|| trace.failed_at()),
        answer: answer.as_deref().and_then(|answer| serde_json::from_slice(answer).ok()),
        error: outcome.err(),
        notes: Vec::new(),
        next: None,
    };
    explanation.notes = advice::notes(&explanation);
    explanation.next = advice::next(&explanation, &similar(&session, &explanation).await);
    session.close().await;
    output::answer(format, || text::of(&explanation), &explanation)?;
    match (explanation.error, explanation.next) {
        (Some(error), next) => {
            let text = format!("error calling {}.{}: {error}", explanation.service, explanation.endpoint);
            Err(coded(error.code(), text, next.unwrap_or_default()))
        }
        _ => Ok(()),
    }
}

/// Whether the definitions that were given, or else the service's record, say that the endpoint is a stream.
async fn is_stream(
    session: &Session,
    arguments: &CallArgs,
    service: &str,
    endpoint: &str,
) -> anyhow::Result<bool> {
    if let Some(given) = definitions::read(&arguments.definitions)? {
        let method = given.of_endpoint(endpoint);
        return Ok(method.is_some_and(|it| it.is_client_streaming() || it.is_server_streaming()));
    }
    if arguments.address.is_some() {
        return Ok(false);
    }
    // Not from the client's memory: that it asks the registry is a part of the explanation.
    let found = timeout(ASIDE, session.backends.registry.get_service(service)).await;
    let versions = found.ok().and_then(Result::ok).map(|found| found.services).unwrap_or_default();
    let mut endpoints = versions.iter().flat_map(|version| &version.endpoints);
    Ok(endpoints.any(|known| known.name == endpoint && known.is_stream()))
}

/// Opens a stream, sends its only request, and looks on until it ends or the time is over. `first` is what comes first.
async fn follow(
    session: &Session,
    head: RpcHead,
    request: Bytes,
    options: &CallOptions,
    patience: Duration,
    first: &mut Option<Bytes>,
) -> Result<(), Error> {
    let end = Instant::now() + patience;
    let body = Body::Stream(futures::stream::iter([Ok(request)]).boxed());
    let mut messages = session.client.send(RpcRequest { head, body }, options).await?.body.into_messages();
    while let Ok(Some(message)) = timeout_at(end, messages.next()).await {
        let message = message?;
        first.get_or_insert(message);
    }
    Ok(())
}

/// Names in the registry that are like one that nobody serves.
async fn similar(session: &Session, explanation: &Explanation) -> Vec<String> {
    let Explanation { service, failed, error, .. } = explanation;
    if *failed != Some(Stage::Select) || error.as_ref().is_none_or(|error| !error.is_not_found()) {
        return Vec::new();
    }
    let listed = timeout(ASIDE, session.backends.registry.list_services()).await;
    let mut names = listed.ok().and_then(Result::ok).unwrap_or_default();
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    let wanted = last(service);
    names.retain(|name| {
        let other = last(name);
        !wanted.is_empty() && !other.is_empty() && (other.contains(&wanted) || wanted.contains(&other))
    });
    names.truncate(MOST_SIMILAR);
    names
}

impl Explanation {
    /// The nodes as the client judged them for the last attempt.
    fn nodes(&self) -> &[micro::client::NodeSeen] {
        let nodes = self.steps.iter().rev().find_map(|traced| match &traced.step {
            Step::Candidates { nodes, .. } => Some(nodes.as_slice()),
            _ => None,
        });
        nodes.unwrap_or_default()
    }

    /// The node that was chosen last.
    fn picked(&self) -> Option<&micro::client::NodeSeen> {
        let id = self.steps.iter().rev().find_map(|traced| match &traced.step {
            Step::Pick { node, .. } => Some(node),
            _ => None,
        })?;
        self.nodes().iter().find(|node| node.id == *id)
    }
}
