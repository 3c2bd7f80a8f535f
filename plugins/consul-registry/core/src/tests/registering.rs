//! What is written, when, and to whom.

use super::*;
use crate::{CheckConfig, Error};

fn register(consul: &Consul<Script>, ttl: Duration) -> Result<(), Error> {
    block_on(consul.register(&greeter("g-1"), ttl, TIMEOUT))
}

#[test]
fn a_node_is_written_once_and_then_reports() {
    let script = Script::default();
    let consul = script.consul_with(Config { token: "t".into(), ..Config::default() });
    script.ok().ok();
    register(&consul, TTL).expect("registered");
    let asked = script.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert_eq!(lines, ["PUT /v1/agent/service/register", "PUT /v1/agent/check/pass/service%3Ag-1"]);
    assert!(asked.iter().all(|asked| asked.token.as_deref() == Some("t")));
    let body: Value = serde_json::from_str(&asked[0].body).expect("JSON");
    assert_eq!((&body["ID"], &body["Check"]["TTL"]), (&json!("g-1"), &json!("30s")));

    script.ok();
    register(&consul, TTL).expect("a heartbeat");
    assert_eq!(script.lines(), ["PUT /v1/agent/check/pass/service%3Ag-1"]);

    // Another TTL is another check; and so is none.
    script.ok().ok();
    register(&consul, TTL * 2).expect("registered anew");
    assert_eq!(script.lines().len(), 2);
    script.ok().answer(404, 0, "Unknown check ID");
    register(&consul, Duration::ZERO).expect("registered anew");
    assert_eq!(
        script.lines(),
        ["PUT /v1/agent/service/register", "PUT /v1/agent/check/deregister/service%3Ag-1"]
    );
    script.ok();
    register(&consul, Duration::ZERO).expect("looked at");
    assert_eq!(script.lines(), ["GET /v1/agent/service/g-1"]);
}

#[test]
fn what_the_agent_forgot_is_written_again() {
    let script = Script::default();
    let consul = script.consul();
    script.ok().ok();
    register(&consul, TTL).expect("registered");
    for (status, text) in [
        (404, "Unknown check ID \"service:g-1\""),
        (500, "CheckID \"service:g-1\" does not have associated TTL"),
    ] {
        script.lines();
        script.answer(status, 0, text).ok().ok();
        register(&consul, TTL).expect("registered again");
        assert_eq!(script.lines().len(), 3, "{status}");
    }
    // A refusal is none of that.
    script.lines();
    script.answer(403, 0, "Permission denied: token lacks permission 'service:write'");
    let error = register(&consul, TTL).expect_err("refused");
    assert!(matches!(&error, Error::Denied(why) if why.contains("service:write")), "{error}");
    assert_eq!(script.lines().len(), 1);
    // And an outage costs one question, not a registration.
    script.down();
    assert!(matches!(register(&consul, TTL), Err(Error::Unavailable(_))));
    script.ok();
    register(&consul, TTL).expect("a heartbeat");
    assert_eq!(script.lines().len(), 2);
}

#[test]
fn a_registration_whose_report_fails_is_repeated() {
    let script = Script::default();
    let consul = script.consul();
    script.ok().down();
    assert!(register(&consul, TTL).is_err());
    script.lines();
    script.ok().ok();
    register(&consul, TTL).expect("registered");
    assert_eq!(script.lines().len(), 2);
}

#[test]
fn the_agent_that_has_a_node_keeps_it() {
    let script = Script::default();
    let addresses = vec!["a:1".to_owned(), "b:1".to_owned()];
    let consul = script.consul_with(Config { addresses, ..Config::default() });
    let origins = || script.asked().into_iter().map(|asked| asked.origin).collect::<String>();
    script.ok().ok();
    register(&consul, TTL).expect("registered");
    assert_eq!(origins(), "a:1a:1");
    // Reading goes to the other one; reporting does not follow.
    script.down().entries(1, &[]);
    block_on(consul.get_service("greeter", TIMEOUT)).expect("read");
    assert_eq!(origins(), "a:1b:1");
    script.ok();
    register(&consul, TTL).expect("a heartbeat");
    assert_eq!(origins(), "a:1");
    // Until it has to.
    script.down().answer(404, 0, "Unknown check ID").down().ok().ok();
    register(&consul, TTL).expect("registered with the other");
    assert_eq!(origins(), "a:1b:1a:1b:1b:1");

    script.ok().down();
    block_on(consul.deregister(&greeter("g-1"), TIMEOUT)).expect("the one that has it has answered");
    assert_eq!(origins(), "b:1a:1");
    script.down().answer(404, 0, "Unknown service ID");
    block_on(consul.deregister(&greeter("g-1"), TIMEOUT)).expect("one that could have it has answered");
    script.down().down();
    assert!(block_on(consul.deregister(&greeter("g-1"), TIMEOUT)).is_err());
}

