"""Requests per minute, for a sandbox that a class shares: off unless it was started with them."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.api.auth import key_of
from sandbox.api.context import Context
from sandbox.api.errors import error_response
from sandbox.api.retry_after import limit_headers, rate_limited

# Looking costs next to nothing; only what makes work is counted.
COUNTED_METHOD, NOT_COUNTED = "POST", "/v1/sandbox/"


@dataclass
class _Bucket:
    """What one key may still ask for. It fills up again steadily, as hosted limits do."""

    requests: float
    seen_at: float


class RateLimits:
    """Counts the requests of each key; tells what is left, and refuses what is too much."""

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
        self._buckets: dict[str, _Bucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._key_to_count(scope)
        if key is None:
            await self.app(scope, receive, send)
            return
        bucket = self._fill(key)
        if bucket.requests < 1:
            wait = (1 - bucket.requests) * 60 / self.per_minute
            error = rate_limited("requests", self.per_minute, wait)
            error.headers |= self._left(bucket)
            await error_response(error)(scope, receive, send)
            return
        bucket.requests -= 1

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._left(bucket))
            await send(message)

        await self.app(scope, receive, tell)

    def _key_to_count(self, scope: Scope) -> str | None:
        if scope["type"] != "http" or scope["method"] != COUNTED_METHOD:
            return None
        if not scope["path"].startswith("/v1/") or scope["path"].startswith(NOT_COUNTED):
            return None
        key = key_of(self.context, Headers(scope=scope).get("authorization", ""))
        return key.id if key else None

    def _fill(self, key: str) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(key, _Bucket(self.per_minute, now))
        grown = bucket.requests + (now - bucket.seen_at) * self.per_minute / 60
        bucket.requests, bucket.seen_at = min(self.per_minute, grown), now
        return bucket

    def _left(self, bucket: _Bucket) -> dict[str, str]:
        missing = self.per_minute - bucket.requests
        return limit_headers(self.per_minute, int(bucket.requests), missing * 60 / self.per_minute)
