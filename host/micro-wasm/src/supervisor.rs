//! Replaces instances that failed, and stops doing so when they fail too often.

use crate::actor::{Late, Slot};
use crate::fault::Fault;
use crate::launch::{LaunchError, Launcher, Running};
use micro_core::Code;
use micro_net::Backoff;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// A request to end; none while it may go on. A closed channel means at once.
pub(crate) type Stop = watch::Receiver<Option<End>>;

/// How long the polls of a generation that was replaced may take to notice. Nobody waits for them any more.
const LET_GO: Duration = Duration::from_millis(100);

/// How a plugin is to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// What `drain` is told: `shutdown`, or `replaced` when another generation has taken over.
    pub(crate) reason: &'static str,
    /// When everything has to be over.
    pub(crate) deadline: Instant,
}

/// What is remembered of a plugin's faults.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) restarts: AtomicU64,
    pub(crate) last: Mutex<Option<(SystemTime, u64, Fault)>>,
    /// When the latest restarts were; shared by all lanes of a plugin.
    recent: Mutex<VecDeque<Instant>>,
}

/// Owns one lane of a plugin: at each time one instance that gets the calls, and perhaps a late one before it.
pub(crate) struct Supervisor {
    pub(crate) launcher: Arc<Launcher>,
    pub(crate) record: Arc<Record>,
    pub(crate) slot: watch::Sender<Slot>,
    pub(crate) late: mpsc::Receiver<Late>,
    pub(crate) stop: Stop,
}

/// Why a running instance is not the right one any more.
enum Event {
    /// It ended.
    Gone(Fault),
    /// It is deaf to one call; the others may still be answered.
    Late(Fault),
    Stop,
}

impl Supervisor {
    /// Runs until the plugin is stopped. `first` is an instance that is there already.
    pub(crate) async fn run(mut self, first: Option<Running>) {
        let mut next = match first {
            Some(running) => Some(running),
            None => self.launch(None).await,
        };
        while let Some(mut running) = next {
            let number = running.instance.number;
            self.slot.send_replace(Slot::Ready(running.instance.clone()));
            let (fault, old) = match self.watch(&mut running).await {
                Event::Stop => {
                    self.end(running).await;
                    break;
                }
                Event::Gone(fault) => {
                    self.slot.send_replace(Slot::Restarting(fault.summary()));
                    (fault, None)
                }
                // It serves until its successor is ready.
                Event::Late(fault) => (fault, Some(running)),
            };
            self.note(number, fault);
            next = self.launch(old).await;
        }
        self.slot.send_replace(Slot::Stopped);
    }

    /// Waits for the end of an instance, or for a reason to end it.
    async fn watch(&mut self, running: &mut Running) -> Event {
        loop {
            tokio::select! {
                ended = &mut running.task => return Event::Gone(match ended {
                    Ok(Some(fault)) => fault,
                    Ok(None) => Fault::host("its task ended without a reason".to_owned()),
                    Err(error) => Fault::host(format!("the host's task for it failed: {error}")),
                }),
                Some(late) = self.late.recv() => {
                    if late.instance == running.instance.number {
                        return Event::Late(late.fault);
                    }
                }
                _ = stopped(&mut self.stop) => return Event::Stop,
            }
        }
    }

    fn note(&self, instance: u64, fault: Fault) {
        tracing::warn!(
            plugin.name = self.launcher.manifest.name, plugin.instance = instance, fault = ?fault.kind,
            reason = fault.summary(), "plugin failed"
        );
        *self.record.last.lock() = Some((SystemTime::now(), instance, fault));
    }

    /// The next instance. `old` serves meanwhile and is then retired. None: the plugin was stopped.
    async fn launch(&mut self, old: Option<Running>) -> Option<Running> {
        let mut old = Retiring { running: old, grace: self.launcher.settings.grace };
        let mut backoff =
            Backoff::new(self.launcher.settings.restart_first, self.launcher.settings.restart_max);
        let mut wait = self.record.pause(self.launcher.settings.restart_window, &mut backoff);
        // The very first instance of a lane is no restart.
        let mut free = matches!(*self.slot.borrow(), Slot::Starting);
        loop {
            if !free && !self.record.take(&self.launcher.settings) {
                old.retire();
                return self.quarantine().await;
            }
            self.pause(wait).await?;
            match self.launcher.launch().await {
                Ok(running) => return Some(running),
                Err(LaunchError::Invalid(why)) => {
                    old.retire();
                    return self.refuse(why).await;
                }
                Err(LaunchError::NotYet(why)) => {
                    if old.running.is_none() {
                        self.slot.send_replace(Slot::Restarting(why));
                    }
                    // The plugin is fine, so this does not count.
                    free = true;
                }
                Err(LaunchError::Fault(fault)) => {
                    if old.running.is_none() {
                        self.slot.send_replace(Slot::Restarting(fault.summary()));
                    }
                    self.note(self.launcher.started.load(Ordering::Relaxed), fault);
                    free = false;
                }
            }
            wait = backoff.next_wait();
        }
    }

