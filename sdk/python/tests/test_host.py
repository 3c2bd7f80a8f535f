"""What plugins see of the host, through its stand-in."""

import pytest
from micro_sdk import Denied, Invalid, Timeout, http, log, time
from micro_sdk.filter import Head, pack, unpack
from micro_sdk.plugin import options
from micro_sdk.testing import MockHost


def test_requests_go_to_the_stand_in():
    with MockHost() as host:
        with pytest.raises(Denied):
            host.run(http.send(host.call(), "GET", "http://a/"))
        host.answer = lambda request: http.Response(200, [("x-a", b"1")], b'{"b": 2}')
        answer = host.run(http.send(host.call(), "PUT", "http://a/", json={"c": 3}))
        assert (answer.status, answer.header("X-A"), answer.json()) == (200, "1", {"b": 2})
        assert host.requests[-1].body == b'{"c": 3}'
        late = host.call(timeout=1)
        host.advance(2)
        with pytest.raises(Timeout):
            host.run(http.send(late, "GET", "http://a/"))


def test_log_lines_are_kept():
    with MockHost() as host:
        log.info("hello", who="world", number=1)
        assert host.logged == [("info", "hello", {"who": "world", "number": "1"})]


def test_the_clock_moves_when_something_waits():
    with MockHost() as host:
        before = time.now()
        host.run(time.sleep(60))
        assert time.now() - before == 60


def test_options_are_one_json_object():
    assert options('{"a": 1}') == {"a": 1}
    for wrong in ("", "[]", "{"):
        with pytest.raises(Invalid):
            options(wrong)


def test_packed_heads_are_read_back():
    head = Head("GET", "/a?b", "example.org", [("X-A", b"1"), ("x-a", b"\xff")])
    packed = pack(head)
    assert unpack(packed, [""]) == head
    assert head.get("x-A") == "1"
    for length in range(len(packed)):
        try:
            unpack(packed[:length], [""])
        except Invalid:
            pass
    with pytest.raises(Invalid):
        unpack(packed + b"\x07\0", [""])
