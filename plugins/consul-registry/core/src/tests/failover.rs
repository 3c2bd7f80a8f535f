//! Several agents.

use super::*;
use crate::Error;
use crate::http::HttpError;

fn two(script: &Script) -> Consul<Script> {
    script.consul_with(Config { addresses: vec!["a:1".into(), "b:1".into()], ..Config::default() })
}

fn origins(script: &Script) -> Vec<String> {
    script.asked().into_iter().map(|asked| asked.origin).collect()
}

#[test]
fn the_first_that_works_is_kept() {
    let script = Script::default();
    let consul = two(&script);
    for answer in [Err(HttpError::Unreachable("reset".into())), Ok(500), Ok(429)] {
        match answer {
            Err(error) => script.0.answers.borrow_mut().push_back(Err(error)),
            Ok(status) => _ = script.answer(status, 0, "No cluster leader"),
        }
        script.answer(200, 1, "{}").answer(200, 1, "{}");
        block_on(consul.list_services(TIMEOUT)).expect("the other one answers");
        block_on(consul.list_services(TIMEOUT)).expect("and is asked first");
        let asked = origins(&script);
        assert_eq!(asked[1], asked[2]);
        assert_ne!(asked[0], asked[1]);
    }
}

#[test]
fn a_refusal_is_an_answer() {
    let script = Script::default();
    let consul = two(&script);
    script.answer(403, 0, "Permission denied");
    assert!(matches!(block_on(consul.list_services(TIMEOUT)), Err(Error::Denied(_))));
    assert_eq!(origins(&script), ["a:1"]);
}

#[test]
fn when_nobody_answers_everybody_is_named() {
    let script = Script::default();
    let consul = two(&script);
    script.down().answer(500, 0, "No cluster leader");
    let error = block_on(consul.list_services(TIMEOUT)).expect_err("nobody");
    assert_eq!(error, Error::Unavailable("a:1: connection refused; b:1: No cluster leader".into()));
    let denied = || HttpError::Denied("not granted".into());
    script.0.answers.borrow_mut().extend([Err(denied()), Err(denied())]);
    assert!(matches!(block_on(consul.list_services(TIMEOUT)), Err(Error::Denied(_))));
    script.0.answers.borrow_mut().push_back(Err(HttpError::TooLong));
    let error = block_on(consul.list_services(TIMEOUT)).expect_err("too long");
    assert!(error.to_string().contains("32 MiB"), "{error}");
    origins(&script);
    let error = block_on(consul.list_services(Duration::ZERO)).expect_err("no time");
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    assert!(origins(&script).is_empty());
}
