"""HTTP through the host, which pools connections, does TLS, and refuses addresses that the operator did not grant."""

import json as _json
from dataclasses import dataclass, field

from . import _host
from ._errors_wit import from_wit
from .errors import Invalid, Unavailable
from .plugin import Call

_promises = _host.lazily(lambda: _host.imported("promises"))
_messages = _host.lazily(lambda: _host.imported("messages"))


@dataclass
class Request:
    """One request with its whole body, at most 8 MiB."""

    method: str
    url: str
    """Absolute, ``http`` or ``https``."""
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    body: bytes = b""


@dataclass
class Response:
    """One answer with its whole body, at most 8 MiB. No status is an error."""

    status: int
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value under a name of any letter case; None as well if it is not text."""
        for known, value in self.headers:
            if known.lower() == name.lower():
                try:
                    return value.decode()
                except UnicodeDecodeError:
                    return None
        return None

    def json(self) -> object:
        """The body as JSON.

        Raises ``Unavailable``: a server that answers something else is not in order.
        """
        try:
            return _json.loads(self.body)
        except ValueError as error:
            raise Unavailable(f"the answer is not JSON: {error}") from None


async def send(
    call: Call,
    method: str,
    url: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    json: object = None,
) -> Response:
    """Sends a request and takes in the whole answer, within the time that ``call`` has left.

    Raises ``Denied`` (not granted), ``Unavailable`` (no connection, or it broke), ``Timeout``, ``Invalid`` (the request
    makes no sense).
    """
    fields = [(name, value.encode("latin-1")) for name, value in (headers or {}).items()]
    if json is not None:
        if body:
            raise Invalid("a request has either a body or JSON")
        body = _json.dumps(json).encode()
        fields.append(("content-type", b"application/json"))
    request = Request(method, url, fields, body)
    left = call.left()
    if not _host.IN_COMPONENT:
        return await _host.stand_in().send(request, left)
    wit = _messages().Request(request.method, request.url, request.headers, request.body)
    answer = await _promises().send(wit, max(1, round(left * 1000)), []).read()
    if isinstance(answer, _host.failed()):
        raise from_wit(answer.value)
    response = getattr(answer, "value", answer)
    return Response(response.status, list(response.headers), bytes(response.body))
