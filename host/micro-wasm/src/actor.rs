//! One instance is one task that owns its store; callers reach it through a bounded channel.
//!
//! This is also what makes it safe for a plugin to call the host and for the host to call another plugin meanwhile:
//! wasmtime panics when one store's event loop is entered from inside another's, and a channel never does that.

use crate::exports::Exports;
use crate::fault::{Failure, Fault};
use crate::limits::{SLACK, Usage};
use crate::log::GuestLog;
use crate::state::{Need, State, Waiting};
use crate::stats::Stats;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use micro_bindings::micro::plugin::types::Call;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use wasmtime::Store;
use wasmtime::component::Accessor;

/// One call, with the types of its arguments and its answer hidden. An error is a trap.
pub(crate) type Job =
    Box<dyn for<'a> FnOnce(&'a Accessor<State>, &'a Exports) -> BoxFuture<'a, wasmtime::Result<()>> + Send>;

/// A running instance, as callers see it.
#[derive(Clone)]
pub(crate) struct Instance {
    /// Counts the instances of a plugin, from 1.
    pub(crate) number: u64,
    pub(crate) jobs: mpsc::Sender<Job>,
    /// For `health` and `drain`, which never queue behind other calls.
    pub(crate) urgent: mpsc::Sender<Job>,
    pub(crate) usage: Arc<Usage>,
    pub(crate) log: Arc<GuestLog>,
    /// Calls that run. Those that an instance took with it when it ended are never taken off.
    pub(crate) in_flight: Arc<AtomicUsize>,
    /// Counts the callers that wait, too: they are fewer once some have given up.
    pub(crate) need: Arc<Need>,
    /// Why it ended, once it has.
    pub(crate) ended: watch::Receiver<Option<String>>,
}

/// Which instance gets the calls.
#[derive(Clone)]
pub(crate) enum Slot {
    /// None yet.
    Starting,
    Ready(Instance),
    /// The last one ended like this, the next one is on its way.
    Restarting(String),
    /// It failed too often; probed once in a while.
    Quarantined(String),
    /// It does not accept its options.
    Refused(String),
    Stopped,
}

/// A guest that ignored a deadline.
pub(crate) struct Late {
    pub(crate) instance: u64,
    pub(crate) fault: Fault,
}

/// A handle on one line of instances, each the successor of the one before. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Lane {
    slot: watch::Receiver<Slot>,
    late: mpsc::Sender<Late>,
    stats: Arc<Stats>,
}

/// Which queue a call takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queue {
    Ordinary,
    Urgent,
}

impl Lane {
    pub(crate) fn new(slot: watch::Receiver<Slot>, late: mpsc::Sender<Late>, stats: Arc<Stats>) -> Self {
        Self { slot, late, stats }
    }

    /// Has the current instance replaced, as one that missed a deadline. It finishes what it has.
    pub(crate) fn restart(&self) {
        if let Slot::Ready(instance) = self.slot() {
            let fault = Fault::host("the host was asked to restart it".to_owned());
            // Full means that it is about to be replaced anyway.
            let _ = self.late.try_send(Late { instance: instance.number, fault });
        }
    }

    pub(crate) fn slot(&self) -> Slot {
        self.slot.borrow().clone()
    }

    /// Runs `call` in the current instance. The guest is told to give up after `limit`; the timer for the case that it
    /// does not is here, outside the store's event loop, where a busy guest cannot hold it up.
    ///
    /// Dropping the future abandons the call: the guest goes on with it, and is still held to its deadline.
    pub(crate) async fn call<R, F>(
        &self,
        export: &'static str,
        limit: Duration,
        call: F,
    ) -> Result<R, Failure>
    where
        R: Send + 'static,
        F: for<'a> FnOnce(&'a Accessor<State>, &'a Exports, Call) -> BoxFuture<'a, wasmtime::Result<R>>
            + Send
            + 'static,
    {
        self.call_in(Queue::Ordinary, export, limit, call).await
    }

    /// The same past all calls that wait.
    pub(crate) async fn call_urgently<R, F>(
        &self,
        export: &'static str,
        limit: Duration,
        call: F,
    ) -> Result<R, Failure>
    where
        R: Send + 'static,
        F: for<'a> FnOnce(&'a Accessor<State>, &'a Exports, Call) -> BoxFuture<'a, wasmtime::Result<R>>
            + Send
            + 'static,
    {
        self.call_in(Queue::Urgent, export, limit, call).await
    }

