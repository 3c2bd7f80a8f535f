//! Answers that no etcd gives. None of them may end the plugin; all but the harmless ones are errors.

use super::*;
use crate::Error;

fn nonsense() -> Vec<String> {
    let mut all: Vec<String> = [
        "",
        " ",
        "null",
        "true",
        "7",
        "\"\"",
        "[]",
        "[[]]",
        "{}",
        "{",
        "}",
        "\u{0}",
        "{\"header\":7}",
        "{\"header\":{\"revision\":-1}}",
        "{\"header\":{\"revision\":1e400}}",
        "{\"kvs\":{}}",
        "{\"kvs\":[7]}",
        "{\"responses\":{}}",
        "{\"responses\":[null]}",
        "{\"responses\":[{\"response_range\":[]}]}",
        "{\"responses\":[{\"response_range\":{\"kvs\":[{\"key\":\"%\"}]}}]}",
        "{\"responses\":[{\"response_range\":{\"more\":true,\"kvs\":[{}]}}]}",
        "{\"responses\":[{\"response_range\":{\"count\":\"18446744073709551615\"}}]}",
        "{\"responses\":[{},{},{}]}",
        "{\"ID\":\"x\"}",
        "{\"ID\":0}",
        "{\"ID\":-5,\"TTL\":\"9\"}",
        "{\"ID\":\"9223372036854775808\"}",
        "{\"result\":null}",
        "{\"result\":[]}",
        "{\"result\":{\"created\":1}}",
        "{\"result\":{\"watch_id\":{}}}",
        "{\"result\":{\"created\":true,\"header\":{\"cluster_id\":\"1\"}}}",
        "{\"result\":{\"events\":[null]}}",
        "{\"result\":{\"events\":[{\"type\":[],\"kv\":7}]}}",
        "{\"result\":{\"header\":{\"revision\":\"18446744073709551615\"}}}",
        "{\"error\":null}",
        "{\"error\":[]}",
        "{\"error\":{\"message\":7,\"code\":-1}}",
        "{\"token\":7}",
    ]
    .map(str::to_owned)
    .into();
    all.push("[".repeat(200_000));
    all.push(format!("{{\"responses\":{}", "[{\"response_range\":".repeat(50_000)));
    all.push("x".repeat(1 << 20));
    all
}

#[test]
fn nonsense_is_an_error_or_nothing() {
    for text_of in nonsense() {
        for status in [200, 204, 400, 503, 999] {
            let script = Script::default();
            for _ in 0..40 {
                let line = format!("{text_of}\n{text_of}\n");
                script.0.answers.borrow_mut().push_back(Ok((status, vec![text(line), Chunk::Idle])));
                script.0.answers.borrow_mut().push_back(Ok((status, vec![text(text_of.clone())])));
            }
            let user =
                Config { addresses: vec!["a".into(), "b".into()], username: "u".into(), ..Config::default() };
            for etcd in [script.etcd(), script.etcd_with(user)] {
                let cursor = Some("1-5:1");
                let short = Duration::from_millis(100);
                // Whatever comes back, it came back; and a status that is none of success never counts as one.
                let outcomes = block_on(async {
                    [
                        etcd.register(&greeter("n"), TTL, short).await.is_ok(),
                        etcd.deregister(&greeter("n"), short).await.is_ok(),
                        etcd.get_service("greeter", short).await.is_ok(),
                        etcd.list_services(short).await.is_ok(),
                        etcd.changes(None, None, WAIT, short).await.is_ok(),
                        etcd.changes(Some("greeter"), cursor, WAIT, short).await.is_ok(),
                        etcd.health(short).await.is_ok(),
                    ]
                });
                assert!(status == 200 || outcomes == [false; 7], "{status} {outcomes:?}");
            }
        }
    }
}

#[test]
fn a_watch_of_nonsense_is_an_error() {
    for line in ["nope", "{\"result\":7}", "{\"result\":{\"events\":7}}"] {
        let script = Script::default();
        script.chunks(vec![text(format!("{line}\n")), Chunk::Idle]);
        let error = block_on(script.etcd().changes(None, Some("1-5:1"), WAIT, TIMEOUT)).expect_err(line);
        assert!(matches!(&error, Error::Other(why) if why.contains("not an answer of etcd")), "{error}");
    }
}

#[test]
fn an_answer_without_end_is_not_read_for_ever() {
    let script = Script::default();
    let forever = || vec![Chunk::Bytes(vec![b' '; 1 << 20]); 64];
    script.chunks(forever()).chunks(forever());
    let error = block_on(script.etcd().list_services(TIMEOUT)).expect_err("too long");
    assert_eq!(error, Error::Other("a:2379: the answer is longer than 16 MiB".into()));
    script.chunks(forever());
    assert!(block_on(script.etcd().changes(None, Some("1-5:1"), WAIT, TIMEOUT)).is_err());
}

#[test]
fn a_lease_without_an_id_is_not_written_with() {
    let script = Script::default();
    script.ok(&json!({}));
    assert!(matches!(block_on(script.etcd().register(&greeter("n"), TTL, TIMEOUT)), Err(Error::Other(_))));
    assert_eq!(script.paths().len(), 1);
}
