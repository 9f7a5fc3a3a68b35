from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

import openai
import pytest

from helpers.pace import Pace, parse_duration, retry_after, retry_wait

REQUEST = openai.DefaultHttpxClient().build_request("POST", "http://x/v1")


def status_error(status: int, headers: dict[str, str], code: str | None = None) -> openai.APIError:
    import httpx2

    response = httpx2.Response(status, headers=headers, request=REQUEST)
    return openai.APIStatusError("no", response=response, body={"code": code})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("6ms", 0.006), ("1s", 1), ("1m30.5s", 90.5), ("2h", 7200), ("1d", 86400), (" 3s ", 3)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "1", "5 s", "s", "-1s"])
def test_what_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


def test_retry_after_in_all_its_forms() -> None:
    assert retry_after({"retry-after": "7"}) == 7
    assert retry_after({"retry-after": "0.5"}) == 0.5
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    date = formatdate(time.time() + 30, usegmt=True)
    assert retry_after({"retry-after": date}) == pytest.approx(30, abs=2)
    assert retry_after({"retry-after": formatdate(0, usegmt=True)}) == 0
    assert retry_after({}) is None
    assert retry_after({"retry-after": "tomorrow"}) is None


def test_what_is_worth_another_try() -> None:
    assert retry_wait(status_error(429, {"retry-after": "3"}), 0) == 3
    assert 0.3 < (retry_wait(status_error(503, {}), 0) or 0) < 0.7
    assert 3 <= (retry_wait(openai.APITimeoutError(REQUEST), 3) or 0) <= 5
    assert (retry_wait(status_error(500, {}), 30) or 0) <= 25
    assert retry_wait(status_error(400, {}), 0) is None
    assert retry_wait(status_error(429, {}, "insufficient_quota"), 0) is None
    assert retry_wait(status_error(429, {"retry-after": "3600"}), 0) is None
    assert retry_wait(status_error(500, {"x-should-retry": "false"}), 0) is None


def test_the_gate() -> None:
    pace = Pace()

    async def seconds_to_pass() -> float:
        started = time.monotonic()
        await pace.wait()
        return time.monotonic() - started

    assert asyncio.run(seconds_to_pass()) < 2
    pace.note({"x-ratelimit-remaining-tokens": "400", "x-ratelimit-reset-tokens": "9s"}, 300)
    pace.note({"x-ratelimit-remaining-requests": "0"}, 1)
    pace.note({"x-ratelimit-remaining-requests": "none", "x-ratelimit-reset-requests": "9s"}, 1)
    assert asyncio.run(seconds_to_pass()) < 2
    pace.shut_for(0.3)
    pace.shut_for(0.1)
    assert asyncio.run(seconds_to_pass()) >= 0.25
    pace.note({"x-ratelimit-remaining-tokens": "400", "x-ratelimit-reset-tokens": "200ms"}, 600)
    assert asyncio.run(seconds_to_pass()) >= 0.15
