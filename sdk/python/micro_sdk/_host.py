"""The way to the host: generated bindings in a component, a stand-in outside of one.

``componentize-py`` generates the package ``wit_world`` for the plugin's world. Outside of a component it does not exist.
"""

import importlib
from collections.abc import Callable
from typing import Any, Protocol

try:
    from wit_world import exports as _exports
    from wit_world import imports as _imports

    IN_COMPONENT = True
except ImportError:
    _exports = _imports = None
    IN_COMPONENT = False


class Host(Protocol):
    """What a stand-in can do. See :class:`micro_sdk.testing.MockHost`."""

    def log(self, level: str, message: str, fields: list[tuple[str, str]]) -> None: ...

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    async def wait(self, seconds: float) -> None: ...

    async def send(self, request: Any, timeout: float) -> Any: ...


_stand_in: Host | None = None


def install(host: Host | None) -> None:
    """Uses ``host`` outside of a component, or nothing again."""
    global _stand_in
    _stand_in = host


def stand_in() -> Host:
    if _stand_in is None:
        raise RuntimeError("outside of a component there is no host: use micro_sdk.testing.MockHost")
    return _stand_in


def installed() -> Host | None:
    return _stand_in


def base(interface: str) -> type:
    """The class that an export must be made of: generated in a component, nothing outside."""
    return getattr(_exports, interface) if IN_COMPONENT else object


def exported(module: str) -> Any:
    """The generated records of an exported interface."""
    return importlib.import_module(f"wit_world.exports.{module}")


def imported(module: str) -> Any:
    """The generated functions and records of an imported interface."""
    return importlib.import_module(f"wit_world.imports.{module}")


def failure(value: Any) -> Exception:
    """The exception with which a generated export answers an error."""
    from componentize_py_types import Err

    return Err(value)


def failed() -> type[Exception]:
    """The exception with which a generated import answers an error; its ``value`` says which."""
    from componentize_py_types import Err

    return Err


def lazily(make: Callable[[], Any]) -> Callable[[], Any]:
    """Calls ``make`` at once in a component, where modules can only be imported while it is built; outside, where there are
    no generated modules, when it is first needed."""
    made: list[Any] = []
    if IN_COMPONENT:
        try:
            made.append(make())
        except ImportError:
            pass  # Not of this plugin's world.

    def get() -> Any:
        if not made:
            made.append(make())
        return made[0]

    return get
