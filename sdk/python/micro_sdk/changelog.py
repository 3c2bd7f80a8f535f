"""What changed since when: the cursors and the waiting of ``Registry.changes``."""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence

from . import time
from .records import Batch, Entry, Service

POLL_SECONDS = 0.1
"""How often a waiting call looks. Calls of an instance cannot wake each other, so it has to."""
MAX_GONE = 10_000
"""Names that are gone and still remembered, so that they can be reported. Above it, old cursors get a resync."""

Records = Mapping[str, Sequence[Service]]


class ChangeLog:
    """Remembers the latest state of every name and since when it is so.

    Give it the whole state with :meth:`update` whenever it may have changed; :meth:`changes` answers the call of the same
    name. A cursor is good for the log that made it: on another instance, or after a restart, it is answered with a
    ``resync``, as the contract wants it.
    """

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(6)
        self._revision = 0
        self._state: dict[str, list[Service]] = {}
        self._since: dict[str, int] = {}
        self._oldest = 0

    def update(self, records: Records) -> None:
        """Takes the state of all names. A name without services is gone."""
        fresh = {name: list(services) for name, services in records.items() if services}
        for name in self._state.keys() | fresh.keys():
            if self._state.get(name) != fresh.get(name):
                self._revision += 1
                # At the end, so that the oldest come first.
                self._since.pop(name, None)
                self._since[name] = self._revision
        self._state = fresh
        self._forget()

    def cursor(self) -> str:
        """Where ``changes`` can start so that nothing is missed that comes after now."""
        return f"{self._epoch}-{self._revision}"

    def services(self, name: str) -> list[Service]:
        """All versions of one service; empty when it is unknown."""
        return list(self._state.get(name, []))

    def names(self) -> list[str]:
        """The names of all services."""
        return list(self._state)

    async def changes(
        self,
        name: str | None,
        after: str | None,
        wait: float,
        refresh: Callable[[], Awaitable[Records]] | None = None,
        every: float = POLL_SECONDS,
    ) -> Batch:
        """The answer to ``Registry.changes``: at the first change, or unchanged after ``wait`` seconds.

        ``refresh`` reads the state from where others may change it; it is called at once and then ``every`` so many
        seconds. Without it somebody else calls :meth:`update`.
        """
        end = time.monotonic() + wait
        while True:
            if refresh is not None:
                self.update(await refresh())
            batch = self._after(name, after)
            left = end - time.monotonic()
            if batch is not None or left <= 0:
                return batch or Batch(self.cursor())
            await time.sleep(min(left, every))

    def _after(self, name: str | None, after: str | None) -> Batch | None:
        revision = self._known(after)
        if revision is None:
            wanted = self._state if name is None else [name] if name in self._state else []
            return Batch(self.cursor(), True, [Entry(it, self.services(it)) for it in wanted])
        changed = [it for it, since in self._since.items() if since > revision and name in (None, it)]
        if not changed:
            return None
        return Batch(self.cursor(), False, [Entry(it, self.services(it)) for it in changed])

    def _known(self, cursor: str | None) -> int | None:
        """The revision that a cursor of this log stands for; None where it is no longer good."""
        epoch, _, revision = (cursor or "").partition("-")
        if epoch != self._epoch or not revision.isascii() or not revision.isdigit() or len(revision) > 18:
            return None
        number = int(revision)
        return number if self._oldest <= number <= self._revision else None

    def _forget(self) -> None:
        gone = [name for name in self._since if name not in self._state]
        for name in gone[: max(0, len(gone) - MAX_GONE)]:
            self._oldest = max(self._oldest, self._since.pop(name))
