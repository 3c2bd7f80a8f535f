//! `micro health` and `micro stats`: what each node of a service says about itself.

use crate::args::{Format, NodesArgs};
use crate::failure::coded;
use crate::output::{self, plain};
use crate::session::Session;
use chrono::{Local, TimeZone};
use futures::stream::{self, StreamExt};
use micro::grpc::{HealthCheckRequest, HealthCheckResponse};
use micro::{Body, CallOptions, Client, Flags, Protocol, RpcHead, RpcRequest};
use micro_core::{Code, Error, Node, Service};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// Nodes that are asked at the same time.
const AT_A_TIME: usize = 32;

/// Asked of every node but those of plain gRPC, which have a protocol of their own for it.
const HEALTH: &str = "Debug.Health";

/// What a node answered.
struct Answer {
    version: String,
    id: String,
    address: String,
    said: Result<Value, Error>,
}

pub(super) async fn health(flags: &Flags, format: Format, arguments: NodesArgs) -> anyhow::Result<()> {
    let (service, answers) = ask(flags, arguments, HEALTH).await?;
    let status = |answer: &Answer| match &answer.said {
        Ok(said) => said.get("status").and_then(Value::as_str).unwrap_or_default().to_owned(),
        Err(error) => error.to_string(),
    };
    let row = |answer: &Answer| {
        format!("{}\t\t{}\t\t{}", plain(&answer.id), plain(&answer.address), plain(&status(answer)))
    };
    let text = || table(&service, "node\t\taddress:port\t\tstatus", &answers, row);
    let nodes: Vec<_> =
        answers.iter().map(|answer| node_json(answer, json!({ "status": status(answer) }))).collect();
    output::answer(format, text, &json!({ "service": service, "nodes": nodes }))?;
    let ill = answers.iter().filter(|answer| answer.said.is_err() || status(answer) != "ok").count();
    if ill > 0 {
        let text = format!("{ill} of {} nodes of {service} not ok", answers.len());
        return Err(coded(Code::NODES_UNWELL, text, "look at the status above, and at the log of the node"));
    }
    Ok(())
}

pub(super) async fn stats(flags: &Flags, format: Format, arguments: NodesArgs) -> anyhow::Result<()> {
    let (service, answers) = ask(flags, arguments, "Debug.Stats").await?;
    let header = "node\t\taddress:port\t\tstarted\tuptime\tmemory\tthreads\tgc";
    let text = || table(&service, header, &answers, stats_row);
    let nodes: Vec<_> = answers
        .iter()
        .map(|answer| {
            let said = answer.said.as_ref().ok();
            let names = ["started", "uptime", "memory", "threads", "gc", "requests", "errors"];
            let figures =
                names.into_iter().map(|name| (name.to_owned(), said.and_then(|it| figure(it, name)).into()));
            node_json(answer, Value::Object(figures.collect()))
        })
        .collect();
    output::answer(format, text, &json!({ "service": service, "nodes": nodes }))?;
    let silent = answers.iter().filter(|answer| answer.said.is_err()).count();
    if silent > 0 {
        let text = format!("{silent} of {} nodes of {service} did not answer", answers.len());
        return Err(coded(Code::NODES_UNWELL, text, format!("micro health {service} says more")));
    }
    Ok(())
}

/// Asks every node of the service, each at its address.
async fn ask(flags: &Flags, arguments: NodesArgs, endpoint: &str) -> anyhow::Result<(String, Vec<Answer>)> {
    let NodesArgs { service } = arguments;
    let service = service.ok_or_else(|| {
        coded(Code::ARGUMENT_MISSING, "require service name", "micro health SERVICE, micro stats SERVICE")
    })?;
    let session = Session::healthy(flags).await?;
    let versions = session.service(&service).await?;
    let nodes = versions.iter().flat_map(|version| version.nodes.iter().map(move |node| (version, node)));
    let client = &session.client;
    let questions = nodes.map(|(version, node): (&Service, _)| {
        let answer = |said| Answer {
            version: version.version.clone(),
            id: node.id.clone(),
            address: node.address.clone(),
            said,
        };
        let question = question(client, &service, endpoint, node);
        async move { answer(question.await) }
    });
    let questions: Vec<_> = questions.collect();
    let answers = stream::iter(questions).buffered(AT_A_TIME).collect().await;
    session.close().await;
    Ok((service, answers))
}

/// In JSON: in protobuf the fields of `Stats` had other numbers in other versions of Go Micro.
async fn question(client: &Client, service: &str, endpoint: &str, node: &Node) -> Result<Value, Error> {
    let request = RpcRequest {
        head: RpcHead::new(service, endpoint, "application/json"),
        body: Body::Unary(bytes::Bytes::from_static(b"{}")),
    };
    let Some(protocol) = client.protocol_of(service, node) else {
        let said = node.metadata.get("protocol").map(String::as_str).unwrap_or_default();
        let detail =
            format!("its protocol {said} is not spoken here; --service_protocol {service}=… names another");
        return Err(Error::new("go.micro.client", 501, detail));
    };
    let security = client.security_of(service, node);
    let options = CallOptions::new().address(&node.address).protocol(protocol).security(security).retries(0);
    if protocol == Protocol::Grpc && endpoint == HEALTH {
        let options = options.format(micro::Format::Protobuf);
        let question = HealthCheckRequest::default();
        let answer: HealthCheckResponse =
            client.call_with(service, HealthCheckResponse::ENDPOINT, &question, &options).await?;
        return Ok(json!({ "status": answer.text() }));
    }
    let reply = client.send(request, &options).await?.body.into_unary().await?;
    serde_json::from_slice(&reply)
        .map_err(|error| Error::internal("go.micro.client.codec", error.to_string()))
}

