//! Plugins that are replaced while calls run.

use crate::level::{alone, stays_level};
use crate::support::{Lab, greeter, node_ids, plugin, refinished};
use futures::future::join_all;
use micro_core::{Registry, RegistryError};
use micro_plugin::{Kind, Locator, Manifest};
use micro_wasm::{PluginState, Step, SwapError, Swapped, Target};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const REGISTRY: Target = Target { kind: Kind::Registry, name: None };

impl Lab {
    /// A registry of faults in service, and a second file for it. The instances of the second are counted on from those
    /// of the first: `@1` is a fault of the first generation, `@2` one of the second.
    async fn pair(&self, fault: &str) -> (Arc<dyn Registry>, PathBuf) {
        let (registry, name) = self.faulty("pair", fault).await;
        let next = |manifest: &mut Manifest| {
            name.clone_into(&mut manifest.name);
            "2.0.0".clone_into(&mut manifest.version);
        };
        (registry, self.file("next.wasm", &refinished("fault-registry", next)))
    }

    async fn swap(&self, file: &Path) -> Result<Swapped, SwapError> {
        self.host.swap(&REGISTRY, Locator::file(file)).await
    }

    /// Why a swap was refused. The plugin in service must be as it was.
    async fn refused(&self, registry: &dyn Registry, file: &Path) -> micro_wasm::LoadError {
        let before = self.status();
        let error = match self.swap(file).await {
            Err(SwapError::Load(error)) => error,
            other => panic!("it must be refused: {other:?}"),
        };
        assert!(!error.remedy.is_empty(), "{error}");
        let after = self.status();
        assert_eq!((before.generation, before.digest), (after.generation, after.digest), "{error}");
        assert_eq!((before.instance, after.restarts), (after.instance, 0), "{error}");
        assert_eq!(after.last_swap.and_then(|swap| swap.error), Some(error.to_string()));
        assert_eq!(registry.list_services().await, Ok(vec!["greeter".to_owned()]), "{error}");
        self.until("the candidate is gone", |status| status.draining == 0).await;
        error
    }
}

#[tokio::test]
async fn calls_end_where_they_began_and_the_next_ones_go_to_the_next_generation() {
    let lab = Lab::new();
    let (registry, next) = lab.pair("list-services:slow:200@1").await;
    registry.register(&greeter("a"), Duration::ZERO).await.expect("registered");
    let first = lab.status();

    let running = tokio::spawn({
        let registry = registry.clone();
        async move { registry.list_services().await }
    });
    lab.until("it runs", |status| status.in_flight == 1).await;
    let swapped = lab.swap(&next).await.expect("it is replaced");
    assert!(!running.is_finished(), "the call still runs in the first generation");
    assert_eq!((swapped.plugin.as_str(), swapped.from.generation, swapped.to.generation), ("pair", 1, 2));
    assert_eq!((swapped.from.digest, &swapped.to.file), (first.digest.clone(), &next));
    assert_ne!(swapped.to.digest, first.digest);

    let begun = Instant::now();
    assert_eq!(registry.list_services().await, Ok(vec!["greeter".to_owned()]), "told to the second");
    assert!(begun.elapsed() < Duration::from_millis(150), "not in the first generation");
    assert_eq!(running.await.expect("no panic"), Ok(vec!["greeter".to_owned()]), "the first one's own");

    let status = lab.until("the first is gone", |status| status.draining == 0).await;
    assert_eq!((status.version.as_str(), status.generation, status.instance), ("2.0.0", 2, 2));
    assert_eq!((status.instances, status.restarts, status.last_error.is_none()), (1, 0, true));
    assert_eq!(status.locator, next.display().to_string());
    assert_eq!(status.configured, lab.folder.path().join("pair.wasm").display().to_string());
    assert!(status.last_swap.is_some_and(|swap| swap.error.is_none()));

    registry.deregister(&greeter("a")).await.expect("deregistered");
    lab.swap(&next).await.expect("the same file is a new generation");
    assert_eq!(lab.status().generation, 3);
    assert_eq!(registry.list_services().await, Ok(vec![]), "what was deregistered is not brought back");
}

