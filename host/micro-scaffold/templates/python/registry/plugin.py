"""@name@: a registry in one JSON file that several processes may share.

=========== =====================================================================
option      is
=========== =====================================================================
path        the file; it is made when something registers
=========== =====================================================================

The file can be written by hand as well; nodes without ``expires`` stay until they are deregistered::

    {"services": [{"name": "greeter", "version": "1", "nodes": [{"id": "greeter-1", "address": "127.0.0.1:9090"}]}]}
"""

import json
import os
from dataclasses import asdict
from typing import Any

from micro_sdk import Call, Context, Denied, Invalid, Unavailable, log, registry, time
from micro_sdk.registry import Batch, ChangeLog, Endpoint, Node, NodeStatus, Service, Snapshot

LOOK_SECONDS = 0.25
"""How often the file is looked at while somebody waits for a change."""
STALE_SECONDS = 5.0
"""A lock that is older was left behind by a process that died."""
MAX_BYTES = 8 << 20
"""The longest file that is read."""

Json = dict[str, Any]


class JsonFile(registry.Registry):
    """The registry: every call reads the file, since others may have written it."""

    def __init__(self, context: Context, options: Json) -> None:
        self.path = options.get("path") or ""
        if not os.path.isabs(self.path):
            raise Invalid(f"option path: {self.path!r} is not an absolute path")
        self.changelog = ChangeLog()
        log.info("services are in a file", path=self.path)

    async def register(self, call: Call, service: Service, ttl: float) -> None:
        async with Lock(self.path, call):
            kept = without(self.read(), {node.id for node in service.nodes})
            expires = time.now() + ttl if ttl else None
            self.write([*kept, *rows(service, expires)])

    async def deregister(self, call: Call, service: Service) -> None:
        async with Lock(self.path, call):
            self.write(without(self.read(), {node.id for node in service.nodes}))

    async def get_service(self, call: Call, name: str) -> Snapshot:
        self.changelog.update(await self.state())
        return Snapshot(self.changelog.services(name), self.changelog.cursor())

    async def list_services(self, call: Call) -> list[str]:
        return list(await self.state())

    async def changes(self, call: Call, name: str | None, after: str | None, wait: float) -> Batch:
        return await self.changelog.changes(name, after, wait, self.state, LOOK_SECONDS)

    async def health(self, call: Call) -> None:
        self.read()

    async def state(self) -> dict[str, list[Service]]:
        """What the file says, by name."""
        names: dict[str, list[Service]] = {}
        for service in services(self.read()):
            names.setdefault(service.name, []).append(service)
        return names

    def read(self) -> list[Json]:
        """The services of the file, without nodes whose time is over."""
        try:
            with open(self.path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            if not os.path.isdir(os.path.dirname(self.path)):
                raise Denied(f"{self.path}: its folder is not there, or not granted") from None
            return []
        except OSError as error:
            raise Unavailable(f"cannot read {self.path}: {error}") from None
        if len(data) > MAX_BYTES:
            raise Unavailable(f"{self.path} has more than {MAX_BYTES} bytes")
        try:
            return [living(it, time.now()) for it in json.loads(data or b"{}").get("services", [])]
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise Unavailable(f"{self.path} is no file of services: {error!r}") from None

    def write(self, content: list[Json]) -> None:
        """Replaces the file: whoever reads it sees the old one or the new one."""
        fresh = self.path + ".new"
        try:
            with open(fresh, "w", encoding="utf-8") as file:
                json.dump({"services": [it for it in content if it["nodes"]]}, file, indent=2)
                file.write("\n")
            os.replace(fresh, self.path)
        except OSError as error:
            raise Unavailable(f"cannot write {self.path}: {error}") from None


class Lock:
    """One writer at a time, over all processes: whoever makes the file ``path.lock``."""

    def __init__(self, path: str, call: Call) -> None:
        self.path, self.call = path + ".lock", call

    async def __aenter__(self) -> None:
        while True:
            try:
                with open(self.path, "x"):
                    return
            except FileExistsError:
                self.remove_if_stale()
            except OSError as error:
                raise Denied(f"cannot write {self.path}: {error}; its folder must be granted (fs:rw)") from None
            self.call.left()
            await time.sleep(0.02)

    async def __aexit__(self, *_: object) -> None:
        self.remove()

    def remove_if_stale(self) -> None:
        try:
            made = os.stat(self.path).st_mtime
        except OSError:
            return  # Gone meanwhile.
        if abs(time.now() - made) >= STALE_SECONDS:
            log.warn("a lock was left behind", path=self.path)
            self.remove()

    def remove(self) -> None:
        try:
            os.remove(self.path)
        except FileNotFoundError:
            pass


def living(service: Json, now: float) -> Json:
    """A service of the file with the nodes whose time is not over."""
    alive = [node for node in service.get("nodes", []) if node.get("expires") is None or node["expires"] > now]
    return {**service, "name": str(service["name"]), "nodes": alive}


def without(content: list[Json], ids: set[str]) -> list[Json]:
    return [{**it, "nodes": [node for node in it["nodes"] if node["id"] not in ids]} for it in content]


def rows(service: Service, expires: float | None) -> list[Json]:
    """A service as the file has it."""
    row = asdict(service)
    for node in row["nodes"]:
        node |= {"status": node["status"].value, "expires": expires}
    return [row]


def services(content: list[Json]) -> list[Service]:
    """The services of the file, those of one name and version together: the latest metadata and endpoints count."""
    found: dict[tuple[str, str], Service] = {}
    for row in content:
        if not row["nodes"]:
            continue
        version = str(row.get("version", ""))
        service = found.setdefault((row["name"], version), Service(row["name"], version))
        service.metadata = dict(row.get("metadata", {}))
        service.endpoints = [Endpoint(**it) for it in row.get("endpoints", [])]
        service.nodes += [node(it) for it in row["nodes"]]
    return list(found.values())


def node(row: Json) -> Node:
    status = NodeStatus(row.get("status", "passing"))
    tags = [str(tag) for tag in row.get("tags", [])]
    return Node(row["id"], row["address"], dict(row.get("metadata", {})), status, row.get("zone"), tags)


Lifecycle, Registry = registry.export(JsonFile)
