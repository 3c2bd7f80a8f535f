"""Clocks, and waiting that does not stop the other calls of an instance.

In tests all of them are the host's: see :class:`micro_sdk.testing.MockHost`.
"""

import time as _time

from . import _host

_promises = _host.lazily(lambda: _host.imported("promises"))


def now() -> float:
    """Seconds since 1970."""
    host = _host.installed()
    return _time.time() if host is None else host.now()


def monotonic() -> float:
    """Seconds since some time in the past; never set back."""
    host = _host.installed()
    return _time.monotonic() if host is None else host.monotonic()


async def sleep(seconds: float) -> None:
    """Waits, at most ten minutes. Other calls go on meanwhile. Only for kinds whose calls may wait."""
    if _host.IN_COMPONENT:
        await _promises().wait(max(0, round(seconds * 1000))).read()
    else:
        await _host.stand_in().wait(seconds)
