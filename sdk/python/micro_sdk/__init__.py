"""What plugins of Micro are written with in Python.

A plugin implements one class, for instance :class:`micro_sdk.registry.Registry`, and exports it with one line at the end
of its ``plugin.py``. The same file runs in plain CPython, where :mod:`micro_sdk.testing` stands in for the host.

================== ==========================================================
module             has
================== ==========================================================
``registry``       ``Registry``, its records, ``ChangeLog`` for ``changes``
``selector``       ``Selector``
``codec``          ``Codec``
``filter``         ``Filter``, and the head of a request
``http``, ``time`` requests and waiting; only where calls may wait (registry)
``log``            lines for the operator; every kind
``errors``         what a call may fail with
``testing``        a host for tests
================== ==========================================================

Calls of one instance that wait run beside each other on one thread. They cannot wake each other: a call that waits for
something goes on when its own ``time.sleep`` or ``http.send`` is over. So ``asyncio``'s locks, queues, timeouts and
``sleep`` do not work in a component; :mod:`micro_sdk.time` does.

A component has no standard library on disk: it has what was imported while it was built. So import at the top of a file, not
in functions.
"""

# Looked up by name when they are first used, which is too late in a component.
import encodings.ascii
import encodings.latin_1
import encodings.utf_8

from .errors import Conflict, Denied, Error, Invalid, NotFound, Other, Timeout, Unavailable
from .plugin import Call, Context

__all__ = [
    "Call",
    "Conflict",
    "Context",
    "Denied",
    "Error",
    "Invalid",
    "NotFound",
    "Other",
    "Timeout",
    "Unavailable",
]
__version__ = "0.1.0"