    async fn call_in<R, F>(
        &self,
        queue: Queue,
        export: &'static str,
        limit: Duration,
        call: F,
    ) -> Result<R, Failure>
    where
        R: Send + 'static,
        F: for<'a> FnOnce(&'a Accessor<State>, &'a Exports, Call) -> BoxFuture<'a, wasmtime::Result<R>>
            + Send
            + 'static,
    {
        let asked = Instant::now();
        let instance = self.instance(asked + limit).await?;
        let (progress, mark) = Progress::new(&instance);
        let waiting = instance.need.join();
        let (answer_tx, answer) = oneshot::channel();
        let job: Job = Box::new(move |accessor, exports| {
            Box::pin(async move {
                let left = limit.saturating_sub(asked.elapsed());
                if left.is_zero() || answer_tx.is_closed() {
                    return Ok(()); // it waited for all of its time, or nobody waits for it
                }
                mark.started();
                let answer = call(accessor, exports, header(left)).await?;
                mark.answered(); // first, or the caller would think that it still runs
                let _ = answer_tx.send(answer); // the caller may be gone
                Ok(())
            })
        });
        let sender = if queue == Queue::Urgent { &instance.urgent } else { &instance.jobs };
        sender.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Failure::Overloaded,
            mpsc::error::TrySendError::Closed(_) => {
                Failure::InstanceLost("before it took the call".to_owned())
            }
        })?;
        let patience = limit + SLACK;
        let deadline = asked + patience;
        let watched =
            Watched { lane: self, instance, export, patience, deadline, progress, _waiting: waiting };
        match timeout_at(watched.deadline, answer).await {
            Ok(Ok(answer)) => {
                self.stats.record(export, asked.elapsed());
                Ok(answer)
            }
            Ok(Err(_dropped)) if watched.progress.has_started() => Err(watched.lost().await),
            Err(_elapsed) if watched.progress.has_started() => Err(Failure::Deadline(patience)),
            Ok(Err(_dropped)) if asked.elapsed() < limit => {
                Err(Failure::InstanceLost("before the call began".to_owned()))
            }
            Ok(Err(_)) | Err(_) => Err(Failure::Overloaded),
        }
    }

    /// Waits while there is none, and while the supervisor has yet to notice that it trapped.
    async fn instance(&self, deadline: Instant) -> Result<Instance, Failure> {
        let mut slot = self.slot.clone();
        let settled = |slot: &Slot| match slot {
            Slot::Ready(instance) => !instance.jobs.is_closed(),
            Slot::Starting | Slot::Restarting(_) => false,
            Slot::Quarantined(_) | Slot::Refused(_) | Slot::Stopped => true,
        };
        let settled = match timeout_at(deadline, slot.wait_for(settled)).await {
            Ok(Ok(slot)) => slot.clone(),
            Ok(Err(_closed)) => Slot::Stopped,
            Err(_elapsed) => self.slot(),
        };
        match settled {
            Slot::Ready(instance) => Ok(instance),
            Slot::Starting => Err(Failure::NotReady("no instance has started yet".to_owned())),
            Slot::Restarting(reason) => Err(Failure::NotReady(reason)),
            Slot::Quarantined(reason) => Err(Failure::Quarantined(reason)),
            Slot::Refused(reason) => Err(Failure::Refused(reason)),
            Slot::Stopped => Err(Failure::Stopped),
        }
    }
}

/// The first parameter of each call.
pub(crate) fn header(limit: Duration) -> Call {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Call {
        timeout_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        traceparent: None,
        request_id: NEXT.fetch_add(1, Ordering::Relaxed),
    }
}

/// How far a call has come, as its caller sees it.
struct Progress {
    started: Arc<AtomicBool>,
    ended: CancellationToken,
}

/// The same, in the hands of the call.
struct Mark {
    started: Arc<AtomicBool>,
    in_flight: Arc<AtomicUsize>,
    _ended: DropGuard,
}

impl Progress {
    fn new(instance: &Instance) -> (Self, Mark) {
        let (started, ended) = (Arc::new(AtomicBool::new(false)), CancellationToken::new());
        let in_flight = instance.in_flight.clone();
        let mark = Mark { started: started.clone(), in_flight, _ended: ended.clone().drop_guard() };
        (Self { started, ended }, mark)
    }

    fn has_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }
}

