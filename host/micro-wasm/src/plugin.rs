//! A plugin in service: its lanes, its monitor, and what can be told about it.

use crate::actor::{Lane, Slot};
use crate::denials::Denials;
use crate::health::{Health, Monitor};
use crate::launch::{Launcher, Running};
use crate::stats::Stats;
use crate::status::{LastError, PluginState, PluginStatus};
use crate::supervisor::{End, Record, Supervisor};
use micro_plugin::{Digest, Kind};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// Deadlines that were missed and that the supervisor has yet to hear of.
const LATE: usize = 16;

/// Where a plugin came from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) flag: String,
    pub(crate) file: PathBuf,
    pub(crate) digest: Digest,
}

/// One generation of a plugin. It ends with its last handle, or by [`Plugin::end`].
pub(crate) struct Plugin {
    origin: Origin,
    launcher: Arc<Launcher>,
    /// The first takes ordinary calls, the last long polls; one and the same when an instance can do both at a time.
    lanes: Vec<Lane>,
    record: Arc<Record>,
    stats: Arc<Stats>,
    denials: Arc<Denials>,
    health: watch::Receiver<Health>,
    nudge: Arc<Notify>,
    stop: watch::Sender<Option<End>>,
    /// Supervisors and monitor.
    tasks: TaskTracker,
}

impl Plugin {
    /// Puts a plugin into service whose first instance is there.
    pub(crate) fn start(
        origin: Origin,
        launcher: Arc<Launcher>,
        denials: Arc<Denials>,
        first: Option<Running>,
    ) -> Arc<Self> {
        let (stop, stopping) = watch::channel(None);
        let (record, stats, tasks) = (Arc::<Record>::default(), Arc::<Stats>::default(), TaskTracker::new());
        let lane = |first: Option<Running>| {
            let (slot, current) = watch::channel(Slot::Starting);
            let (late, late_rx) = mpsc::channel(LATE);
            let (launcher, record, stop) = (launcher.clone(), record.clone(), stopping.clone());
            tasks.spawn(Supervisor { launcher, record, slot, late: late_rx, stop }.run(first));
            Lane::new(current, late, stats.clone())
        };
        let mut lanes = vec![lane(first)];
        if launcher.manifest.max_concurrency == 1 && launcher.manifest.kind == Kind::Registry {
            lanes.push(lane(None));
        }
        let (health_tx, health) = watch::channel(Health::Unknown);
        let nudge = Arc::new(Notify::new());
        let monitor = Monitor {
            launcher: launcher.clone(),
            lane: lanes[0].clone(),
            health: health_tx,
            nudge: nudge.clone(),
            stop: stopping.clone(),
        };
        tasks.spawn(monitor.run());
        tasks.close();
        Arc::new(Self { origin, launcher, lanes, record, stats, denials, health, nudge, stop, tasks })
    }

    pub(crate) fn launcher(&self) -> &Launcher {
        &self.launcher
    }

    /// For calls that answer soon.
    pub(crate) fn calls(&self) -> &Lane {
        &self.lanes[0]
    }

    /// For long polls.
    pub(crate) fn polls(&self) -> &Lane {
        &self.lanes[self.lanes.len() - 1]
    }

    /// Has all instances replaced by fresh ones of the same generation.
    pub(crate) fn restart(&self) {
        self.lanes.iter().for_each(Lane::restart);
    }

    /// A call found the backend missing: the monitor should have a look.
    pub(crate) fn suspect(&self) {
        self.nudge.notify_one();
    }

    /// Waits until `health` was answered once, at most for `limit`.
    pub(crate) async fn first_health(&self, limit: Duration) -> Health {
        let mut health = self.health.clone();
        let known = health.wait_for(|health| *health != Health::Unknown);
        match tokio::time::timeout(limit, known).await {
            Ok(Ok(health)) => health.clone(),
            _ => Health::Unknown,
        }
    }

    /// Drains and ends all instances, at the latest at `deadline`. `reason` is what they are told.
    pub(crate) async fn end(&self, reason: &'static str, deadline: Instant) {
        self.stop.send_replace(Some(End { reason, deadline }));
        self.tasks.wait().await;
        self.launcher.tasks.close();
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        if tokio::time::timeout(left, self.launcher.tasks.wait()).await.is_err() {
            let name = self.launcher.manifest.name.as_str();
            tracing::warn!(plugin.name = name, "instances still running at the end");
        }
    }

    pub(crate) fn status(&self) -> PluginStatus {
        let manifest = &self.launcher.manifest;
        let slots: Vec<Slot> = self.lanes.iter().map(Lane::slot).collect();
        let instances: Vec<_> = slots
            .iter()
            .filter_map(|slot| match slot {
                Slot::Ready(instance) => Some(instance),
                _ => None,
            })
            .collect();
        PluginStatus {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            kind: manifest.kind,
            flag: self.origin.flag.clone(),
            digest: self.origin.digest.to_string(),
            file: self.origin.file.clone(),
            locator: String::new(),
            configured: String::new(),
            state: self.state(&slots),
            generation: self.launcher.generation,
            instance: instances.first().map_or(0, |instance| instance.number),
            instances: self.launcher.tasks.len(),
            restarts: self.record.restarts.load(Ordering::Relaxed),
            last_error: self.last_error(),
            in_flight: instances.iter().map(|it| it.in_flight.load(Ordering::Relaxed)).sum(),
            queued: instances.iter().map(|it| it.jobs.max_capacity() - it.jobs.capacity()).sum(),
            memory_bytes: instances.iter().map(|it| it.usage.memory()).sum(),
            calls: self.stats.times(),
            denied: self.denials.all(),
            options: self.launcher.options.display().into_iter().collect(),
            draining: 0,
            last_swap: None,
        }
    }

    /// The worst lane decides; the backend counts when all lanes are fine.
    fn state(&self, slots: &[Slot]) -> PluginState {
        let of = |slot: &Slot| match slot {
            Slot::Quarantined(why) => (5, PluginState::Quarantined(why.clone())),
            Slot::Refused(why) => {
                (5, PluginState::Quarantined(format!("it does not accept its options: {why}")))
            }
            Slot::Stopped => (4, PluginState::Stopped),
            Slot::Restarting(why) => (3, PluginState::Restarting(why.clone())),
            Slot::Starting => (2, PluginState::Starting),
            Slot::Ready(_) => match &*self.health.borrow() {
                Health::Bad(why) => (1, PluginState::Degraded(why.clone())),
                Health::Unknown => (1, PluginState::Starting),
                Health::Good => (0, PluginState::Ready),
            },
        };
        let worst = slots.iter().map(of).max_by_key(|(severity, _)| *severity);
        worst.map_or(PluginState::Starting, |(_, state)| state)
    }

    fn last_error(&self) -> Option<LastError> {
        let last = self.record.last.lock();
        let (at, instance, fault) = last.as_ref()?;
        Some(LastError::new(*at, *instance, fault))
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.launcher.manifest.name)
            .field("origin", &self.origin)
            .finish()
    }
}
