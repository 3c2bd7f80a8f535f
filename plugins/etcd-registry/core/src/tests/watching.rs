use super::*;
use crate::{Batch, Error};

const WATCH: &str = "/v3/watch";
const TXN: &str = "/v3/kv/txn";

fn frame(result: &Value) -> String {
    format!("{}\n\n", json!({ "result": result }))
}

fn created() -> String {
    frame(&json!({ "header": header(99), "created": true }))
}

fn put(node: &str, revision: u64) -> String {
    frame(&json!({ "header": header(revision), "events": [{ "kv": kv(node, revision) }] }))
}

fn delete(node: &str, revision: u64) -> String {
    let gone =
        json!({ "key": gateway::encode(format!("/x/greeter/{node}")), "mod_revision": revision.to_string() });
    let event = json!({ "type": "DELETE", "kv": gone, "prev_kv": kv(node, 1) });
    frame(&json!({ "header": header(revision), "events": [event] }))
}

/// A watch that opens at a quiet cluster.
fn quiet(script: &Script, chunks: Vec<Chunk>) {
    script.chunks([vec![text(created())], chunks].concat()).ok(&look(5, 5, 1));
}

fn changes(etcd: &Etcd<Script>, after: &str) -> Result<Batch, Error> {
    block_on(etcd.changes(None, Some(after), WAIT, TIMEOUT))
}

fn nodes(batch: &Batch) -> Vec<(&str, usize)> {
    let count = |entry: &'_ crate::Entry| entry.services.iter().map(|it| it.nodes.len()).sum();
    batch.entries.iter().map(|entry| (entry.name.as_str(), count(entry))).collect()
}

#[test]
fn a_watch_survives_split_frames_and_is_kept() {
    let script = Script::default();
    let line = put("a", 6);
    let (head, tail) = line.split_at(20);
    quiet(&script, vec![text(head), Chunk::Idle, text(tail), Chunk::Idle]);
    script.ok(&page(6, &[kv("a", 6)]));
    let etcd = script.etcd();
    let idle = changes(&etcd, "1-5:1").expect("idle");
    assert_eq!((idle.cursor.as_str(), idle.entries.len()), ("1-5:1", 0));
    let changed = changes(&etcd, &idle.cursor).expect("changed");
    assert_eq!((changed.cursor.as_str(), changed.resync), ("1-6:2", false));
    assert_eq!(nodes(&changed), [("greeter", 1)]);
    assert_eq!(changes(&etcd, &changed.cursor).expect("idle").entries, []);
    assert_eq!(script.paths(), [WATCH, TXN, TXN]);
}

