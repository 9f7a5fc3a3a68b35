"""Server-sent events, and noticing that a client has hung up so that nobody works for it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import TypeVar

from fastapi import Request
from openai import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.api.errors import ClientGone, told

Result = TypeVar("Result")
Chunks = AsyncGenerator[BaseModel, None]


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """Wait for ``work``, but cancel it and raise ClientGone when the client hangs up.

    The request's body must have been read: what comes after it is the hanging up.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_hang_up(request.receive))
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone("The client closed the connection.")
        return task.result()
    finally:
        task.cancel()
        watch.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


async def start_stream(chunks: Chunks) -> "EventStream":
    """Wait for the first chunk, so that an early error still gets its own HTTP status."""
    try:
        first = await anext(chunks, None)
    except BaseException:
        await chunks.aclose()
        raise
    return EventStream(first, chunks)


class EventStream(Response):
    """Sends chunks as they come. A client that hangs up closes the source.

    ``first`` is None if there are none.

    Chunks that have a `type` are events of that name, as /v1/responses has them; a stream of the
    others ends with [DONE].
    """

    media_type = "text/event-stream"

    def __init__(self, first: BaseModel | None, rest: Chunks) -> None:
        self.first, self.rest = first, rest
        self.named = first is None or hasattr(first, "type")
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-cache", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send_all(send))
        watching = asyncio.ensure_future(_hang_up(receive))
        try:
            await asyncio.wait((sending, watching), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            watching.cancel()
            await asyncio.gather(sending, watching, return_exceptions=True)
            await self.rest.aclose()

    async def _send_all(self, send: Send) -> None:
        headers = self.raw_headers
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if self.first is not None:
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
        body = told(error, "A stream").body()
        return {"type": "error", **body["error"]} | body if self.named else body


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


async def _send_event(send: Send, data: str, name: str | None = None) -> None:
    event = f"event: {name}\n" if name else ""
    body = f"{event}data: {data}\n\n".encode("utf-8", "replace")
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _hang_up(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
