"""@name@: JSON behind three lines that say whose call it is, as ``application/x-lines``.

Id, endpoint and error have a line each, then comes the value::

    17
    Say.Hello

    {"name": "John"}
"""

from micro_sdk import codec
from micro_sdk.codec import Format, Head, Malformed, Opened, Role, Unsupported


class Lines(codec.Codec):
    formats = [Format("application/x-lines", "application/json")]

    def seal(self, format: Format, role: Role, head: Head, value_length: int) -> tuple[bytes, bytes]:
        if b"\n" in head.id or "\n" in head.endpoint:
            raise Unsupported
        error = head.error.replace("\n", " ")
        return head.id + f"\n{head.endpoint}\n{error}\n".encode(), b""

    def open(self, format: Format, role: Role, data: bytes) -> Opened:
        parts = data.split(b"\n", 3)
        if len(parts) < 4:
            raise Malformed
        try:
            head = Head(parts[0], parts[1].decode(), parts[2].decode())
        except UnicodeDecodeError:
            raise Malformed from None
        return Opened(head, parts[3])


Lifecycle, Codec = codec.export(Lines)
