//! What loading refuses, and that the message helps.

use crate::support::{Lab, plugin, refinished, request};
use micro_plugin::{Kind, Locator};
use micro_wasm::{PluginRequest, Step};

fn named(name: &str) -> PluginRequest {
    PluginRequest::new("registry", name.parse::<Locator>().expect("valid"))
}

#[tokio::test]
async fn a_missing_plugin_lists_the_places() {
    let lab = Lab::new();
    let error = lab.refusal(named("nowhere")).await;
    assert_eq!(error.step, Step::Locate);
    assert!(error.reason.contains("plugins/nowhere-registry.wasm"), "{error}");
    let error = lab.refusal(named("nowhere.wasm")).await;
    assert!(
        error.reason.contains("/nowhere.wasm") && error.reason.contains("/plugins/nowhere.wasm"),
        "{error}"
    );
}

#[tokio::test]
async fn a_plugin_is_found_by_its_name() {
    let lab = Lab::new();
    std::fs::create_dir(lab.folder.path().join("plugins")).expect("writable");
    lab.file("plugins/fault-registry.wasm", &plugin("fault-registry"));
    let registry = lab.host.load_registry(named("fault")).await.expect("it is there");
    assert_eq!(registry.name(), "fault");
    assert_eq!(registry.list_services().await, Ok(vec![]));
}

#[tokio::test]
async fn a_plugin_is_found_by_the_other_names_in_its_manifest() {
    let lab = Lab::new();
    std::fs::create_dir(lab.folder.path().join("plugins")).expect("writable");
    lab.file("plugins/broken-registry.wasm", b"not a plugin");
    let wasm = refinished("fault-registry", |manifest| manifest.aliases.push("mischief".to_owned()));
    lab.file("plugins/fault-registry.wasm", &wasm);
    lab.host.load_registry(named("mischief")).await.expect("it says that it is that");
}

#[tokio::test]
async fn a_pinned_plugin_must_have_its_digest() {
    let lab = Lab::new();
    let wasm = plugin("fault-registry");
    let file = lab.file("x.wasm", &wasm);
    let digest = micro_plugin::Digest::of(&wasm);
    let error = lab.refusal(named(&format!("x.wasm@sha256:{}", "0".repeat(64)))).await;
    assert_eq!(error.step, Step::Digest);
    assert!(error.reason.contains(&digest.to_string()), "{error}");
    lab.host
        .load_registry(named(&format!("{}@sha256:{digest}", file.display())))
        .await
        .expect("the right one");
}

