//! Faults of running plugins: what callers learn, what operators learn, and that the host lives on.

use crate::support::{Lab, SHORT, greeter, log_of, logged, node_ids, refinished, request};
use micro_core::{Registry, RegistryError};
use micro_wasm::{FaultKind, PluginState};
use std::time::{Duration, Instant};

/// Any call of the contract, by its name.
async fn call(registry: &dyn Registry, export: &str) -> Result<(), RegistryError> {
    match export {
        "register" => registry.register(&greeter("a"), Duration::ZERO).await,
        "deregister" => registry.deregister(&greeter("a")).await,
        "get-service" => registry.get_service("greeter").await.map(drop),
        "list-services" => registry.list_services().await.map(drop),
        "changes" => registry.changes(None, None, Duration::ZERO).await.map(drop),
        "health" => registry.health().await,
        other => panic!("no call {other}"),
    }
}

const CALLS: [&str; 5] = ["register", "deregister", "get-service", "list-services", "changes"];

#[tokio::test]
async fn a_trap_in_any_call_costs_that_call_only() {
    let lab = Lab::new();
    for export in CALLS {
        let (registry, name) = lab.faulty(&format!("trap-{export}"), &format!("{export}:trap@1")).await;
        let error = call(&*registry, export).await.expect_err("it panics");
        assert!(
            matches!(error, RegistryError::Plugin { .. }) && error.to_string().contains("trapped"),
            "{error}"
        );
        call(&*registry, export).await.expect("the next instance is there");

        let status = lab.ready().await;
        assert_eq!((status.instance, status.restarts), (2, 1), "{export}");
        let fault = status.last_error.expect("there was one");
        assert_eq!((fault.kind, fault.instance), (FaultKind::Trap, 1));
        assert!(fault.stderr.contains("a trap on request"), "{fault:?}");
        assert!(fault.backtrace.is_some_and(|it| it.contains("fault")), "names of functions");
        logged(&name, "a trap on request").await;
    }
}

#[tokio::test]
async fn a_trap_in_health_is_contained_as_well() {
    let lab = Lab::new();
    let (registry, _) = lab.faulty("trap-health", "health:trap@1").await;
    let status = lab.until("it was replaced", |status| status.instance == 2).await;
    assert_eq!(status.last_error.map(|fault| fault.kind), Some(FaultKind::Trap));
    registry.health().await.expect("the second instance is sound");
}

#[tokio::test]
async fn calls_beside_a_trap_are_repeated_on_the_next_instance() {
    let lab = Lab::new();
    let (registry, _) = lab.faulty("beside", "list-services:slow:100,get-service:trap@1").await;
    let (beside, trapping) = tokio::join!(registry.list_services(), registry.get_service("greeter"));
    // Nobody can tell which of the two it was, so both get a second chance.
    assert_eq!(beside, Ok(vec![]));
    assert!(trapping.is_ok());
    assert_eq!(lab.status().restarts, 1);
}

