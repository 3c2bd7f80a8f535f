import pytest
from micro_sdk import Invalid
from micro_sdk.filter import Edits, Head, Remove, Respond
from micro_sdk.testing import MockHost
from plugin import Key


@pytest.fixture
def filter():
    with MockHost() as host:
        yield host.start(Key, header="X-Api-Key", key="secret")


def ask(filter, *fields):
    return filter.request("192.0.2.1", Head("GET", "/", "example.org", list(fields)))


def test_the_key_lets_through_and_is_taken_away(filter):
    assert ask(filter, ("Accept", b"*/*"), ("x-api-key", b"secret")) == Edits(request=[Remove("X-Api-Key")])


@pytest.mark.parametrize(
    "fields",
    [[], [("X-Api-Key", b"")], [("X-Api-Key", b"secre")], [("X-Api-Key", b"secret"), ("X-Api-Key", b"secret")]],
)
def test_everything_else_is_refused(filter, fields):
    verdict = ask(filter, *fields)
    assert isinstance(verdict, Respond) and verdict.status == 401
    assert "secret" not in str(verdict)


def test_an_empty_key_is_refused_at_start():
    with MockHost() as host, pytest.raises(Invalid):
        host.start(Key, key="")
