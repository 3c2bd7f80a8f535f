//! How cases run and what they report.

use super::replica::{Content, Replica, normal};
use crate::wait_until;
use futures::FutureExt;
use micro_core::{Node, Registry, RegistryError, Service, WatchScope};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// What the suite may expect where the contract leaves room, or where a backend is known not to do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The shortest TTL that the backend keeps. Default 1 s.
    pub ttl: Duration,
    /// How late an entry may end. Default 3 s.
    pub expiry_slack: Duration,
    /// How long everything else may take to be seen. Default 5 s.
    pub reaction: Duration,
    /// Metadata of the service, not of its nodes, comes back. Default true.
    pub service_metadata: bool,
    /// Names with slashes, spaces, dots and letters outside ASCII come back. Default true.
    pub unusual_names: bool,
    /// The most bytes of one record. Default 64 KiB.
    pub record_size: usize,
    /// Steps of the random walk. Default 200.
    pub steps: usize,
    /// Where the random walk starts. Default: anywhere; it is named when the case fails.
    pub seed: Option<u64>,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(1),
            expiry_slack: Duration::from_secs(3),
            reaction: Duration::from_secs(5),
            service_metadata: true,
            unusual_names: true,
            record_size: 64 * 1024,
            steps: 200,
            seed: None,
        }
    }
}

impl Expect {
    /// Sets one of them from its text: `ttl=2s`, `expiry-slack=70s`, `reaction=5s`, `record-size=32768`, `names=false`,
    /// `service-metadata=false`, `steps=100`.
    ///
    /// # Errors
    /// No such name, or a value that it cannot have.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let time = || micro::flags::duration(value);
        let bool = || value.parse::<bool>().map_err(|_| "true or false".to_owned());
        let number = || value.parse::<usize>().map_err(|_| "a whole number".to_owned());
        match name {
            "ttl" => self.ttl = time()?,
            "expiry-slack" => self.expiry_slack = time()?,
            "reaction" => self.reaction = time()?,
            "record-size" => self.record_size = number()?,
            "names" => self.unusual_names = bool()?,
            "service-metadata" => self.service_metadata = bool()?,
            "steps" => self.steps = number()?,
            _ => {
                let known = "ttl, expiry-slack, reaction, record-size, names, service-metadata, steps";
                return Err(format!("known: {known}"));
            }
        }
        match self.ttl.is_zero() {
            true => Err("a time to live of zero is for ever".to_owned()),
            false => Ok(()),
        }
    }
}

/// Why a case failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self(error.to_string())
    }
}

/// Fails the case unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::registry::Failure(format!($($message)+)));
        }
    };
}
pub(crate) use ensure;

/// What became of one case.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// `group::what_should_hold`.
    pub name: &'static str,
    /// Whether it held.
    pub result: Result<(), Failure>,
    /// How long it took to find out.
    pub took: Duration,
}

/// What became of all cases.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order in which they ran.
    pub cases: Vec<CaseReport>,
}

impl Report {
    /// The cases that failed.
    pub fn failures(&self) -> impl Iterator<Item = &CaseReport> {
        self.cases.iter().filter(|case| case.result.is_err())
    }

    /// Goes on if all cases held.
    ///
    /// # Panics
    /// One did not, or none ran.
    pub fn assert(&self) {
        assert!(!self.cases.is_empty(), "no case has this name");
        assert!(self.failures().next().is_none(), "{self}");
    }

    pub(crate) async fn run(
        &mut self,
        name: &'static str,
        registry: Arc<dyn Registry>,
        expect: &Expect,
        case: impl AsyncFnOnce(&Fixture) -> Result<(), Failure>,
    ) {
        let start = Instant::now();
        let fixture = Fixture::new(registry, expect);
        let result = AssertUnwindSafe(case(&fixture)).catch_unwind().await;
        let result = result.unwrap_or_else(|_| Err(Failure("it panicked".to_owned())));
        self.cases.push(CaseReport { name, result, took: start.elapsed() });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for CaseReport { name, result, took } in &self.cases {
            match result {
                Ok(()) => writeln!(f, "pass  {name} ({took:.1?})")?,
                Err(failure) => writeln!(f, "FAIL  {name} ({took:.1?})\n      {failure}")?,
            }
        }
        Ok(())
    }
}

