//! The local registry among real processes and strange files.

use micro::registry::LocalRegistry;
use micro_core::{Node, Registry, Service};
use micro_test::process::{Program, Signal};
use micro_test::{eventually, wait_until};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(300);

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn service(node: &str) -> Service {
    let node = Node { id: node.into(), address: "127.0.0.1:1".into(), ..Node::default() };
    Service { name: "a".into(), version: "1".into(), nodes: vec![node], ..Service::default() }
}

async fn peer(folder: &Path, node: &str, ttl: Duration, mode: &str) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry-peer"));
    command.arg(folder).args(["a", node, &ttl.as_millis().to_string(), mode]);
    let program = Program::start(command);
    program.line("registered", SOON).await;
    program
}

async fn nodes(registry: &LocalRegistry) -> Vec<String> {
    let services = registry.get_service("a").await.expect("an answer").services;
    services.into_iter().flat_map(|service| service.nodes).map(|node| node.id).collect()
}

#[tokio::test]
async fn a_killed_process_is_gone_at_once() {
    for ttl in [LONG, Duration::ZERO] {
        let folder = folder();
        let registry = LocalRegistry::new(folder.path());
        let process = peer(folder.path(), "n", ttl, "stay").await;
        assert_eq!(nodes(&registry).await, ["n"]);
        let cursor = registry.changes(None, None, SOON).await.expect("everything").cursor;
        // Nobody waits for it, so it stays as a zombie, which must not count as alive.
        process.signal(Signal::KILL);
        let start = Instant::now();
        let batch = registry.changes(None, Some(&cursor), SOON).await.expect("changes");
        assert!(batch.entries[0].services.is_empty(), "{batch:?}");
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0, "its file is swept");
    }
}

#[tokio::test]
async fn a_stopped_process_ends_with_its_ttl_and_comes_back() {
    let folder = folder();
    let registry = LocalRegistry::new(folder.path());
    let process = peer(folder.path(), "n", Duration::from_millis(600), "stay").await;
    process.signal(Signal::STOP);
    eventually("it ended", SOON, async || nodes(&registry).await.is_empty()).await;
    process.signal(Signal::CONT);
    eventually("it is back", SOON, async || nodes(&registry).await == ["n"]).await;
}

#[tokio::test]
async fn commands_leave_entries_that_last() {
    let folder = folder();
    let registry = LocalRegistry::new(folder.path());
    for (node, ttl) in [("for-ever", Duration::ZERO), ("short", Duration::from_millis(1500))] {
        let mut command = peer(folder.path(), node, ttl, "once").await;
        assert!(command.exit(SOON).await.success());
    }
    assert_eq!(nodes(&registry).await, ["for-ever", "short"]);
    eventually("the TTL ended one", SOON, async || nodes(&registry).await == ["for-ever"]).await;
}

#[tokio::test]
async fn many_processes_register_at_once() {
    let folder = folder();
    let registry = LocalRegistry::new(folder.path());
    let names: Vec<String> = (0..8).map(|at| format!("n{at}")).collect();
    // So short that they write all the time.
    let ttl = Duration::from_millis(300);
    let peers =
        futures::future::join_all(names.iter().map(|name| peer(folder.path(), name, ttl, "stay"))).await;
    assert_eq!(nodes(&registry).await, names);
    let (dead, alive) = peers.split_at(4);
    dead.iter().for_each(|peer| peer.signal(Signal::KILL));
    eventually("the dead are gone", SOON, async || nodes(&registry).await == names[4..]).await;
    // Sweeping the dead must not take the living along.
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        assert_eq!(nodes(&registry).await, names[4..]);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(alive.len(), 4);
}

