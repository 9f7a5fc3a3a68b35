"""Noticing that a client has hung up, so that nobody works for it any longer."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request
from starlette.types import Receive

from sandbox.api.errors import ClientGone

Answer = TypeVar("Answer")


async def unless_gone(request: Request, work: Awaitable[Answer]) -> Answer:
    """Wait for ``work``, but cancel it and raise ClientGone when the client hangs up.

    The request's body must have been read: what comes after it is the hanging up.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(hang_up(request.receive))
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone("The client closed the connection.")
        return task.result()
    finally:
        task.cancel()
        watch.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


async def hang_up(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
