"""A host for tests: plugins run in plain CPython, without a component.

::

    def test_it():
        with MockHost() as host:
            registry = host.start(MyRegistry, path=str(tmp_path / "services.json"))
            host.run(registry.register(host.call(), service, 30))
            host.advance(31)
            assert host.run(registry.list_services(host.call())) == []
"""

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self, TypeVar

from . import _host, http
from .errors import Denied, Timeout
from .plugin import Call, Context

T = TypeVar("T")


class MockHost:
    """A host whose clock begins now and stands still until something waits for it, or :meth:`advance` moves it."""

    def __init__(self) -> None:
        self.logged: list[tuple[str, str, dict[str, str]]] = []
        """Level, message and fields of every log line."""
        self.requests: list[http.Request] = []
        """What was sent, in its order."""
        self.answer: Callable[[http.Request], http.Response] = self._denied
        """Answers requests; may raise the classes of :mod:`micro_sdk.errors`. Nothing is granted unless it is set."""
        self._time = time.time()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = 0

    def __enter__(self) -> Self:
        _host.install(self)
        return self

    def __exit__(self, *_: object) -> None:
        _host.install(None)

    def start(self, plugin: Callable[[Context, dict[str, Any]], T], **options: Any) -> T:
        """An instance of a plugin with these options, as ``configure`` makes it. Defaults of the manifest are not known
        here: name every option that the plugin needs."""
        return plugin(Context(plugin="under-test", host_version="0.1.0"), options)

    def call(self, timeout: float = 5.0, **options: str) -> Call:
        """The first argument of a call that the caller waits for so many seconds for."""
        self._numbers += 1
        return Call(self._time + timeout, None, self._numbers, options)

    def advance(self, seconds: float) -> None:
        """Moves the clock. What sleeps until then wakes up."""
        self._time += seconds
        while self._sleepers and self._sleepers[0][0] <= self._time:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)

    def run(self, main: Coroutine[Any, Any, T], *beside: Awaitable[Any]) -> T:
        """Runs a call to its end, with others beside it. Whenever nothing can go on, the clock moves to the next time at
        which something wakes up: a long poll takes no real time."""

        async def together() -> T:
            tasks = [asyncio.ensure_future(it) for it in (main, *beside)]
            while not all(task.done() for task in tasks):
                await self._settle()
                if self._sleepers and not all(task.done() for task in tasks):
                    self.advance(self._sleepers[0][0] - self._time)
            await asyncio.gather(*tasks[1:])
            return await tasks[0]

        return asyncio.run(together())

    async def _settle(self) -> None:
        # As often as a chain of awaits in a plugin is long at most.
        for _ in range(50):
            await asyncio.sleep(0)

    def log(self, level: str, message: str, fields: list[tuple[str, str]]) -> None:
        """The host's side of :mod:`micro_sdk.log`."""
        self.logged.append((level, message, dict(fields)))

    def now(self) -> float:
        """The host's side of :func:`micro_sdk.time.now`."""
        return self._time

    def monotonic(self) -> float:
        """The host's side of :func:`micro_sdk.time.monotonic`."""
        return self._time

    async def wait(self, seconds: float) -> None:
        """The host's side of :func:`micro_sdk.time.sleep`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._numbers += 1
        heapq.heappush(self._sleepers, (self._time + max(seconds, 0.0), self._numbers, future))
        await future

    async def send(self, request: http.Request, timeout: float) -> http.Response:
        """The host's side of :func:`micro_sdk.http.send`."""
        self.requests.append(request)
        if timeout <= 0:
            raise Timeout("the call's time is over")
        return self.answer(request)

    @staticmethod
    def _denied(request: http.Request) -> http.Response:
        raise Denied(f"{request.url} is not granted: set MockHost.answer")
