//! How often a hot plugin may fail. What counts is the rate: a request can make a plugin trap, so a count would let five
//! poisoned requests switch it off, and no limit would let a flood of them keep every thread busy making instances.

use crate::fault::Fault;
use crate::settings::Settings;
use parking_lot::Mutex;
use std::time::{Duration, Instant, SystemTime};

/// Faults of one plugin, over all threads. Only looked at off the usual path.
#[derive(Debug)]
pub(super) struct Faults {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    per_second: u32,
    budget: u32,
    window: Duration,
    quarantine: Duration,
}

#[derive(Debug)]
struct State {
    total: u64,
    last: Option<(SystemTime, u64, Fault)>,
    /// Within the running second.
    second: (Instant, u32),
    /// Within the running window.
    window: (Instant, u32),
    quarantine: Option<(Instant, String)>,
}

/// Whether a fresh instance may be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Yes.
    Yes,
    /// Not within this second: others were lost just now.
    Later,
    /// Not before the quarantine is over.
    Quarantined(String),
}

/// What a fault leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A fresh instance may replace the lost one.
    Replace,
    /// That was one too many.
    Quarantine,
}

impl Faults {
    pub(super) fn new(settings: &Settings) -> Self {
        let now = Instant::now();
        let limits = Limits {
            per_second: settings.hot_rebuilds_per_second,
            budget: settings.hot_fault_budget,
            window: settings.hot_fault_window,
            quarantine: settings.probe_every,
        };
        let state = State { total: 0, last: None, second: (now, 0), window: (now, 0), quarantine: None };
        Self { limits, state: Mutex::new(state) }
    }

    /// Notes a fault of the instance with this number.
    pub(super) fn note(&self, instance: u64, fault: &Fault) -> Outcome {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.total += 1;
        state.last = Some((SystemTime::now(), instance, fault.clone()));
        count(&mut state.second, now, Duration::from_secs(1));
        let within = count(&mut state.window, now, self.limits.window);
        if within <= self.limits.budget || state.quarantine.is_some() {
            return Outcome::Replace;
        }
        let window = self.limits.window.as_secs_f64();
        let why = format!("{within} faults within {window:.0} s, the last one: {}", fault.summary());
        state.quarantine = Some((now + self.limits.quarantine, why));
        Outcome::Quarantine
    }

    pub(super) fn admit(&self) -> Admission {
        let now = Instant::now();
        let mut state = self.state.lock();
        match &state.quarantine {
            Some((until, why)) if now < *until => return Admission::Quarantined(why.clone()),
            // Another chance, with the whole budget.
            Some(_) => {
                state.quarantine = None;
                state.window = (now, 0);
                state.second = (now, 0);
            }
            None => {}
        }
        let (since, lost) = state.second;
        if now.duration_since(since) < Duration::from_secs(1) && lost > self.limits.per_second {
            return Admission::Later;
        }
        Admission::Yes
    }

    /// Another generation serves: what the last one did is not its fault.
    pub(super) fn forgive(&self) {
        let mut state = self.state.lock();
        let now = Instant::now();
        state.quarantine = None;
        state.second = (now, 0);
        state.window = (now, 0);
    }

    pub(super) fn quarantined(&self) -> Option<String> {
        let state = self.state.lock();
        state.quarantine.as_ref().filter(|(until, _)| Instant::now() < *until).map(|(_, why)| why.clone())
    }

    /// How many there were, and the last one with its time and instance.
    pub(super) fn report(&self) -> (u64, Option<(SystemTime, u64, Fault)>) {
        let state = self.state.lock();
        (state.total, state.last.clone())
    }
}

/// One more within the running period, or the first of the next.
fn count(period: &mut (Instant, u32), now: Instant, length: Duration) -> u32 {
    if now.duration_since(period.0) >= length {
        *period = (now, 0);
    }
    period.1 = period.1.saturating_add(1);
    period.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(per_second: u32, budget: u32, probe_every: Duration) -> Faults {
        Faults::new(&Settings {
            hot_rebuilds_per_second: per_second,
            hot_fault_budget: budget,
            probe_every,
            ..Settings::default()
        })
    }

    #[test]
    fn too_many_in_a_second_have_to_wait() {
        let faults = faults(2, 100, Duration::from_secs(60));
        for _ in 0..2 {
            assert_eq!(faults.note(1, &Fault::host("x".to_owned())), Outcome::Replace);
            assert_eq!(faults.admit(), Admission::Yes);
        }
        assert_eq!(faults.note(1, &Fault::host("x".to_owned())), Outcome::Replace);
        assert_eq!(faults.admit(), Admission::Later);
        faults.forgive();
        assert_eq!(faults.admit(), Admission::Yes);
    }

    #[test]
    fn a_quarantine_begins_once_and_ends() {
        let faults = faults(100, 1, Duration::ZERO);
        let fault = Fault::host("x".to_owned());
        assert_eq!(faults.note(1, &fault), Outcome::Replace);
        assert_eq!(faults.note(2, &fault), Outcome::Quarantine);
        assert_eq!(faults.note(3, &fault), Outcome::Replace, "it is quarantined already");
        assert_eq!(faults.admit(), Admission::Yes, "it is over");
        assert_eq!(faults.note(4, &fault), Outcome::Replace, "the whole budget again");
        let (total, last) = faults.report();
        assert_eq!((total, last.map(|(_, instance, _)| instance)), (4, Some(4)));
    }
}
