"""Plugins of the kind ``codec``: how calls look inside a message, as envelopes around values."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from . import _host, hot
from .plugin import Context

__all__ = ["Codec", "Format", "Head", "Malformed", "Opened", "Role", "TooLarge", "Unsupported", "export"]


@dataclass(frozen=True)
class Format:
    """One content type that a plugin serves."""

    content_type: str
    """Lower case, without parameters."""
    value: str
    """The content type of the value inside: ``application/json`` or ``application/protobuf``."""


class Role(Enum):
    """Which way a message goes."""

    REQUEST = "request"
    RESPONSE = "response"


@dataclass
class Head:
    """What an envelope says about its call."""

    id: bytes = b""
    """As the format spells it; empty: none."""
    endpoint: str = ""
    """``Struct.Method``. In responses, of the request."""
    error: str = ""
    """Empty: the call went well. Empty in requests."""


@dataclass
class Opened:
    """An envelope and the value in it."""

    head: Head
    value: bytes = b""


class CodecError(Exception):
    """One of the classes below."""


class Malformed(CodecError):
    """Not an envelope of this format."""


class Unsupported(CodecError):
    """Something of the call that this format has no place for."""


class TooLarge(CodecError):
    """A length that this format cannot express."""


class Codec:
    """An envelope format. See :mod:`micro_sdk.hot` for what it may not do."""

    formats: list[Format] = []
    """The content types of this plugin."""

    def __init__(self, context: Context, options: dict[str, Any]) -> None:
        """Takes the options of the manifest. Raises ``Invalid`` for wrong ones."""

    def seal(self, format: Format, role: Role, head: Head, value_length: int) -> tuple[bytes, bytes]:
        """What stands before and after a value of so many bytes. Raises the classes of :class:`CodecError`."""
        raise NotImplementedError

    def open(self, format: Format, role: Role, data: bytes) -> Opened:
        """Opens an envelope. Raises ``Malformed``."""
        raise NotImplementedError


def export(plugin: type[Codec]) -> tuple[type, type]:
    """The classes that a component exports: ``Lifecycle, Codec = micro_sdk.codec.export(MyCodec)``."""
    running: list[Codec] = []

    def start(context: Context, _: list[str], options: dict[str, Any]) -> None:
        running[:] = [plugin(context, options)]

    class Exported(_host.base("Codec")):  # type: ignore[misc]
        def formats(self) -> Any:
            return [_wit().Format(it.content_type, it.value) for it in running[0].formats]

        def seal(self, format: int, role: Any, head: Any, value_length: int) -> Any:
            known = Head(bytes(head.id), head.endpoint, head.error)
            codec = running[0]
            prefix, suffix = _answer(lambda: codec.seal(codec.formats[format], Role[role.name], known, value_length))
            return _wit().Enclosure(prefix, suffix)

        def open(self, format: int, role: Any, data: bytes) -> Any:
            codec = running[0]
            opened = _answer(lambda: codec.open(codec.formats[format], Role[role.name], bytes(data)))
            return _ranges(opened, len(data))

    return hot.lifecycle(start), Exported


_wit = _host.lazily(lambda: _host.exported("codec"))


def _answer(call: Any) -> Any:
    try:
        return call()
    except Malformed:
        error = "MALFORMED"
    except Unsupported:
        error = "UNSUPPORTED"
    except TooLarge:
        error = "TOO_LARGE"
    raise _host.failure(_wit().Error[error])


def _ranges(opened: Opened, length: int) -> Any:
    """All parts behind the message, in ``extra``: copying is cheaper here than finding them again."""
    extra = b""
    ranges = []
    for part in (opened.head.id, opened.head.endpoint.encode(), opened.head.error.encode(), opened.value):
        ranges.append(_wit().Range(length + len(extra), len(part)))
        extra += part
    return _wit().Opened(*ranges, extra)
