import pytest
from micro_sdk.codec import Head, Malformed, Opened, Role, Unsupported
from micro_sdk.testing import MockHost
from plugin import Lines


@pytest.fixture
def codec():
    with MockHost() as host:
        yield host.start(Lines)


@pytest.mark.parametrize(
    ("role", "head"),
    [
        (Role.REQUEST, Head()),
        (Role.REQUEST, Head(b"17", "Say.Hello")),
        (Role.RESPONSE, Head(b"17", "Say.Hello", "no such name")),
        (Role.RESPONSE, Head(b"\xff\r", "\u00fc", "\t")),
    ],
)
def test_what_was_sealed_is_opened(codec, role, head):
    value = b'{"a":\n1}'
    prefix, suffix = codec.seal(codec.formats[0], role, head, len(value))
    assert codec.open(codec.formats[0], role, prefix + value + suffix) == Opened(head, value)


@pytest.mark.parametrize(
    ("role", "head"),
    [
        (Role.REQUEST, Head(b"1\n")),
        (Role.REQUEST, Head(endpoint="a\nb")),
        (Role.RESPONSE, Head(error="a\nb")),
        (Role.REQUEST, Head(error="an error")),
    ],
)
def test_what_has_no_place_is_refused(codec, role, head):
    with pytest.raises(Unsupported):
        codec.seal(codec.formats[0], role, head, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"lines/1",
        b"lines/1\n1\na.b\n",
        b"lines/2\n1\na.b\n\n{}",
        b"1\na.b\n\n{}",
        b"lines/1\r\n1\na.b\n\n{}",
        b"lines/1\n1\n\xff\n\n{}",
        b"lines/1\n1\na.b\n\xff\n{}",
    ],
)
def test_other_bytes_are_malformed(codec, data):
    with pytest.raises(Malformed):
        codec.open(codec.formats[0], Role.RESPONSE, data)


def test_requests_with_an_error_are_malformed(codec):
    with pytest.raises(Malformed):
        codec.open(codec.formats[0], Role.REQUEST, b"lines/1\n1\na.b\nan error\n")
