import json

import pytest
from micro_sdk import Denied, Invalid, Timeout, Unavailable, time
from micro_sdk.registry import Endpoint, Node, NodeStatus, Service
from micro_sdk.testing import MockHost
from plugin import STALE_SECONDS, JsonFile


@pytest.fixture
def host():
    with MockHost() as host:
        yield host


@pytest.fixture
def path(tmp_path):
    return tmp_path / "services.json"


@pytest.fixture
def registry(host, path):
    return host.start(JsonFile, path=str(path))


def greeter(id="greeter-1", version="1"):
    node = Node(id, "127.0.0.1:9090", {"protocol": "mucp"}, NodeStatus.PASSING, "eu-1", ["blue"])
    endpoint = Endpoint("Say.Hello", '{"name":"Request"}', "null", {"stream": "true"})
    return Service("greeter", version, {"owner": "me"}, [endpoint], [node])


def names(host, registry):
    return host.run(registry.list_services(host.call()))


def get(host, registry, name="greeter"):
    return host.run(registry.get_service(host.call(), name)).services


def test_what_is_registered_is_found_whole(host, registry):
    assert names(host, registry) == [] and get(host, registry) == []
    for _ in range(2):  # The heartbeat is the same call.
        host.run(registry.register(host.call(), greeter(), 30))
    assert names(host, registry) == ["greeter"]
    assert get(host, registry) == [greeter()]


def test_another_process_sees_it(host, registry, path):
    host.run(registry.register(host.call(), greeter(), 0))
    assert get(host, host.start(JsonFile, path=str(path))) == [greeter()]


def test_nodes_of_one_version_are_one_service(host, registry):
    for service in (greeter("a"), greeter("b"), greeter("c", version="2")):
        host.run(registry.register(host.call(), service, 30))
    found = {it.version: [node.id for node in it.nodes] for it in get(host, registry)}
    assert found == {"1": ["a", "b"], "2": ["c"]}
    host.run(registry.deregister(host.call(), greeter("a")))
    host.run(registry.deregister(host.call(), greeter("unknown")))
    assert [node.id for it in get(host, registry) for node in it.nodes] == ["b", "c"]


def test_nodes_are_gone_when_their_time_is_over(host, registry):
    host.run(registry.register(host.call(), greeter("a"), 30))
    host.run(registry.register(host.call(), greeter("b"), 0))
    host.advance(31)
    assert [node.id for it in get(host, registry) for node in it.nodes] == ["b"]


def test_changes_are_heard_while_waiting(host, registry, path):
    first = host.run(registry.changes(host.call(), None, None, 5))
    assert first.resync and first.entries == []

    async def elsewhere():
        await time.sleep(1)
        await host.start(JsonFile, path=str(path)).register(host.call(), greeter(), 2)

    seen = host.run(registry.changes(host.call(), None, first.cursor, 5), elsewhere())
    assert [(it.name, it.services) for it in seen.entries] == [("greeter", [greeter()])]
    expired = host.run(registry.changes(host.call(), "greeter", seen.cursor, 5))
    assert [(it.name, it.services) for it in expired.entries] == [("greeter", [])]


def test_a_cursor_of_get_service_is_one_for_changes(host, registry):
    cursor = host.run(registry.get_service(host.call(), "greeter")).cursor
    host.run(registry.register(host.call(), greeter(), 30))
    batch = host.run(registry.changes(host.call(), "greeter", cursor, 5))
    assert not batch.resync and [it.name for it in batch.entries] == ["greeter"]


def test_a_lock_is_waited_for_and_a_stale_one_is_removed(host, registry, path):
    lock = path.with_name(path.name + ".lock")
    lock.touch()
    with pytest.raises(Timeout):
        host.run(registry.register(host.call(timeout=1), greeter(), 30))
    host.advance(STALE_SECONDS)
    host.run(registry.register(host.call(), greeter(), 30))
    assert names(host, registry) == ["greeter"] and not lock.exists()


def test_files_written_by_hand_are_read(host, registry, path):
    node = {"id": "a", "address": "127.0.0.1:1"}
    path.write_text(json.dumps({"services": [{"name": "greeter", "nodes": [node]}]}))
    assert get(host, registry) == [Service("greeter", nodes=[Node("a", "127.0.0.1:1")])]


@pytest.mark.parametrize("text", ["{", "[]", '{"services": {}, "a": 1', '{"services": [{"nodes": [{}]}]}', "\x00"])
def test_a_damaged_file_is_the_backends_fault(host, registry, path, text):
    path.write_text(text)
    with pytest.raises(Unavailable):
        host.run(registry.health(host.call()))


def test_wrong_options_and_missing_folders_are_told_apart(host, tmp_path):
    with pytest.raises(Invalid):
        host.start(JsonFile, path="services.json")
    lost = host.start(JsonFile, path=str(tmp_path / "nowhere" / "services.json"))
    with pytest.raises(Denied):
        host.run(lost.health(host.call()))
    with pytest.raises(Denied):
        host.run(lost.register(host.call(), greeter(), 30))
