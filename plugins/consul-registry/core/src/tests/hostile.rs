//! Answers that no consul gives, and records that anybody may have put there. None of them may end the plugin, and none
//! may hide another record.

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
        "[null]",
        "[7]",
        "[{}]",
        "[{\"Node\":7}]",
        "[{\"Service\":null}]",
        "[{\"Service\":{\"Tags\":7}}]",
        "[{\"Service\":{\"Tags\":[null]}}]",
        "[{\"Service\":{\"Port\":1e400}}]",
        "[{\"Service\":{\"Port\":\"80\"}}]",
        "[{\"Checks\":{}}]",
        "[{\"Checks\":[null]}]",
        "{\"a\":7}",
        "{\"a\":[7]}",
        "{\"\":[]}",
        "[{\"Service\":{\"Service\":\"greeter\"}}]",
        "{\"Policies\":7}",
        "\"127.0.0.1:8300\"",
    ]
    .map(str::to_owned)
    .into();
    all.push("[".repeat(200_000));
    all.push(format!("[{{\"Node\":{}", "{\"Node\":".repeat(50_000)));
    all.push("x".repeat(1 << 20));
    all
}

#[test]
fn nonsense_is_an_error_or_nothing() {
    for text in nonsense() {
        for status in [200, 204, 400, 404, 500, 999] {
            let script = Script::default();
            for _ in 0..40 {
                script.answer(status, 5, text.clone());
            }
            let consul =
                script.consul_with(Config { addresses: vec!["a".into(), "b".into()], ..Config::default() });
            let short = Duration::from_millis(100);
            let outcomes = block_on(async {
                [
                    consul.register(&greeter("n"), TTL, short).await.is_ok(),
                    consul.get_service("greeter", short).await.is_ok(),
                    consul.list_services(short).await.is_ok(),
                    consul.changes(Some("greeter"), None, WAIT, short).await.is_ok(),
                    consul.changes(Some("greeter"), Some("5-0"), Duration::ZERO, short).await.is_ok(),
                ]
            });
            let _ = block_on(consul.health(short));
            let _ = block_on(consul.deregister(&greeter("n"), short));
            assert!(status == 200 || outcomes == [false; 5], "{status} {outcomes:?}");
        }
    }
}

#[test]
fn an_entry_that_cannot_be_used_hides_no_other_and_is_told_once() {
    let script = Script::default();
    let consul = script.consul();
    let mut port = entry("p");
    port["Service"]["Port"] = json!(99_999);
    let mut nameless = entry("x");
    nameless["Service"]["ID"] = json!("");
    let mut long = entry("x");
    long["Service"]["Address"] = json!("x".repeat(2000));
    let bad = [
        json!({ "Service": { "Service": "greeter", "ID": 7 } }),
        json!(null),
        json!("x"),
        port,
        nameless,
        long,
    ];
    for bad in bad {
        script.entries(1, &[bad.clone(), entry("a"), bad]);
        let found = block_on(consul.get_service("greeter", TIMEOUT)).expect("the good one").services;
        assert_eq!(ids(&found), ["a"]);
    }
    let warnings = script.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

/// Damages a text in a random place.
fn mutate(text: &mut Vec<u8>, random: &mut fastrand::Rng) {
    let at = random.usize(..text.len().max(1)).min(text.len());
    match random.u8(..6) {
        0 if at < text.len() => text[at] = random.u8(..),
        1 if at < text.len() => text[at] ^= 1 << random.u8(..8),
        2 => text.truncate(at),
        3 => text.insert(at, *random.choice(b"\"{}[],:\\0-tev=").unwrap_or(&0)),
        4 => {
            let piece = text[at..(at + random.usize(..40)).min(text.len())].to_vec();
            text.splice(at..at, piece);
        }
        _ => drop(text.drain(at..(at + random.usize(..9)).min(text.len()))),
    }
}

#[test]
fn damaged_answers_end_nothing() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let whole = Value::from(vec![entry("a"), entry("b")]).to_string().into_bytes();
    for round in 0..3000 {
        let mut text = whole.clone();
        for _ in 0..random.usize(1..8) {
            mutate(&mut text, &mut random);
        }
        let script = Script::default();
        let response = Response { status: 200, index: Some(1), body: text, ..Response::default() };
        script.0.answers.borrow_mut().push_back(Ok(response));
        match block_on(script.consul().get_service("greeter", TIMEOUT)) {
            Ok(found) => {
                let all_named = found.services.iter().all(|it| it.name == "greeter" && !it.nodes.is_empty());
                assert!(all_named, "seed {seed} round {round}");
            }
            Err(error) => assert!(matches!(error, Error::Other(_)), "seed {seed} round {round}: {error}"),
        }
    }
}

#[test]
fn damaged_tags_leave_the_others_alone() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut it = greeter("bad");
    it.nodes[0].metadata.insert("key".into(), "value".into());
    let tags = tags::write(&it, &it.nodes[0]).expect("valid");
    for round in 0..1000 {
        let damaged = tags.iter().map(|tag| {
            let mut tag = tag.clone().into_bytes();
            for _ in 0..random.usize(..4) {
                mutate(&mut tag, &mut random);
            }
            String::from_utf8_lossy(&tag).into_owned()
        });
        let mut bad = entry("bad");
        bad["Service"]["Tags"] = damaged.collect();
        let script = Script::default();
        script.entries(1, &[bad, entry("good")]);
        let found = block_on(script.consul().get_service("greeter", TIMEOUT)).expect("read").services;
        assert!(ids(&found).contains(&"good"), "seed {seed} round {round}: {found:?}");
    }
}

#[test]
fn many_versions_of_one_large_record_do_not_add_up() {
    let script = Script::default();
    let endpoint = format!(r#"e={{"name":"{}"}}"#, "x".repeat(400_000));
    let entries = (0..60).map(|at| {
        let mut entry = entry(&format!("g-{at}"));
        entry["Service"]["Tags"] = json!([format!("v={at}"), endpoint]);
        entry
    });
    script.entries(1, &entries.collect::<Vec<_>>());
    let found = block_on(script.consul().get_service("greeter", TIMEOUT)).expect("read").services;
    assert!((10..40).contains(&found.len()), "{}", found.len());
    assert!(script.warnings()[0].contains("nodes are skipped"));
}
