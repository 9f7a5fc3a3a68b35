"""How a rate limit is told: the message, `retry-after` and the x-ratelimit headers."""

import math

from sandbox.api.errors import RateLimited
from sandbox.config import ORGANIZATION

HELP = "Visit https://platform.openai.com/account/rate-limits to learn more."


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
