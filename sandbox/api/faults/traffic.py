"""Faults in the traffic: what a call receives and sends passes through one of these."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Send

LAST_EVENT = b"data: [DONE]"


class Traffic:
    """Passes everything on. Subclasses hold up the answer's start, or the pieces of a stream."""

    def __init__(self, receive: Receive, send: Send, amount: float) -> None:
        self._receive, self._send = receive, send
        self.amount = amount  # seconds, or pieces of the stream
        self._streaming = False

    async def receive(self) -> Message:
        """Return the next message of the client."""
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Pass a message on to the client."""
        if message["type"] == "http.response.start":
            kind = Headers(raw=message["headers"]).get("content-type", "")
            self._streaming = kind.startswith("text/event-stream")
            await self._start(message)
        elif self._streaming:
            await self._piece(message)
        else:
            await self._send(message)

    async def _start(self, message: Message) -> None:
        await self._send(message)

    async def _piece(self, message: Message) -> None:
        await self._send(message)


class Late(Traffic):
    """The application has done its work; its answer waits."""

    async def _start(self, message: Message) -> None:
        await asyncio.sleep(self.amount)
        await self._send(message)


class Slow(Traffic):
    """Every piece of a stream waits."""

    async def _piece(self, message: Message) -> None:
        await asyncio.sleep(self.amount)
        await self._send(message)


class Broken(Traffic):
    """After some pieces the stream is cut.

    The application sees the client hang up and stops its work; the client sees the connection
    close before the answer is complete.
    """

    def __init__(self, receive: Receive, send: Send, amount: float) -> None:
        super().__init__(receive, send, amount)
        self._sent = 0
        self._cut = asyncio.Event()

    async def receive(self) -> Message:
        arriving = asyncio.ensure_future(self._receive())
        cut = asyncio.ensure_future(self._cut.wait())
        try:
            await asyncio.wait((arriving, cut), return_when=asyncio.FIRST_COMPLETED)
            return {"type": "http.disconnect"} if self._cut.is_set() else arriving.result()
        finally:
            arriving.cancel()
            cut.cancel()
            await asyncio.gather(arriving, cut, return_exceptions=True)

    async def _piece(self, message: Message) -> None:
        # However short the answer is: it never gets to its regular end.
        if self._sent >= self.amount or message.get("body", b"").startswith(LAST_EVENT):
            self._cut.set()
        if not self._cut.is_set():
            self._sent += 1
            await self._send(message)
