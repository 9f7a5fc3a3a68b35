"""Seeds for requests that bring none, when the server itself was started with one."""

import hashlib
import json
from collections import OrderedDict
from typing import Any

REMEMBERED = 65_536
NOT_CONTENT = ("stream", "stream_options", "store", "user", "metadata")


class Seeds:
    """Gives each request a seed that follows from the server's seed and the request itself.

    The seed does not depend on what else is going on: only on what is asked, and on how often
    the same was asked before. So many requests sent at once give the same texts every time.
    For the event loop only: it has no lock.
    """

    def __init__(self, server_seed: int | None) -> None:
        self._server_seed = server_seed
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    def choose(self, given: int | None, request: dict[str, Any]) -> int | None:
        """Return the seed to use, or None for fresh randomness."""
        if given is not None:
            # The random generator takes no negative numbers; the API does.
            return given % 2**64
        if self._server_seed is None:
            return None
        content = {k: v for k, v in request.items() if k not in NOT_CONTENT}
        text = json.dumps([self._server_seed, content], sort_keys=True)
        asked = hashlib.sha256(text.encode()).digest()
        count = self._counts.pop(asked, 0)
        self._counts[asked] = count + 1
        if len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)
        return int.from_bytes(hashlib.sha256(asked + str(count).encode()).digest()[:8], "big")
