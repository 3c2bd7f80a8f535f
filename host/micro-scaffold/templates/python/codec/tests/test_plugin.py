import pytest
from micro_sdk.codec import Head, Malformed, Opened, Role, Unsupported
from micro_sdk.testing import MockHost
from plugin import Lines


@pytest.fixture
def codec():
    with MockHost() as host:
        yield host.start(Lines)


@pytest.mark.parametrize(
    "head", [Head(), Head(b"17", "Say.Hello"), Head(b"", "Say.Hello", "no such name"), Head(b"\xff", "\u00fc")]
)
def test_what_was_sealed_is_opened(codec, head):
    value = b'{"a":\n1}'
    prefix, suffix = codec.seal(codec.formats[0], Role.RESPONSE, head, len(value))
    assert codec.open(codec.formats[0], Role.RESPONSE, prefix + value + suffix) == Opened(head, value)


def test_lines_in_an_error_are_one(codec):
    prefix, _ = codec.seal(codec.formats[0], Role.RESPONSE, Head(error="a\nb"), 0)
    assert codec.open(codec.formats[0], Role.RESPONSE, prefix).head.error == "a b"


def test_what_has_no_place_is_refused(codec):
    for head in (Head(b"1\n"), Head(endpoint="a\nb")):
        with pytest.raises(Unsupported):
            codec.seal(codec.formats[0], Role.REQUEST, head, 0)


@pytest.mark.parametrize("data", [b"", b"1", b"1\n2\n3", b"1\n\xff\n\n{}", b"1\n2\n\xff\n{}"])
def test_other_bytes_are_malformed(codec, data):
    with pytest.raises(Malformed):
        codec.open(codec.formats[0], Role.REQUEST, data)
