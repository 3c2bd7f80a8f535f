//! Cases that change the server for everybody, so each starts one of its own with the script that
//! `MICRO_TEST_ETCD_SCRIPT` names. `cargo xtask test` sets it.

use crate::native::Native;
use crate::{TIMEOUT, TTL, WAIT, changes, nodes, register, service};
use etcd_core::http::{Body, Chunk, HttpClient, Origin, Request};
use etcd_core::{Config, Error, Etcd};
use futures::executor::block_on;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server that ends with its case. The folder that it works in has its process id.
struct Server {
    script: OsString,
    folder: TempDir,
    address: String,
}

impl Server {
    fn start() -> Self {
        let script = std::env::var_os("MICRO_TEST_ETCD_SCRIPT");
        let script = script.expect("MICRO_TEST_ETCD_SCRIPT; run `cargo xtask test`, which sets it");
        let mut server =
            Self { script, folder: tempfile::tempdir().expect("a folder"), address: String::new() };
        let said = server.run("start");
        let address = said.lines().find_map(|line| line.strip_prefix("export ETCD_ADDR="));
        server.address = address.expect("the script says where").trim_matches(['\'', '"', ';']).to_owned();
        server
    }

    fn run(&self, verb: &str) -> String {
        let output =
            Command::new(&self.script).arg(verb).arg(self.folder.path()).output().expect("the script runs");
        assert!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).expect("a process id");
        assert!(Command::new("kill").args([name, pid.trim()]).status().expect("kill").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A stopped process would not hear that it has to end.
        self.signal("-CONT");
        self.run("stop");
    }
}

fn etcd(address: &str, prefix: &str, username: &str, password: &str) -> Etcd<Native> {
    let config = Config {
        addresses: vec![address.to_owned()],
        username: username.to_owned(),
        password: password.to_owned(),
        prefix: Some(prefix.to_owned()),
        ..Config::default()
    };
    Etcd::new(config, Native, |warning| eprintln!("{warning}")).expect("valid settings")
}

