//! The etcd plugin against a real etcd. `cargo xtask test` starts one and says where it is.

use crate::support::{Lab, eventually, greeter, node_ids, plugin, request};
use micro_core::{Registry, RegistryError, Service};
use micro_wasm::PluginState;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const TTL: Duration = Duration::from_secs(30);

async fn registry(lab: &Lab, address: &str) -> Arc<dyn Registry> {
    let file = lab.file("etcd-registry.wasm", &plugin("etcd-registry"));
    lab.host.load_registry(request(&file).address(address)).await.expect("it loads")
}

/// A name that no other test uses.
fn unique(service: Service) -> Service {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let moment = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos();
    Service { name: format!("greeter-{}-{moment}-{number}", std::process::id()), ..service }
}

fn shared_etcd() -> String {
    std::env::var("ETCD_ADDR").expect("ETCD_ADDR; run `cargo xtask test`, which sets it")
}

/// An etcd of a test's own, which it may stop.
struct Etcd {
    script: PathBuf,
    folder: TempDir,
    address: String,
}

impl Etcd {
    fn start() -> Self {
        let script = std::env::var_os("MICRO_TEST_ETCD_SCRIPT");
        let script = script.expect("MICRO_TEST_ETCD_SCRIPT; run `cargo xtask test`, which sets it").into();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut etcd = Self { script, folder, address: String::new() };
        let said = etcd.run("start");
        let word = said.split_whitespace().find_map(|word| word.strip_prefix("ETCD_ADDR="));
        etcd.address = word.expect("the script says where").trim_matches(['\'', '"', ';']).to_owned();
        etcd
    }

