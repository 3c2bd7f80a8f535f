from collections import Counter

import pytest
from micro_sdk.selector import Candidate
from micro_sdk.testing import MockHost
from plugin import Rendezvous, mix


@pytest.fixture
def selector():
    with MockHost() as host:
        yield host.start(Rendezvous)


def picks(selector, keys, avoid=()):
    return [selector.pick(1, 0, mix(key), list(avoid)) for key in keys]


def test_a_key_keeps_its_node_when_others_come_and_go(selector):
    selector.set_candidates(1, [Candidate(id) for id in (10, 11, 12)])
    before = picks(selector, range(1000))
    selector.set_candidates(1, [Candidate(id) for id in (10, 11, 12, 13)])
    after = picks(selector, range(1000))
    moved = [(a, b) for a, b in zip(before, after) if a != b]
    assert all(b == 3 for _, b in moved) and 150 < len(moved) < 350


def test_keys_are_spread_by_weight(selector):
    selector.set_candidates(1, [Candidate(1), Candidate(2, weight=3000), Candidate(3, weight=0)])
    counts = Counter(picks(selector, range(4000)))
    assert 2 not in counts and 2.5 < counts[1] / counts[0] < 3.5


def test_nodes_to_avoid_are_avoided(selector):
    selector.set_candidates(1, [Candidate(1), Candidate(2), Candidate(3, weight=0)])
    assert set(picks(selector, range(100), avoid=[0])) == {1}
    assert set(picks(selector, range(100), avoid=[0, 1])) == {2}
    assert set(picks(selector, range(100), avoid=[0, 1, 2])) == {None}


def test_a_set_that_is_gone_has_nobody(selector):
    selector.set_candidates(1, [Candidate(1)])
    selector.set_candidates(1, [])
    assert picks(selector, [1]) == [None]
