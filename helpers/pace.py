"""How fast a hosted API lets us go: read its headers, wait when it says so, try again."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import openai

ATTEMPTS = 7
LONGEST_WAIT = 120.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


class Pace:
    """A gate that all calls share: while it is shut, nobody starts a new one."""

    def __init__(self) -> None:
        self._opens_at = 0.0

    async def wait(self) -> None:
        """Wait until the gate is open."""
        while (delay := self._opens_at - time.monotonic()) > 0:
            await asyncio.sleep(delay)

    def shut_for(self, seconds: float) -> None:
        """Shut the gate; a longer wait that is already set stays."""
        self._opens_at = max(self._opens_at, time.monotonic() + min(seconds, LONGEST_WAIT))

    def note(self, headers: Mapping[str, str], tokens_needed: int) -> None:
        """Slow down before the wall: shut the gate if the next call would be one too many."""
        for kind, needed in (("requests", 1), ("tokens", tokens_needed)):
            left = headers.get(f"x-ratelimit-remaining-{kind}", "")
            reset = parse_duration(headers.get(f"x-ratelimit-reset-{kind}", ""))
            if left.isdigit() and int(left) < needed and reset is not None:
                self.shut_for(reset)


def parse_duration(text: str) -> float | None:
    """Seconds in a duration such as `6ms`, `1s`, `1m30.5s`; None if it is none."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def retry_wait(error: openai.APIError, attempt: int) -> float | None:
    """Seconds to wait before trying again; None if it is no use.

    Follows `retry-after` where the server sends it, else doubles from half a second, with some
    chance in it so that calls which failed together do not come back together.
    """
    jittered = min(0.5 * 2**attempt, 20.0) * random.uniform(0.75, 1.25)
    if isinstance(error, openai.APIConnectionError):
        return jittered
    if not isinstance(error, openai.APIStatusError) or error.code == "insufficient_quota":
        return None
    if error.response.headers.get("x-should-retry") == "false":
        return None
    if error.status_code not in (408, 409, 429) and error.status_code < 500:
        return None
    asked = retry_after(error.response.headers)
    if asked is None:
        return jittered
    return asked if asked <= LONGEST_WAIT else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The wait that the server asks for: retry-after-ms, or retry-after in seconds or as a date."""
    milliseconds, seconds = headers.get("retry-after-ms", ""), headers.get("retry-after", "")
    for text, factor in ((milliseconds, 0.001), (seconds, 1.0)):
        if re.fullmatch(r"\d+(\.\d+)?", text.strip()):
            return float(text) * factor
    try:
        return max(0.0, parsedate_to_datetime(seconds).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