#[tokio::test]
async fn a_poll_goes_on_in_the_next_generation() {
    let lab = Lab::new();
    let (registry, next) = lab.pair("").await;
    registry.register(&greeter("a"), Duration::ZERO).await.expect("registered");
    let all = registry.changes(None, None, Duration::ZERO).await.expect("a snapshot");
    let poll = tokio::spawn({
        let registry = registry.clone();
        async move { registry.changes(None, Some(&all.cursor), Duration::from_secs(5)).await }
    });
    lab.until("it waits", |status| status.in_flight == 1).await;
    let begun = Instant::now();
    lab.swap(&next).await.expect("it is replaced");
    // This registry's cursors are of one instance, so the next one answers with everything.
    let batch = poll.await.expect("no panic").expect("an answer");
    assert!(batch.resync);
    assert_eq!(node_ids(&batch.entries[0].services), ["a"]);
    lab.until("the first is gone", |status| status.draining == 0 && status.instances == 1).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "a poll is not waited for: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_file_that_cannot_be_used_changes_nothing() {
    let lab = Lab::new();
    let (registry, _) = lab.pair("").await;
    registry.register(&greeter("a"), Duration::ZERO).await.expect("registered");
    let asking = refinished("fault-registry", |manifest| {
        "pair".clone_into(&mut manifest.name);
        let grant = "net:10.0.0.1:80".parse().expect("a permission");
        manifest.grants.push(micro_plugin::grant::Request { grant, why: String::new() });
    });
    let broker = refinished("fault-registry", |manifest| manifest.kind = Kind::Broker);
    let by_name =
        refinished("fault-registry", |manifest| manifest.watch = micro_plugin::manifest::Watch::Name);
    let files = [
        ("gone.wasm", None, Step::Locate),
        ("text.wasm", Some(b"no component".to_vec()), Step::Manifest),
        ("kind.wasm", Some(broker), Step::Kind),
        ("contract.wasm", Some(plugin("fault-wrong-contract")), Step::Contract),
        ("asking.wasm", Some(asking), Step::Grants),
        ("by-name.wasm", Some(by_name), Step::Contract),
    ];
    for (name, content, step) in files {
        let file = match content {
            Some(content) => lab.file(name, &content),
            None => lab.folder.path().join(name),
        };
        assert_eq!(lab.refused(&*registry, &file).await.step, step, "{name}");
    }
    let pinned = format!("{}@sha256:{}", lab.folder.path().join("pair.wasm").display(), "0".repeat(64));
    let pinned =
        lab.host.swap(&REGISTRY, pinned.parse().expect("a locator")).await.expect_err("another digest");
    assert!(matches!(pinned, SwapError::Load(ref error) if error.step == Step::Digest), "{pinned}");
}

#[tokio::test]
async fn a_plugin_that_does_not_work_changes_nothing() {
    let cases = [
        ("configure:invalid@2", Step::Configure, "invalid on request"),
        ("configure:unavailable@2", Step::Configure, "cannot start yet"),
        ("configure:trap@2", Step::Start, "a trap on request"),
        ("health:unavailable@2", Step::Health, "the running one is: unavailable on request"),
        ("health:trap@2", Step::Health, "a trap on request"),
        ("health:hang@2", Step::Health, "no answer"),
        ("list-services:trap@2", Step::Smoke, "a trap on request"),
        ("list-services:other@2", Step::Smoke, "other on request"),
        ("changes:huge@2", Step::Smoke, "broke its contract"),
        ("changes:hang@2", Step::Smoke, "changes"),
        ("register:denied@2", Step::Smoke, "register failed"),
    ];
    join_all(cases.map(async |(fault, step, reason)| {
        let lab = Lab::with(|config| config.settings.health_timeout = Duration::from_millis(500));
        let (registry, next) = lab.pair(fault).await;
        registry.register(&greeter("a"), Duration::ZERO).await.expect("registered");
        lab.ready().await;
        let error = lab.refused(&*registry, &next).await;
        assert_eq!(error.step, step, "{fault}: {error}");
        assert!(error.reason.contains(reason), "{fault}: {error}");
        lab.swap(&next).await.expect("later instances are sound");
        // What trapped while it was tried may have had a successor before it was let go.
        assert!(lab.status().generation == 2 && lab.status().instance >= 3, "{fault}: {:?}", lab.status());
    }))
    .await;
}

