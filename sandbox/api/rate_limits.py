"""Requests per minute, for a sandbox that a class shares: off unless it was started with them."""

import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.api.auth import key_of
from sandbox.api.context import Context
from sandbox.api.errors import error_response
from sandbox.api.retry_after import limit_headers, rate_limited

# Looking costs next to nothing; only what makes work is counted.
COUNTED_METHOD, NOT_COUNTED = "POST", "/v1/sandbox/"


class RateLimits:
    """Counts the requests of each key; tells what is left, and refuses what is too much.

    What a key may ask for fills up again steadily, as hosted limits do. One number for each key is
    enough: when it will be full.
    """

    def __init__(
        self,
        app: ASGIApp,
        context: Context,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app = app
        self.context = context
        self.per_minute = per_minute
        self._clock = clock
        self._full_at: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._key_to_count(scope)
        if key is None:
            await self.app(scope, receive, send)
            return
        now, seconds_each = self._clock(), 60 / self.per_minute
        filling = max(0.0, self._full_at.get(key, now) - now)  # seconds until it is full
        left = round(self.per_minute - filling / seconds_each, 6)
        if left < 1:
            error = rate_limited("requests", self.per_minute, (1 - left) * seconds_each)
            error.headers |= limit_headers(self.per_minute, 0, filling)
            await error_response(error)(scope, receive, send)
            return
        filling += seconds_each
        self._full_at[key] = now + filling
        headers = limit_headers(self.per_minute, int(left - 1), filling)

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self.app(scope, receive, tell)

    def _key_to_count(self, scope: Scope) -> str | None:
        if scope["type"] != "http" or scope["method"] != COUNTED_METHOD:
            return None
        if not scope["path"].startswith("/v1/") or scope["path"].startswith(NOT_COUNTED):
            return None
        key = key_of(self.context, Headers(scope=scope).get("authorization", ""))
        return key.id if key else None
