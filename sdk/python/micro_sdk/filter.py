"""Plugins of the kind ``filter``: look at the head of each request before anybody else does.

Filters fail closed: one that raises, computes too long or answers nonsense refuses the request.
"""

from dataclasses import dataclass, field
from typing import Any

from . import _host, hot
from .errors import Invalid
from .plugin import Context

__all__ = ["Append", "Edits", "Filter", "Head", "Remove", "Respond", "Set", "export", "pack", "unpack"]


@dataclass
class Head:
    """The head of a request."""

    method: str
    target: str
    """As it was sent: path and query."""
    host: str
    fields: list[tuple[str, bytes]] = field(default_factory=list)
    """Names as they were sent, in the order of the head."""

    def get(self, name: str) -> str | None:
        """The first value under a name of any letter case; None as well if it is not text."""
        for known, value in self.fields:
            if known.lower() == name.lower():
                try:
                    return value.decode()
                except UnicodeDecodeError:
                    return None
        return None


@dataclass
class Set:
    """In place of all fields of that name."""

    name: str
    value: bytes | str


@dataclass
class Append:
    """Beside those that are there."""

    name: str
    value: bytes | str


@dataclass
class Remove:
    """Takes away all fields of that name."""

    name: str


@dataclass
class Edits:
    """Go on with changes to the request, and to the response that it gets."""

    request: list[Set | Append | Remove] = field(default_factory=list)
    response: list[Set | Append | Remove] = field(default_factory=list)


@dataclass
class Respond:
    """A response in place of everything that comes after this filter. Also how a request is refused."""

    status: int
    body: bytes | str = b""
    fields: list[tuple[str, bytes | str]] = field(default_factory=list)


Verdict = None | Edits | Respond


class Filter:
    """A filter. See :mod:`micro_sdk.hot` for what it may not do."""

    def __init__(self, context: Context, options: dict[str, Any]) -> None:
        """Takes the options of the manifest. Raises ``Invalid`` for wrong ones."""

    def request(self, peer: str, head: Head) -> Verdict:
        """``peer`` is the client's IP address as text. None: nothing to say."""
        raise NotImplementedError


def export(plugin: type[Filter]) -> tuple[type, type]:
    """The classes that a component exports: ``Lifecycle, Filter = micro_sdk.filter.export(MyFilter)``."""
    running: list[Filter] = []
    names: list[str] = []

    def start(context: Context, known: list[str], options: dict[str, Any]) -> None:
        names[:] = known
        running[:] = [plugin(context, options)]

    class Exported(_host.base("Filter")):  # type: ignore[misc]
        def request(self, peer: str, packed: bytes) -> Any:
            return _verdict(running[0].request(peer, unpack(packed, names)))

    return hot.lifecycle(start), Exported


def unpack(packed: bytes, names: list[str]) -> Head:
    """Reads a packed head: parts of the start line, then fields. Numbers are little-endian (``micro:wire/wire``).

    Raises ``Invalid`` for one that is cut short.
    """
    at = 0

    def number() -> int:
        nonlocal at
        if at + 2 > len(packed):
            raise Invalid("the head is cut short")
        at += 2
        return int.from_bytes(packed[at - 2 : at], "little")

    def part() -> bytes:
        nonlocal at
        length = number()
        if at + length > len(packed):
            raise Invalid("the head is cut short")
        at += length
        return bytes(packed[at - length : at])

    method, target, host = (part().decode("utf-8", "replace") for _ in range(3))
    fields = []
    while at < len(packed):
        name_id = number()
        if name_id >= len(names):
            raise Invalid(f"the head has a name that this host has not told: {name_id}")
        name = names[name_id] if name_id else part().decode("utf-8", "replace")
        fields.append((name, part()))
    return Head(method, target, host, fields)


def pack(head: Head) -> bytes:
    """The packed form of a head, with every name spelled out: for tests."""

    def part(data: bytes) -> bytes:
        return len(data).to_bytes(2, "little") + data

    start = b"".join(part(text.encode()) for text in (head.method, head.target, head.host))
    return start + b"".join(b"\0\0" + part(name.encode()) + part(value) for name, value in head.fields)


_wit = _host.lazily(lambda: _host.exported("filter"))


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _verdict(verdict: Verdict) -> Any:
    wit = _wit()

    def edits(all: list[Set | Append | Remove]) -> list[Any]:
        return [
            wit.Edit(wit.Operation[type(it).__name__.upper()], it.name, _bytes(getattr(it, "value", b""))) for it in all
        ]

    match verdict:
        case None:
            return wit.Verdict_Next()
        case Edits():
            return wit.Verdict_Edit(wit.Edits(edits(verdict.request), edits(verdict.response)))
        case Respond():
            fields = [(name, _bytes(value)) for name, value in verdict.fields]
            return wit.Verdict_Respond(wit.Response(verdict.status, fields, _bytes(verdict.body)))
    raise TypeError(f"a filter answers None, Edits or Respond, not {type(verdict).__name__}")
