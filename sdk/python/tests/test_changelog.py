"""Cursors and long polls, on a clock that does not take real time."""

from micro_sdk import time
from micro_sdk.changelog import MAX_GONE, ChangeLog
from micro_sdk.records import Node, Service
from micro_sdk.testing import MockHost


def greeter(*ids: str) -> list[Service]:
    return [Service("greeter", "1", nodes=[Node(it, "127.0.0.1:1") for it in ids])]


def test_no_cursor_and_foreign_cursors_are_a_resync():
    with MockHost() as host:
        log = ChangeLog()
        log.update({"greeter": greeter("a")})
        for after in (None, "", "nonsense", ChangeLog().cursor(), log.cursor().split("-")[0] + "-99", "-" * 50):
            batch = host.run(log.changes(None, after, 5))
            assert batch.resync and [it.name for it in batch.entries] == ["greeter"], after
            assert batch.cursor == log.cursor()
        assert host.run(log.changes("unknown", None, 5)).entries == []


def test_a_change_is_reported_once_with_everything_under_its_name():
    with MockHost() as host:
        log = ChangeLog()
        log.update({"greeter": greeter("a"), "other": [Service("other")]})
        start = log.cursor()
        log.update({"greeter": greeter("a", "b"), "other": [Service("other")]})
        batch = host.run(log.changes(None, start, 5))
        assert not batch.resync
        assert [(it.name, it.services) for it in batch.entries] == [("greeter", greeter("a", "b"))]
        assert host.run(log.changes("other", start, 0)).entries == []
        log.update({"other": [Service("other")]})
        gone = host.run(log.changes(None, batch.cursor, 5))
        assert [(it.name, it.services) for it in gone.entries] == [("greeter", [])]


def test_nothing_new_takes_as_long_as_was_asked_for():
    with MockHost() as host:
        log = ChangeLog()
        before = time.monotonic()
        batch = host.run(log.changes(None, log.cursor(), 3))
        assert (batch.resync, batch.entries, batch.cursor) == (False, [], log.cursor())
        assert time.monotonic() - before == 3


def test_a_waiting_call_hears_of_a_change():
    with MockHost() as host:
        log = ChangeLog()

        async def change() -> None:
            await time.sleep(1)
            log.update({"greeter": greeter("a")})

        before = time.monotonic()
        batch = host.run(log.changes("greeter", log.cursor(), 5), change())
        assert [it.name for it in batch.entries] == ["greeter"]
        assert 1 <= time.monotonic() - before < 1.5


def test_state_is_read_again_while_a_call_waits():
    with MockHost() as host:
        log = ChangeLog()
        states = [{}, {}, {"greeter": greeter("a")}]

        async def refresh():
            return states.pop(0) if len(states) > 1 else states[0]

        batch = host.run(log.changes(None, log.cursor(), 5, refresh))
        assert [it.name for it in batch.entries] == ["greeter"]


def test_names_that_are_gone_are_not_remembered_for_ever():
    with MockHost() as host:
        log = ChangeLog()
        start = log.cursor()
        log.update({f"s{number}": [Service(f"s{number}")] for number in range(MAX_GONE + 10)})
        middle = log.cursor()
        log.update({})
        assert host.run(log.changes(None, start, 0)).resync
        assert host.run(log.changes(None, middle, 0)).resync
        assert not host.run(log.changes(None, log.cursor(), 0)).resync
