"""What every request gets, whichever route it takes: headers, and an answer in all cases."""

import asyncio
import ipaddress
import logging
import time
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.api.errors import ApiError, Forbidden, ServerError, error_response, told
from sandbox.config import ORGANIZATION
from sandbox.store import ids
from sandbox.store.errors import StorageError

log = logging.getLogger(__name__)
DRAIN_SECONDS = 5.0  # for all that a refused client still sends
SILENCE_SECONDS = 0.5  # for its next piece
# A body must come at this pace at least, after a start in which it may be slower.
BODY_GRACE_SECONDS = 30.0
BODY_BYTES_PER_SECOND = 1024
ANY_HOST = ("0.0.0.0", "::", "")


class NoStorage(ServerError):
    """The state folder cannot be written. Asking again helps only when there is room again."""

    status = 507
    code = "insufficient_storage"
    headers = {"x-should-retry": "false"}


class RequestTooSlow(ApiError):
    """The client took too long to send its body."""

    status = 408
    headers = {"connection": "close", "x-should-retry": "false"}


class Envelope:
    """Adds the hosted API's headers and turns unforeseen errors into an answer.

    It also answers only under names of its own: a web page that a browser has loaded from
    somewhere else cannot reach the server by giving its own domain this machine's address.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app = app
        self._host = host.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        try:
            self._check_host(Headers(scope=scope).get("host", ""))
            await self.app(scope, exchange.receive, exchange.send)
        except Exception as error:
            if exchange.started:
                raise
            answer = error_response(_answer_for(error, exchange.id, scope))
            await answer(scope, exchange.receive, exchange.send)

    def _check_host(self, header: str) -> None:
        """Raise Forbidden for a Host that is neither a loopback name nor the server's own."""
        # A server on all addresses is reached under names that are unknown here.
        if self._host in ANY_HOST or not header:
            return
        name = header.rsplit(":", 1)[0] if not header.endswith("]") else header
        name = name.strip("[]").lower()
        if name not in ("localhost", self._host) and not _is_loopback(name):
            raise Forbidden(
                f"The sandbox does not answer under the name '{name}'. Use http://127.0.0.1 with "
                "its port, or start it with --host and the name."
            )


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _answer_for(error: Exception, request_id: str, scope: Scope) -> ApiError:
    # The details stay in the log; the client gets the id to ask for them by.
    answer = told(error, f"{request_id}: {scope['method']} {scope['path']}")
    return NoStorage(f"Storage: {error}") if isinstance(error, StorageError) else answer


class _Exchange:
    """One request and its answer, watched."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.id = ids.request_id()
        self.started = False
        self._receive, self._send = receive, send
        self._body_read = False
        self._bytes_read = 0
        self._began = time.perf_counter()

    async def receive(self) -> Message:
        if self._body_read:
            return await self._receive()  # the client's hanging up, whenever that may be
        elapsed = time.perf_counter() - self._began
        allowed = BODY_GRACE_SECONDS + self._bytes_read / BODY_BYTES_PER_SECOND
        try:
            # Not wait_for: in Python 3.11 it may swallow a cancelling of its caller.
            async with asyncio.timeout(max(0.0, allowed - elapsed)):
                message = await self._receive()
        except TimeoutError as error:
            self._body_read = True  # nothing more is waited for
            raise RequestTooSlow(
                f"The body came too slowly: {self._bytes_read} bytes in {elapsed:.0f} s."
            ) from error
        self._bytes_read += len(message.get("body", b""))
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
