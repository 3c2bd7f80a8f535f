use super::*;
use crate::handler::Handler;
use crate::registry::MemoryRegistry;
use crate::rpc::{Body, RpcRequest};
use crate::service::{RunningService, Service};
use crate::{Context, Json, Responses};
use bytes::Bytes;
use micro_core::registry::Metadata;
use micro_core::{Node, NodeStatus, Registry, Value};
use std::time::Duration;

/// A service, and a client of the registry that it is in.
async fn echo() -> (RunningService, MemoryRegistry, Client) {
    let registry = MemoryRegistry::new();
    let handler = Handler::new("Echo")
        .json("Same", |_cx, text: String| async move { Ok(text) })
        .json("Fail", |_cx, text: String| async move { Err::<(), _>(Error::conflict("echo", text)) })
        .server_streaming("Count", Value::default(), Value::default(), count);
    let service = Service::builder("echo").address("127.0.0.1:0").registry(registry.clone()).handler(handler);
    let service = service.handle_signals(false).drain_delay(Duration::ZERO);
    let running = service.build().await.expect("builds").start().await.expect("starts");
    let client = Client::builder(Arc::new(registry.clone())).build();
    (running, registry, client)
}

/// Counts up to a number, of which 4 is one too many.
async fn count(_: Context, until: Json<u64>, out: Responses<Json<u64>>) -> Result<(), Error> {
    for number in 1..=until.0 {
        match number {
            4 => return Err(Error::conflict("echo", "too many")),
            _ => out.send(Json(number)).await?,
        }
    }
    Ok(())
}

async fn call(client: &Client, endpoint: &str, options: &CallOptions) -> Result<Bytes, Error> {
    let head = RpcHead::new("echo", endpoint, "application/json");
    let request = RpcRequest { head, body: Body::Unary(Bytes::from_static(b"\"x\"")) };
    client.send(request, options).await?.body.into_unary().await
}

/// The names of the steps.
fn names(trace: &Trace) -> Vec<String> {
    let name = |step| serde_json::to_value(step).expect("it has a form")["step"].as_str().map(str::to_owned);
    trace.steps().iter().filter_map(name).collect()
}

#[tokio::test]
async fn a_call_tells_what_it_does_and_the_next_one_does_less() {
    let (_running, _registry, client) = echo().await;
    let trace = Trace::new();
    let options = CallOptions::new().trace(&trace).metadata("Authorization", "hunter2");
    call(&client, "Echo.Same", &options).await.expect("an answer");
    let all = ["registry", "candidates", "pick", "request", "dial", "resolved", "connected", "answer"];
    assert_eq!(names(&trace), all);
    let text = serde_json::to_string(&trace.steps()).expect("it has a form");
    assert!(text.contains("Micro-Endpoint") && !text.contains("hunter2"), "{text}");
    assert!(text.contains("its record says protocol=mucp"), "{text}");

    let again = Trace::new();
    call(&client, "Echo.Same", &CallOptions::new().trace(&again)).await.expect("an answer");
    assert_eq!(names(&again), ["registry", "candidates", "pick", "request", "answer"]);
    let Step::Registry { from_memory, age_ms, .. } = again.steps().remove(0).step else { panic!("first") };
    assert!(from_memory && age_ms.is_some());
}

#[tokio::test]
async fn streams_tell_what_came_and_who_ended_them() {
    let (_running, _registry, client) = echo().await;
    for protocol in [Protocol::Mucp, Protocol::GrpcJson, Protocol::MucpOverGrpc] {
        let open = async |until: u64, take: usize| {
            let trace = Trace::new();
            let options = CallOptions::new().protocol(protocol).trace(&trace);
            let mut numbers = client
                .server_stream::<_, Json<u64>>("echo", "Echo.Count", &Json(until), &options)
                .await
                .expect("it opens");
            let mut taken = 0;
            while taken < take && numbers.next().await.is_some() {
                taken += 1;
            }
            drop(numbers);
            trace.steps()
        };
        let ended = |steps: &[TracedStep], back: usize| match &steps[steps.len() - back].step {
            Step::Ended { by, messages, .. } => (*by, *messages),
            other => panic!("{protocol}: {other:?}"),
        };
        let whole = open(3, 9).await;
        assert_eq!(ended(&whole, 1), ("service", 3), "{protocol}");
        assert!(matches!(whole[whole.len() - 2].step, Step::Message { .. }), "{protocol}: {whole:?}");
        assert!(whole.iter().any(|traced| matches!(traced.step, Step::Request { .. })), "{protocol}");
        let failed = open(9, 9).await;
        assert_eq!(ended(&failed, 2), ("service", 3), "{protocol}");
        let last = &failed[failed.len() - 1].step;
        assert!(
            matches!(last, Step::Failed { stage: Stage::Decode, executed: "yes", error } if error.code == 409),
            "{protocol}: {last:?}"
        );
        assert_eq!(ended(&open(3, 1).await, 1), ("caller", 1), "{protocol}");
    }
}

#[tokio::test]
async fn reaching_a_node_sends_nothing() {
    let (_running, _registry, client) = echo().await;
    let trace = Trace::new();
    client.reach("echo", "Echo.Same", &CallOptions::new().trace(&trace)).await.expect("it listens");
    assert_eq!(names(&trace), ["registry", "candidates", "pick", "dial", "resolved", "connected", "reached"]);
    let again = Trace::new();
    client.reach("echo", "Echo.Same", &CallOptions::new().trace(&again)).await.expect("it listens");
    let last = again.steps().pop().expect("steps").step;
    assert!(matches!(last, Step::Reached { kept: true }), "{last:?}");
}

#[tokio::test]
async fn failures_say_how_far_the_call_came() {
    let (_running, registry, client) = echo().await;
    let failed = async |endpoint: &str, options: CallOptions| {
        let trace = Trace::new();
        call(&client, endpoint, &options.retries(0).trace(&trace)).await.expect_err("it fails");
        let Step::Failed { stage, executed, error } = trace.steps().pop().expect("steps").step else {
            panic!("the last step is the failure: {:?}", names(&trace))
        };
        (stage, executed, error.code)
    };
    let options = CallOptions::new;
    assert_eq!(failed("Echo.Fail", options()).await, (Stage::Decode, "yes", 409));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let silent = options().address(&address).timeout(Duration::from_millis(200));
    assert_eq!(failed("Echo.Same", silent).await, (Stage::Exchange, "perhaps", 408));
    drop(listener);
    assert_eq!(failed("Echo.Same", options().address(&address)).await, (Stage::Connect, "no", 500));
    let version = crate::Filter::Version("9".to_owned());
    assert_eq!(failed("Echo.Same", options().filter(version)).await, (Stage::Select, "no", 500));

    let sick = micro_core::Service {
        name: "sick".to_owned(),
        nodes: vec![Node {
            id: "sick-1".to_owned(),
            address,
            status: NodeStatus::Critical,
            metadata: Metadata::new(),
            ..Node::default()
        }],
        ..micro_core::Service::default()
    };
    registry.register(&sick, Duration::ZERO).await.expect("memory");
    let trace = Trace::new();
    client.reach("sick", "A.B", &options().trace(&trace)).await.expect_err("nobody to call");
    let candidates = trace.steps().into_iter().find_map(|traced| match traced.step {
        Step::Candidates { nodes, .. } => Some(nodes),
        _ => None,
    });
    let node = candidates.expect("they were judged").remove(0);
    assert_eq!(node.refused.as_deref(), Some("the registry says that it is critical"));
    assert!(node.because.contains("no protocol"), "{}", node.because);
}
