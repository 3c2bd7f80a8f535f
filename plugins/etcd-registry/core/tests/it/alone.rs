//! Cases that change the server for everybody: they need one of their own, at `ETCD_OWN_ADDR`, with its process id in
//! `ETCD_OWN_PID`.

use crate::native::Native;
use crate::{TIMEOUT, TTL, WAIT, changes, nodes, register, service};
use etcd_core::http::{Body, Chunk, HttpClient, Origin, Request};
use etcd_core::{Config, Error, Etcd};
use futures::executor::block_on;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

static SERVER: Mutex<()> = Mutex::new(());

/// One case at a time.
fn server() -> (String, MutexGuard<'static, ()>) {
    let address = std::env::var("ETCD_OWN_ADDR").expect("ETCD_OWN_ADDR is the address of an etcd");
    (address, SERVER.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
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
#[ignore = "needs a real etcd of its own at ETCD_OWN_ADDR"]
fn users_see_what_they_may() {
    let (address, _alone) = server();
    block_on(async {
        for name in ["root", "limited"] {
            admin(&address, None, "/v3/auth/user/add", json!({ "name": name, "password": "right" })).await;
        }
        admin(&address, None, "/v3/auth/role/add", json!({ "name": "root" })).await;
        admin(&address, None, "/v3/auth/role/add", json!({ "name": "team" })).await;
        let range = json!({ "permType": "READWRITE", "key": "L3RlYW0v", "range_end": "L3RlYW0w" });
        admin(&address, None, "/v3/auth/role/grant", json!({ "name": "team", "perm": range })).await;
        for (user, role) in [("root", "root"), ("limited", "team")] {
            admin(&address, None, "/v3/auth/user/grant", json!({ "user": user, "role": role })).await;
        }

        let early = etcd(&address, "/team", "limited", "right");
        early.health(TIMEOUT).await.expect("authentication is off, and that is fine");
        admin(&address, None, "/v3/auth/enable", json!({})).await;

        early.health(TIMEOUT).await.expect("it logs in once it has to");
        let limited = etcd(&address, "/team", "limited", "right");
        let start = changes(&limited, None, None, WAIT).await;
        register(&limited, &service("a", "1", "x"), TTL).await;
        let seen = changes(&limited, None, Some(&start.cursor), WAIT).await;
        assert_eq!(nodes(&seen), [("a", vec!["x"])]);
        limited.deregister(&service("a", "1", "x"), TIMEOUT).await.expect("may write");

        for (prefix, user, password) in
            [("/team", "", ""), ("/team", "limited", "wrong"), ("/else", "limited", "right")]
        {
            let etcd = etcd(&address, prefix, user, password);
            for outcome in [
                etcd.health(TIMEOUT).await,
                etcd.register(&service("a", "1", "x"), TTL, TIMEOUT).await,
                etcd.changes(None, Some("1-1:0"), WAIT, TIMEOUT).await.map(drop),
                etcd.changes(None, None, WAIT, TIMEOUT).await.map(drop),
            ] {
                assert!(matches!(outcome, Err(Error::Denied(_))), "{prefix} {user} {outcome:?}");
            }
        }
        let login = json!({ "name": "root", "password": "right" });
        let token = admin(&address, None, "/v3/auth/authenticate", login).await["token"].clone();
        admin(&address, token.as_str(), "/v3/auth/disable", json!({})).await;
    });
}

#[test]
#[ignore = "needs a real etcd of its own at ETCD_OWN_ADDR"]
fn a_server_that_hangs_is_noticed_within_a_few_polls() {
    let (address, _alone) = server();
    let pid = std::env::var("ETCD_OWN_PID").expect("ETCD_OWN_PID is the process id of that etcd");
    let signal = |name: &str| {
        assert!(Command::new("kill").args([name, &pid]).status().expect("kill").success());
    };
    let etcd = etcd(&address, "/hang", "", "");
    block_on(async {
        let start = changes(&etcd, None, None, WAIT).await;
        let mut cursor = changes(&etcd, None, Some(&start.cursor), Duration::from_millis(10)).await.cursor;
        signal("-STOP");
        let began = Instant::now();
        let error = loop {
            let wait = Duration::from_secs(2);
            match etcd.changes(None, Some(&cursor), wait, Duration::from_secs(3)).await {
                Ok(batch) => cursor = batch.cursor,
                Err(error) => break error,
            }
            assert!(began.elapsed() < Duration::from_secs(15), "it was never noticed");
        };
        signal("-CONT");
        assert!(matches!(&error, Error::Unavailable(why) if why.starts_with(&address)), "{error}");
        register(&etcd, &service("a", "1", "x"), TTL).await;
        let seen = changes(&etcd, None, Some(&cursor), WAIT).await;
        assert_eq!(nodes(&seen), [("a", vec!["x"])]);
        etcd.deregister(&service("a", "1", "x"), TIMEOUT).await.expect("deregister");
    });
}

#[test]
#[ignore = "needs a real etcd of its own at ETCD_OWN_ADDR"]
fn a_compacted_cursor_is_a_resync_and_an_idle_one_is_not_overtaken() {
    let (address, _alone) = server();
    let (etcd, busy) = (etcd(&address, "/idle", "", ""), etcd(&address, "/busy", "", ""));
    block_on(async {
        let old = changes(&etcd, None, None, WAIT).await.cursor;
        for version in ["1", "2", "3"] {
            register(&busy, &service("a", version, "x"), Duration::ZERO).await;
        }
        let idle = changes(&etcd, None, Some(&old), Duration::from_millis(10)).await.cursor;
        let revision = idle.split(['-', ':']).nth(1).expect("a revision");
        admin(&address, None, "/v3/kv/compaction", json!({ "revision": revision, "physical": true })).await;
        assert!(changes(&etcd, None, Some(&old), WAIT).await.resync);
        etcd.close();
        let batch = changes(&etcd, None, Some(&idle), Duration::from_millis(10)).await;
        assert!(!batch.resync);
        busy.deregister(&service("a", "3", "x"), TIMEOUT).await.expect("deregister");
    });
}