#[tokio::test]
async fn an_endless_loop_ends_with_its_deadline_and_burns_no_processor_afterwards() {
    // Only the interruption of retired guests can end it before this grace period is over.
    let lab = Lab::with(|config| config.settings.grace = Duration::from_secs(600));
    let (registry, _) = lab.faulty("spin", "get-service:spin@1").await;
    let started = Instant::now();
    let error = registry.get_service("greeter").await.expect_err("it spins");
    assert!(matches!(error, RegistryError::Timeout { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    lab.until("it was replaced", |status| status.instance == 2).await;
    registry.get_service("greeter").await.expect("the next instance is sound");
    let status = lab.until("the old instance is gone", |status| status.instances == 1).await;
    assert_eq!(status.last_error.map(|fault| fault.kind), Some(FaultKind::Deadline));
}

#[tokio::test]
async fn a_call_that_computes_is_finished_by_an_instance_that_is_replaced_meanwhile() {
    let lab = Lab::with(|config| config.settings.grace = Duration::from_secs(10));
    let file = lab.file("busy.wasm", &refinished("fault-registry", |_| {}));
    let busy = request(&file).option("fault", "get-service:busy:1500@1");
    let registry = lab.host.load_registry(busy).await.expect("it loads");
    let started = Instant::now();
    let replace = async {
        // The call beside it is polled first, and so it is the first instance's already.
        lab.host.restart();
        lab.until("it was replaced", |status| status.instance == 2).await;
    };
    let (answer, ()) = tokio::join!(registry.get_service("greeter"), replace);
    answer.expect("the instance that has the call finishes it");
    assert!(started.elapsed() >= Duration::from_millis(1500), "the next instance is not as slow");
    let status = lab.until("the old instance is gone", |status| status.instances == 1).await;
    assert_eq!(
        status.last_error.map(|fault| fault.kind),
        Some(FaultKind::Host),
        "only the request to restart"
    );
}

#[tokio::test]
async fn a_guest_that_is_deaf_to_its_deadline_is_replaced() {
    let lab = Lab::new();
    for fault in ["hang", "block"] {
        let (registry, name) = lab.faulty(fault, &format!("get-service:{fault}@1")).await;
        let error = registry.get_service("greeter").await.expect_err("it hangs");
        assert!(matches!(error, RegistryError::Timeout { .. }), "{error}");
        // Until its successor is ready the deaf one serves: most of its calls may be fine.
        lab.until("it was replaced", |status| status.instance == 2).await;
        registry.get_service("greeter").await.expect("the next instance is sound");
        lab.until("the old instance is gone", |status| status.instances == 1).await;
        logged(&name, "get-service was not answered within").await;
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_held_to_its_deadline_too() {
    let lab = Lab::new();
    let (registry, _) = lab.faulty("abandoned", "get-service:hang@1").await;
    let abandoned = tokio::time::timeout(Duration::from_millis(50), registry.get_service("greeter")).await;
    assert!(abandoned.is_err(), "given up early");
    let status = lab.until("the deaf instance was replaced", |status| status.instance == 2).await;
    assert_eq!(status.last_error.map(|fault| fault.kind), Some(FaultKind::Deadline));
}

#[tokio::test]
async fn memory_and_stack_have_limits() {
    let lab = Lab::new();
    for (fault, kind) in [("balloon", FaultKind::Memory), ("recurse", FaultKind::Trap)] {
        let (registry, _) = lab.faulty(fault, &format!("get-service:{fault}@1")).await;
        let error = registry.get_service("greeter").await.expect_err("it wants too much");
        assert!(matches!(error, RegistryError::Plugin { .. }), "{error}");
        registry.get_service("greeter").await.expect("the next instance is there");
        let status = lab.status();
        assert_eq!(status.last_error.map(|fault| fault.kind), Some(kind), "{fault}");
        assert!(status.memory_bytes < 64 << 20);
    }
}

#[tokio::test]
async fn answers_that_are_too_large_or_make_no_sense_are_refused() {
    let lab = Lab::new();
    let (registry, _) =
        lab.faulty("huge", "get-service:huge,list-services:huge,changes:huge,register:huge").await;
    for export in ["get-service", "changes"] {
        let error = call(&*registry, export).await.expect_err("ten megabytes").to_string();
        assert!(error.contains("broke its contract") && error.contains("10485760 bytes"), "{error}");
    }
    let error = call(&*registry, "register").await.expect_err("ten megabytes").to_string();
    assert!(error.len() < 2048, "texts of errors are cut: {} bytes", error.len());
    assert_eq!(registry.list_services().await, Ok(vec![]), "a name of ten megabytes is none");
    assert_eq!(lab.status().restarts, 0, "a wrong answer is no reason to restart");

    let (registry, _) =
        lab.faulty("garbage", "get-service:garbage,list-services:garbage,changes:garbage").await;
    let error = call(&*registry, "get-service").await.expect_err("nonsense").to_string();
    assert!(error.contains("broke its contract") && error.contains("asked about \"greeter\""), "{error}");
    assert_eq!(registry.list_services().await, Ok(vec![]), "names that are none");
    let batch = registry.changes(None, None, Duration::ZERO).await.expect("an answer");
    assert_eq!(batch.entries, [], "entries without names");
    assert_eq!(lab.status().restarts, 0);
}

#[tokio::test]
async fn an_instance_is_told_that_it_was_replaced() {
    let lab = Lab::new();
    let (registry, name) = lab.faulty("told", "get-service:hang@1,drain:log-flood@1").await;
    assert!(registry.get_service("greeter").await.is_err());
    logged(&name, "line 0 of a flood").await;
}

#[tokio::test]
async fn floods_of_lines_are_thinned_out() {
    let lab = Lab::new();
    for fault in ["stderr-flood", "log-flood"] {
        let wasm =
            crate::support::refinished("fault-registry", |manifest| fault.clone_into(&mut manifest.name));
        let file = lab.file("flood.wasm", &wasm);
        let patient = request(&file).option("fault", format!("list-services:{fault}"));
        let registry = lab.host.load_registry(patient).await.expect("it loads");
        let started = Instant::now();
        registry.list_services().await.expect("a flood is no fault");
        let seconds = started.elapsed().as_secs() as usize + 1;
        let lines = log_of(fault).len();
        assert!(lines > 50 && lines <= 110 * seconds + 100, "{lines} lines in {seconds} s");
    }
}

#[tokio::test]
async fn errors_of_the_backend_keep_their_kind() {
    let lab = Lab::new();
    let faults =
        "register:denied,deregister:unavailable,get-service:conflict,list-services:invalid,changes:other";
    let (registry, _) = lab.faulty("answers", faults).await;
    let error = async |export| call(&*registry, export).await.expect_err(export);
    assert!(matches!(error("register").await, RegistryError::Denied { .. }));
    let unavailable = error("deregister").await;
    let after = Duration::from_millis(250);
    assert!(matches!(unavailable, RegistryError::Unavailable { retry_after, .. } if retry_after == after));
    assert!(matches!(error("get-service").await, RegistryError::Conflict { .. }));
    assert!(matches!(error("list-services").await, RegistryError::Invalid { .. }));
    assert!(error("changes").await.to_string().contains("other on request"));
    assert_eq!(lab.status().restarts, 0);
}

#[tokio::test]
async fn too_many_faults_are_quarantine_and_a_probe_ends_it() {
    let lab = Lab::with(|config| config.settings.restart_budget = 2);
    let (registry, name) = lab.faulty("quarantine", "get-service:trap").await;
    for _ in 0..3 {
        assert!(registry.get_service("greeter").await.is_err());
    }
    logged(&name, "plugin quarantined").await;
    logged(&name, "plugin left quarantine").await;
    lab.ready().await;
    assert_eq!(registry.list_services().await, Ok(vec![]));
}

#[tokio::test]
async fn a_quarantined_plugin_says_so_at_once() {
    let lab = Lab::with(|config| {
        config.settings.restart_budget = 0;
        config.settings.probe_every = Duration::from_secs(600);
    });
    let (registry, _) = lab.faulty("shut-out", "get-service:trap").await;
    assert!(registry.get_service("greeter").await.is_err());
    lab.until("it is quarantined", |status| matches!(status.state, PluginState::Quarantined(_))).await;
    let error = registry.list_services().await.expect_err("nobody is there").to_string();
    assert!(error.contains("quarantined") && error.contains("a trap on request"), "{error}");
}

#[tokio::test]
async fn a_backend_that_is_down_degrades_and_does_not_fail_the_load() {
    let lab = Lab::new();
    let (registry, name) = lab.faulty("down", "health:unavailable").await;
    let state = lab.until("it was asked", |status| status.state != PluginState::Starting).await.state;
    assert_eq!(state, PluginState::Degraded("unavailable on request".to_owned()));
    let error = lab.host.require_healthy(SHORT).await.expect_err("its backend is down");
    assert_eq!((error.plugin, error.reason), (name.clone(), "unavailable on request".to_owned()));
    // Several rounds of asking later there is still one line.
    lab.until("asked again", |status| status.calls.get("health").is_some_and(|it| it.calls >= 4)).await;
    assert_eq!(log_of(&name).iter().filter(|line| line.contains("degraded")).count(), 1);
    assert_eq!(registry.list_services().await, Ok(vec![]), "the rest still works");
}

#[tokio::test]
async fn a_plugin_that_cannot_start_yet_is_tried_again() {
    let lab = Lab::new();
    let (registry, _) = lab.faulty("later", "configure:unavailable@1").await;
    assert_eq!(registry.list_services().await, Ok(vec![]));
    assert_eq!(lab.ready().await.instance, 2);
    assert_eq!(lab.status().restarts, 0, "waiting is not failing");
}

#[tokio::test]
async fn health_and_other_calls_do_not_queue_behind_a_long_poll() {
    let lab = Lab::new();
    let (registry, _) = lab.faulty_with("single", "", |manifest| manifest.max_concurrency = 1).await;
    let all = registry.changes(None, None, Duration::ZERO).await.expect("a snapshot");
    let poll = registry.changes(None, Some(&all.cursor), Duration::from_secs(5));
    let others = async {
        let started = Instant::now();
        registry.health().await.expect("it answers");
        registry.list_services().await.expect("it answers");
        started.elapsed()
    };
    tokio::select! {
        biased;
        batch = poll => panic!("nothing changed: {batch:?}"),
        took = others => assert!(took < Duration::from_secs(2), "{took:?}"),
    }
    assert_eq!(lab.status().instances, 2);
}

#[tokio::test]
async fn more_calls_than_fit_are_refused_and_not_blamed_on_the_guest() {
    let lab = Lab::new();
    let slow = "list-services:slow:200";
    let (registry, _) = lab.faulty_with("crowd", slow, |manifest| manifest.max_concurrency = 1).await;
    let calls = futures::future::join_all((0..400).map(|_| registry.list_services())).await;
    let answered = calls.iter().filter(|call| call.is_ok()).count();
    assert!((1..10).contains(&answered), "{answered} of 400 within their time");
    let refused = calls.into_iter().find_map(Result::err).expect("not all fit").to_string();
    assert!(refused.contains("too many calls"), "{refused}");
    assert_eq!(lab.status().restarts, 0);
}

#[tokio::test]
async fn shutdown_drains_and_is_over_in_time() {
    for fault in ["", "drain:trap", "drain:hang", "drain:spin"] {
        let lab = Lab::new();
        let (registry, _) = lab.faulty("ending", fault).await;
        registry.register(&greeter("a"), Duration::ZERO).await.expect("registered");
        assert_eq!(node_ids(&registry.get_service("greeter").await.expect("there").services), ["a"]);
        let started = Instant::now();
        lab.host.shutdown(Duration::from_millis(500)).await;
        assert!(started.elapsed() < Duration::from_secs(3), "{fault}: {:?}", started.elapsed());
        let error = registry.list_services().await.expect_err("it has ended").to_string();
        assert!(error.contains("shut down"), "{error}");
    }
}

#[tokio::test]
async fn what_operators_see_is_complete() {
    let lab = Lab::new();
    let (registry, _) = lab.faulty("seen", "").await;
    registry.list_services().await.expect("it works");
    let status = lab.ready().await;
    assert_eq!((status.instance, status.generation, status.flag.as_str()), (1, 1, "registry"));
    assert!(status.memory_bytes > 0 && status.calls["list-services"].calls == 1);
    assert_eq!(status.options["fault"], "");
    let json = serde_json::to_value(&status).expect("plain data");
    assert_eq!((&json["kind"], &json["state"]["state"]), (&"registry".into(), &"ready".into()));
}
