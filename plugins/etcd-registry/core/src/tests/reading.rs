use super::*;
use crate::Error;

#[test]
fn records_that_make_no_sense_are_skipped_and_named_once() {
    let other = record::write(&Service { name: "other".into(), ..greeter("n") }, &greeter("n").nodes[0]);
    let kvs = [
        kv("good", 1),
        raw_kv("/x/greeter/text", b"not json", 1),
        raw_kv("/x/greeter/empty", b"", 1),
        raw_kv("/x/greeter/other", &other.expect("valid"), 1),
        raw_kv("/x/greeter/nameless", br#"{"nodes":[{"id":"nameless"}]}"#, 1),
        json!({ "key": null, "value": null }),
    ];
    let script = Script::default();
    script.ok(&page(1, &kvs)).ok(&page(1, &kvs));
    let etcd = script.etcd();
    for _ in 0..2 {
        let found = block_on(etcd.get_service("greeter", TIMEOUT)).expect("reads").services;
        let ids: Vec<&str> = found.iter().flat_map(|it| &it.nodes).map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["good", "nameless"]);
    }
    let warnings = script.warnings();
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert_eq!(warnings[2], r#"/x/greeter/other is skipped: it is the record of "other""#);
}

#[test]
fn pages_follow_each_other_at_one_revision() {
    let script = Script::default();
    let mut first = page(9, &[kv("a", 1)]);
    first["responses"][0]["response_range"]["more"] = json!(true);
    first["responses"][0]["response_range"]["count"] = json!("2");
    script.ok(&first).ok(&json!({ "header": header(9), "kvs": [kv("b", 2)], "count": "1" }));
    let snapshot = block_on(script.etcd().get_service("greeter", TIMEOUT)).expect("reads");
    assert_eq!((snapshot.services[0].nodes.len(), snapshot.cursor.as_str()), (2, "1-9:2"));
    let next: Value = serde_json::from_str(&script.asked()[1].json).expect("JSON");
    assert_eq!(
        (next["revision"].as_str(), next["key"].as_str()),
        (Some("9"), Some(gateway::encode("/x/greeter/a\0").as_str()))
    );
}

#[test]
fn a_page_that_never_ends_is_not_followed_for_ever() {
    // `more` without a key to go on from.
    let script = Script::default();
    let mut empty = page(9, &[]);
    empty["responses"][0]["response_range"]["more"] = json!(true);
    script.ok(&empty);
    assert_eq!(block_on(script.etcd().list_services(TIMEOUT)), Ok(Vec::new()));
}

#[test]
fn a_compaction_between_pages_begins_anew() {
    let script = Script::default();
    let mut first = page(9, &[kv("a", 1)]);
    first["responses"][0]["response_range"]["more"] = json!(true);
    let compacted = "etcdserver: mvcc: required revision has been compacted";
    script.ok(&first).status(400, 11, compacted).ok(&page(20, &[kv("a", 1)]));
    let snapshot = block_on(script.etcd().get_service("greeter", TIMEOUT)).expect("reads");
    assert_eq!(snapshot.cursor, "1-20:1");
}

#[test]
fn answers_too_long_for_memory_are_asked_for_in_small_pages() {
    let script = Script::default();
    script.chunks(vec![Chunk::Bytes(vec![b' '; 17 << 20])]).ok(&page(1, &[kv("a", 1)]));
    let found = block_on(script.etcd().get_service("greeter", TIMEOUT)).expect("reads").services;
    assert_eq!(found.len(), 1);
    let asked = script.asked();
    assert!(asked[0].json.contains(r#""limit":"500""#) && asked[1].json.contains(r#""limit":"6""#));
}

#[test]
fn more_records_than_fit_are_an_error_that_says_so() {
    let script = Script::default();
    let large = vec![b'x'; 6 << 20];
    let more = json!({ "header": header(1), "kvs": [raw_kv("/x/greeter/a", &large, 1)], "more": true });
    script.ok(&json!({ "header": header(1), "responses": [{ "response_range": more.clone() }] }));
    for _ in 0..6 {
        script.ok(&more);
    }
    let error = block_on(script.etcd().list_services(TIMEOUT)).expect_err("too much");
    assert_eq!(error, Error::Other("more than 32 MiB of records under /x/".into()));
}
