"""@name@: calls with the same shard key go to the same node.

Rendezvous hashing: each node has a score for the key, and the highest wins. When a node comes or goes, only the keys that it
wins or won move. Calls without a key have a random one, so they are spread.

Python would compute too long over thousands of nodes. So the nodes of a large set are in blocks; the key chooses the block, by
the weights in it, and the node inside.
"""

from bisect import bisect
from itertools import accumulate, islice
from math import log
from typing import Any, Iterable, NamedTuple

from micro_sdk import Context, selector
from micro_sdk.selector import Candidate

BLOCK = 64
"""As many nodes are looked at for a call."""
MASK = (1 << 64) - 1
TINY = 1e-300
"""In place of 0, which has no logarithm."""


class Rendezvous(selector.Selector):
    def __init__(self, context: Context, options: dict[str, Any]) -> None:
        self.sets: dict[int, Nodes] = {}

    def set_candidates(self, set: int, candidates: list[Candidate]) -> None:
        if candidates:
            self.sets[set] = Nodes(candidates)
        else:
            self.sets.pop(set, None)

    def pick(self, set: int, sequence: int, key: int, avoid: list[int]) -> int | None:
        nodes = self.sets.get(set)
        return nodes.pick(key, frozenset(avoid)) if nodes else None


class Member(NamedTuple):
    at: int
    id: int
    weight: int

    def score(self, key: int) -> float:
        """Higher for nodes of more weight, in proportion."""
        uniform = (mix(key ^ mix(self.id)) >> 11) / (1 << 53)
        return self.weight / -log(uniform or TINY)


class Nodes:
    """A set: its nodes in blocks, and apart those of weight 0, for when there is nobody else."""

    def __init__(self, candidates: list[Candidate]) -> None:
        wanted = [Member(at, it.id, it.weight) for at, it in enumerate(candidates) if it.weight]
        self.spare = [Member(at, it.id, 1) for at, it in enumerate(candidates) if not it.weight]
        self.blocks = [wanted[at : at + BLOCK] for at in range(0, len(wanted), BLOCK)]
        self.ends = list(accumulate(sum(it.weight for it in block) for block in self.blocks))

    def pick(self, key: int, avoid: frozenset[int]) -> int | None:
        if self.blocks:
            first = bisect(self.ends, mix(key) % self.ends[-1])
            for block in self.blocks[first:] + self.blocks[:first]:
                at = highest(block, key, avoid)
                if at is not None:
                    return at
        return highest(self.spare, key, avoid)


def highest(members: Iterable[Member], key: int, avoid: frozenset[int]) -> int | None:
    """Where the winner is among the first of those that are not avoided."""
    free = list(islice((it for it in members if it.at not in avoid), BLOCK))
    return max(free, key=lambda it: it.score(key)).at if free else None


def mix(number: int) -> int:
    """Spreads the bits of a number of 64 bits (the finaliser of SplitMix64)."""
    number = (number + 0x9E3779B97F4A7C15) & MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)


Lifecycle, Selector = selector.export(Rendezvous)
