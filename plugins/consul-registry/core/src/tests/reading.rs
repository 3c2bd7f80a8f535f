//! What is read, and how it is put together.

use super::*;
use crate::{Error, Health};

fn get(script: &Script) -> Vec<Service> {
    block_on(script.consul().get_service("greeter", TIMEOUT)).expect("read").services
}

#[test]
fn versions_are_apart_and_everything_is_in_order() {
    let script = Script::default();
    let mut second = entry("c");
    second["Service"]["Tags"] = json!(["v=2"]);
    script.entries(7, &[entry("b"), second, entry("a")]);
    let found = get(&script);
    assert_eq!(found.iter().map(|it| it.version.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(ids(&found), ["a", "b", "c"]);
    assert_eq!(script.lines(), ["GET /v1/health/service/greeter"]);
}

#[test]
fn endpoints_are_those_of_a_node_that_is_well() {
    let script = Script::default();
    let with = |id: &str, endpoint: &str, status: &str| {
        let mut entry = entry(id);
        entry["Service"]["Tags"] = json!(["v=1", format!(r#"e={{"name":"{endpoint}"}}"#)]);
        entry["Checks"][0]["Status"] = json!(status);
        entry
    };
    script.entries(
        7,
        &[with("a", "Old", "critical"), with("b", "New", "passing"), with("c", "Other", "warning")],
    );
    let found = get(&script);
    assert_eq!(found[0].endpoints.len(), 1);
    assert_eq!(found[0].endpoints[0].name, "New");
    let health: Vec<Health> = found[0].nodes.iter().map(|node| node.health).collect();
    assert_eq!(health, [Health::Critical, Health::Passing, Health::Warning]);
}

#[test]
fn a_node_that_two_agents_have_is_one_and_the_better_half_counts() {
    let script = Script::default();
    let mut old = entry("a");
    old["Node"]["Node"] = json!("l");
    old["Checks"][0]["Status"] = json!("critical");
    let mut elsewhere = entry("a");
    elsewhere["Node"]["Node"] = json!("n");
    elsewhere["Service"]["Port"] = json!(2);
    script.entries(7, &[old, entry("a"), elsewhere]);
    let found = get(&script);
    assert_eq!(ids(&found), ["a", "a@n"]);
    assert_eq!(found[0].nodes[0].health, Health::Passing);
}

#[test]
fn a_node_that_fell_silent_is_gone_and_others_names_are_others() {
    let script = Script::default();
    let mut silent = entry("a");
    silent["Checks"] = json!([{ "CheckID": "service:a", "Status": "critical", "Output": "TTL expired" }]);
    let mut other = entry("b");
    other["Service"]["Service"] = json!("Greeter");
    // Not Micro's: consul's word on it is all that there is.
    let mut foreign = entry("c");
    foreign["Service"]["Tags"] = json!(null);
    foreign["Checks"] = json!([{ "CheckID": "service:c", "Status": "critical", "Output": "TTL expired" }]);
    script.entries(7, &[silent, other, foreign]);
    let found = get(&script);
    assert_eq!(ids(&found), ["c@m"]);
    assert_eq!(found[0].nodes[0].health, Health::Critical);
}

#[test]
fn what_a_token_may_not_read_is_not_taken_for_nothing() {
    let script = Script::default();
    let filtered = |body: &str| {
        let response = Response { status: 200, filtered: true, body: body.into(), ..Response::default() };
        script.0.answers.borrow_mut().push_back(Ok(response));
    };
    filtered("[]");
    let error = block_on(script.consul().get_service("greeter", TIMEOUT)).expect_err("hidden");
    assert!(matches!(&error, Error::Denied(why) if why.contains("service:read")), "{error}");
    filtered("{}");
    assert!(matches!(block_on(script.consul().list_services(TIMEOUT)), Err(Error::Denied(_))));
    filtered("[]");
    let changes = block_on(script.consul().changes(Some("greeter"), None, WAIT, TIMEOUT));
    assert!(matches!(changes, Err(Error::Denied(_))));
    // Hiding some is what tokens are for.
    filtered(r#"{"b":[],"a":null}"#);
    assert_eq!(block_on(script.consul().list_services(TIMEOUT)).expect("some"), ["a", "b"]);
}

#[test]
fn settings_reach_the_query() {
    let script = Script::default();
    let config = Config {
        datacenter: "dc2".into(),
        namespace: "n".into(),
        consistency: "stale".into(),
        tag_filter: vec!["blue".into(), "a b".into()],
        ..Config::default()
    };
    let consul = script.consul_with(config);
    script.entries(1, &[]).answer(200, 1, r#"{"x":["blue"],"y":["a b","blue","c"]}"#);
    block_on(consul.get_service("a/b c", TIMEOUT)).expect("read");
    assert_eq!(block_on(consul.list_services(TIMEOUT)).expect("listed"), ["y"]);
    assert_eq!(
        script.lines(),
        [
            "GET /v1/health/service/a%2Fb%20c?ns=n&stale&dc=dc2&tag=blue&tag=a%20b",
            "GET /v1/catalog/services?ns=n&stale&dc=dc2",
        ]
    );
}

#[test]
fn health_asks_for_a_leader_and_about_the_token() {
    let health = |token: &str, answers: &[(u16, &str)]| {
        let script = Script::default();
        for (status, body) in answers {
            script.answer(*status, 0, *body);
        }
        let consul = script.consul_with(Config { token: token.into(), ..Config::default() });
        let outcome = block_on(consul.health(TIMEOUT));
        assert_eq!(script.lines().len(), answers.len());
        (outcome, script.warnings())
    };
    let leader = (200, r#""127.0.0.1:8300""#);
    let (outcome, warnings) = health("t", &[leader, (401, "ACL support disabled")]);
    assert!(outcome.is_ok() && warnings.len() == 1, "{warnings:?}");
    for token in ["", "t"] {
        assert!(matches!(health(token, &[(200, r#""""#)]).0, Err(Error::Unavailable(_))));
        assert!(matches!(health(token, &[(500, "No cluster leader")]).0, Err(Error::Unavailable(_))));
    }
    assert!(matches!(health("wrong", &[leader, (403, "ACL not found")]).0, Err(Error::Denied(_))));
    assert_eq!(health("right", &[leader, (200, "{}")]).0, Ok(()));
    // Something before consul that lets no such question through.
    assert_eq!(health("t", &[leader, (404, "")]).0, Ok(()));
    // Nobody, who sees consul itself, something else, or nothing.
    assert_eq!(health("", &[leader, (200, "[{}]")]), (Ok(()), vec![]));
    assert_eq!(health("", &[leader, (200, "[]"), (200, r#"{"a":[]}"#)]).0, Ok(()));
    assert!(matches!(health("", &[leader, (200, "[]"), (200, "{}")]).0, Err(Error::Denied(_))));
}
