"""Server-sent events, and noticing that a client has hung up so that nobody works for it."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import TypeVar

from fastapi import Request
from openai import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sandbox.api.errors import ClientGone, told
from sandbox.api.race import Stopped, unless

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
        first = await anext(chunks, None)
    except BaseException:
        await chunks.aclose()
        raise
    return EventStream(first, chunks)


class EventStream(StreamingResponse):
    """Sends chunks as they come. A client that hangs up closes the source.

    ``first`` is None if there are none.

    Chunks that have a `type` are events of that name, as /v1/responses has them; a stream of the
    others ends with [DONE].
    """

    media_type = "text/event-stream"

    def __init__(self, first: BaseModel | None, rest: Chunks) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(_events(first, rest), headers=headers)
        self.rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.rest.aclose()


async def _events(first: BaseModel | None, rest: Chunks) -> AsyncIterator[bytes]:
    named = first is None or hasattr(first, "type")
    if first is not None:
        yield _event(first, named)
    try:
        async for chunk in rest:
            yield _event(chunk, named)
    except Exception as error:  # noqa: BLE001
        # The status is out already: any error travels as a chunk of its own.
        body = told(error, "A stream").body()
        content = {"type": "error", **body["error"]} | body if named else body
        yield _written(json.dumps(content), "error" if named else None)
    if not named:
        yield _written("[DONE]")


def _event(chunk: BaseModel, named: bool) -> bytes:
    name = getattr(chunk, "type") if named else None  # noqa: B009 - not of every model
    return _written(chunk.model_dump_json(exclude_unset=True), name)


def _written(data: str, name: str | None = None) -> bytes:
    event = f"event: {name}\n" if name else ""
    return f"{event}data: {data}\n\n".encode("utf-8", "replace")


class Broadcast:
    """Chunks that come whether or not somebody reads them, kept for readers who come later.

    For the event loop that made it only. Chunks are numbered from 0.
    """

    def __init__(self, source: Chunks) -> None:
        self.ended = False
        self._chunks: list[BaseModel] = []
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._collect(source))

    async def follow(self, after: int) -> Chunks:
        """Yield the chunks after this number, those that are there and those to come."""
        while True:
            if after + 1 < len(self._chunks):
                after += 1
                yield self._chunks[after]
            elif self.ended:
                return
            else:
                await self._news.wait()

    async def stop(self) -> None:
        """End it, if it has not ended, and wait until the source is closed."""
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _collect(self, source: Chunks) -> None:
        try:
            async with aclosing(source) as chunks:
                async for chunk in chunks:
                    self._chunks.append(chunk)
                    self._tell()
        finally:
            self.ended = True
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


async def _hang_up(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
