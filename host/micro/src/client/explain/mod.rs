//! What a call does, step by step, told by the client itself: what `micro explain` prints.
//!
//! A [`Trace`] in the options of a call is told of each step. Without one, a call pays for a look at an empty option
//! here and there.

mod follow;
mod make;
mod step;
#[cfg(test)]
mod tests;

pub(super) use follow::follow;
pub(super) use make::{
    addresses, answer, call, candidates, opening, pick, registry, reply, request, retry, status,
};
pub use step::{NodeSeen, Stage, Step, TracedStep, VersionSeen};

use super::speaks::Protocol;
use super::{CallOptions, Client, Reached};
use crate::rpc::RpcHead;
use micro_core::Error;
use micro_net::observe::{self, DialStep, Observer};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// Steps that are kept of one call. A call with many attempts has more, and nobody reads them.
const MOST_STEPS: usize = 1000;

/// Takes down what becomes of calls. Clones take it down together.
#[derive(Clone)]
pub struct Trace(Arc<Inner>);

struct Inner {
    started: Instant,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    steps: Vec<TracedStep>,
    stage: Stage,
}

impl Trace {
    /// Nothing taken down yet. Its clock starts now.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner { started: Instant::now(), told: Mutex::default() }))
    }

    /// What was taken down so far.
    pub fn steps(&self) -> Vec<TracedStep> {
        self.0.told.lock().steps.clone()
    }

    /// Where the call failed last, or where it is.
    pub fn failed_at(&self) -> Stage {
        let told = self.0.told.lock();
        match told.steps.last() {
            Some(TracedStep { step: Step::Failed { stage, .. }, .. }) => *stage,
            _ => told.stage,
        }
    }

    fn stage(&self) -> Stage {
        self.0.told.lock().stage
    }

    /// The call is over, with this error; tells so unless the last attempt has.
    pub(super) fn ended(&self, error: &Error) {
        let stage = {
            let told = self.0.told.lock();
            if matches!(told.steps.last(), Some(TracedStep { step: Step::Failed { .. }, .. })) {
                return;
            }
            told.stage
        };
        let executed = match stage {
            Stage::Exchange => "perhaps",
            Stage::Decode => "yes",
            _ => "no",
        };
        self.tell(Step::Failed { stage, error: error.clone(), executed });
    }

    fn tell(&self, step: Step) {
        let at_us = u64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut told = self.0.told.lock();
        told.stage = match &step {
            Step::Registry { .. } | Step::Candidates { .. } => Stage::Select,
            Step::Pick { .. } => Stage::Encode,
            Step::Dial { .. } | Step::Resolved { .. } => Stage::Connect,
            // A connection is sent on at once, but one that is to be encrypted is not ready yet: the error says that.
            Step::Connected { .. } | Step::Tls { .. } | Step::Request { .. } => Stage::Exchange,
            Step::Answer { .. } | Step::Message { .. } => Stage::Decode,
            Step::Retry { .. } => Stage::Select,
            Step::Reached { .. } | Step::Ended { .. } | Step::Failed { .. } => told.stage,
        };
        if told.steps.len() < MOST_STEPS {
            told.steps.push(TracedStep { at_us, step });
        }
    }

    /// Runs a call, of whose connections it is told as well.
    pub(super) async fn watch<F: Future>(&self, call: F) -> F::Output {
        let trace = self.clone();
        let observer: Observer = Arc::new(move |step| match step {
            DialStep::Dialing { target } => trace.tell(Step::Dial { target }),
            DialStep::Resolved { addresses } => trace.tell(Step::Resolved { addresses }),
            DialStep::Connected { address } => trace.tell(Step::Connected { address }),
            DialStep::Tls { version, cipher, alpn } => trace.tell(Step::Tls { version, cipher, alpn }),
            _ => {}
        });
        observe::observed(observer, call).await
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("stage", &self.stage()).finish_non_exhaustive()
    }
}

impl CallOptions {
    /// Takes down what becomes of the call.
    #[must_use]
    pub fn trace(mut self, trace: &Trace) -> Self {
        self.trace = Some(trace.clone());
        self
    }

    /// Tells a step to the trace, if there is one.
    pub(super) fn tell(&self, step: impl FnOnce() -> Step) {
        if let Some(trace) = &self.trace {
            trace.tell(step());
        }
    }

    /// Tells of an attempt that failed.
    pub(super) fn tell_failure(&self, error: &Error, reached: Reached) {
        let Some(trace) = &self.trace else { return };
        let (stage, executed) = match (reached, trace.stage()) {
            // The request was written down before it turned out that nobody takes it.
            (Reached::Nothing, Stage::Exchange) => (Stage::Connect, "no"),
            (Reached::Nothing, stage) => (stage, "no"),
            (Reached::Unknown, stage) => (stage, "perhaps"),
            (Reached::Handler, Stage::Decode) => (Stage::Decode, "yes"),
            (Reached::Handler, stage) => (stage, "no"),
        };
        trace.tell(Step::Failed { stage, error: error.clone(), executed });
    }
}

impl Client {
    /// Everything that a call does before it sends something: looks the service up, chooses a node, connects to it. The
    /// connection is kept for the call that may follow.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn reach(&self, service: &str, endpoint: &str, options: &CallOptions) -> Result<(), Error> {
        let trace = options.trace.clone().unwrap_or_default();
        let core = &self.core;
        let head = RpcHead::new(service, endpoint, "");
        let reaching = async {
            let node = core.pick(&head, options, &[]).await?;
            let limit = options.connect_timeout.unwrap_or(core.settings.connect_timeout);
            let before = trace.steps().len();
            let line = core.lines.of(node.security)?;
            let reached = match node.protocol {
                Protocol::Mucp | Protocol::Envelopes => {
                    let reached = line.pool.reach(&node.address, limit).await;
                    reached.map_err(|error| core.failed(&node, &error))
                }
                Protocol::Grpc | Protocol::GrpcJson | Protocol::MucpOverGrpc => {
                    let reached = line.channels.reach(&node.address, limit).await;
                    reached.map_err(|error| super::grpc::failed(&node, &error))
                }
            };
            reached.map_err(|(error, _)| error)?;
            trace.tell(Step::Reached { kept: trace.steps().len() == before });
            Ok(())
        };
        let timeout = options.timeout.unwrap_or(core.settings.timeout);
        let reached = timeout_at(Instant::now() + timeout, trace.watch(reaching)).await;
        let late = |_| Err(Error::timeout(super::ID, format!("no connection within {timeout:?}")));
        reached.unwrap_or_else(late).inspect_err(|error| trace.ended(error))
    }
}
