"""@name@: calls with the same shard key go to the same node.

Rendezvous hashing: each node has a score for the key, and the highest wins. When a node comes or goes, only the keys that it
wins or won move. Calls without a key have a random one, so they are spread.
"""

import math
from dataclasses import dataclass
from typing import Any

from micro_sdk import Context, selector
from micro_sdk.selector import Candidate

MASK = (1 << 64) - 1
TINY = 1e-300
"""In place of 0, which has no logarithm."""


class Rendezvous(selector.Selector):
    def __init__(self, context: Context, options: dict[str, Any]) -> None:
        self.sets: dict[int, list[Member]] = {}

    def set_candidates(self, set: int, candidates: list[Candidate]) -> None:
        if not candidates:
            self.sets.pop(set, None)
            return
        self.sets[set] = [Member(it.id, it.weight) for it in candidates]

    def pick(self, set: int, sequence: int, key: int, avoid: list[int]) -> int | None:
        members = self.sets.get(set, [])
        free = [at for at in range(len(members)) if at not in avoid]
        # Nodes of weight 0 only if there is nobody else.
        wanted = [at for at in free if members[at].weight] or free
        return max(wanted, key=lambda at: members[at].score(key), default=None)


@dataclass(frozen=True)
class Member:
    id: int
    weight: int

    def score(self, key: int) -> float:
        """Higher for nodes of more weight, in proportion."""
        uniform = (mix(key ^ mix(self.id)) >> 11) / (1 << 53)
        return max(self.weight, 1) / -math.log(uniform or TINY)


def mix(number: int) -> int:
    """Spreads the bits of a number of 64 bits (the finaliser of SplitMix64)."""
    number = (number + 0x9E3779B97F4A7C15) & MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)


Lifecycle, Selector = selector.export(Rendezvous)