#[tokio::test]
async fn a_backend_that_is_down_for_both_does_not_forbid_a_swap() {
    let lab = Lab::new();
    let (registry, next) =
        lab.pair("health:unavailable,list-services:unavailable,register:unavailable@2").await;
    registry.register(&greeter("a"), Duration::ZERO).await.expect("registered");
    lab.until("it is degraded", |status| matches!(status.state, PluginState::Degraded(_))).await;
    lab.swap(&next).await.expect("the new one is no worse");
    lab.until("it is degraded too", |status| {
        status.generation == 2 && matches!(status.state, PluginState::Degraded(_))
    })
    .await;
    let found = registry.get_service("greeter").await.expect("an answer");
    assert_eq!(node_ids(&found.services), Vec::<&str>::new(), "left to the next heartbeat");
}

#[tokio::test]
async fn a_plugin_that_fails_can_be_replaced() {
    let lab = Lab::with(|config| {
        config.settings.restart_budget = 0;
        config.settings.probe_every = Duration::from_secs(600);
    });
    let (registry, next) = lab.pair("get-service:trap@1").await;
    assert!(registry.get_service("greeter").await.is_err());
    lab.until("it is quarantined", |status| matches!(status.state, PluginState::Quarantined(_))).await;
    lab.swap(&next).await.expect("it is replaced");
    registry.get_service("greeter").await.expect("the next one is sound");
    lab.ready().await;
}

#[tokio::test]
async fn of_a_burst_the_last_one_counts() {
    let lab = Lab::new();
    let (_registry, next) = lab.pair("health:slow:100").await;
    let begin = async |file: &Path| {
        assert!(tokio::time::timeout(Duration::from_millis(20), lab.swap(file)).await.is_err(), "it runs");
    };
    begin(&next).await;
    let same = join_all((0..20).map(|_| lab.swap(&next))).await;
    let mut generations: Vec<u64> = same.into_iter().map(|it| it.expect("replaced").to.generation).collect();
    generations.dedup();
    assert_eq!(generations, [3], "those that waited were one");

    let files =
        ["a", "b"].map(|name| lab.file(&format!("{name}.wasm"), &std::fs::read(&next).expect("readable")));
    begin(&next).await;
    let (a, b) = tokio::join!(lab.swap(&files[0]), lab.swap(&files[1]));
    let superseded = a.expect_err("another came after it");
    assert!(matches!(superseded, SwapError::Superseded { .. }), "{superseded}");
    assert!(superseded.to_string().contains("b.wasm"), "{superseded}");
    assert_eq!(b.map(|it| it.to.generation), Ok(5));
    assert_eq!(lab.status().locator, files[1].display().to_string());
}

#[tokio::test]
async fn a_swap_whose_caller_goes_away_is_finished() {
    let lab = Lab::new();
    let (_registry, next) = lab.pair("health:slow:100@2").await;
    assert!(tokio::time::timeout(Duration::from_millis(20), lab.swap(&next)).await.is_err(), "given up");
    lab.until("it is replaced", |status| status.generation == 2).await;
}

#[tokio::test]
async fn one_of_several_is_meant_by_its_name() {
    let lab = Lab::new();
    lab.faulty("a-registry", "").await;
    lab.faulty("b-registry", "").await;
    let other = lab.file("other.wasm", &plugin("fault-registry"));
    let of_b =
        lab.file("of-b.wasm", &refinished("fault-registry", |it| "b-registry".clone_into(&mut it.name)));
    let generations = || lab.host.plugins().iter().map(|it| it.generation).collect::<Vec<_>>();

    let unclear = lab.swap(&other).await.expect_err("whose?");
    assert_eq!(
        unclear.to_string(),
        "several registry plugins are in service; say which one: registry:a-registry, registry:b-registry"
    );
    assert_eq!(lab.swap(&of_b).await.map(|it| it.plugin), Ok("b-registry".to_owned()));
    assert_eq!(generations(), [1, 2]);
    let a = "registry:a".parse().expect("a target");
    lab.host.swap(&a, Locator::file(&other)).await.expect("named");
    assert_eq!(generations(), [2, 2]);

    let broker = "broker".parse().expect("a target");
    let nobody = lab.host.swap(&broker, Locator::file(&other)).await.expect_err("none is loaded").to_string();
    assert!(nobody.contains("no broker plugin is in service, but registry:fault-registry"), "{nobody}");
}

