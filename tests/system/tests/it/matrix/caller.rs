//! Our client, going through the cases against a Go program.

use super::SERVICE;
use super::case::{COUNT, Case, METADATA, NAME, Outcome, STRANGE_TYPE, TOPIC};
use super::messages::matrix::{Answer, Ask};
use super::peer::Peer;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use micro::client::Protocol;
use micro::registry::MemoryRegistry;
use micro::{Body, CallOptions, Client, Error, Format, Payload, RpcHead, RpcRequest};
use micro_core::{Headers, Message};
use micro_net::wire::{Pool, PoolConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// For one case, all its calls together, on a machine that does other things as well.
const CASE_LIMIT: Duration = Duration::from_secs(60);
/// For the next message of a stream: how long it takes to say that none comes.
const SILENCE: Duration = Duration::from_secs(10);
/// Of a call that nobody answers.
const CALL_LIMIT: Duration = Duration::from_secs(2);

/// A client that calls one address in one content type.
pub(super) struct Caller {
    client: Client,
    options: CallOptions,
    address: String,
    content_type: &'static str,
}

fn ask(name: &str, count: i64) -> Ask {
    Ask { name: name.to_owned(), count }
}

/// What is in the envelopes of a content type, or is the body itself.
fn format_of(content_type: &str) -> Format {
    if content_type.contains("json") || content_type == STRANGE_TYPE {
        Format::Json
    } else {
        Format::Protobuf
    }
}

impl Caller {
    pub(super) fn new(peer: Peer, address: &str, content_type: &'static str) -> Self {
        let protocol = match peer.protocol {
            "grpc" => Protocol::GrpcJson,
            _ if peer.is_enveloped() => Protocol::Envelopes,
            _ => Protocol::Mucp,
        };
        let client = Client::builder(Arc::new(MemoryRegistry::new())).retries(0).build();
        let options = CallOptions::new().address(address).protocol(protocol).timeout(CALL_LIMIT);
        let options = METADATA.iter().fold(options, |options, (name, value)| options.metadata(name, value));
        Self { client, options, address: address.to_owned(), content_type }
    }

    async fn call_as(&self, content_type: &str, endpoint: &str, ask: Ask) -> Result<(String, i64), Error> {
        let format = format_of(content_type);
        let request = RpcRequest {
            head: RpcHead::new(SERVICE, endpoint, content_type),
            body: Body::Unary(ask.to_bytes(format)?),
        };
        let body = self.client.send(request, &self.options).await?.body.into_unary().await?;
        let answer = Answer::from_bytes(format, &body)?;
        Ok((answer.msg, answer.number))
    }

    async fn call(&self, endpoint: &str, ask: Ask) -> Result<(String, i64), Error> {
        self.call_as(self.content_type, endpoint, ask).await
    }

    /// One of many calls.
    pub(super) async fn echo(&self, number: i64) -> Result<(String, i64), Error> {
        self.call("Matrix.Echo", ask("again", number)).await
    }

    async fn open(&self, endpoint: &str) -> Result<Talk, Error> {
        let (sender, mut asks) = mpsc::channel(1);
        let asks = futures::stream::poll_fn(move |cx| asks.poll_recv(cx)).map(Ok).boxed();
        let head = RpcHead { stream: true, ..RpcHead::new(SERVICE, endpoint, self.content_type) };
        let request = RpcRequest { head, body: Body::Stream(asks) };
        let opening = self.client.send(request, &self.options).await?;
        let answers = match opening.body {
            Body::Stream(answers) => answers,
            Body::Unary(_) => return Err(Error::internal("", "an answer where a stream was expected")),
        };
        Ok(Talk { sender, answers, format: format_of(self.content_type) })
    }

    /// Opens a stream, sends each message once the one before was answered, and reads to the end.
    async fn talk(&self, endpoint: &str, asks: &[(&str, i64)], outcome: &mut Outcome) -> Result<(), Error> {
        let mut talk = self.open(endpoint).await?;
        for (name, count) in asks {
            talk.send(ask(name, *count)).await?;
            outcome.answers.extend(talk.next().await.transpose()?);
        }
        while let Some(answer) = talk.next().await {
            outcome.answers.push(answer?);
        }
        Ok(())
    }

    /// Opens a stream, and ends it from here.
    async fn leave(&self, outcome: &mut Outcome) -> Result<(), Error> {
        let name = format!("from us in {}", self.content_type);
        let mut talk = self.open("Matrix.Chat").await?;
        for _ in 0..2 {
            talk.send(ask(&name, 0)).await?;
            let answer = talk.next().await.transpose()?;
            outcome.answers.extend(answer.map(|(text, number)| (text.replace(&name, ""), number)));
        }
        let Talk { sender, mut answers, .. } = talk;
        drop(sender);
        if let Some(more) = answers.next().await {
            let more = more?;
            return Err(Error::internal("", format!("{} bytes after the end", more.len())));
        }
        outcome.answers.push(self.call("Matrix.Ended", ask(&name, 0)).await?);
        Ok(())
    }

    /// Sends an event like a call, and asks what was heard.
    async fn event(&self, outcome: &mut Outcome) -> Result<(), Error> {
        let name = format!("event from us in {}", self.content_type);
        let mut headers = Headers::new();
        headers.append("Content-Type", self.content_type);
        headers.append("Micro-Topic", TOPIC);
        let body = ask(&name, 7).to_bytes(format_of(self.content_type))?;
        let (pool, event) = (Pool::new(PoolConfig::default()), Message { headers, body });
        let answer = pool.exchange(&self.address, &event, CALL_LIMIT).await;
        let answer = answer.map_err(|error| Error::internal("", micro_net::error_chain(&error)))?;
        if let Some(error) = answer.headers.get("Micro-Error") {
            return Err(Error::parse(error));
        }
        outcome.answers.push(self.call("Matrix.Heard", ask(&name, 0)).await?);
        Ok(())
    }

    async fn outcome(&self, case: Case) -> Outcome {
        let mut outcome = Outcome::default();
        let limited = timeout(CASE_LIMIT, self.run(case, &mut outcome)).await;
        let hung = || Err(Error::internal("", format!("unfinished after {CASE_LIMIT:?}")));
        outcome.error = limited.unwrap_or_else(|_| hung()).err();
        outcome
    }

    async fn run(&self, case: Case, outcome: &mut Outcome) -> Result<(), Error> {
        let one = match case {
            Case::ECHO => self.call("Matrix.Echo", ask(NAME, COUNT)).await,
            Case::EMPTY => self.call("Matrix.Echo", ask("", 0)).await,
            Case::REFUSE => self.call("Matrix.Refuse", ask("naïve", 0)).await,
            Case::BOOM => self.call("Matrix.Boom", ask("x", 0)).await,
            Case::UNKNOWN_METHOD => self.call("Matrix.Nope", ask("x", 0)).await,
            Case::UNKNOWN_HANDLER => self.call("Nobody.Echo", ask("x", 0)).await,
            Case::STRANGE_TYPE => self.call_as(STRANGE_TYPE, "Matrix.Echo", ask("x", 0)).await,
            Case::DEADLINE => {
                let options = self.options.clone().timeout(Duration::from_millis(300));
                let hurried = Self { options, client: self.client.clone(), address: String::new(), ..*self };
                hurried.call("Matrix.Slow", ask("x", 0)).await
            }
            Case::METADATA => self.call("Matrix.Metadata", ask("tenant,x-request-id,Foo", 0)).await,
            Case::KEEP_ALIVE => {
                let mut right = 0;
                for number in 1..=1000 {
                    let answer = self.echo(number).await?;
                    right += i64::from(answer == ("again".to_owned(), number));
                }
                Ok((String::new(), right))
            }
            Case::SERVER_ENDS => {
                return self.talk("Matrix.Chat", &[("a", 3), ("b", 3), ("c", 3)], outcome).await;
            }
            Case::CLIENT_ENDS => return self.leave(outcome).await,
            Case::SERVER_STREAM => return self.talk("Matrix.Count", &[("n", 5)], outcome).await,
            Case::STREAM_ERROR => return self.talk("Matrix.Break", &[("x", 0)], outcome).await,
            Case::EVENT => return self.event(outcome).await,
            other => unreachable!("{other:?} is no case"),
        };
        outcome.answers.push(one?);
        Ok(())
    }
}

/// A stream that is open.
struct Talk {
    sender: mpsc::Sender<Bytes>,
    answers: BoxStream<'static, Result<Bytes, Error>>,
    format: Format,
}

impl Talk {
    async fn send(&mut self, ask: Ask) -> Result<(), Error> {
        let sent = self.sender.send(ask.to_bytes(self.format)?).await;
        sent.map_err(|_| Error::internal("", "nobody takes what is sent on the stream"))
    }

    async fn next(&mut self) -> Option<Result<(String, i64), Error>> {
        let Ok(message) = timeout(SILENCE, self.answers.next()).await else {
            return Some(Err(Error::internal("", format!("no message for {SILENCE:?}"))));
        };
        let message = message?;
        Some(message.and_then(|message| {
            let answer = Answer::from_bytes(self.format, &message)?;
            Ok((answer.msg, answer.number))
        }))
    }
}

/// Goes through all cases of a peer.
pub(super) async fn go_through(
    peer: Peer,
    address: &str,
    content_type: &'static str,
) -> BTreeMap<Case, Outcome> {
    let caller = Caller::new(peer, address, content_type);
    let mut outcomes = BTreeMap::new();
    let mut stalls = 0;
    for case in peer.cases() {
        let mut outcome = caller.outcome(case).await;
        let stalled = outcome.error.as_ref().is_some_and(|error| error.code == 408);
        if stalled && case != Case::DEADLINE && peer.may_stall() {
            stalls += 1;
            eprintln!("{peer} {content_type} {case:?} had to be made again");
            outcome = caller.outcome(case).await;
        }
        outcomes.insert(case, outcome);
    }
    assert!(stalls <= 1, "{peer} {content_type}: {stalls} cases were not answered");
    outcomes
}
