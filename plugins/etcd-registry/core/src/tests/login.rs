use super::*;
use crate::Error;

fn user() -> Config {
    Config { addresses: vec!["a".into()], username: "u".into(), password: "p".into(), ..Config::default() }
}

fn tokens(script: &Script) -> Vec<(String, Option<String>)> {
    script.asked().into_iter().map(|asked| (asked.path, asked.token)).collect()
}

fn expected(pairs: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
    pairs.iter().map(|(path, token)| ((*path).to_owned(), token.map(str::to_owned))).collect()
}

#[test]
fn one_login_serves_many_calls() {
    let script = Script::default();
    script.ok(&json!({ "token": "t" })).ok(&page(1, &[])).ok(&page(1, &[]));
    let etcd = script.etcd_with(user());
    for _ in 0..2 {
        block_on(etcd.list_services(TIMEOUT)).expect("known user");
    }
    let login = script.0.asked.borrow()[0].json.clone();
    assert_eq!(login, r#"{"name":"u","password":"p"}"#);
    let calls = [("/v3/auth/authenticate", None), ("/v3/kv/txn", Some("t")), ("/v3/kv/txn", Some("t"))];
    assert_eq!(tokens(&script), expected(&calls));
}

#[test]
fn an_expired_token_is_renewed_once() {
    for refusal in [(401, 16, "invalid auth token"), (400, 3, "auth: revision in header is old")] {
        let script = Script::default();
        let (http, code, message) = refusal;
        script.ok(&json!({ "token": "old" })).status(http, code, message);
        script.ok(&json!({ "token": "new" })).ok(&page(1, &[]));
        block_on(script.etcd_with(user()).list_services(TIMEOUT)).expect("renewed");
        let login = "/v3/auth/authenticate";
        let calls = [(login, None), ("/v3/kv/txn", Some("old")), (login, None), ("/v3/kv/txn", Some("new"))];
        assert_eq!(tokens(&script), expected(&calls));
    }
}

#[test]
fn a_token_that_is_refused_twice_is_a_denial() {
    let script = Script::default();
    for _ in 0..2 {
        script.ok(&json!({ "token": "t" })).status(401, 16, "invalid auth token");
    }
    let error = block_on(script.etcd_with(user()).list_services(TIMEOUT)).expect_err("refused");
    assert_eq!(error, Error::Denied("a:2379: invalid auth token".into()));
    assert_eq!(script.paths().len(), 4);
}

#[test]
fn a_wrong_password_is_a_denial() {
    let script = Script::default();
    let message = "etcdserver: authentication failed, invalid user ID or password";
    script.status(400, 3, message);
    let error = block_on(script.etcd_with(user()).health(TIMEOUT)).expect_err("refused");
    assert_eq!(error, Error::Denied(format!("a:2379: {message}")));
}

#[test]
fn a_cluster_without_authentication_is_used_without_and_the_operator_is_told() {
    let script = Script::default();
    script.status(400, 9, "etcdserver: authentication is not enabled").ok(&page(1, &[])).ok(&page(1, &[]));
    let etcd = script.etcd_with(user());
    for _ in 0..2 {
        block_on(etcd.list_services(TIMEOUT)).expect("open");
    }
    assert_eq!(script.warnings().len(), 1);
    // Authentication is switched on later.
    script.status(400, 3, "etcdserver: user name is empty").ok(&json!({ "token": "t" })).ok(&page(1, &[]));
    block_on(etcd.list_services(TIMEOUT)).expect("known user");
}

#[test]
fn a_watch_with_an_expired_token_logs_in_again() {
    let script = Script::default();
    let refused =
        json!({ "result": { "created": true, "canceled": true, "cancel_reason": "invalid auth token" } });
    script.ok(&json!({ "token": "old" })).chunks(vec![text(format!("{refused}\n"))]);
    let created = json!({ "result": { "header": header(5), "created": true } });
    script.ok(&json!({ "token": "new" })).chunks(vec![text(format!("{created}\n")), Chunk::Idle]);
    script.ok(&look(5, 3, 0));
    let batch =
        block_on(script.etcd_with(user()).changes(None, Some("1-5:0"), WAIT, TIMEOUT)).expect("watches");
    assert_eq!((batch.resync, batch.cursor.as_str()), (false, "1-5:0"));
}
