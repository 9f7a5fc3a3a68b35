"""Requests per minute, for a sandbox that a class shares: off unless it was started with them."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.api.auth import key_of
from sandbox.api.context import Context
from sandbox.api.errors import RateLimited, error_response
from sandbox.config import ORGANIZATION

HELP = "Visit https://platform.openai.com/account/rate-limits to learn more."
# Looking costs next to nothing; only what makes somebody work is counted.
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


def limit_headers(limit: int, remaining: int, reset: float) -> dict[str, str]:
    """Return the headers that tell a limit of requests; ``reset`` is in seconds."""
    return {
        "x-ratelimit-limit-requests": str(limit),
        "x-ratelimit-remaining-requests": str(remaining),
        "x-ratelimit-reset-requests": duration(reset),
    }


def rate_limited(what: str, limit: int, wait: float) -> RateLimited:
    """Return the error for a client that has to wait so many seconds."""
    error = RateLimited(
        f"Rate limit reached for {what} in organization {ORGANIZATION} on requests per min (RPM): "
        f"Limit {limit}, Used {limit}, Requested 1. Please try again in {duration(wait)}. {HELP}"
    )
    error.headers = {"retry-after": str(max(1, math.ceil(wait)))}
    return error


def duration(seconds: float) -> str:
    """Return a time as the hosted API writes it: "6ms", "1s", "1m30s"."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds / 1000, 60)
    return f"{minutes:.0f}m{rest:g}s" if minutes else f"{rest:g}s"
