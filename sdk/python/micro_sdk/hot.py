"""What the kinds share that run for each request: selector, codec, filter.

Their functions are synchronous and pure: no waiting, no files, no network, no clock to trust. Each thread of the host has
an instance of its own, made when it is first needed and thrown away without notice, so nothing that matters may live in a
plugin. A call that computes for more than 10 ms of processor time is ended, and its instance with it.
"""

from typing import Any

from . import _host
from .errors import Error
from .plugin import Context, options


def lifecycle(start: Any) -> type:
    """The class that a component exports as its life cycle. ``start`` gets the context, the names and the options."""

    class Lifecycle(_host.base("Lifecycle")):  # type: ignore[misc]
        def configure(self, context: Any, config_json: str) -> None:
            about = Context(context.plugin, context.instance, context.generation, context.host_version)
            try:
                start(about, list(context.names), options(config_json))
            except Error as error:
                raise _host.failure(str(error)) from None

    return Lifecycle
