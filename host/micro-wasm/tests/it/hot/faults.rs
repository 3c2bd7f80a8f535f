//! What a fault costs: the call that met it, and nothing else.

use super::{OK, POST, read, written};
use crate::support::{Lab, logged};
use micro_net::wire::{HeadError, NativeWire};
use micro_wasm::{FaultKind, PluginState, PluginWire};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

async fn wire(lab: &Lab, name: &str, fault: &str) -> PluginWire {
    lab.host.load_wire(lab.hot("transport", "fault-wire", name, &[("fault", fault)])).await.expect("it loads")
}

/// Faults of `decode` and how they are reported. The first instance is the one that was tried out; the second, which is
/// this thread's, fails in its second call.
const DECODE: [(&str, FaultKind); 10] = [
    ("trap", FaultKind::Trap),
    ("spin", FaultKind::Deadline),
    ("recurse", FaultKind::Trap),
    ("balloon", FaultKind::Memory),
    ("outside", FaultKind::Answer),
    ("garbage", FaultKind::Answer),
    ("huge", FaultKind::Trap),
    ("short", FaultKind::Answer),
    ("empty", FaultKind::Answer),
    ("log-flood", FaultKind::Deadline),
];

#[tokio::test]
async fn a_fault_of_decode_costs_one_call() {
    for (fault, kind) in DECODE {
        let lab = Lab::new();
        let name = format!("decode-{fault}");
        let wire = wire(&lab, &name, &format!("decode:{fault}#2@2")).await;
        let data = written(&NativeWire, POST).expect("a good head");
        read(&wire, &data).unwrap_or_else(|error| panic!("{fault}: the first call is sound: {error}"));
        let outcome = read(&wire, &data);
        // A flood of lines may end in time.
        if fault == "log-flood" && outcome.is_ok() {
            continue;
        }
        let error = outcome.expect_err("the second is not");
        assert!(matches!(error, HeadError::Plugin(_)), "{fault}: {error:?}");
        let fields = read(&wire, &data).unwrap_or_else(|error| panic!("{fault}: a fresh instance: {error}"));
        assert!(
            fields.contains(&("Micro-Endpoint".to_owned(), "Say.Hello".to_owned())),
            "{fault}: {fields:?}"
        );

        let status = lab.status();
        assert_eq!((status.restarts, status.state), (1, PluginState::Ready), "{fault}");
        let last = status.last_error.expect("there was one");
        assert_eq!((last.kind, last.instance), (kind, 2), "{fault}: {last:?}");
        logged(&name, "plugin failed in a call").await;
    }
}

#[tokio::test]
async fn a_fault_of_encode_costs_one_call() {
    for fault in ["trap", "spin", "recurse", "balloon", "huge", "empty"] {
        let lab = Lab::new();
        let wire = wire(&lab, &format!("encode-{fault}"), &format!("encode:{fault}#2@2")).await;
        written(&wire, OK).unwrap_or_else(|error| panic!("{fault}: the first call is sound: {error}"));
        let error = written(&wire, OK).expect_err("the second is not");
        assert!(matches!(error, HeadError::Plugin(_)), "{fault}: {error:?}");
        assert_eq!(written(&wire, OK).expect("a fresh instance"), written(&NativeWire, OK).expect("good"));
        assert_eq!(lab.status().restarts, 1, "{fault}");
    }
}

#[tokio::test]
async fn a_panic_reaches_the_operator_with_its_text_and_its_place() {
    let lab = Lab::new();
    let wire = wire(&lab, "panicking", "decode:trap#1@2").await;
    read(&wire, &written(&NativeWire, POST).expect("good")).expect_err("it panics");
    let last = lab.status().last_error.expect("there was one");
    assert!(last.stderr.contains("panicked"), "{last:?}");
    assert!(last.backtrace.is_some_and(|it| it.contains("decode")), "names of functions");
    logged("panicking", "panicked").await;
}

/// Overlapping ranges are allowed: they read as fields of the same bytes, and nothing breaks.
#[tokio::test]
async fn overlapping_fields_are_harmless() {
    let lab = Lab::new();
    let wire = wire(&lab, "overlapping", "decode:overlap@2+").await;
    let data = written(&NativeWire, POST).expect("good");
    for (name, value) in read(&wire, &data).expect("ranges within the head") {
        assert!(name.len() <= data.len() && value.len() <= data.len());
    }
}

