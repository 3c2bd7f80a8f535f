"""Plugins of the kind ``selector``: which node gets the next call."""

from dataclasses import dataclass, field
from typing import Any

from . import _host, hot
from .plugin import Context

__all__ = ["Candidate", "Selector", "export"]


@dataclass
class Candidate:
    """A node that may be chosen."""

    id: int
    """The same node keeps its number while the host runs."""
    weight: int = 1000
    """Share of the calls in per mille of a normal node. 0: only if there is nobody else."""
    zone: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


class Selector:
    """A strategy. See :mod:`micro_sdk.hot` for what it may not do."""

    def __init__(self, context: Context, options: dict[str, Any]) -> None:
        """Takes the options of the manifest. Raises ``Invalid`` for wrong ones."""

    def set_candidates(self, set: int, candidates: list[Candidate]) -> None:
        """What is in a set now, in place of what was. An empty list: the set is gone."""
        raise NotImplementedError

    def pick(self, set: int, sequence: int, key: int, avoid: list[int]) -> int | None:
        """The position of the chosen node in its set; None if every position is in ``avoid``.

        ``sequence`` counts the picks of this set over all threads. ``key`` is the caller's shard key or else random.
        """
        raise NotImplementedError


def export(plugin: type[Selector]) -> tuple[type, type]:
    """The classes that a component exports: ``Lifecycle, Selector = micro_sdk.selector.export(MySelector)``."""
    running: list[Selector] = []

    def start(context: Context, _: list[str], options: dict[str, Any]) -> None:
        running[:] = [plugin(context, options)]

    class Exported(_host.base("Selector")):  # type: ignore[misc]
        def set_candidates(self, set: int, candidates: Any) -> None:
            known = [Candidate(it.id, it.weight, it.zone, dict(it.metadata)) for it in candidates]
            running[0].set_candidates(set, known)

        def pick(self, set: int, sequence: int, key: int, avoid: Any) -> int | None:
            return running[0].pick(set, sequence, key, avoid)

    return hot.lifecycle(start), Exported
