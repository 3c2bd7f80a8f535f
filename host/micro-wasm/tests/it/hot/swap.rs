//! Hot plugins are swapped under the calls that use them.

use super::{POST, read, written};
use crate::level::{alone, stays_level};
use crate::support::Lab;
use micro_core::Filter;
use micro_core::filter::{RequestHead, Verdict};
use micro_net::wire::NativeWire;
use micro_plugin::Locator;
use micro_wasm::{PluginState, SwapError};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn target(text: &str) -> micro_wasm::Target {
    text.parse().expect("a target")
}

/// Which generation wrote this head.
fn mark(head: &[u8]) -> &'static str {
    match head.windows(6).any(|part| part.eq_ignore_ascii_case(b"X-Wire")) {
        true => "two",
        false => "one",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_wires_are_swapped() {
    let lab = Lab::new();
    let wire = lab.host.load_wire(lab.hot("transport", "http-transport", "http-transport", &[])).await;
    let wire = wire.expect("it loads");
    let files = [lab.plugin_file("wire-two"), lab.plugin_file("http-two")];
    let (stop, calls) = (AtomicBool::new(false), [AtomicU64::new(0), AtomicU64::new(0)]);
    let runtime = tokio::runtime::Handle::current();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let head = written(&wire, POST).expect("no call fails");
                    read(&wire, &head).expect("no call fails");
                    calls[usize::from(mark(&head) == "two")].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            for round in 0..20 {
                let file = files[round % 2].clone();
                let swapped = runtime.block_on(lab.host.swap(&target("wire"), Locator::file(file)));
                let swapped = swapped.expect("it is sound");
                assert_eq!(swapped.to.generation, round as u64 + 2);
                assert_ne!(swapped.from.digest, swapped.to.digest);
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
    let calls = calls.map(AtomicU64::into_inner);
    assert!(calls.iter().all(|count| *count > 100), "both kinds of generations served: {calls:?}");
    let status = lab.status();
    assert_eq!((status.generation, status.restarts, status.state), (21, 0, PluginState::Ready));
    assert_eq!(mark(&written(&wire, POST).expect("sound")), "one");
}

#[tokio::test]
async fn what_is_not_fit_to_serve_leaves_everything_as_it_was() {
    let lab = Lab::new();
    let request = lab.hot("transport", "fault-wire", "fault-wire", &[("mark", "1")]);
    let wire = lab.host.load_wire(request).await.expect("it loads");
    let mark =
        |wire| String::from_utf8(written(wire, POST).expect("sound")).expect("ASCII").contains("X-Wire: 1");
    assert!(mark(&wire));
    lab.plugin_file("roundrobin-selector");
    lab.plugin_file("http-transport");
    lab.file("broken.wasm", b"\0asm");
    for (file, why) in [
        ("roundrobin-selector.wasm", "selector plugin"),
        ("broken.wasm", "manifest"),
        ("absent.wasm", "locate"),
        // The options of the one in service are none of this plugin's.
        ("http-transport.wasm", "mark"),
    ] {
        let swapped = lab.host.swap(&target("wire"), Locator::file(lab.folder.path().join(file))).await;
        let error = swapped.expect_err(file);
        assert!(error.to_string().contains(why), "{file}: {error}");
        assert!(mark(&wire), "{file}");
    }
    let error = lab.host.swap(&target("codec"), Locator::named("jsonrpc")).await.expect_err("none is loaded");
    assert!(matches!(error, SwapError::NotLoaded { .. }), "{error}");
    assert_eq!(lab.status().generation, 1);
}

/// Of several plugins of a kind, the one that the new file has the name of.
#[tokio::test]
async fn one_of_several_filters_is_swapped() {
    let lab = Lab::new();
    let first = lab.host.load_filter(lab.hot("filter", "fault-filter", "fault-filter", &[("mark", "one")]));
    let first = first.await.expect("it loads");
    let second =
        lab.host.load_filter(lab.hot("filter", "header-filter", "header-filter", &[("header", "A=1")]));
    let second = second.await.expect("it loads");
    let changes = |filter: &dyn Filter| {
        let head = RequestHead {
            peer: Ipv4Addr::LOCALHOST.into(),
            method: "GET",
            target: b"/",
            host: b"",
            fields: &[],
        };
        match filter.request(head).expect("it decides") {
            Verdict::Edit { response, .. } => {
                response.iter().map(|edit| edit.value.clone()).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((changes(&first), changes(&second)), (vec!["one".into()], vec!["1".into()]));
    let again = lab.hot("filter", "fault-filter", "fault-filter", &[]).locator;
    let swapped = lab.host.swap(&target("filter"), again).await.expect("the name says which");
    assert_eq!(swapped.plugin, "fault-filter");
    let ambiguous =
        lab.host.swap(&target("filter"), Locator::file(lab.plugin_file("ip-whitelist-filter"))).await;
    assert!(matches!(ambiguous, Err(SwapError::Ambiguous { .. })), "{ambiguous:?}");
}

/// The generation before the one that fails takes over by itself.
#[tokio::test]
async fn a_generation_that_fails_too_often_gives_way_to_the_one_before() {
    let lab = Lab::with(|config| {
        config.settings.hot_fault_budget = 3;
        config.settings.hot_rebuilds_per_second = u32::MAX;
    });
    let options = [("fault", "decode:trap@2+"), ("poison", "poison")];
    let request = lab.hot("transport", "fault-wire", "fault-wire", &options);
    let wire = lab.host.load_wire(request).await.expect("it loads");
    let next = lab.hot("transport", "wire-two", "fault-wire", &[]).locator;
    lab.host.swap(&target("wire"), next).await.expect("sound until it meets poison");
    assert_eq!(lab.status().generation, 2);
    let poison = b"POST / HTTP/1.1\r\nHost: poison\r\n\r\n";
    for _ in 0..4 {
        read(&wire, poison).expect_err("it panics");
    }
    let status = lab.status();
    assert_eq!((status.generation, status.state), (1, PluginState::Ready), "back to the first");
    read(&wire, &written(&NativeWire, POST).expect("good")).expect("and it serves");
}

#[test]
#[cfg(target_os = "linux")]
fn a_thousand_swaps_of_each_kind_leave_nothing_behind() {
    alone("hot::swap::a_thousand_swaps_of_each_kind_leave_nothing_behind", async || {
        let lab = Lab::new();
        let wire = lab.host.load_wire(lab.hot("transport", "http-transport", "http-transport", &[])).await;
        let wire = wire.expect("it loads");
        let filter = lab.host.load_filter(lab.hot("filter", "header-filter", "header-filter", &[])).await;
        let filter = filter.expect("it loads");
        let files = [
            ("wire", lab.plugin_file("wire-two")),
            ("filter", lab.plugin_file("header-two")),
            ("wire", lab.plugin_file("http-two")),
            ("filter", lab.plugin_file("header-filter")),
        ];
        stays_level(async |count| {
            for (kind, file) in files.iter().cycle().take(count) {
                lab.host.swap(&target(kind), Locator::file(file)).await.expect("it is sound");
                read(&wire, &written(&wire, POST).expect("sound")).expect("sound");
                let peer = Ipv4Addr::LOCALHOST.into();
                let head = RequestHead { peer, method: "GET", target: b"/", host: b"", fields: &[] };
                filter.request(head).expect("it decides");
            }
        })
        .await;
    });
}