/// The frame: the service, and a block for each version.
fn table(service: &str, header: &str, answers: &[Answer], row: impl Fn(&Answer) -> String) -> String {
    let mut text = format!("service  {}\n", plain(service));
    for block in answers.chunk_by(|a, b| a.version == b.version) {
        // Writing to a String cannot fail.
        _ = writeln!(text, "\nversion {}\n\n{header}", plain(&block[0].version));
        for answer in block {
            _ = writeln!(text, "{}", row(answer));
        }
    }
    text
}

fn node_json(answer: &Answer, more: Value) -> Value {
    let mut node = json!({ "id": answer.id, "version": answer.version, "address": answer.address });
    if let (Value::Object(node), Value::Object(more)) = (&mut node, more) {
        node.extend(more);
        node.insert("error".to_owned(), answer.said.as_ref().err().map(ToString::to_string).into());
    }
    node
}

fn stats_row(answer: &Answer) -> String {
    let (id, address) = (plain(&answer.id), plain(&answer.address));
    let said = match &answer.said {
        Ok(said) => said,
        Err(error) => return format!("{id}\t\t{address}\t\t\t\t\t0\t\t{}", plain(&error.to_string())),
    };
    let number = |name| figure(said, name).unwrap_or(0);
    let started = i64::try_from(number("started")).ok().and_then(|it| Local.timestamp_opt(it, 0).single());
    let started = started.map(|it| it.format("%b %-d %H:%M:%S").to_string()).unwrap_or_default();
    let uptime = go_duration(Duration::from_secs(number("uptime")));
    let gc = go_duration(Duration::from_nanos(number("gc")));
    #[allow(clippy::cast_precision_loss, reason = "two decimals of mebibytes")]
    let memory = number("memory") as f64 / f64::from(1 << 20);
    format!("{id}\t\t{address}\t\t{started}\t{uptime}\t{memory:.2}mb\t{}\t{gc}", number("threads"))
}

/// A number, which protobuf's JSON writes as a text when it has 64 bits.
fn figure(said: &Value, name: &str) -> Option<u64> {
    let value = said.get(name)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A duration as Go prints it: `1h2m3s`, `5.493ms`, `0s`.
fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let nanoseconds = u64::from(duration.subsec_nanos());
    if seconds == 0 {
        return match nanoseconds {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanoseconds}ns"),
            1_000..1_000_000 => format!("{}µs", decimal(nanoseconds, 1_000)),
            _ => format!("{}ms", decimal(nanoseconds, 1_000_000)),
        };
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let rest = decimal(seconds % 60 * 1_000_000_000 + nanoseconds, 1_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// `value / unit` with the decimals that it has.
fn decimal(value: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let fraction = format!("{:0digits$}", value % unit);
    match fraction.trim_end_matches('0') {
        "" => (value / unit).to_string(),
        fraction => format!("{}.{fraction}", value / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_prints_them() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5µs"),
            (5_493_000, "5.493ms"),
            (65_000_000_000, "1m5s"),
            (3_600_000_000_000, "1h0m0s"),
            (90_061_500_000_000, "25h1m1.5s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanoseconds)), text);
        }
    }

    #[test]
    fn rows_have_all_columns_even_of_nodes_that_do_not_answer() {
        let answer = |said| Answer { version: "1".into(), id: "a-1".into(), address: "h:1".into(), said };
        let said =
            json!({ "started": "0", "uptime": 65, "memory": 1_111_491, "threads": 17, "gc": 5_493_000 });
        let row = stats_row(&answer(Ok(said)));
        assert!(row.starts_with("a-1\t\th:1\t\t") && row.ends_with("\t1m5s\t1.06mb\t17\t5.493ms"), "{row}");
        let row = stats_row(&answer(Err(Error::parse("gone"))));
        assert!(row.starts_with("a-1\t\th:1\t\t\t\t\t0\t\t{"), "{row}");
    }

    #[test]
    fn versions_are_blocks() {
        let answer = |version: &str, id: &str| Answer {
            version: version.into(),
            id: id.into(),
            address: "h:1".into(),
            said: Ok(Value::Null),
        };
        let answers = [answer("1", "a"), answer("1", "b"), answer("2", "c")];
        let text = table("x", "node", &answers, |answer| answer.id.clone());
        assert_eq!(text, "service  x\n\nversion 1\n\nnode\na\nb\n\nversion 2\n\nnode\nc\n");
    }
}
