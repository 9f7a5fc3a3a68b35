"""Server-sent events, and noticing that a client has hung up so that nobody works for it."""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import TypeVar

from fastapi import Request
from openai import BaseModel
from starlette.responses import StreamingResponse
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


class EventStream(StreamingResponse):
    """Sends chunks as they come. A client that hangs up closes the source.

    Chunks that have a `type` are events of that name, as /v1/responses has them; a stream of the
    others ends with [DONE].
    """

    media_type = "text/event-stream"

    def __init__(self, first: BaseModel, rest: Chunks) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(_events(first, rest), headers=headers)
        self.rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.rest.aclose()


async def _events(first: BaseModel, rest: Chunks) -> AsyncIterator[bytes]:
    named = hasattr(first, "type")
    yield _event(first, named)
    try:
        async for chunk in rest:
            yield _event(chunk, named)
    except Exception as error:
        # The status is out already: any error travels as a chunk of its own.
        if not isinstance(error, ApiError):
            log.error("A stream failed", exc_info=error)
            error = unexpected_error()
        body = error.body()
        told = {"type": "error", **body["error"]} | body if named else body
        yield _written(json.dumps(told), "error" if named else None)
    if not named:
        yield _written("[DONE]")


def _event(chunk: BaseModel, named: bool) -> bytes:
    name = getattr(chunk, "type") if named else None  # noqa: B009 - not of every model
    return _written(chunk.model_dump_json(exclude_unset=True), name)


def _written(data: str, name: str | None = None) -> bytes:
    event = f"event: {name}\n" if name else ""
    return f"{event}data: {data}\n\n".encode("utf-8", "replace")


async def _hang_up(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
