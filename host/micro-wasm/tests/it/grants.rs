//! What plugins may reach.

use crate::support::{Lab, log_of, logged, plugin, request};
use micro_core::RegistryError;
use micro_plugin::grant::Request;
use micro_plugin::manifest::{OptionKind, OptionSpec};
use micro_plugin::{Grant, Manifest};
use micro_wasm::{GrantPrompt, Step};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn grant(text: &str) -> Grant {
    text.parse().expect(text)
}

fn asks_for(manifest: &mut Manifest, text: &str) {
    manifest.grants.push(Request { grant: grant(text), why: "it likes that".to_owned() });
}

/// Answers every request with 204; the address.
async fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            if stream.read(&mut head).await.is_ok_and(|length| length > 0) {
                let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                // The client may be gone.
                let _ = stream.write_all(answer).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn an_address_that_was_not_granted_is_denied_and_the_operator_is_told_the_flag() {
    let lab = Lab::new();
    for target in ["10.1.2.3:2379", "169.254.169.254:80", "127.0.0.1:22"] {
        let name = format!("denied-{}", target.replace(['.', ':'], "-"));
        let (registry, name) = lab.faulty(&name, &format!("list-services:http:{target}")).await;
        for _ in 0..5 {
            let error = registry.list_services().await.expect_err("nothing was granted");
            assert!(matches!(error, RegistryError::Denied { .. }), "{error}");
        }
        let flag = format!("--registry_allow=net:{target}");
        logged(&name, &flag).await;
        let lines = log_of(&name).iter().filter(|line| line.contains(&flag)).count();
        assert_eq!(lines, 1, "not one line per attempt");
        assert_eq!(lab.status().denied[&format!("net:{target}")], 5);
        assert_eq!(lab.status().restarts, 0);
    }
}

#[tokio::test]
async fn an_address_that_was_granted_is_reached() {
    let (lab, address) = (Lab::new(), server().await);
    let file = lab.file("x.wasm", &plugin("fault-registry"));
    let fault = format!("list-services:http:{address}");
    let allowed = request(&file).option("fault", fault).allow(grant(&format!("net:{address}")));
    let registry = lab.host.load_registry(allowed).await.expect("it loads");
    let answer = registry.list_services().await.expect_err("it reports by an error").to_string();
    assert!(answer.contains("answered 204"), "{answer}");
}

#[tokio::test]
async fn configured_addresses_are_granted_by_that() {
    let (lab, address) = (Lab::new(), server().await);
    let wasm = crate::support::refinished("fault-registry", |manifest| {
        manifest.options.push(OptionSpec {
            name: "address".to_owned(),
            kind: OptionKind::AddressList,
            default: None,
            required: true,
            default_port: None,
            flag: None,
            doc: String::new(),
        });
        asks_for(manifest, "net:configured");
    });
    let file = lab.file("x.wasm", &wasm);
    let configured =
        request(&file).option("fault", format!("list-services:http:{address}")).address(&address);
    let registry = lab.host.load_registry(configured).await.expect("it loads");
    assert_eq!(registry.location(), address);
    let answer = registry.list_services().await.expect_err("it reports by an error").to_string();
    assert!(answer.contains("answered 204"), "{answer}");
}

#[tokio::test]
async fn a_name_that_leads_to_a_forbidden_address_is_denied() {
    let resolver =
        micro_net::StaticResolver::new().with("trap.example", ["169.254.169.254".parse().expect("valid")]);
    let lab = Lab::with(|config| config.resolver = Arc::new(resolver));
    let file = lab.file("x.wasm", &plugin("fault-registry"));
    let allowed = request(&file)
        .option("fault", "list-services:http:trap.example:80")
        .allow(grant("net:trap.example:80"));
    let registry = lab.host.load_registry(allowed).await.expect("it loads");
    let error = registry.list_services().await.expect_err("link-local");
    assert!(matches!(error, RegistryError::Denied { .. }), "{error}");
    assert_eq!(lab.status().denied["net:169.254.169.254:80"], 1);
}

#[tokio::test]
async fn missing_permissions_are_one_screen() {
    let lab = Lab::new();
    let wasm = crate::support::refinished("fault-registry", |manifest| {
        asks_for(manifest, "net:10.0.0.1:8500");
        asks_for(manifest, "env:TOKEN");
    });
    let file = lab.file("x.wasm", &wasm);
    let error = lab.refusal(request(&file).allow(grant("env:TOKEN"))).await;
    assert_eq!(error.step, Step::Grants);
    assert!(error.reason.contains("missing  net:10.0.0.1:8500 (it likes that)"), "{error}");
    assert!(error.reason.contains("granted  env:TOKEN (it likes that)"), "{error}");
    assert_eq!(error.remedy, "to allow it, add --registry_allow=net:10.0.0.1:8500");
    let both = request(&file).allow(grant("env:TOKEN")).allow(grant("net:10.0.0.1:8500"));
    lab.host.load_registry(both).await.expect("all is granted");
}

#[tokio::test]
async fn a_granted_folder_must_be_there() {
    let lab = Lab::new();
    let file = lab.file("x.wasm", &plugin("fault-registry"));
    let error = lab.refusal(request(&file).allow(grant("fs:ro:/no/such/folder"))).await;
    assert_eq!(error.step, Step::Grants);
    assert!(error.reason.contains("/no/such/folder, which is no folder"), "{error}");
    let folder = format!("fs:ro:{}", lab.folder.path().display());
    lab.host.load_registry(request(&file).allow(grant(&folder))).await.expect("this one is there");
}

#[derive(Debug)]
struct Person {
    answer: bool,
    asked: Arc<AtomicBool>,
}

impl GrantPrompt for Person {
    fn ask(&self, plugin: &str, missing: &[Request]) -> bool {
        assert_eq!((plugin, missing.len()), ("fault-registry", 1));
        self.asked.store(true, Ordering::Relaxed);
        self.answer
    }
}

#[tokio::test]
async fn on_a_terminal_a_person_decides() {
    let wasm =
        crate::support::refinished("fault-registry", |manifest| asks_for(manifest, "net:10.0.0.1:8500"));
    for answer in [true, false] {
        let asked = Arc::new(AtomicBool::new(false));
        let person = Arc::new(Person { answer, asked: asked.clone() });
        let lab = Lab::with(|config| config.ask = Some(person));
        let loaded = lab.load(&lab.file("x.wasm", &wasm)).await;
        assert_eq!((loaded.is_ok(), asked.load(Ordering::Relaxed)), (answer, true));
    }
}

#[tokio::test]
async fn what_this_version_cannot_give_is_refused_even_when_granted() {
    let lab = Lab::new();
    let wasm = crate::support::refinished("fault-registry", |manifest| asks_for(manifest, "multicast"));
    let error = lab.refusal(request(&lab.file("x.wasm", &wasm)).allow(grant("multicast"))).await;
    assert!(error.reason.contains("multicast, which this version cannot give"), "{error}");
}
