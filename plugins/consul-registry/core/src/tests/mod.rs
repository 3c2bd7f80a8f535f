//! The logic against a script: what is asked, in which order, and what becomes of every kind of answer.

mod failover;
mod hostile;
mod reading;
mod registering;
mod watching;

use crate::http::{HttpClient, HttpError, Method, Request, Response};
use crate::{Config, Consul, Node, Service, tags};
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
    answers: RefCell<VecDeque<Result<Response, HttpError>>>,
    asked: RefCell<Vec<Asked>>,
    warnings: RefCell<Vec<String>>,
}

#[derive(Clone, Debug)]
struct Asked {
    origin: String,
    /// Method and path: `PUT /v1/agent/service/register`.
    line: String,
    token: Option<String>,
    body: String,
}

impl HttpClient for Script {
    async fn send(&self, request: Request<'_>) -> Result<Response, HttpError> {
        let method = match request.method {
            Method::Get => "GET",
            Method::Put => "PUT",
        };
        self.0.asked.borrow_mut().push(Asked {
            origin: request.origin.to_string(),
            line: format!("{method} {}", request.path),
            token: request.token.map(str::to_owned),
            body: String::from_utf8(request.body.to_vec()).expect("text"),
        });
        let answer = self.0.answers.borrow_mut().pop_front();
        answer.unwrap_or_else(|| Err(HttpError::Unreachable("script is over".into())))
    }

    /// The tests do not wait; but neither must they ask for ever.
    async fn sleep(&self, time: Duration) {
        std::thread::sleep(time.min(Duration::from_millis(1)));
    }
}

impl Script {
    fn consul(&self) -> Consul<Script> {
        self.consul_with(Config::default())
    }

    fn consul_with(&self, config: Config) -> Consul<Script> {
        let script = self.clone();
        let addresses =
            if config.addresses.is_empty() { vec!["a:1".to_owned()] } else { config.addresses.clone() };
        let warn = move |warning: &str| script.0.warnings.borrow_mut().push(warning.to_owned());
        Consul::new(Config { addresses, ..config }, self.clone(), warn).expect("valid settings")
    }

    fn answer(&self, status: u16, index: u64, body: impl Into<String>) -> &Self {
        let body = body.into().into_bytes();
        let response = Response { status, index: Some(index), body, ..Response::default() };
        self.0.answers.borrow_mut().push_back(Ok(response));
        self
    }

    fn ok(&self) -> &Self {
        self.answer(200, 0, "")
    }

    /// What consul knows under a name.
    fn entries(&self, index: u64, entries: &[Value]) -> &Self {
        self.answer(200, index, Value::from(entries).to_string())
    }

    fn down(&self) -> &Self {
        self.0.answers.borrow_mut().push_back(Err(HttpError::Unreachable("connection refused".into())));
        self
    }

    /// What was asked since the last time.
    fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    fn asked(&self) -> Vec<Asked> {
        self.0.asked.borrow_mut().drain(..).collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.0.warnings.borrow_mut().drain(..).collect()
    }
}

fn greeter(node: &str) -> Service {
    let nodes = vec![Node { id: node.into(), address: "127.0.0.1:1".into(), ..Node::default() }];
    Service { name: "greeter".into(), version: "1".into(), nodes, ..Service::default() }
}

/// An instance of [`greeter`] as consul tells of it.
fn entry(node: &str) -> Value {
    let it = greeter(node);
    let tags = tags::write(&it, &it.nodes[0]).expect("valid");
    json!({
        "Node": { "Node": "m", "Address": "10.0.0.9" },
        "Service": { "ID": node, "Service": "greeter", "Tags": tags, "Address": "127.0.0.1", "Port": 1 },
        "Checks": [{ "CheckID": "serfHealth", "Status": "passing" }],
    })
}

fn ids(services: &[Service]) -> Vec<&str> {
    services.iter().flat_map(|service| service.nodes.iter().map(|node| node.id.as_str())).collect()
}
