"""@name@: JSON behind lines that say whose call it is, as ``application/x-lines``.

The first line is always the same. Id (any bytes), endpoint and error (UTF-8; no error in requests) have a line each,
then comes the value::

    lines/1
    17
    Say.Hello

    {"name": "John"}

What does not fit into these lines is ``Unsupported``, and what does not look like this is ``Malformed``: a call arrives
as it was made, or not at all.
"""

from micro_sdk import codec
from micro_sdk.codec import Format, Head, Malformed, Opened, Role, Unsupported


FIRST_LINE = b"lines/1"


class Lines(codec.Codec):
    formats = [Format("application/x-lines", "application/json")]

    def seal(self, format: Format, role: Role, head: Head, value_length: int) -> tuple[bytes, bytes]:
        lines = [FIRST_LINE, head.id, head.endpoint.encode(), head.error.encode()]
        if any(b"\n" in line for line in lines) or (role is Role.REQUEST and head.error):
            raise Unsupported
        return b"\n".join([*lines, b""]), b""

    def open(self, format: Format, role: Role, data: bytes) -> Opened:
        if not data.startswith(FIRST_LINE + b"\n"):
            raise Malformed
        parts = data.split(b"\n", 4)
        if len(parts) < 5 or (role is Role.REQUEST and parts[3]):
            raise Malformed
        try:
            head = Head(parts[1], parts[2].decode(), parts[3].decode())
        except UnicodeDecodeError:
            raise Malformed from None
        return Opened(head, parts[4])


Lifecycle, Codec = codec.export(Lines)