impl Mark {
    fn started(&self) {
        self.started.store(true, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    fn answered(self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watched<'_> {
    /// What to tell a caller whose instance ended under the call. A trap comes out of the store's event loop and names
    /// no call, so only one that was alone is surely to blame; the others may have been innocent.
    async fn lost(&self) -> Failure {
        let mut ended = self.instance.ended.clone();
        let reason = match timeout_at(self.deadline, ended.wait_for(Option::is_some)).await {
            Ok(Ok(reason)) => reason.clone().unwrap_or_default(),
            // Its task panicked, or takes its time to end.
            Ok(Err(_)) | Err(_) => "the host had to give it up".to_owned(),
        };
        match self.instance.in_flight.load(Ordering::Relaxed) {
            0 | 1 => Failure::Trapped(reason),
            _ => Failure::InstanceLost(reason),
        }
    }
}

/// Holds the guest to its deadline, also when the caller goes away before it.
struct Watched<'a> {
    lane: &'a Lane,
    instance: Instance,
    export: &'static str,
    patience: Duration,
    deadline: Instant,
    progress: Progress,
    _waiting: Waiting,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if self.progress.ended.is_cancelled() {
            return;
        }
        let (late, instance, export) = (self.lane.late.clone(), self.instance.clone(), self.export);
        let (patience, deadline) = (self.patience, self.deadline);
        let (started, ended) = (self.progress.started.clone(), self.progress.ended.clone());
        let watch = async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = sleep_until(deadline) => {
                    // One that never started is the queue's fault, not the guest's.
                    if started.load(Ordering::Relaxed) {
                        let fault = Fault::deadline(export, patience, &instance.log);
                        // Full means that the supervisor has enough reasons already.
                        let _ = late.try_send(Late { instance: instance.number, fault });
                    }
                }
            }
        };
        // Outside a runtime the process is ending, and with it the guest.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(watch);
        }
    }
}

/// What the task of an instance owns.
pub(crate) struct Body {
    pub(crate) store: Store<State>,
    pub(crate) exports: Exports,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) urgent: mpsc::Receiver<Job>,
    pub(crate) retire: CancellationToken,
    /// The store's epoch callback reads it.
    pub(crate) need: Arc<Need>,
    pub(crate) max_concurrency: usize,
    /// How long a retired instance may go on with the calls that it has.
    pub(crate) grace: Duration,
    pub(crate) usage: Arc<Usage>,
    pub(crate) log: Arc<GuestLog>,
    pub(crate) ended: watch::Sender<Option<String>>,
}

impl Body {
    /// Runs until the instance is retired and done, or trapped.
    pub(crate) async fn run(self) -> Option<Fault> {
        let Self {
            mut store,
            exports,
            jobs,
            urgent,
            retire,
            need,
            max_concurrency,
            grace,
            usage,
            log,
            ended,
        } = self;
        let over = async {
            retire.cancelled().await;
            need.retire();
            sleep(grace).await;
        };
        let outcome = tokio::select! {
            outcome = drive(&mut store, &exports, jobs, urgent, &retire, max_concurrency) => outcome,
            () = over => Ok(()),
        };
        // Only this ends calls that are still running: futures that merely go away cancel nothing in the guest.
        drop(store);
        let fault = outcome.err().map(|trap| Fault::trap(&trap, &usage, &log));
        ended.send_replace(Some(fault.as_ref().map_or_else(|| "it was retired".to_owned(), Fault::summary)));
        fault.filter(|_| !retire.is_cancelled())
    }
}

/// The store's event loop: starts calls as they arrive and drives all of them together. Returns with the first trap,
/// or when the instance is retired and its last call is done.
async fn drive(
    store: &mut Store<State>,
    exports: &Exports,
    mut jobs: mpsc::Receiver<Job>,
    mut urgent: mpsc::Receiver<Job>,
    retire: &CancellationToken,
    max_concurrency: usize,
) -> wasmtime::Result<()> {
    let events = store.run_concurrent(async |accessor| {
        let mut running = FuturesUnordered::new();
        let (mut ordinary, mut open, mut retiring) = (0, true, false);
        while open || !running.is_empty() {
            tokio::select! {
                biased;
                Some((queue, done)) = running.next() => {
                    ordinary -= usize::from(queue == Queue::Ordinary);
                    done?;
                }
                Some(job) = urgent.recv() => running.push(tagged(Queue::Urgent, job(accessor, exports))),
                () = retire.cancelled(), if !retiring => {
                    retiring = true;
                    jobs.close();
                }
                job = jobs.recv(), if open && ordinary < max_concurrency => match job {
                    Some(job) => {
                        ordinary += 1;
                        running.push(tagged(Queue::Ordinary, job(accessor, exports)));
                    }
                    None => open = false,
                },
            }
        }
        Ok(())
    });
    events.await?
}

async fn tagged(queue: Queue, job: BoxFuture<'_, wasmtime::Result<()>>) -> (Queue, wasmtime::Result<()>) {
    (queue, job.await)
}
