"""@name@: lets through only requests that carry the key, and takes the key away before anybody else sees it.

=========== =========================================
option      is
=========== =========================================
header      the field that the key is in
key         the key
=========== =========================================
"""

import hmac
from typing import Any

from micro_sdk import Context, Invalid, filter
from micro_sdk.filter import Edits, Head, Remove, Respond, Verdict


class Key(filter.Filter):
    def __init__(self, context: Context, options: dict[str, Any]) -> None:
        self.header = options.get("header", "X-Api-Key")
        self.key = options.get("key", "").encode()
        if not self.key:
            raise Invalid("option key: an empty key would let everybody through")

    def request(self, peer: str, head: Head) -> Verdict:
        given = [value for name, value in head.fields if name.lower() == self.header.lower()]
        # In a time that does not depend on how much of the key is right.
        if len(given) == 1 and hmac.compare_digest(given[0], self.key):
            return Edits(request=[Remove(self.header)])
        return Respond(401, f"the field {self.header} must have the key\n", [("Content-Type", "text/plain")])


Lifecycle, Filter = filter.export(Key)