#[test]
fn an_older_cursor_opens_a_watch_of_its_own() {
    let script = Script::default();
    quiet(&script, vec![text(put("a", 6)), Chunk::Idle]);
    script.ok(&page(6, &[kv("a", 6)]));
    let etcd = script.etcd();
    changes(&etcd, "1-5:1").expect("changed");
    script.asked();
    // The caller did not get the answer and asks again.
    quiet(&script, vec![text(put("a", 6)), Chunk::Idle]);
    script.ok(&page(6, &[kv("a", 6)]));
    assert_eq!(nodes(&changes(&etcd, "1-5:1").expect("changed")), [("greeter", 1)]);
    assert!(script.asked()[0].json.contains(r#""start_revision":"6""#));
}

#[test]
fn the_last_node_leaves_an_empty_entry() {
    let script = Script::default();
    quiet(&script, vec![text(delete("a", 6)), Chunk::Idle]);
    script.ok(&page(6, &[]));
    let gone = changes(&script.etcd(), "1-5:1").expect("changed");
    assert_eq!((nodes(&gone), gone.cursor.as_str()), (vec![("greeter", 0)], "1-6:0"));
}

#[test]
fn a_failed_reading_loses_no_event() {
    let script = Script::default();
    quiet(&script, vec![text(put("a", 6)), Chunk::Idle]);
    script.down();
    let etcd = script.etcd();
    assert!(matches!(changes(&etcd, "1-5:1"), Err(Error::Unavailable(_))));
    quiet(&script, vec![text(put("a", 6)), Chunk::Idle]);
    script.ok(&page(6, &[kv("a", 6)]));
    assert_eq!(nodes(&changes(&etcd, "1-5:1").expect("changed")), [("greeter", 1)]);
}

#[test]
fn a_cursor_that_is_no_longer_good_is_a_resync() {
    let check = |why: &str, prepare: &dyn Fn(&Script)| {
        let script = Script::default();
        prepare(&script);
        script.ok(&page(30, &[kv("a", 6)]));
        let batch = changes(&script.etcd(), "1-5:1").expect(why);
        assert_eq!(
            (batch.resync, batch.cursor.as_str(), nodes(&batch)),
            (true, "1-30:1", vec![("greeter", 1)]),
            "{why}"
        );
    };
    check("compacted", &|script| {
        let compacted =
            json!({ "created": true, "canceled": true, "compact_revision": "20", "header": header(30) });
        script.chunks(vec![text(frame(&compacted))]);
    });
    check("another cluster", &|script| {
        let created = json!({ "header": { "cluster_id": "2", "revision": "9" }, "created": true });
        script.chunks(vec![text(frame(&created)), Chunk::Idle]);
    });
    check("set back", &|script| {
        script.chunks(vec![text(created()), Chunk::Idle]).ok(&look(4, 4, 1));
    });
    check("canceled later", &|script| {
        quiet(script, vec![text(frame(&json!({ "canceled": true }))), Chunk::Idle]);
    });
    check("a delete without its record", &|script| {
        let event = json!({ "type": "DELETE", "kv": { "key": gateway::encode("/x/greeter/a"), "mod_revision": "6" } });
        quiet(script, vec![text(frame(&json!({ "events": [event] }))), Chunk::Idle]);
    });
    check("a put that never comes", &|script| {
        script.chunks(vec![text(created()), Chunk::Idle]).ok(&look(9, 8, 1));
    });
    check("a delete that never comes", &|script| {
        script.chunks(vec![text(created()), Chunk::Idle]).ok(&look(9, 5, 0));
    });
    check("somebody else's watch", &|script| {
        quiet(script, vec![text(frame(&json!({ "watch_id": "7", "header": header(9) }))), Chunk::Idle]);
    });
    check("too many names at once", &|script| {
        let event = |index: usize| {
            let name = format!("s{index}");
            let service = Service { name: name.clone(), ..greeter("n") };
            let text = record::write(&service, &service.nodes[0]).expect("valid");
            json!({ "kv": raw_kv(&format!("/x/{name}/n"), &text, 6) })
        };
        let events: Vec<Value> = (0..40).map(event).collect();
        quiet(script, vec![text(frame(&json!({ "events": events }))), Chunk::Idle]);
    });
    check("a line without end", &|script| {
        quiet(script, vec![Chunk::Bytes(vec![b'x'; 17 << 20]), Chunk::Idle]);
    });
}

#[test]
fn strange_cursors_are_a_resync() {
    for after in [None, Some(""), Some("x"), Some("5"), Some("1-5:1-5:1")] {
        let script = Script::default();
        script.ok(&page(30, &[]));
        let batch = block_on(script.etcd().changes(None, after, WAIT, TIMEOUT)).expect("resync");
        assert!(batch.resync, "{after:?}");
    }
}

#[test]
fn events_that_are_late_are_waited_for() {
    let script = Script::default();
    script.chunks(vec![text(created()), text(put("a", 6)), Chunk::Idle]).ok(&look(6, 6, 2));
    script.ok(&page(6, &[kv("a", 6)]));
    let batch = changes(&script.etcd(), "1-5:1").expect("changed");
    assert_eq!((batch.resync, nodes(&batch)), (false, vec![("greeter", 1)]));
}

#[test]
fn a_progress_report_moves_the_cursor_and_the_confirmation_does_not() {
    let script = Script::default();
    quiet(&script, vec![text(frame(&json!({ "header": header(8) }))), Chunk::Idle]);
    assert_eq!(changes(&script.etcd(), "1-5:1").expect("idle").cursor, "1-8:1");
}

#[test]
fn a_watch_that_ends_goes_on_from_its_cursor() {
    let script = Script::default();
    quiet(&script, vec![]);
    quiet(&script, vec![text(put("a", 6)), Chunk::Idle]);
    script.ok(&page(6, &[kv("a", 6)]));
    let etcd = script.etcd();
    let batch = changes(&etcd, "1-5:1").expect("changed");
    assert_eq!((batch.resync, nodes(&batch)), (false, vec![("greeter", 1)]));
    script.asked();
    quiet(&script, vec![text("{\"error\":{\"grpc_code\":14,\"message\":\"bye\"}}\n")]);
    quiet(&script, vec![]);
    let error = changes(&etcd, "1-5:1").expect_err("ended twice");
    assert_eq!(error, Error::Unavailable("a:2379: the watch was closed".into()));
}

#[test]
fn a_watch_that_is_not_allowed_is_a_denial_and_no_resync() {
    let script = Script::default();
    let refused =
        json!({ "created": true, "canceled": true, "cancel_reason": "etcdserver: permission denied" });
    script.chunks(vec![text(frame(&refused))]);
    let error = changes(&script.etcd(), "1-5:1").expect_err("refused");
    assert!(matches!(error, Error::Denied(_)), "{error}");
}

#[test]
fn only_the_name_that_is_watched_is_told() {
    let script = Script::default();
    let service = Service { name: "go/micro".into(), ..greeter("n") };
    let other = Service { name: "go-micro".into(), ..greeter("m") };
    let event = |service: &Service| {
        let text = record::write(service, &service.nodes[0]).expect("valid");
        json!({ "kv": raw_kv(&format!("/x/go-micro/{}", service.nodes[0].id), &text, 6) })
    };
    let (mine, not_mine) = (event(&service), event(&other));
    quiet(&script, vec![text(frame(&json!({ "events": [mine.clone(), not_mine.clone()] }))), Chunk::Idle]);
    script.ok(&page(6, &[mine["kv"].clone(), not_mine["kv"].clone()]));
    let batch =
        block_on(script.etcd().changes(Some("go/micro"), Some("1-5:1"), WAIT, TIMEOUT)).expect("changed");
    assert_eq!(nodes(&batch), [("go/micro", 1)]);
}

#[test]
fn two_prefixes_have_two_positions() {
    let script = Script::default();
    let second = json!({ "header": header(9), "created": true, "watch_id": "1" });
    let record = greeter("a");
    let text_of = record::write(&record, &record.nodes[0]).expect("valid");
    let event = json!({ "kv": raw_kv("/micro-registry/greeter/a", &text_of, 8) });
    let events = json!({ "watch_id": "1", "header": header(8), "events": [event] });
    script.chunks(vec![text(created()), text(frame(&second)), text(frame(&events)), Chunk::Idle]);
    let range = |revision: u64, keys: u64| json!({ "response_range": { "kvs": [{ "mod_revision": revision.to_string() }], "count": keys.to_string() } });
    script.ok(&json!({ "header": header(8), "responses": [range(5, 1), range(8, 1)] }));
    script.ok(
        &json!({ "header": header(8), "responses": [{}, { "response_range": { "kvs": [event["kv"]] } }] }),
    );
    let etcd = script.etcd_with(Config {
        addresses: vec!["a".into()],
        prefix: Some(String::new()),
        ..Config::default()
    });
    let batch = changes(&etcd, "1-5:1-5:0").expect("changed");
    assert_eq!((batch.cursor.as_str(), nodes(&batch)), ("1-5:1-8:1", vec![("greeter", 1)]));
    let asked = script.asked();
    assert_eq!(asked[0].json.lines().count(), 2, "one request to create each watch");
}
