"""Log lines that reach the operator under the plugin's name. The host cuts long ones and drops floods."""

import sys

from . import _host

_log = _host.lazily(lambda: _host.imported("log"))


def _write(level: str, message: str, fields: dict[str, object]) -> None:
    texts = [(name, str(value)) for name, value in fields.items()]
    if _host.IN_COMPONENT:
        log = _log()
        log.write(log.Level[level.upper()], message, texts)
    elif (host := _host.installed()) is not None:
        host.log(level, message, texts)
    else:
        print(level.upper(), message, *(f"{name}={value}" for name, value in texts), file=sys.stderr)


def trace(message: str, **fields: object) -> None:
    """The steps of single calls."""
    _write("trace", message, fields)


def debug(message: str, **fields: object) -> None:
    """What the plugin's author looks for."""
    _write("debug", message, fields)


def info(message: str, **fields: object) -> None:
    """The plugin's life: once in a while."""
    _write("info", message, fields)


def warn(message: str, **fields: object) -> None:
    """Somebody should look at it, later."""
    _write("warn", message, fields)


def error(message: str, **fields: object) -> None:
    """Somebody should look at it now."""
    _write("error", message, fields)
