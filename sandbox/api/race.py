"""Waiting for some work, but not longer than until something else happens."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


class Stopped(Exception):
    """What should end the work came first, or the time was over."""


async def unless(
    stop: Awaitable[object], work: Awaitable[Result], timeout: float | None = None
) -> Result:
    """Return the result of ``work``; cancel it and raise Stopped when ``stop`` comes first.

    ``timeout`` is in seconds; None waits for ever. Whichever has not ended is cancelled.
    """
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop)
    both = {working, stopping}
    try:
        await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Stopped
        return working.result()
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
