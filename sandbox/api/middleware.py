"""What every request gets, whichever route it takes: headers, and an answer in all cases."""

import asyncio
import logging
import time
from contextlib import suppress

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.api.errors import error_response, unexpected_error
from sandbox.config import ORGANIZATION
from sandbox.store import ids

log = logging.getLogger(__name__)
DRAIN_SECONDS = 5.0  # for all that a refused client still sends
SILENCE_SECONDS = 0.5  # for its next piece


class Envelope:
    """Adds the hosted API's headers and turns unforeseen errors into a plain 500."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception:
            # The details stay here; the client gets the id to ask for them by.
            log.exception("%s failed: %s %s", exchange.id, scope["method"], scope["path"])
            if exchange.started:
                raise
            await error_response(unexpected_error())(scope, exchange.receive, exchange.send)


class _Exchange:
    """One request and its answer, watched."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.id = ids.request_id()
        self.started = False
        self._receive, self._send = receive, send
        self._body_read = False
        self._began = time.perf_counter()

    async def receive(self) -> Message:
        message = await self._receive()
        self._body_read = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self._add_headers(message)
            if message["status"] >= 400 and not self._body_read:
                await self._drain()
        await self._send(message)

    def _add_headers(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        headers["x-request-id"] = self.id
        headers["openai-processing-ms"] = str(round((time.perf_counter() - self._began) * 1000))
        headers["openai-version"] = "2020-10-01"
        headers["openai-organization"] = ORGANIZATION

    async def _drain(self) -> None:
        """Take in what a refused client is still sending, for a while.

        Its connection is closed after the answer; a client in the middle of sending would
        see the connection break and never read why.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self._body_read:
                    async with asyncio.timeout(SILENCE_SECONDS):
                        await self.receive()