/// Asks the gateway for something that the plugin never asks for.
async fn admin(address: &str, token: Option<&str>, path: &str, request: Value) -> Value {
    let origin = Origin { https: false, authority: address.to_owned() };
    let json = request.to_string().into_bytes();
    let mut response = Native
        .post(Request { origin: &origin, path, token, json, within: TIMEOUT })
        .await
        .expect("an answer");
    let mut text = Vec::new();
    while let Chunk::Bytes(bytes) = response.body.read(TIMEOUT).await.expect("a body") {
        text.extend(bytes);
    }
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
#[ignore = "needs a real etcd, started by MICRO_TEST_ETCD_SCRIPT"]
fn users_see_what_they_may() {
    let server = Server::start();
    let address = &server.address;
    block_on(async {
        for name in ["root", "limited"] {
            admin(address, None, "/v3/auth/user/add", json!({ "name": name, "password": "right" })).await;
        }
        admin(address, None, "/v3/auth/role/add", json!({ "name": "root" })).await;
        admin(address, None, "/v3/auth/role/add", json!({ "name": "team" })).await;
        let range = json!({ "permType": "READWRITE", "key": "L3RlYW0v", "range_end": "L3RlYW0w" });
        admin(address, None, "/v3/auth/role/grant", json!({ "name": "team", "perm": range })).await;
        for (user, role) in [("root", "root"), ("limited", "team")] {
            admin(address, None, "/v3/auth/user/grant", json!({ "user": user, "role": role })).await;
        }

        let early = etcd(address, "/team", "limited", "right");
        early.health(TIMEOUT).await.expect("authentication is off, and that is fine");
        admin(address, None, "/v3/auth/enable", json!({})).await;

        early.health(TIMEOUT).await.expect("it logs in once it has to");
        let limited = etcd(address, "/team", "limited", "right");
        let start = changes(&limited, None, None, WAIT).await;
        register(&limited, &service("a", "1", "x"), TTL).await;
        let seen = changes(&limited, None, Some(&start.cursor), WAIT).await;
        assert_eq!(nodes(&seen), [("a", vec!["x"])]);
        limited.deregister(&service("a", "1", "x"), TIMEOUT).await.expect("may write");

        for (prefix, user, password) in
            [("/team", "", ""), ("/team", "limited", "wrong"), ("/else", "limited", "right")]
        {
            let etcd = etcd(address, prefix, user, password);
            for outcome in [
                etcd.health(TIMEOUT).await,
                etcd.register(&service("a", "1", "x"), TTL, TIMEOUT).await,
                etcd.changes(None, Some("1-1:0"), WAIT, TIMEOUT).await.map(drop),
                etcd.changes(None, None, WAIT, TIMEOUT).await.map(drop),
            ] {
                assert!(matches!(outcome, Err(Error::Denied(_))), "{prefix} {user} {outcome:?}");
            }
        }
    });
}

#[test]
#[ignore = "needs a real etcd, started by MICRO_TEST_ETCD_SCRIPT"]
fn a_server_that_hangs_is_noticed_within_a_few_polls() {
    let server = Server::start();
    let address = &server.address;
    let etcd = etcd(address, "/hang", "", "");
    block_on(async {
        let start = changes(&etcd, None, None, WAIT).await;
        let mut cursor = changes(&etcd, None, Some(&start.cursor), Duration::from_millis(10)).await.cursor;
        server.signal("-STOP");
        let began = Instant::now();
        let error = loop {
            let wait = Duration::from_secs(2);
            match etcd.changes(None, Some(&cursor), wait, Duration::from_secs(3)).await {
                Ok(batch) => cursor = batch.cursor,
                Err(error) => break error,
            }
            assert!(began.elapsed() < Duration::from_secs(15), "it was never noticed");
        };
        server.signal("-CONT");
        assert!(matches!(&error, Error::Unavailable(why) if why.starts_with(address.as_str())), "{error}");
        register(&etcd, &service("a", "1", "x"), TTL).await;
        let seen = changes(&etcd, None, Some(&cursor), WAIT).await;
        assert_eq!(nodes(&seen), [("a", vec!["x"])]);
        etcd.deregister(&service("a", "1", "x"), TIMEOUT).await.expect("deregister");
    });
}

#[test]
#[ignore = "needs a real etcd, started by MICRO_TEST_ETCD_SCRIPT"]
fn a_compacted_cursor_is_a_resync_and_an_idle_one_is_not_overtaken() {
    let server = Server::start();
    let address = &server.address;
    let (etcd, busy) = (etcd(address, "/idle", "", ""), etcd(address, "/busy", "", ""));
    block_on(async {
        let old = changes(&etcd, None, None, WAIT).await.cursor;
        for version in ["1", "2", "3"] {
            register(&busy, &service("a", version, "x"), Duration::ZERO).await;
        }
        let idle = changes(&etcd, None, Some(&old), Duration::from_millis(10)).await.cursor;
        let revision = idle.split(['-', ':']).nth(1).expect("a revision");
        admin(address, None, "/v3/kv/compaction", json!({ "revision": revision, "physical": true })).await;
        assert!(changes(&etcd, None, Some(&old), WAIT).await.resync);
        etcd.close();
        let batch = changes(&etcd, None, Some(&idle), Duration::from_millis(10)).await;
        assert!(!batch.resync);
        busy.deregister(&service("a", "3", "x"), TIMEOUT).await.expect("deregister");
    });
}

#[test]
#[ignore = "needs a real etcd, started by MICRO_TEST_ETCD_SCRIPT"]
fn a_restart_loses_no_event_and_a_wiped_store_is_a_resync() {
    let server = Server::start();
    let etcd = etcd(&server.address, "/again", "", "");
    block_on(async {
        register(&etcd, &service("a", "1", "x"), TTL).await;
        let start = changes(&etcd, None, None, WAIT).await.cursor;
        let before = changes(&etcd, None, Some(&start), Duration::from_millis(10)).await.cursor;
        server.run("stop");
        let down =
            etcd.changes(None, Some(&before), WAIT, Duration::from_secs(1)).await.expect_err("it is down");
        assert!(matches!(down, Error::Unavailable(_)), "{down}");
        server.run("start");
        register(&etcd, &service("b", "1", "y"), TTL).await;
        let seen = changes(&etcd, None, Some(&before), WAIT).await;
        assert_eq!((seen.resync, nodes(&seen)), (false, vec![("b", vec!["y"])]));

        server.run("stop");
        std::fs::remove_dir_all(server.folder.path().join("data")).expect("its data");
        server.run("start");
        let empty = changes(&etcd, None, Some(&seen.cursor), WAIT).await;
        assert_eq!((empty.resync, nodes(&empty)), (true, vec![]));
        // The heartbeat puts back what the store has lost.
        register(&etcd, &service("a", "1", "x"), TTL).await;
        let back = changes(&etcd, None, Some(&empty.cursor), WAIT).await;
        assert_eq!((back.resync, nodes(&back)), (false, vec![("a", vec!["x"])]));
    });
}
