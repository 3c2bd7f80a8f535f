"""The records of registries."""

from dataclasses import dataclass, field
from enum import Enum


class NodeStatus(Enum):
    """Health of a node as the backend sees it."""

    PASSING = "passing"
    WARNING = "warning"
    """Still serving."""
    CRITICAL = "critical"
    """Listed, never chosen."""


@dataclass
class Node:
    """One address that serves one version of a service."""

    id: str
    """Unique in the registry."""
    address: str
    """``host:port``, ``[ipv6]:port``, or the name of a queue where the transport has no ports."""
    metadata: dict[str, str] = field(default_factory=dict)
    status: NodeStatus = NodeStatus.PASSING
    zone: str | None = None
    tags: list[str] = field(default_factory=list)


@dataclass
class Endpoint:
    """One thing that can be called or subscribed to."""

    name: str
    """``Struct.Method``."""
    request_json: str = "null"
    """The request's value tree as JSON text, or ``null``."""
    response_json: str = "null"
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass
class Service:
    """One version of a service. Two versions of one name are two records."""

    name: str
    version: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    endpoints: list[Endpoint] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)


@dataclass
class Snapshot:
    """All versions of one service, and from where to watch on."""

    services: list[Service] = field(default_factory=list)
    cursor: str | None = None
    """Where ``changes`` for this name can start so that nothing is missed. None: it has to start anew."""


@dataclass
class Entry:
    """Everything that is known about one name now. No services: the name is gone."""

    name: str
    services: list[Service] = field(default_factory=list)


@dataclass
class Batch:
    """What changed. Consumers replace what they had under each name; they never patch."""

    cursor: str
    """For the next call. Opaque and self-contained."""
    resync: bool = False
    """``entries`` is everything in scope: consumers forget the names that are not in it."""
    entries: list[Entry] = field(default_factory=list)
