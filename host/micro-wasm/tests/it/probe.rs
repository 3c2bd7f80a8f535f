//! Plugins outside of service: whatever they answer is an answer or an error, and never more than that.

use crate::support::{Lab, plugin};
use micro_plugin::Locator;
use micro_wasm::PluginRequest;
use micro_wasm::probe::{Argument, CallError, Probe, Surface};
use serde_json::{Value, json};
use std::time::Duration;

/// A fixture and what goes wrong in it.
async fn open(lab: &Lab, name: &str, fault: &str) -> (Surface, Probe) {
    let file = lab.file(&format!("{name}.wasm"), &plugin(name));
    let request = PluginRequest::new("", Locator::file(&file)).option("fault", fault);
    let surface = lab.host.examine(&request.locator).await.expect("a plugin");
    let probe = lab.host.probe(&request, &surface, true).await.expect("it starts");
    (surface, probe)
}

fn text(text: impl Into<String>) -> Argument {
    Argument::Text(text.into())
}

#[tokio::test]
async fn values_go_in_and_out_in_both_notations() {
    let lab = Lab::new();
    let (surface, mut probe) = open(&lab, "fault-registry", "").await;
    let service = json!({
        "name": "greeter \"the\" \u{1f600}", "version": "1.0.0", "metadata": [["a", "b\n"]],
        "endpoints": [{ "name": "Say.Hello", "request-json": "null", "response-json": "null", "metadata": [] }],
        "nodes": [{ "id": "1", "address": "a:1", "metadata": [], "status": "passing", "zone": "z", "tags": ["t"] }],
    });
    let register = surface.call("register", &[text(service.to_string()), text("0")]).expect("it fits");
    assert_eq!(probe.call(&surface, &register, None).await.expect("it answers").json, json!({ "ok": null }));
    let name = text(service["name"].to_string());
    let get = surface.call("get-service", &[name]).expect("it fits");
    let answer = probe.call(&surface, &get, None).await.expect("it answers");
    assert_eq!(answer.json["ok"]["services"], json!([service]));
    assert!(!answer.is_error);
    // What was answered in WAVE is understood in WAVE.
    let services = answer.wave.strip_prefix("ok({services: [").expect("services first");
    let record = services.split_once("], cursor").expect("then the cursor").0;
    let again = surface.call_text(&format!("register({record}, 0)")).expect("it fits");
    assert!(!probe.call(&surface, &again, None).await.expect("it answers").is_error);
}

#[tokio::test]
async fn answers_that_make_no_sense_are_shown_as_they_are() {
    for (fault, call) in [
        ("get-service:garbage", "get-service(\"a\")"),
        ("list-services:garbage", "list-services()"),
        ("list-services:huge", "list-services()"),
        ("changes:garbage", "changes(none, none, 0)"),
    ] {
        let lab = Lab::new();
        let (surface, mut probe) = open(&lab, "fault-registry", fault).await;
        let call = surface.call_text(call).expect("it fits");
        // An answer above the limit on copies is a trap; any other is shown.
        match probe.call(&surface, &call, None).await {
            Ok(answer) => assert!(!answer.wave.is_empty() && answer.json != Value::Null, "{fault}"),
            Err(CallError::Trapped { reason, .. }) => assert!(fault.ends_with("huge"), "{fault}: {reason}"),
            Err(other) => panic!("{fault}: {other}"),
        }
    }
}

#[tokio::test]
async fn an_instance_that_failed_is_gone() {
    let lab = Lab::new();
    let (surface, mut probe) = open(&lab, "fault-registry", "health:block").await;
    assert!(probe.memory().is_some_and(|bytes| bytes > 0));
    let health = surface.call("health", &[]).expect("it fits");
    let limit = Some(Duration::from_millis(100));
    let late = probe.call(&surface, &health, limit).await.expect_err("it sleeps");
    assert!(matches!(late, CallError::Late { .. }), "{late:?}");
    assert_eq!(probe.call(&surface, &health, limit).await, Err(CallError::Gone));
    assert_eq!(probe.memory(), None);
}

#[tokio::test]
async fn a_call_of_another_plugin_is_refused() {
    let lab = Lab::new();
    let (registry, mut probe) = open(&lab, "fault-registry", "").await;
    let (selector, _) = open(&lab, "fault-selector", "").await;
    let pick = selector.call_text("pick(1, 0, 0, [])").expect("it fits");
    let refused = probe.call(&registry, &pick, None).await.expect_err("no registry picks");
    assert!(matches!(refused, CallError::Unknown { .. }), "{refused:?}");
    assert!(probe.memory().is_some(), "nothing was run");
}

#[tokio::test]
async fn a_file_that_changes_in_between_is_not_run() {
    let lab = Lab::new();
    let file = lab.file("x.wasm", &plugin("fault-registry"));
    let request = PluginRequest::new("", Locator::file(&file));
    let surface = lab.host.examine(&request.locator).await.expect("a plugin");
    lab.file("x.wasm", &plugin("fault-missing-import"));
    let refused = lab.host.probe(&request, &surface, false).await.expect_err("another file");
    assert!(refused.to_string().starts_with("cannot load plugin "), "{refused}");
}