    fn run(&self, verb: &str) -> String {
        let output =
            Command::new(&self.script).arg(verb).arg(self.folder.path()).output().expect("the script runs");
        assert!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // Already stopped is fine.
        let _ = Command::new(&self.script).arg("stop").arg(self.folder.path()).output();
    }
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn services_come_and_go() {
    let lab = Lab::new();
    let registry = registry(&lab, &shared_etcd()).await;
    let (a, mut b) = (unique(greeter("a")), greeter("b"));
    b.name.clone_from(&a.name);
    registry.register(&a, TTL).await.expect("registered");
    registry.register(&b, TTL).await.expect("registered");
    registry.register(&a, TTL).await.expect("registered again");
    let found = registry.get_service(&a.name).await.expect("found");
    assert_eq!(node_ids(&found.services), ["a", "b"]);
    assert!(registry.list_services().await.expect("listed").contains(&a.name));
    registry.deregister(&a).await.expect("deregistered");
    registry.deregister(&a).await.expect("twice is fine");
    assert_eq!(node_ids(&registry.get_service(&a.name).await.expect("found").services), ["b"]);
    registry.deregister(&b).await.expect("deregistered");
    assert_eq!(registry.get_service(&a.name).await.expect("an answer").services, []);
    assert_eq!(lab.status().restarts, 0);
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn changes_are_seen_while_waiting() {
    let lab = Lab::new();
    let registry = registry(&lab, &shared_etcd()).await;
    let service = unique(greeter("a"));
    let all = registry.changes(Some(&service.name), None, Duration::ZERO).await.expect("a snapshot");
    assert!(all.resync);
    let mut cursor = all.cursor;
    for nodes in [vec!["a"], vec![]] {
        let change = async {
            match nodes.len() {
                1 => registry.register(&service, TTL).await,
                _ => registry.deregister(&service).await,
            }
        };
        let watch = async {
            loop {
                let seen = registry.changes(Some(&service.name), Some(&cursor), Duration::from_secs(5)).await;
                let batch = seen.expect("an answer");
                cursor = batch.cursor;
                if let Some(entry) = batch.entries.into_iter().find(|entry| entry.name == service.name) {
                    return entry;
                }
            }
        };
        let (changed, entry) = tokio::join!(change, watch);
        changed.expect("changed");
        assert_eq!(node_ids(&entry.services), nodes);
    }
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn an_etcd_that_restarts_is_missed_and_found_again() {
    let (lab, etcd) = (Lab::new(), Etcd::start());
    let registry = registry(&lab, &etcd.address).await;
    lab.ready().await;
    let service = greeter("a");
    registry.register(&service, TTL).await.expect("registered");
    let cursor = registry.changes(None, None, Duration::ZERO).await.expect("a snapshot").cursor;

    etcd.run("stop");
    let error = registry.get_service("greeter").await.expect_err("nobody listens");
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error}");
    lab.until("it is degraded", |status| matches!(status.state, PluginState::Degraded(_))).await;
    assert!(lab.host.require_healthy(Duration::from_secs(1)).await.is_err());

    etcd.run("start");
    lab.ready().await;
    assert_eq!(node_ids(&registry.get_service("greeter").await.expect("kept").services), ["a"]);
    let batch =
        registry.changes(None, Some(&cursor), Duration::ZERO).await.expect("the cursor is still good");
    assert!(batch.resync || batch.entries.is_empty());
    assert_eq!(lab.status().restarts, 0, "a missing backend is not the plugin's fault");
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn an_etcd_that_comes_late_is_waited_for() {
    let (lab, etcd) = (Lab::new(), Etcd::start());
    etcd.run("stop");
    let registry = registry(&lab, &etcd.address).await;
    assert!(registry.register(&greeter("a"), TTL).await.is_err());
    etcd.run("start");
    lab.ready().await;
    registry.register(&greeter("a"), TTL).await.expect("now it works");
    let names = registry.list_services().await.expect("listed");
    assert_eq!(names, ["greeter"]);
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn connections_are_kept_across_calls() {
    let (lab, etcd) = (Lab::new(), Etcd::start());
    let registry = registry(&lab, &etcd.address).await;
    for _ in 0..50 {
        registry.list_services().await.expect("listed");
    }
    let open = eventually("etcd reports", || {
        let url = format!("http://{}/metrics", etcd.address);
        let metrics = Command::new("curl").args(["-sf", &url]).output().expect("curl runs").stdout;
        let metrics = String::from_utf8_lossy(&metrics).into_owned();
        let line = metrics.lines().find(|line| line.starts_with("process_open_fds"))?.to_owned();
        line.split_whitespace().last()?.parse::<f64>().ok()
    });
    assert!(open.await < 60.0, "one connection per call would be far more");
}

/// Everything that etcd says about changes from now on, as `curl` writes it.
struct Witness {
    curl: std::process::Child,
    said: PathBuf,
}

impl Witness {
    fn start(etcd: &Etcd) -> Self {
        let said = etcd.folder.path().join("said");
        let all = r#"{"create_request":{"key":"AA==","range_end":"AA=="}}"#;
        let url = format!("http://{}/v3/watch", etcd.address);
        let out = std::fs::File::create(&said).expect("writable");
        let mut curl = Command::new("curl");
        curl.args(["-sfN", "-X", "POST", "-d", all, &url]).stdout(out);
        Self { curl: curl.spawn().expect("curl runs"), said }
    }

    async fn until(&self, text: &str) -> String {
        eventually(&format!("etcd says {text:?}"), || {
            std::fs::read_to_string(&self.said).ok().filter(|said| said.contains(text))
        })
        .await
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // It may have ended with its etcd.
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs etcd"]
async fn swaps_leave_no_gap_in_the_registration_and_fail_no_call() {
    const SHORT_TTL: Duration = Duration::from_secs(3);
    let (lab, etcd) = (Lab::new(), Etcd::start());
    let registry = registry(&lab, &etcd.address).await;
    lab.ready().await;
    let witness = Witness::start(&etcd);
    witness.until("created").await;
    let next = lab.file("next.wasm", &plugin("etcd-registry"));
    let target = "registry".parse().expect("a target");

    let service = greeter("a");
    let beats = async {
        loop {
            registry.register(&service, SHORT_TTL).await.expect("a heartbeat");
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
    };
    registry.register(&service, SHORT_TTL).await.expect("registered");
    let lookups = async {
        loop {
            let found = registry.get_service("greeter").await.expect("a lookup");
            assert_eq!(node_ids(&found.services), ["a"]);
        }
    };
    let first = registry.changes(None, None, Duration::ZERO).await.expect("a snapshot");
    let watch = async {
        let mut cursor = first.cursor.clone();
        loop {
            let batch = registry.changes(None, Some(&cursor), Duration::from_secs(5)).await.expect("a poll");
            assert!(!batch.resync, "the next generation goes on from the cursor");
            let gone = batch.entries.iter().any(|entry| entry.services.is_empty());
            assert!(!gone, "{batch:?}");
            cursor = batch.cursor;
        }
    };
    let swaps = async {
        for generation in 2..22 {
            let file = micro_plugin::Locator::file(&next);
            let swapped = lab.host.swap(&target, file).await.expect("replaced");
            assert_eq!(swapped.to.generation, generation);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = swaps => {}
        () = beats => {}
        () = lookups => {}
        () = watch => {}
    }
    lab.until("the old ones are gone", |status| status.draining == 0).await;
    let before = std::fs::read_to_string(&witness.said).expect("written");
    assert!(!before.contains("DELETE"), "{before}");
    registry.deregister(&service).await.expect("deregistered");
    witness.until("DELETE").await;
    let leases = Command::new("curl")
        .args(["-sf", "-X", "POST", "-d", "{}", &format!("http://{}/v3/lease/leases", etcd.address)])
        .output();
    let leases = String::from_utf8_lossy(&leases.expect("curl runs").stdout).into_owned();
    assert!(!leases.contains("\"ID\""), "each lease of the past was given back: {leases}");
}
