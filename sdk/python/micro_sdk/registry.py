"""Plugins of the kind ``registry``: where services say that they exist, and where callers ask."""

from typing import Any

from . import _host, time
from ._errors_wit import to_wit
from .changelog import ChangeLog
from .errors import Error
from .plugin import Call, Context, options
from .records import Batch, Endpoint, Entry, Node, NodeStatus, Service, Snapshot

__all__ = [
    "Batch",
    "ChangeLog",
    "Endpoint",
    "Entry",
    "Node",
    "NodeStatus",
    "Registry",
    "Service",
    "Snapshot",
    "export",
]


class Registry:
    """A registry. The host keeps the truth: it calls ``register`` again every interval as the heartbeat, on a fresh
    instance as well, so whatever a plugin keeps is a cache.

    Every method may raise the classes of :mod:`micro_sdk.errors`; any other exception ends the instance.
    """

    def __init__(self, context: Context, options: dict[str, Any]) -> None:
        """Takes the options of the manifest. Must not need the backend: a plugin whose backend is down starts, and says
        so in :meth:`health`."""

    async def register(self, call: Call, service: Service, ttl: float) -> None:
        """Upsert, idempotent by node id; also the heartbeat. Each node is known until it is deregistered or ``ttl``
        seconds have passed since the last call; with 0 until it is deregistered."""
        raise NotImplementedError

    async def deregister(self, call: Call, service: Service) -> None:
        """Removes the nodes of ``service``, by their ids. Unknown ids are fine."""
        raise NotImplementedError

    async def get_service(self, call: Call, name: str) -> Snapshot:
        """All versions of one service. An unknown name is an empty answer."""
        raise NotImplementedError

    async def list_services(self, call: Call) -> list[str]:
        """The names of all services, each once."""
        raise NotImplementedError

    async def changes(self, call: Call, name: str | None, after: str | None, wait: float) -> Batch:
        """Long poll: answers at the first change after the cursor ``after``, at the latest after ``wait`` seconds. No
        ``after``, or one that is no longer good: everything in scope with ``resync``, at once. :class:`ChangeLog` does it."""
        raise NotImplementedError

    async def health(self, call: Call) -> None:
        """One cheap round trip to the backend. A registry without a backend is always well."""

    async def drain(self, reason: str, limit: float) -> None:
        """The last call, ``replaced`` or ``shutdown``: close what should not linger, within ``limit`` seconds. Nothing
        has to be deregistered."""


def export(plugin: type[Registry]) -> tuple[type, type]:
    """The classes that a component exports, at the end of ``plugin.py``::

    Lifecycle, Registry = micro_sdk.registry.export(MyRegistry)
    """
    running: list[Registry] = []

    def instance() -> Registry:
        return running[0]

    class Lifecycle(_host.base("Lifecycle")):  # type: ignore[misc]
        async def configure(self, c: Any, context: Any, config_json: str) -> None:
            about = Context(context.plugin, context.instance, context.generation, context.host_version)
            try:
                running[:] = [plugin(about, options(config_json))]
            except Error as error:
                raise to_wit(error) from None

        async def health(self, c: Any) -> None:
            await _answer(instance().health(_call(c, [])))

        async def drain(self, reason: str, deadline_ms: int) -> None:
            if running:
                await instance().drain(reason, deadline_ms / 1000)

    class Exported(_host.base("Registry")):  # type: ignore[misc]
        async def register(self, c: Any, service: Any, ttl_ms: int, options: Any) -> None:
            await _answer(instance().register(_call(c, options), _service(service), ttl_ms / 1000))

        async def deregister(self, c: Any, service: Any, options: Any) -> None:
            await _answer(instance().deregister(_call(c, options), _service(service)))

        async def get_service(self, c: Any, name: str, options: Any) -> Any:
            found = await _answer(instance().get_service(_call(c, options), name))
            return _wit().Snapshot([_wit_service(it) for it in found.services], found.cursor)

        async def list_services(self, c: Any, options: Any) -> list[str]:
            return list(await _answer(instance().list_services(_call(c, options))))

        async def changes(self, c: Any, name: str | None, after: str | None, wait_ms: int, options: Any) -> Any:
            batch = await _answer(instance().changes(_call(c, options), name, after, wait_ms / 1000))
            entries = [_wit().Entry(it.name, [_wit_service(one) for one in it.services]) for it in batch.entries]
            return _wit().Batch(batch.cursor, batch.resync, entries)

    return Lifecycle, Exported


_wit = _host.lazily(lambda: _host.exported("registry"))


async def _answer(answer: Any) -> Any:
    try:
        return await answer
    except Error as error:
        raise to_wit(error) from None


def _call(call: Any, options: Any) -> Call:
    deadline = time.monotonic() + call.timeout_ms / 1000
    return Call(deadline, call.traceparent, call.request_id, dict(options))


def _service(service: Any) -> Service:
    endpoints = [Endpoint(it.name, it.request_json, it.response_json, dict(it.metadata)) for it in service.endpoints]
    nodes = [
        Node(it.id, it.address, dict(it.metadata), NodeStatus[it.status.name], it.zone, list(it.tags))
        for it in service.nodes
    ]
    return Service(service.name, service.version, dict(service.metadata), endpoints, nodes)


def _wit_service(service: Service) -> Any:
    wit = _wit()
    endpoints = [
        wit.Endpoint(it.name, it.request_json, it.response_json, list(it.metadata.items())) for it in service.endpoints
    ]
    nodes = [
        wit.Node(it.id, it.address, list(it.metadata.items()), wit.NodeStatus[it.status.name], it.zone, it.tags)
        for it in service.nodes
    ]
    return wit.Service(service.name, service.version, list(service.metadata.items()), endpoints, nodes)