#[tokio::test]
async fn cursors_of_another_plugin_are_not_understood() {
    let lab = Lab::new();
    let (registry, _) = lab.pair("").await;
    let cursor = registry.changes(None, None, Duration::ZERO).await.expect("a snapshot").cursor;
    let quiet = registry.changes(None, Some(&cursor), Duration::ZERO).await.expect("an answer");
    assert!(!quiet.resync);
    let other = lab.file("other.wasm", &plugin("fault-registry"));
    lab.swap(&other).await.expect("another plugin of the kind");
    assert_eq!((registry.name(), lab.status().name.as_str()), ("pair", "fault-registry"));
    for cursor in [&*cursor, "1:2:3", "nonsense", ""] {
        assert!(registry.changes(None, Some(cursor), Duration::ZERO).await.expect("an answer").resync);
    }
}

#[tokio::test]
async fn nothing_comes_into_service_after_the_end() {
    let lab = Lab::new();
    let (registry, next) = lab.pair("health:slow:200@2").await;
    let (swapped, ()) = tokio::join!(lab.swap(&next), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        lab.host.shutdown(Duration::from_secs(5)).await;
    });
    let refused = swapped.expect_err("the process ends").to_string();
    assert!(refused.contains("stopping"), "{refused}");
    assert!(matches!(registry.list_services().await, Err(RegistryError::Plugin { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_over_many_swaps() {
    let lab = Lab::new();
    let (registry, next) = lab.pair("").await;
    let (over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    registry.register(&greeter("a"), Duration::ZERO).await.expect("registered");
    let callers: Vec<_> = (0..4)
        .map(|number| {
            let (registry, over, calls) = (registry.clone(), over.clone(), calls.clone());
            tokio::spawn(async move {
                let mut cursor = None;
                while !over.load(Ordering::Relaxed) {
                    match number {
                        0 => registry.register(&greeter("b"), Duration::from_secs(60)).await?,
                        1 => {
                            let wait = Duration::from_millis(500);
                            cursor = Some(registry.changes(None, cursor.as_deref(), wait).await?.cursor);
                        }
                        _ => {
                            let found = registry.get_service("greeter").await?;
                            assert!(node_ids(&found.services).contains(&"a"), "never gone: {found:?}");
                        }
                    }
                    calls.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, RegistryError>(())
            })
        })
        .collect();
    for generation in 2..22 {
        assert_eq!(lab.swap(&next).await.map(|it| it.to.generation), Ok(generation));
    }
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("no panic").expect("no call fails");
    }
    assert!(calls.load(Ordering::Relaxed) > 100, "{calls:?} calls");
    assert_eq!((lab.status().generation, lab.status().restarts), (21, 0));
}

#[test]
#[cfg(target_os = "linux")]
fn a_thousand_swaps_leave_nothing_behind() {
    alone("swap::a_thousand_swaps_leave_nothing_behind", async || {
        let lab = Lab::new();
        let (registry, next) = lab.pair("").await;
        registry.register(&greeter("a"), Duration::ZERO).await.expect("registered");
        stays_level(async |count| {
            for _ in 0..count {
                let cursor = registry.changes(None, None, Duration::ZERO).await.expect("a snapshot").cursor;
                let poll = registry.changes(None, Some(&cursor), Duration::from_secs(5));
                let (swapped, polled) = tokio::join!(lab.swap(&next), poll);
                swapped.expect("replaced");
                polled.expect("taken over");
            }
            lab.until("all but the last are gone", |status| status.draining == 0).await;
        })
        .await;
    });
}