#[test]
fn deregistering_waits_for_the_agent_that_has_the_node() {
    let script = Script::default();
    let addresses = vec!["a:1".to_owned(), "b:1".to_owned()];
    let consul = script.consul_with(Config { addresses, ..Config::default() });
    script.ok().ok();
    register(&consul, TTL).expect("registered");
    script.down();
    let error = block_on(consul.deregister(&greeter("g-1"), TIMEOUT)).expect_err("it still has the node");
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
}

#[test]
fn reasons_are_kept_and_told_apart() {
    let script = Script::default();
    let consul = script.consul();
    let outcome = |status: u16, text: &str| {
        script.answer(status, 0, text);
        register(&consul, TTL).expect_err("refused")
    };
    assert!(matches!(outcome(400, "Invalid check"), Error::Invalid(why) if why == "a:1: Invalid check"));
    assert!(matches!(outcome(403, "ACL not found"), Error::Denied(_)));
    assert!(matches!(outcome(500, "Scripts are disabled on this agent"), Error::Denied(_)));
    assert!(matches!(outcome(500, "No cluster leader"), Error::Unavailable(_)));
    assert!(matches!(
        outcome(429, "Your IP is issuing too many concurrent connections"),
        Error::Unavailable(_)
    ));
    assert!(matches!(outcome(503, ""), Error::Unavailable(why) if why == "a:1: status 503"));
    assert!(matches!(outcome(404, "<html>"), Error::Other(why) if why.contains("HTTP API")));
    assert!(matches!(outcome(302, ""), Error::Other(_)));
    let long = outcome(400, &format!("line\n{}", "x".repeat(5000))).to_string();
    assert!(long.len() < 400 && !long.contains('\n'), "{long}");
}

#[test]
fn settings_reach_the_definition() {
    let script = Script::default();
    let config = Config {
        add_tags: vec!["blue".into()],
        namespace: "team".into(),
        check: CheckConfig { kind: "tcp".into(), ..CheckConfig::default() },
        ..Config::default()
    };
    let consul = script.consul_with(config);
    script.ok();
    register(&consul, TTL).expect("registered");
    let asked = script.asked();
    assert_eq!(asked[0].line, "PUT /v1/agent/service/register?ns=team");
    let body: Value = serde_json::from_str(&asked[0].body).expect("JSON");
    assert_eq!((&body["Check"]["TCP"], &body["Tags"][1]), (&json!("127.0.0.1:1"), &json!("blue")));
    script.ok();
    register(&consul, TTL).expect("looked at");
    assert_eq!(script.lines(), ["GET /v1/agent/service/g-1?ns=team"]);
}

#[test]
fn metadata_that_consul_would_refuse_stays_in_the_tags() {
    let script = Script::default();
    let consul = script.consul();
    let mut it = greeter("g-1");
    let long = "x".repeat(600);
    for (key, value) in [("ok", "1"), ("a b", "1"), ("", "1"), ("ü", "1"), ("consul-x", "1"), ("long", &long)]
    {
        it.nodes[0].metadata.insert(key.into(), value.into());
    }
    it.nodes[0].metadata.extend((0..100).map(|at| (format!("z{at}"), String::new())));
    script.ok().ok();
    block_on(consul.register(&it, TTL, TIMEOUT)).expect("registered");
    let body: Value = serde_json::from_str(&script.asked()[0].body).expect("JSON");
    let meta = body["Meta"].as_object().expect("an object");
    assert_eq!(meta.len(), 64);
    assert!(meta.contains_key("ok") && !meta.contains_key("long") && !meta.contains_key("consul-x"));
    assert_eq!(body["Tags"].as_array().map(Vec::len), Some(107));
}