#[tokio::test]
async fn files_that_are_no_plugins_are_refused() {
    let lab = Lab::new();
    let bare = [b"\0asm\x0d\0\x01\0".as_slice(), b"\0\x02\x01x"].concat();
    for (content, expected) in [
        (b"".as_slice(), "not WebAssembly"),
        (b"#!/bin/sh\necho", "not WebAssembly"),
        (b"\0asm\x01\0\0\0", "a core module, not a component"),
        (b"\0asm\x0d\0\x01", "a damaged component"),
        (&bare, "a component without a manifest"),
    ] {
        let error = lab.refusal(request(&lab.file("x.wasm", content))).await;
        assert_eq!(error.step, Step::Manifest);
        assert!(error.reason.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn truncated_and_damaged_files_are_refused_or_run_and_never_bring_the_host_down() {
    let lab = Lab::with(|config| config.cache_dir = None);
    let whole = plugin("fault-registry");
    for share in 1..16 {
        let file = lab.file("x.wasm", &whole[..whole.len() * share / 16]);
        assert_eq!(lab.refusal(request(&file)).await.step, Step::Manifest, "{share} of 16");
    }
    // Bytes anywhere, turned over by a fixed sequence of pseudo-random numbers.
    let mut random = 1_u64;
    let mut refused = 0;
    for _ in 0..24 {
        let mut damaged = whole.clone();
        for _ in 0..64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(random >> 33).expect("31 bits") % damaged.len();
            damaged[at] ^= 0x55;
        }
        if let Err(error) = lab.load(&lab.file("x.wasm", &damaged)).await {
            assert!(error.to_string().contains("x.wasm") && !error.remedy.is_empty(), "{error}");
            refused += 1;
        }
    }
    assert!(refused > 12, "damage is noticed, mostly: {refused} of 24");
    lab.load(&lab.file("x.wasm", &whole)).await.expect("the host lives on");
}

#[tokio::test]
async fn a_plugin_of_another_kind_is_refused_before_it_is_compiled() {
    let lab = Lab::new();
    let wasm = refinished("fault-registry", |manifest| manifest.kind = Kind::Broker);
    let error = lab.refusal(request(&lab.file("x.wasm", &wasm))).await;
    assert_eq!((error.step, error.remedy.as_str()), (Step::Kind, "use it with --broker"));
    assert!(error.reason.contains("a broker plugin, and --registry wants a registry"), "{error}");
}

#[tokio::test]
async fn a_plugin_that_lies_about_its_kind_is_refused() {
    let lab = Lab::new();
    let error = lab.refusal(request(&lab.file("x.wasm", &plugin("fault-wrong-kind")))).await;
    assert_eq!(error.step, Step::Link);
    assert!(error.reason.contains("micro:registry/registry"), "{error}");
}

#[tokio::test]
async fn another_contract_is_refused() {
    let lab = Lab::new();
    let error = lab.refusal(request(&lab.file("x.wasm", &plugin("fault-wrong-contract")))).await;
    assert_eq!(error.step, Step::Contract);
    assert!(
        error.reason.contains("micro:registry@0.9.0") && error.reason.contains("micro:registry@0.1.0"),
        "{error}"
    );
    // The manifest may claim what it likes; the types are compared as well.
    let lied =
        refinished("fault-wrong-contract", |manifest| manifest.contract = "micro:registry@0.1.0".to_owned());
    let error = lab.refusal(request(&lab.file("x.wasm", &lied))).await;
    assert!(matches!(error.step, Step::Link | Step::Start), "{error}");
}

#[tokio::test]
async fn an_import_that_nobody_offers_is_named() {
    let lab = Lab::new();
    let error = lab.refusal(request(&lab.file("x.wasm", &plugin("fault-missing-import")))).await;
    assert_eq!(error.step, Step::Imports);
    let report = micro_plugin::inspect(&plugin("fault-missing-import"));
    let foreign =
        report.imports.iter().find(|name| !name.starts_with("wasi:") && !name.starts_with("micro:plugin"));
    assert!(error.reason.contains(foreign.expect("it imports something else")), "{error}");
}

#[tokio::test]
async fn mistakes_in_options_are_listed() {
    let lab = Lab::new();
    let file = lab.file("x.wasm", &plugin("fault-registry"));
    let error = lab.refusal(request(&file).option("fautl", "x").address("127.0.0.1:1")).await;
    assert_eq!(error.step, Step::Options);
    assert!(error.reason.contains(r#"unknown option "fautl" (did you mean "fault"?)"#), "{error}");
    assert!(error.reason.contains("it takes no address"), "{error}");
    assert!(error.remedy.contains("--registry_opt"), "{error}");
}

#[tokio::test]
async fn what_the_plugin_itself_refuses_fails_the_load() {
    let lab = Lab::new();
    let file = lab.file("x.wasm", &plugin("fault-registry"));
    for fault in ["nobody:trap", "configure:invalid"] {
        let error = lab.refusal(request(&file).option("fault", fault)).await;
        assert_eq!(error.step, Step::Configure, "{error}");
    }
}

#[tokio::test]
async fn a_plugin_that_fails_at_once_fails_the_load_and_its_last_words_are_heard() {
    let lab = Lab::new();
    let file = lab.file("x.wasm", &plugin("fault-registry"));
    let error = lab.refusal(request(&file).option("fault", "configure:trap")).await;
    assert_eq!(error.step, Step::Start);
    assert!(error.reason.contains("a trap on request"), "{error}");
    let error = lab.refusal(request(&file).option("fault", "configure:balloon")).await;
    assert!(error.reason.contains("out of memory"), "{error}");
}
