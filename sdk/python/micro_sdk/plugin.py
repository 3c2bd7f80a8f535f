"""What every kind of plugin shares: who it is, and what a call carries."""

import json
from dataclasses import dataclass, field
from typing import Any

from . import time
from .errors import Invalid, Timeout


@dataclass(frozen=True)
class Context:
    """Who this instance is."""

    plugin: str
    """The plugin's name, from its manifest."""
    instance: int = 1
    """Counts the instances of this plugin in this process, from 1. A restart after a fault is a new instance."""
    generation: int = 1
    """Counts the versions that operators put into service in this process, from 1."""
    host_version: str = ""
    """For instance ``0.1.0``."""


@dataclass(frozen=True)
class Call:
    """What a call carries besides its arguments."""

    deadline: float
    """When the caller gives up, on the clock of :func:`micro_sdk.time.monotonic`."""
    traceparent: str | None = None
    """The W3C ``traceparent`` of the caller's span, for backends that have a place for it."""
    request_id: int = 0
    """The host's log lines about this call carry the same number."""
    options: dict[str, str] = field(default_factory=dict)
    """Settings of this call alone. Keys that a plugin does not know are ignored."""

    def left(self) -> float:
        """Seconds until the caller gives up.

        Raises ``Timeout`` when there are none.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Timeout("the call's time is over")
        return left


def options(config_json: str) -> dict[str, Any]:
    """The plugin's options from what ``configure`` gets: one member for each option that has a value or a default."""
    try:
        config = json.loads(config_json)
    except ValueError as error:
        raise Invalid(f"the configuration is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise Invalid("the configuration is not a JSON object")
    return config
