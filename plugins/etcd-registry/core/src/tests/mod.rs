//! The logic against a script: what is asked, in which order, and what becomes of every kind of answer.

mod failover;
mod hostile;
mod leases;
mod login;
mod reading;
mod watching;

use crate::http::{Body, Chunk, HttpClient, HttpError, Request, Response};
use crate::{Config, Etcd, Node, Service, gateway, record};
use futures::executor::block_on;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_secs(1);
const TTL: Duration = Duration::from_secs(30);

/// Answers requests one after the other and remembers them.
#[derive(Clone, Default)]
struct Script(Rc<Lines>);

#[derive(Default)]
struct Lines {
    answers: RefCell<VecDeque<Answer>>,
    asked: RefCell<Vec<Asked>>,
    warnings: RefCell<Vec<String>>,
}

type Answer = Result<(u16, Vec<Chunk>), HttpError>;

#[derive(Clone, Debug)]
struct Asked {
    origin: String,
    path: String,
    token: Option<String>,
    json: String,
}

/// Comes to an end unless the script says [`Chunk::Idle`] last.
#[derive(Debug)]
struct Chunks(VecDeque<Chunk>);

impl HttpClient for Script {
    type Body = Chunks;

    async fn post(&self, request: Request<'_>) -> Result<Response<Chunks>, HttpError> {
        self.0.asked.borrow_mut().push(Asked {
            origin: request.origin.to_string(),
            path: request.path.to_owned(),
            token: request.token.map(str::to_owned),
            json: String::from_utf8(request.json).expect("text"),
        });
        let answer = self.0.answers.borrow_mut().pop_front();
        let (status, chunks) =
            answer.unwrap_or_else(|| Err(HttpError::Unreachable("script is over".into())))?;
        Ok(Response { status, body: Chunks(chunks.into()) })
    }
}

impl Body for Chunks {
    async fn read(&mut self, _: Duration) -> Result<Chunk, HttpError> {
        match self.0.pop_front() {
            Some(Chunk::Idle) if self.0.is_empty() => {
                self.0.push_back(Chunk::Idle);
                Ok(Chunk::Idle)
            }
            Some(chunk) => Ok(chunk),
            None => Ok(Chunk::End),
        }
    }
}

impl Script {
    fn etcd(&self) -> Etcd<Script> {
        self.etcd_with(Config { addresses: vec!["a".into()], ..Config::default() })
    }

    /// With a single prefix, which makes answers shorter.
    fn etcd_with(&self, config: Config) -> Etcd<Script> {
        let script = self.clone();
        let config = Config { prefix: config.prefix.or(Some("/x".into())), ..config };
        let warn = move |warning: &str| script.0.warnings.borrow_mut().push(warning.to_owned());
        Etcd::new(config, self.clone(), warn).expect("valid settings")
    }

    fn chunks(&self, chunks: Vec<Chunk>) -> &Self {
        self.0.answers.borrow_mut().push_back(Ok((200, chunks)));
        self
    }

    fn ok(&self, json: &Value) -> &Self {
        self.chunks(vec![text(json.to_string())])
    }

    fn status(&self, http: u16, code: u32, message: &str) -> &Self {
        let json = json!({ "error": message, "code": code, "message": message });
        self.0.answers.borrow_mut().push_back(Ok((http, vec![text(json.to_string())])));
        self
    }

    fn fails(&self, error: HttpError) -> &Self {
        self.0.answers.borrow_mut().push_back(Err(error));
        self
    }

    fn down(&self) -> &Self {
        self.fails(HttpError::Unreachable("connection refused".into()))
    }

    /// The paths that were asked for since the last time.
    fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.path).collect()
    }

    fn asked(&self) -> Vec<Asked> {
        self.0.asked.borrow_mut().drain(..).collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.0.warnings.borrow_mut().drain(..).collect()
    }
}

fn text(text: impl Into<String>) -> Chunk {
    Chunk::Bytes(text.into().into_bytes())
}

fn greeter(node: &str) -> Service {
    let nodes = vec![Node { id: node.into(), address: "127.0.0.1:1".into(), ..Node::default() }];
    Service { name: "greeter".into(), version: "1".into(), nodes, ..Service::default() }
}

/// A key of the prefix `/x/` with the record of a node.
fn kv(node: &str, revision: u64) -> Value {
    let service = greeter(node);
    let record = record::write(&service, &service.nodes[0]).expect("valid");
    raw_kv(&format!("/x/greeter/{node}"), &record, revision)
}

fn raw_kv(key: &str, value: &[u8], revision: u64) -> Value {
    json!({
        "key": gateway::encode(key),
        "value": gateway::encode(value),
        "mod_revision": revision.to_string(),
        "version": "1",
    })
}

fn header(revision: u64) -> Value {
    json!({ "cluster_id": "1", "revision": revision.to_string() })
}

/// The answer to reading one prefix.
fn page(revision: u64, kvs: &[Value]) -> Value {
    let range = json!({ "kvs": kvs, "count": kvs.len().to_string() });
    json!({ "header": header(revision), "responses": [{ "response_range": range }] })
}

/// The answer to a look at one prefix.
fn look(revision: u64, newest: u64, keys: u64) -> Value {
    let range = json!({ "kvs": [{ "mod_revision": newest.to_string() }], "count": keys.to_string() });
    json!({ "header": header(revision), "responses": [{ "response_range": range }] })
}