/// Threads do not share instances: while one meets trap after trap, the others see no error.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn traps_on_one_thread_do_not_reach_the_others() {
    const TRAPS: usize = 500;
    let lab = Lab::with(|config| {
        config.settings.hot_rebuilds_per_second = u32::MAX;
        config.settings.hot_fault_budget = u32::MAX;
    });
    let request =
        lab.hot("transport", "fault-wire", "poisoned", &[("fault", "decode:trap"), ("poison", "poison")]);
    let wire = lab.host.load_wire(request).await.expect("it loads");
    let good = written(&NativeWire, POST).expect("good");
    let poison = b"POST / HTTP/1.1\r\nHost: a\r\nX: poison\r\n\r\n";
    let traps = AtomicUsize::new(0);
    let calls = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..TRAPS {
                read(&wire, poison).expect_err("it panics");
                traps.fetch_add(1, Ordering::Relaxed);
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while traps.load(Ordering::Relaxed) < TRAPS {
                    read(&wire, &good).expect("nothing is wrong here");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(calls.load(Ordering::Relaxed) > TRAPS, "the others went on");
    assert_eq!(lab.status().restarts, TRAPS as u64);
}

/// What counts is the rate. Below it, any number of poisoned requests leaves the plugin in service.
#[tokio::test]
async fn ten_thousand_poisoned_heads_below_the_rate_do_not_switch_a_wire_off() {
    const POISONED: u64 = 10_000;
    let lab = Lab::with(|config| {
        config.settings.hot_rebuilds_per_second = u32::MAX;
        // The window is over before so many can have happened.
        config.settings.hot_fault_window = Duration::from_millis(50);
        config.settings.hot_fault_budget = 9_000;
    });
    let request =
        lab.hot("transport", "fault-wire", "patient", &[("fault", "decode:trap"), ("poison", "poison")]);
    let wire = lab.host.load_wire(request).await.expect("it loads");
    let good = written(&NativeWire, POST).expect("good");
    for _ in 0..POISONED {
        let error = read(&wire, b"POST / HTTP/1.1\r\nHost: poison\r\n\r\n").expect_err("it panics");
        assert!(matches!(error, HeadError::Plugin(_)), "{error:?}");
        read(&wire, &good).expect("a fresh instance");
    }
    let status = lab.status();
    assert_eq!((status.restarts, status.state), (POISONED, PluginState::Ready));
}

/// Above the rate the plugin is quarantined, and its native twin serves, poisoned requests included.
#[tokio::test]
async fn a_flood_of_poisoned_heads_hands_over_to_the_native_twin_until_it_is_over() {
    let lab = Lab::with(|config| {
        config.settings.hot_rebuilds_per_second = u32::MAX;
        config.settings.hot_fault_budget = 20;
        config.settings.probe_every = Duration::from_millis(300);
    });
    let request =
        lab.hot("transport", "fault-wire", "flooded", &[("fault", "decode:trap"), ("poison", "poison")]);
    let wire = lab.host.load_wire(request).await.expect("it loads");
    let poison = b"POST / HTTP/1.1\r\nHost: a\r\nX: poison\r\n\r\n";
    let mut failed = 0;
    while read(&wire, poison).is_err() {
        failed += 1;
        assert!(failed < 100, "the twin should have taken over");
    }
    assert_eq!(failed, 21, "the budget, and one more");
    assert!(matches!(lab.status().state, PluginState::Quarantined(why) if why.contains("21 faults")));
    logged("flooded", "quarantined").await;
    for _ in 0..1000 {
        read(&wire, poison).expect("the twin has no such fault");
    }
    assert_eq!(lab.status().restarts, 21, "nobody asked the plugin");
    // It gets another chance, with the whole budget.
    let started = Instant::now();
    while read(&wire, poison).is_ok() {
        assert!(started.elapsed() < Duration::from_secs(20), "the quarantine should be over");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(lab.status().state, PluginState::Ready);
}

/// Making instances is not free: after many faults within a second the twin serves until the second is over.
#[tokio::test]
async fn the_rate_of_fresh_instances_is_limited() {
    let lab = Lab::with(|config| config.settings.hot_rebuilds_per_second = 5);
    let wire = wire(&lab, "hasty", "decode:trap@2+").await;
    let data = written(&NativeWire, POST).expect("good");
    let started = Instant::now();
    let (mut failed, mut served) = (0, 0);
    while started.elapsed() < Duration::from_millis(900) {
        match read(&wire, &data) {
            Ok(_) => served += 1,
            Err(_) => failed += 1,
        }
    }
    assert!(failed <= 12, "{failed} instances were made within a second");
    assert!(served > 100, "the twin serves meanwhile: {served}");
}

/// A busy machine fails nobody: what counts is the processor time of the thread itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_neighbour_fails_no_call() {
    let lab = Lab::new();
    let wire = wire(&lab, "neighbour", "").await;
    let data = written(&NativeWire, POST).expect("good");
    let stop = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let busy = std::thread::available_parallelism().map_or(4, |it| it.get() * 3);
        for _ in 0..busy {
            scope.spawn(|| {
                while stop.load(Ordering::Relaxed) == 0 {
                    std::hint::spin_loop()
                }
            });
        }
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(1) {
            read(&wire, &data).expect("an innocent call");
        }
        stop.store(1, Ordering::Relaxed);
    });
    assert_eq!(lab.status().restarts, 0);
}

/// Whatever the first instance does wrong, the plugin does not come into service.
#[tokio::test]
async fn what_fails_its_trial_is_not_loaded() {
    for (fault, step) in [
        ("configure:trap", "start"),
        ("configure:invalid", "configure"),
        ("configure:spin", "start"),
        ("decode:trap", "smoke"),
        ("decode:outside", "smoke"),
        ("decode:malformed", "smoke"),
        ("encode:empty", "smoke"),
        ("encode:garbage", "smoke"),
        ("decode:unknown", "configure"),
    ] {
        let lab = Lab::new();
        let request = lab.hot("transport", "fault-wire", "stillborn", &[("fault", fault)]);
        let error = lab.host.load_wire(request).await.expect_err(fault);
        assert!(error.step.as_str().starts_with(step), "{fault}: {error}");
        assert!(!error.reason.is_empty() && !error.remedy.is_empty(), "{error:?}");
        assert!(lab.host.plugins().is_empty(), "nothing half-loaded stays");
    }
}

/// Hot plugins cannot be granted anything.
#[tokio::test]
async fn a_hot_plugin_can_reach_nothing() {
    let lab = Lab::new();
    let request = lab.hot("transport", "http-transport", "wishful", &[]);
    let request = request.allow("net:127.0.0.1:80".parse().expect("a grant"));
    let error = lab.host.load_wire(request).await.expect_err("there is nothing to grant");
    assert!(error.to_string().contains("can be granted nothing"), "{error}");
    let error = lab.host.load_wire(lab.hot("transport", "roundrobin-selector", "other", &[])).await;
    let error = error.expect_err("another kind");
    assert!(error.to_string().contains("selector"), "{error}");
}
