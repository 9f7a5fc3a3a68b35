"""Server-sent events, and noticing that a client has hung up so that nobody works for it."""

import json
import logging
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing, suppress
from typing import TypeVar

from fastapi import Request
from openai import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.api.errors import ApiError, ClientGone, unexpected_error
from sandbox.api.race import Stopped, unless

log = logging.getLogger(__name__)
Result = TypeVar("Result")
Chunks = AsyncGenerator[BaseModel, None]


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """Wait for ``work``, but cancel it and raise ClientGone when the client hangs up.

    The request's body must have been read: what comes after it is the hanging up.
    """
    try:
        return await unless(_hang_up(request.receive), work)
    except Stopped:
        raise ClientGone("The client closed the connection.") from None


async def start_stream(chunks: Chunks) -> "EventStream":
    """Wait for the first chunk, so that an early error still gets its own HTTP status."""
    try:
        first = await anext(chunks)
    except BaseException:
        await chunks.aclose()
        raise
    return EventStream(first, chunks)


class EventStream(Response):
    """Sends chunks as they come. A client that hangs up closes the source.

    Chunks that have a `type` are events of that name, as /v1/responses has them; a stream of the
    others ends with [DONE].
    """

    media_type = "text/event-stream"

    def __init__(self, first: BaseModel, rest: Chunks) -> None:
        self.first, self.rest = first, rest
        self.named = hasattr(first, "type")
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-cache", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with suppress(Stopped):
                await unless(_hang_up(receive), self._send_all(send))
        finally:
            await self.rest.aclose()

    async def _send_all(self, send: Send) -> None:
        headers = self.raw_headers
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send_chunk(send, self.first)
        try:
            async with aclosing(self.rest) as rest:
                async for chunk in rest:
                    await self._send_chunk(send, chunk)
        except Exception as error:  # noqa: BLE001
            # The status is out already: any error travels as a chunk of its own.
            await _send_event(send, json.dumps(self._told(error)), "error" if self.named else None)
        if not self.named:
            await _send_event(send, "[DONE]")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_chunk(self, send: Send, chunk: BaseModel) -> None:
        name = getattr(chunk, "type") if self.named else None  # noqa: B009 - not of every model
        await _send_event(send, chunk.model_dump_json(exclude_unset=True), name)

    def _told(self, error: Exception) -> dict[str, object]:
        if not isinstance(error, ApiError):
            log.error("A stream failed", exc_info=error)
            error = unexpected_error()
        body = error.body()
        return {"type": "error", **body["error"]} | body if self.named else body


async def _send_event(send: Send, data: str, name: str | None = None) -> None:
    event = f"event: {name}\n" if name else ""
    body = f"{event}data: {data}\n\n".encode("utf-8", "replace")
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _hang_up(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
