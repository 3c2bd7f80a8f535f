//! `micro explain`: what a call does, told by the client that makes it.

mod advice;
mod text;

use crate::args::{CallArgs, Format};
use crate::commands::call;
use crate::failure::{Next, coded};
use crate::output;
use crate::session::Session;
use micro::client::{Stage, Step, Trace, TracedStep};
use micro::{Body, Flags, RpcHead, RpcRequest};
use micro_core::{Code, Coded, Error};
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// Names that may have been meant, shown for one that nobody serves.
const MOST_SIMILAR: usize = 3;

/// Everything that is printed. The members of its JSON stay as they are.
#[derive(Debug, Serialize)]
struct Explanation {
    service: String,
    endpoint: String,
    /// Whether the request was sent, or only the way to the node tried.
    called: bool,
    /// The plugin behind the registry; none for one that is part of the program.
    plugin: Option<PluginName>,
    steps: Vec<TracedStep>,
    /// Where it failed; none when it did not.
    failed: Option<Stage>,
    error: Option<Error>,
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

pub(super) async fn run(flags: &Flags, format: Format, arguments: CallArgs) -> anyhow::Result<()> {
    let example = r#"micro explain go.micro.srv.greeter Say.Hello '{"name": "John"}'"#;
    let (Some(service), Some(endpoint)) = (arguments.service.clone(), arguments.endpoint.clone()) else {
        return Err(coded(Code::ARGUMENT_MISSING, "require service and method", example));
    };
    let called = !arguments.request.is_empty();
    let request = call::request(&arguments.request);
    let request = request.next_as(Code::VALUE, format!("write the request as JSON: {example}"))?;
    let options = call::options(&arguments)?;
    // A registry that is away is something to explain.
    let session = Session::open(flags).await?;
    let trace = Trace::new();
    let options = options.trace(&trace);
    let outcome = if called {
        let head = RpcHead::new(&service, &endpoint, "application/json");
        let request = RpcRequest { head, body: Body::Unary(request) };
        let answered = async { session.client.send(request, &options).await?.body.into_unary().await };
        answered.await.map(Some)
    } else {
        session.client.reach(&service, &endpoint, &options).await.map(|()| None)
    };

    let plugins = session.backends.plugins();
    let plugin = plugins.into_iter().find(|plugin| plugin.flag == "registry");
    let mut explanation = Explanation {
        service,
        endpoint,
        called,
        plugin: plugin.map(|plugin| PluginName { name: plugin.name, version: plugin.version }),
        steps: trace.steps(),
        failed: outcome.is_err().then(|| trace.failed_at()),
        answer: outcome.as_ref().ok().and_then(|reply| serde_json::from_slice(reply.as_deref()?).ok()),
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

/// Names in the registry that are like one that nobody serves.
async fn similar(session: &Session, explanation: &Explanation) -> Vec<String> {
    let Explanation { service, failed, error, .. } = explanation;
    if *failed != Some(Stage::Select) || error.as_ref().is_none_or(|error| !error.is_not_found()) {
        return Vec::new();
    }
    let listed =
        tokio::time::timeout(Duration::from_secs(2), session.backends.registry.list_services()).await;
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