#[tokio::test]
async fn strange_files_block_nobody() {
    let folder = folder();
    let registry = LocalRegistry::new(folder.path());
    registry.register(&service("n"), LONG).await.expect("register");
    let good = fs::read_dir(folder.path()).expect("readable").next().expect("one").expect("one").path();
    let text = fs::read(&good).expect("readable");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("empty.json"), "").expect("write");
    fs::write(path("garbage.json"), [0xff, 0, b'{']).expect("write");
    fs::write(path("truncated.json"), &text[..text.len() / 2]).expect("write");
    fs::write(path("copy.json"), &text).expect("write");
    fs::write(path("deep.json"), "[".repeat(100_000)).expect("write");
    fs::write(path("huge.json"), vec![b' '; 3 << 20]).expect("write");
    fs::write(path("notes.txt"), "mine").expect("write");
    fs::create_dir(path("folder.json")).expect("create");
    std::os::unix::fs::symlink("loop.json", path("loop.json")).expect("link");
    std::os::unix::fs::symlink("/dev/zero", path("zero.json")).expect("link");
    let pipe = std::process::Command::new("mkfifo").arg(path("pipe.json")).status();
    assert!(pipe.is_ok_and(|status| status.success()));
    let before = fs::read_dir(folder.path()).expect("readable").count();
    assert_eq!(nodes(&registry).await, ["n"]);
    registry.register(&service("m"), LONG).await.expect("register");
    assert_eq!(nodes(&registry).await, ["m", "n"]);
    assert_eq!(registry.list_services().await.expect("a list"), ["a"]);
    let after = fs::read_dir(folder.path()).expect("readable").count();
    assert_eq!(after, before + 1, "other people's files are left alone");
    // One that is replaced by something good counts again.
    fs::write(&good, "torn").expect("write");
    assert_eq!(nodes(&registry).await, ["m"]);
    registry.register(&service("n"), LONG).await.expect("the heartbeat");
    assert_eq!(nodes(&registry).await, ["m", "n"]);
}

#[tokio::test]
async fn a_folder_that_is_removed_is_made_again() {
    let home = folder();
    let folder = home.path().join("state/registry");
    let (registry, other) = (LocalRegistry::new(&folder), LocalRegistry::new(&folder));
    assert!(registry.list_services().await.expect("an empty list").is_empty());
    registry.health().await.expect("it can be made");
    let mut cursor = registry.changes(None, None, SOON).await.expect("everything").cursor;
    for round in 0..3 {
        other.register(&service("n"), LONG).await.expect("register");
        let batch = registry.changes(None, Some(&cursor), SOON).await.expect("changes");
        assert_eq!(batch.entries[0].services.len(), 1, "round {round}");
        fs::remove_dir_all(&folder).expect("remove");
        let batch = registry.changes(None, Some(&batch.cursor), SOON).await.expect("changes");
        assert!(batch.entries[0].services.is_empty(), "round {round}");
        cursor = batch.cursor;
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_an_error() {
    let home = folder();
    let file = home.path().join("file");
    fs::write(&file, "").expect("write");
    for place in [file.clone(), file.join("below")] {
        let registry = LocalRegistry::new(&place);
        for refused in [
            registry.register(&service("n"), LONG).await,
            registry.health().await,
            registry.list_services().await.map(drop),
            registry.changes(None, None, SOON).await.map(drop),
        ] {
            let text = refused.expect_err("refused").to_string();
            assert!(text.contains(&*file.to_string_lossy()), "{text}");
        }
    }
}

#[tokio::test]
async fn files_of_dead_writers_are_swept() {
    let folder = folder();
    let registry = LocalRegistry::new(folder.path());
    let (old, new) = (folder.path().join(".micro-old"), folder.path().join(".micro-new"));
    fs::write(&new, "being written").expect("write");
    fs::write(&old, "never finished").expect("write");
    let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().write(true).open(&old).and_then(|file| file.set_modified(hour_ago)).expect("touch");
    assert!(registry.list_services().await.expect("a list").is_empty());
    assert!(!old.exists() && new.exists());
}

#[tokio::test]
async fn changes_are_noticed_quickly() {
    let folder = folder();
    let (registry, other) = (LocalRegistry::new(folder.path()), LocalRegistry::new(folder.path()));
    other.register(&service("n"), LONG).await.expect("register");
    let mut cursor = registry.changes(None, None, SOON).await.expect("everything").cursor;
    let mut took = Vec::new();
    for round in 0..20 {
        let node = format!("n{round}");
        let mut service = service("n");
        service.nodes[0].metadata.insert("round".into(), node);
        let watch = registry.changes(None, Some(&cursor), SOON);
        let write = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            other.register(&service, LONG).await.expect("register");
            Instant::now()
        };
        let (batch, written) = tokio::join!(watch, write);
        took.push(written.elapsed());
        let batch = batch.expect("changes");
        assert_eq!(batch.entries.len(), 1);
        cursor = batch.cursor;
    }
    took.sort();
    // By notification, not by looking every now and then.
    assert!(took[10] < Duration::from_millis(200), "{took:?}");
    let quiet =
        wait_until(Duration::ZERO, async || registry.changes(None, Some(&cursor), Duration::ZERO).await.ok());
    assert!(quiet.await.is_some_and(|batch| batch.entries.is_empty()));
}
