"""Server-sent events: a response that starts only when there is something to send."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from openai import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.api.disconnect import hang_up
from sandbox.api.errors import ApiError, unexpected_error

log = logging.getLogger(__name__)
Chunks = AsyncGenerator[BaseModel, None]


async def start_stream(chunks: Chunks) -> "EventStream":
    """Wait for the first chunk, so that an early error still gets its own HTTP status."""
    try:
        first = await anext(chunks)
    except BaseException:
        await chunks.aclose()
        raise
    return EventStream(first, chunks)


class EventStream(Response):
    """Sends chunks as they come and ends with [DONE]. A client that hangs up closes the source."""

    media_type = "text/event-stream"

    def __init__(self, first: BaseModel, rest: Chunks) -> None:
        self.first, self.rest = first, rest
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-cache", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send_all(send))
        watching = asyncio.ensure_future(hang_up(receive))
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
        await _send_event(send, _encode(self.first))
        try:
            async with aclosing(self.rest) as rest:
                async for chunk in rest:
                    await _send_event(send, _encode(chunk))
        except Exception as error:  # noqa: BLE001
            # The status is out already: any error travels as a chunk of its own.
            await _send_event(send, json.dumps(_known(error).body()))
        await _send_event(send, "[DONE]")
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _known(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    log.error("A stream failed", exc_info=error)
    return unexpected_error()


def _encode(chunk: BaseModel) -> str:
    return chunk.model_dump_json(exclude_unset=True)


async def _send_event(send: Send, data: str) -> None:
    body = f"data: {data}\n\n".encode("utf-8", "replace")
    await send({"type": "http.response.body", "body": body, "more_body": True})
