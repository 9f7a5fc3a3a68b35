"""Faults in the traffic: what a call receives and sends passes through here."""

import asyncio
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Send

from sandbox.api.race import Stopped, unless

LAST_EVENT = b"data: [DONE]"


@dataclass
class Traffic:
    """Holds up an answer's start or the pieces of a stream (seconds), or cuts it after some pieces.

    A cut stream: the application sees the client hang up and stops its work; the client sees the
    connection close before the answer is complete.
    """

    receive_on: Receive
    send_on: Send
    late: float = 0
    slow: float = 0
    most: int | None = None  # pieces; however short the answer is, it never gets to its end
    _streaming: bool = False
    _sent: int = 0
    _cut: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self) -> Message:
        """Return the next message of the client."""
        try:
            return await unless(self._cut.wait(), self.receive_on())
        except Stopped:
            return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Pass a message on to the client, when it is time."""
        if message["type"] == "http.response.start":
            kind = Headers(raw=message["headers"]).get("content-type", "")
            self._streaming = kind.startswith("text/event-stream")
            await asyncio.sleep(self.late)
        elif self._streaming:
            await asyncio.sleep(self.slow)
            self._count(message.get("body", b""))
        if not self._cut.is_set():
            await self.send_on(message)

    def _count(self, piece: bytes) -> None:
        if self.most is not None and (self._sent >= self.most or piece.startswith(LAST_EVENT)):
            self._cut.set()
        self._sent += 1