    /// Sleeps, unless the plugin is stopped.
    async fn pause(&mut self, wait: Duration) -> Option<()> {
        tokio::select! {
            () = sleep(wait) => Some(()),
            _ = stopped(&mut self.stop) => None,
        }
    }

    /// Gives the plugin one more chance every now and then, for ever: nothing else can take the place of a registry.
    async fn quarantine(&mut self) -> Option<Running> {
        let (name, every) = (self.launcher.manifest.name.clone(), self.launcher.settings.probe_every);
        let last = self.record.last.lock().as_ref().map(|(_, _, fault)| fault.summary()).unwrap_or_default();
        tracing::error!(
            plugin.name = name, reason = last, code = %Code::PLUGIN_QUARANTINED,
            "plugin quarantined, next try in {every:?}"
        );
        self.slot.send_replace(Slot::Quarantined(last));
        loop {
            self.pause(every).await?;
            match self.launcher.launch().await {
                Ok(running) => {
                    tracing::info!(plugin.name = name, "plugin left quarantine");
                    self.record.recent.lock().clear();
                    return Some(running);
                }
                Err(LaunchError::Invalid(why)) => return self.refuse(why).await,
                Err(LaunchError::NotYet(why)) => {
                    self.slot.send_replace(Slot::Quarantined(why));
                }
                Err(LaunchError::Fault(fault)) => {
                    self.slot.send_replace(Slot::Quarantined(fault.summary()));
                    self.note(self.launcher.started.load(Ordering::Relaxed), fault);
                }
            }
        }
    }

    /// A plugin that does not accept its options is left alone.
    async fn refuse(&mut self, why: String) -> Option<Running> {
        tracing::error!(
            plugin.name = self.launcher.manifest.name,
            reason = why,
            "plugin refuses its options"
        );
        self.slot.send_replace(Slot::Refused(why));
        stopped(&mut self.stop).await;
        None
    }

    /// 1. No more calls. 2. `drain`, so that nothing lingers at the backend. 3. Its task ends.
    async fn end(&mut self, running: Running) {
        let End { reason, deadline } = stopped(&mut self.stop).await;
        self.slot.send_replace(Slot::Stopped);
        let left = deadline.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            // However it ends, by an answer, by a trap or by time, this was its chance.
            let _ = timeout_at(deadline, running.drain(reason, left)).await;
        }
        running.retire.cancel();
        let mut task = running.task;
        let grace = if reason == "replaced" { LET_GO } else { self.launcher.settings.grace };
        let rest = deadline.saturating_duration_since(Instant::now()).min(grace);
        if timeout(rest, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Retires its instance at the latest when it goes away itself.
struct Retiring {
    running: Option<Running>,
    grace: Duration,
}

impl Retiring {
    fn retire(&mut self) {
        if let Some(running) = self.running.take() {
            running.retire(self.grace);
        }
    }
}

impl Drop for Retiring {
    fn drop(&mut self) {
        self.retire();
    }
}

/// Waits for the request to end.
pub(crate) async fn stopped(stop: &mut Stop) -> End {
    let asked = stop.wait_for(Option::is_some).await.ok().and_then(|end| *end);
    asked.unwrap_or_else(|| End { reason: "shutdown", deadline: Instant::now() })
}

impl Record {
    /// Counts a restart. False: there were too many.
    fn take(&self, settings: &crate::Settings) -> bool {
        let mut recent = self.recent.lock();
        let now = Instant::now();
        while recent.front().is_some_and(|at| now.duration_since(*at) > settings.restart_window) {
            recent.pop_front();
        }
        if recent.len() >= settings.restart_budget {
            return false;
        }
        recent.push_back(now);
        self.restarts.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The first restart after a quiet time is at once, each one after that waits longer.
    fn pause(&self, window: Duration, backoff: &mut Backoff) -> Duration {
        let now = Instant::now();
        let lately = self.recent.lock().iter().filter(|at| now.duration_since(**at) <= window).count();
        (0..lately).map(|_| backoff.next_wait()).last().unwrap_or(Duration::ZERO)
    }
}
