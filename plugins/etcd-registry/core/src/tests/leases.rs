use super::*;
use crate::Error;

const GRANT: &str = "/v3/lease/grant";
const RENEW: &str = "/v3/lease/keepalive";
const ASK: &str = "/v3/lease/timetolive";
const REVOKE: &str = "/v3/lease/revoke";
const TXN: &str = "/v3/kv/txn";
const DELETE: &str = "/v3/kv/deleterange";

fn granted(id: u64) -> Value {
    json!({ "ID": id.to_string(), "TTL": "30" })
}

fn renewed(id: u64) -> Value {
    json!({ "result": { "ID": id.to_string(), "TTL": "30" } })
}

/// The record was there already.
fn same() -> Value {
    json!({ "header": header(1), "succeeded": true })
}

/// The record was put; a lease of 0 means that there was none before.
fn put(old_lease: u64) -> Value {
    let prev = json!({ "key": "eA==", "lease": old_lease.to_string() });
    json!({ "header": header(1), "responses": [{ "response_put": { "prev_kv": prev } }] })
}

#[test]
fn a_heartbeat_renews_and_writes_only_what_differs() {
    let script = Script::default();
    script.ok(&granted(7)).ok(&put(0)).ok(&renewed(7)).ok(&same());
    let etcd = script.etcd();
    for _ in 0..2 {
        block_on(etcd.register(&greeter("n"), TTL, TIMEOUT)).expect("registers");
    }
    let asked = script.asked();
    assert_eq!(asked[0].json, r#"{"TTL":"30"}"#);
    assert!(
        asked[1].json.contains(r#""failure":[{"request_put":"#) && asked[1].json.contains(r#""lease":"7""#)
    );
    assert_eq!(asked[3].json, asked[1].json);
    let paths: Vec<&str> = asked.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, [GRANT, TXN, RENEW, TXN]);
}

#[test]
fn a_lease_that_is_gone_is_granted_anew() {
    let script = Script::default();
    script.ok(&granted(7)).ok(&put(0));
    // No TTL: unknown or expired.
    script.ok(&json!({ "result": { "ID": "7" } })).ok(&granted(8)).ok(&put(0));
    let etcd = script.etcd();
    for _ in 0..2 {
        block_on(etcd.register(&greeter("n"), TTL, TIMEOUT)).expect("registers");
    }
    assert_eq!(script.paths(), [GRANT, TXN, RENEW, GRANT, TXN]);
}

#[test]
fn a_lease_that_ends_before_the_put_is_granted_anew_once() {
    let script = Script::default();
    let gone = "etcdserver: requested lease not found";
    script.ok(&granted(7)).status(404, 5, gone).ok(&granted(8)).ok(&put(0));
    let etcd = script.etcd();
    block_on(etcd.register(&greeter("n"), TTL, TIMEOUT)).expect("registers");
    script.ok(&renewed(8)).status(404, 5, gone).ok(&granted(9)).status(404, 5, gone);
    assert!(block_on(etcd.register(&greeter("n"), TTL, TIMEOUT)).is_err());
    assert_eq!(script.paths(), [GRANT, TXN, GRANT, TXN, RENEW, TXN, GRANT, TXN]);
}

#[test]
fn the_lease_of_a_predecessor_is_revoked_unless_it_holds_other_keys() {
    for (keys, expected) in
        [(json!([]), vec![GRANT, TXN, ASK, REVOKE]), (json!(["eQ=="]), vec![GRANT, TXN, ASK])]
    {
        let script = Script::default();
        script
            .ok(&granted(7))
            .ok(&put(3))
            .ok(&json!({ "ID": "3", "TTL": "20", "keys": keys }))
            .ok(&json!({}));
        block_on(script.etcd().register(&greeter("n"), TTL, TIMEOUT)).expect("registers");
        assert_eq!(script.paths(), expected);
    }
}

#[test]
fn failing_to_revoke_is_no_failure() {
    let script = Script::default();
    script.ok(&granted(7)).ok(&put(3)).down();
    block_on(script.etcd().register(&greeter("n"), TTL, TIMEOUT)).expect("registers");
}

#[test]
fn another_ttl_is_another_lease_and_none_is_none() {
    let script = Script::default();
    let unused = |id: u64| json!({ "ID": id.to_string(), "TTL": "20" });
    script.ok(&granted(7)).ok(&put(0));
    script.ok(&granted(8)).ok(&put(7)).ok(&unused(7)).ok(&json!({}));
    script.ok(&put(8)).ok(&unused(8)).ok(&json!({}));
    let etcd = script.etcd();
    for ttl in [TTL, TTL * 2, Duration::ZERO] {
        block_on(etcd.register(&greeter("n"), ttl, TIMEOUT)).expect("registers");
    }
    let asked = script.asked();
    assert_eq!(asked[2].json, r#"{"TTL":"60"}"#);
    assert!(asked[6].json.contains(r#""lease":"0""#), "{}", asked[6].json);
    let paths: Vec<&str> = asked.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, [GRANT, TXN, GRANT, TXN, ASK, REVOKE, TXN, ASK, REVOKE]);
}

#[test]
fn parts_of_a_second_count_as_one() {
    let script = Script::default();
    script.ok(&granted(7)).ok(&put(0));
    block_on(script.etcd().register(&greeter("n"), Duration::from_millis(1), TIMEOUT)).expect("registers");
    assert_eq!(script.asked()[0].json, r#"{"TTL":"1"}"#);
}

#[test]
fn deregistering_takes_the_lease_along() {
    let script = Script::default();
    script.ok(&granted(7)).ok(&put(0));
    let deleted =
        json!({ "header": header(1), "deleted": "1", "prev_kvs": [{ "key": "eA==", "lease": "7" }] });
    script.ok(&deleted).ok(&json!({ "ID": "7", "TTL": "20" })).ok(&json!({}));
    let etcd = script.etcd();
    block_on(etcd.register(&greeter("n"), TTL, TIMEOUT)).expect("registers");
    block_on(etcd.deregister(&greeter("n"), TIMEOUT)).expect("deregisters");
    assert_eq!(script.paths(), [GRANT, TXN, DELETE, ASK, REVOKE]);
    // Registered again, nothing is left of the old lease.
    script.ok(&granted(8)).ok(&put(0));
    block_on(etcd.register(&greeter("n"), TTL, TIMEOUT)).expect("registers");
    assert_eq!(script.paths(), [GRANT, TXN]);
}

#[test]
fn nodes_that_cannot_have_a_key_are_refused_before_anything_is_asked() {
    let script = Script::default();
    let etcd = script.etcd();
    let nameless = Service { name: String::new(), ..greeter("n") };
    for wrong in [nameless, greeter(""), greeter("..")] {
        assert!(matches!(block_on(etcd.register(&wrong, TTL, TIMEOUT)), Err(Error::Invalid(_))));
        assert!(matches!(block_on(etcd.deregister(&wrong, TIMEOUT)), Err(Error::Invalid(_))));
    }
    assert_eq!(script.paths().len(), 0);
}
