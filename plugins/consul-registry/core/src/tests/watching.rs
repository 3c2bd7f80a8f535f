//! Blocking queries: which index is asked for, what is told, and when everything is told.

use super::*;
use crate::{Batch, Error};

fn changes(consul: &Consul<Script>, after: Option<&str>, wait: Duration) -> Result<Batch, Error> {
    block_on(consul.changes(Some("greeter"), after, wait, TIMEOUT))
}

/// A watch that has begun at an index.
fn begun(script: &Script, index: u64, nodes: &[&str]) -> (Consul<Script>, String) {
    let consul = script.consul();
    script.entries(index, &nodes.iter().map(|node| entry(node)).collect::<Vec<_>>());
    let batch = changes(&consul, None, WAIT).expect("everything");
    assert!(batch.resync);
    assert_eq!(script.lines(), ["GET /v1/health/service/greeter"]);
    (consul, batch.cursor)
}

/// The index that a line waits for.
fn index(line: &str) -> Option<&str> {
    line.split("&index=").nth(1)?.split('&').next()
}

fn told(batch: &Batch) -> (bool, Vec<&str>) {
    (batch.resync, batch.entries.iter().flat_map(|entry| ids(&entry.services)).collect())
}

#[test]
fn a_watch_waits_from_where_it_is_and_tells_what_is_new() {
    let script = Script::default();
    let (consul, cursor) = begun(&script, 7, &["a"]);
    script.entries(9, &[entry("a"), entry("b")]);
    let batch = changes(&consul, Some(&cursor), WAIT).expect("a change");
    assert_eq!(told(&batch), (false, vec!["a", "b"]));
    let lines = script.lines();
    assert_eq!(index(&lines[0].replace('?', "&")), Some("7"));

    script.entries(12, &[]);
    let batch = changes(&consul, Some(&batch.cursor), WAIT).expect("a change");
    assert_eq!((batch.resync, batch.entries.len()), (false, 1));
    assert!(batch.entries[0].services.is_empty(), "the name is gone");
}

#[test]
fn waking_for_nothing_is_not_told_and_moves_on() {
    let script = Script::default();
    let (consul, cursor) = begun(&script, 7, &["a"]);
    script.entries(8, &[entry("a")]).entries(9, &[entry("a")]).entries(10, &[entry("b")]);
    let batch = changes(&consul, Some(&cursor), WAIT).expect("a change");
    assert_eq!(told(&batch), (false, vec!["b"]));
    let lines = script.lines();
    let asked: Vec<_> = lines.iter().map(|line| line.replace('?', "&")).collect();
    assert_eq!(asked.iter().filter_map(|line| index(line)).collect::<Vec<_>>(), ["7", "8", "9"]);
}

#[test]
fn silence_ends_with_the_wait() {
    let script = Script::default();
    let (consul, cursor) = begun(&script, 7, &["a"]);
    script.entries(7, &[entry("a")]);
    let batch = changes(&consul, Some(&cursor), Duration::ZERO).expect("nothing");
    assert_eq!((told(&batch), batch.cursor.as_str()), ((false, vec![]), cursor.as_str()));
    assert_eq!(script.lines(), ["GET /v1/health/service/greeter"], "no time, so no waiting");
}

#[test]
fn an_index_that_went_back_leads_to_a_resync() {
    let script = Script::default();
    let (consul, cursor) = begun(&script, 700, &["a"]);
    script.entries(12, &[]);
    let batch = changes(&consul, Some(&cursor), WAIT).expect("a resync");
    assert_eq!((batch.resync, batch.entries.len()), (true, 0));
    assert!(batch.cursor.starts_with("12-"), "{}", batch.cursor);
}

#[test]
fn an_index_of_zero_is_never_waited_for() {
    let script = Script::default();
    let (consul, cursor) = begun(&script, 0, &["a"]);
    script.entries(0, &[entry("b")]);
    let batch = changes(&consul, Some(&cursor), WAIT).expect("a change");
    assert_eq!(told(&batch), (false, vec!["b"]));
    assert_eq!(index(&script.lines()[0].replace('?', "&")), Some("1"));
}

#[test]
fn after_a_failure_it_is_read_first_and_differences_are_a_resync() {
    let script = Script::default();
    let (consul, cursor) = begun(&script, 7, &["a"]);
    script.down();
    assert!(matches!(changes(&consul, Some(&cursor), WAIT), Err(Error::Unavailable(_))));
    script.lines();
    // Started anew and empty; its index is past ours by chance.
    script.entries(9, &[]);
    let batch = changes(&consul, Some(&cursor), WAIT).expect("a resync");
    assert_eq!((batch.resync, batch.entries.len()), (true, 0));
    assert_eq!(script.lines(), ["GET /v1/health/service/greeter"]);
}

#[test]
fn a_cursor_works_on_another_instance() {
    let script = Script::default();
    let (_, cursor) = begun(&script, 7, &["a"]);
    let other = script.consul();
    // Nothing was missed: it waits on.
    script.entries(8, &[entry("a")]).entries(9, &[entry("a"), entry("b")]);
    let batch = changes(&other, Some(&cursor), WAIT).expect("a change");
    assert_eq!(told(&batch), (false, vec!["a", "b"]));
    let lines = script.lines();
    assert_eq!(
        (lines[0].as_str(), index(&lines[1].replace('?', "&"))),
        ("GET /v1/health/service/greeter", Some("8"))
    );
    // Something was.
    let third = script.consul();
    script.entries(9, &[entry("c")]);
    assert_eq!(told(&changes(&third, Some(&cursor), WAIT).expect("a resync")), (true, vec!["c"]));
}

#[test]
fn everything_cannot_be_watched() {
    let consul = Script::default().consul();
    let error = block_on(consul.changes(None, None, WAIT, TIMEOUT)).expect_err("too much");
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}