/// What a case works with.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) expect: Expect,
    /// Begins all service names of the case.
    pub(crate) prefix: String,
}

/// Longer than any case takes.
pub(crate) const LONG: Duration = Duration::from_secs(120);

impl Fixture {
    /// For one case, with names of its own.
    pub(crate) fn new(registry: Arc<dyn Registry>, expect: &Expect) -> Self {
        let prefix = format!("micro-test-{}", &Uuid::new_v4().simple().to_string()[..12]);
        Self { registry, expect: expect.clone(), prefix }
    }

    /// The same names seen through another registry.
    pub(crate) fn with(&self, registry: Arc<dyn Registry>) -> Self {
        Self { registry, expect: self.expect.clone(), prefix: self.prefix.clone() }
    }

    /// A service name of this case alone.
    pub(crate) fn name(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.prefix)
    }

    /// One version of [`Fixture::name`] with these nodes.
    pub(crate) fn service(&self, suffix: &str, version: &str, nodes: &[&str]) -> Service {
        let name = self.name(suffix);
        let node = |id: &&str| Node {
            id: format!("{name}-{id}"),
            address: "127.0.0.1:4242".to_owned(),
            ..Node::default()
        };
        let nodes = nodes.iter().map(node).collect();
        Service { name: name.clone(), version: version.to_owned(), nodes, ..Service::default() }
    }

    /// Registers for longer than the case takes.
    pub(crate) async fn register(&self, service: &Service) -> Result<(), Failure> {
        Ok(self.registry.register(service, LONG).await?)
    }

    /// What the registry knows under `name`, in a fixed order.
    pub(crate) async fn lookup(&self, name: &str) -> Result<Vec<Service>, Failure> {
        Ok(normal(self.registry.get_service(name).await?.services))
    }

    /// Waits until the registry knows exactly `expected` under `name`.
    pub(crate) async fn finds(&self, name: &str, expected: &[Service]) -> Result<(), Failure> {
        let expected = normal(expected.to_vec());
        let mut last = Ok(Vec::new());
        let found = wait_until(self.expect.reaction, async || {
            last = self.lookup(name).await;
            (last.as_ref() == Ok(&expected)).then_some(())
        });
        match (found.await, last) {
            (Some(()), _) => Ok(()),
            (None, Ok(last)) => Err(Failure(format!("{name:?} should be {expected:#?} but is {last:#?}"))),
            (None, Err(failure)) => Err(failure),
        }
    }

    /// The scopes in which `name` can be watched.
    pub(crate) fn scopes(&self, name: &str) -> Vec<Option<String>> {
        match self.registry.watch_scope() {
            WatchScope::All => vec![None, Some(name.to_owned())],
            WatchScope::Name => vec![Some(name.to_owned())],
        }
    }

    /// A consumer of this case's names in `scope`.
    pub(crate) fn replica(&self, scope: Option<String>) -> Replica {
        Replica::new(self.registry.clone(), scope, &self.prefix)
    }

    /// Waits until a consumer knows exactly `expected`.
    pub(crate) async fn sees(&self, replica: &mut Replica, expected: &[Service]) -> Result<(), Failure> {
        self.sees_within(replica, expected, self.expect.reaction).await
    }

    pub(crate) async fn sees_within(
        &self,
        replica: &mut Replica,
        expected: &[Service],
        within: Duration,
    ) -> Result<(), Failure> {
        let mut content = Content::new();
        for service in normal(expected.to_vec()) {
            content.entry(service.name.clone()).or_default().push(service);
        }
        replica.until(&content, within).await
    }
}
