"""The arithmetic of the rate limits, with a clock that the test moves."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sandbox.api.context import Context
from sandbox.api.rate_limits import RateLimits
from sandbox.api.retry_after import duration
from sandbox.api.seeds import Seeds
from sandbox.config import Settings
from sandbox.store import keys
from sandbox.store.database import Store
from tests.support.api import NoSampler


class Clock:
    """A clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0ms"), (0.006, "6ms"), (0.9994, "1s"), (1, "1s"), (20.5, "20.5s"), (90, "1m30s")],
)
def test_durations_as_the_hosted_api_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_limit_fills_up_again(tmp_path: Path) -> None:
    async def answer(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with Store(tmp_path) as store:
        secrets = [keys.create_key(store, "learner", "")[1] for _ in range(2)]
        context = Context(Settings(tmp_path), store, (), NoSampler(), Seeds(None))
        clock = Clock()
        limits = RateLimits(answer, context, per_minute=60, clock=clock)

        def ask(secret: str) -> tuple[int, dict[str, str]]:
            """Send one request; return the status and the headers of the answer."""
            sent: list[Any] = []

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {
                "type": "http",
                "method": "POST",
                "path": "/v1/chat/completions",
                "headers": [(b"authorization", f"Bearer {secret}".encode())],
            }
            asyncio.run(limits(scope, None, send))  # type: ignore[arg-type]
            headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
            return sent[0]["status"], headers

        first, second = secrets
        assert [ask(first)[0] for _ in range(61)] == [200] * 60 + [429]
        assert ask(second)[0] == 200, "every key has its own limit"
        clock.now += 0.5
        status, headers = ask(first)
        assert (status, headers["retry-after"]) == (429, "1")
        clock.now += 0.5
        status, headers = ask(first)
        assert (status, headers["x-ratelimit-remaining-requests"]) == (200, "0")
        assert headers["x-ratelimit-reset-requests"] == "1m0s"
        clock.now += 3600
        assert ask(first)[1]["x-ratelimit-remaining-requests"] == "59", "no more than a full minute"
