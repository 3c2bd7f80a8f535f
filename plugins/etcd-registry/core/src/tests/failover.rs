use super::*;
use crate::Error;

fn two() -> Config {
    Config { addresses: vec!["a".into(), "b:1".into()], ..Config::default() }
}

fn origins(script: &Script) -> Vec<String> {
    script.asked().into_iter().map(|asked| asked.origin).collect()
}

#[test]
fn the_member_that_answered_last_is_asked_first() {
    let script = Script::default();
    script.down().ok(&page(1, &[])).ok(&page(1, &[])).down().ok(&page(1, &[]));
    let etcd = script.etcd_with(two());
    for _ in 0..3 {
        block_on(etcd.list_services(TIMEOUT)).expect("one of them is up");
    }
    assert_eq!(origins(&script), ["a:2379", "b:1", "b:1", "b:1", "a:2379"]);
}

#[test]
fn members_without_a_leader_are_passed_over() {
    let script = Script::default();
    script.status(503, 14, "etcdserver: no leader").ok(&page(1, &[]));
    block_on(script.etcd_with(two()).list_services(TIMEOUT)).expect("the other has one");
    assert_eq!(origins(&script).len(), 2);
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_elsewhere() {
    let script = Script::default();
    let half = page(1, &[]).to_string()[..10].to_owned();
    script.chunks(vec![text(half), Chunk::Idle]).ok(&page(1, &[]));
    block_on(script.etcd_with(two()).list_services(TIMEOUT)).expect("the other goes on");
}

#[test]
fn every_address_that_was_tried_is_named() {
    let script = Script::default();
    script.down().status(503, 14, "no leader");
    let error = block_on(script.etcd_with(two()).health(TIMEOUT)).expect_err("nobody is up");
    assert_eq!(error, Error::Unavailable("a:2379: connection refused; b:1: no leader".into()));
}

#[test]
fn only_the_refusal_of_all_addresses_is_a_denial() {
    let denied = || HttpError::Denied("not granted".into());
    let script = Script::default();
    script.fails(denied()).fails(denied()).fails(denied()).down();
    let etcd = script.etcd_with(two());
    assert!(matches!(block_on(etcd.health(TIMEOUT)), Err(Error::Denied(_))));
    assert!(matches!(block_on(etcd.health(TIMEOUT)), Err(Error::Unavailable(_))));
}

#[test]
fn what_any_member_would_say_is_not_asked_again() {
    let script = Script::default();
    script.status(403, 7, "etcdserver: permission denied");
    let error = block_on(script.etcd_with(two()).health(TIMEOUT)).expect_err("refused");
    assert_eq!(error, Error::Denied("a:2379: etcdserver: permission denied".into()));
    assert_eq!(origins(&script).len(), 1);
}

#[test]
fn statuses_become_cases() {
    let check = |http, code, message: &str, expected: fn(String) -> Error| {
        let script = Script::default();
        script.status(http, code, message);
        let error = block_on(script.etcd().health(TIMEOUT)).expect_err("a status");
        assert_eq!(error, expected(format!("a:2379: {message}")));
    };
    check(400, 3, "bad", Error::Invalid);
    check(400, 3, "etcdserver: user name is empty", Error::Denied);
    check(401, 16, "who?", Error::Denied);
    check(429, 8, "etcdserver: too many requests", Error::Unavailable);
    check(503, 14, "no leader", Error::Unavailable);
    check(500, 2, "raft: stopped", Error::Unavailable);
    check(409, 10, "aborted", Error::Other);
}

#[test]
fn nothing_is_asked_without_time() {
    let script = Script::default();
    let error = block_on(script.etcd().health(Duration::ZERO)).expect_err("no time");
    assert_eq!(error, Error::Unavailable("a:2379: no time left to ask".into()));
    assert_eq!(origins(&script).len(), 0);
}
