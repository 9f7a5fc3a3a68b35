"""Where faults happen: around the application, for the calls that they were asked for."""

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.api.auth import key_of
from sandbox.api.context import Context
from sandbox.api.errors import ApiError, BadRequest, error_response
from sandbox.api.faults.answers import error_for
from sandbox.api.faults.calls import AIMS, Call, look_at
from sandbox.api.faults.kinds import Fault, parse_header

HEADER = "x-sandbox-fault"
ATTEMPT = "x-stainless-retry-count"  # the SDK counts its own repetitions here
LAST_EVENT = b"data: [DONE]"
JOB_FAULT = "job_fault"  # in the request's state: what the new job has to suffer


class Faults:
    """Lets a call meet the fault that was asked for; without one it does not even look at it."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self.app = app
        self.context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._wanted(headers := Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        # Without a good key the route answers, as it does on any other day.
        key = key_of(self.context, headers.get("authorization", ""))
        if key is None:
            await self.app(scope, receive, send)
            return
        try:
            call = await look_at(scope, receive, self.context.settings.max_body_bytes)
            fault = self._choose(headers, key.project, call)
        except ApiError as error:
            await error_response(error)(scope, receive, send)
            return
        await self._happen(fault, call, scope, send)

    def _wanted(self, headers: Headers) -> bool:
        return HEADER in headers or bool(self.context.faults)

    def _choose(self, headers: Headers, project: str, call: Call) -> Fault | None:
        if HEADER not in headers:
            return self.context.faults.take(project, call.aims)
        fault, times = parse_header(headers[HEADER])
        if not call.aims.intersection(fault.kind.aims):
            fitting = " or ".join(AIMS[aim] for aim in fault.kind.aims)
            raise BadRequest(f"The fault '{fault.name}' cannot happen here: it needs {fitting}.")
        attempt = headers.get(ATTEMPT, "0")
        over = times is not None and attempt.isdecimal() and int(attempt) >= times
        return None if over else fault

    async def _happen(self, fault: Fault | None, call: Call, scope: Scope, send: Send) -> None:
        error = error_for(fault, call) if fault else None
        if error is not None:
            await error_response(error)(scope, call.receive, send)
            return
        receive = call.receive
        if fault is not None and "job" in call.aims and fault.kind.name not in _EVENTS:
            scope.setdefault("state", {})[JOB_FAULT] = {"name": fault.name, **fault.details}
        elif fault is not None:
            event = _EVENTS[fault.kind.name](fault, receive, send)
            receive, send = event.receive, event.send
        await self.app(scope, receive, send)


class _Event:
    """A fault in the traffic: what is received and sent passes through it."""

    def __init__(self, fault: Fault, receive: Receive, send: Send) -> None:
        self.details = fault.details
        self._receive, self._send = receive, send
        self._streaming = False

    async def receive(self) -> Message:
        return await self._receive()

    async def send(self, message: Message) -> None:
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


class _Late(_Event):
    """The application has done its work; its answer waits."""

    async def _start(self, message: Message) -> None:
        await asyncio.sleep(self.details["seconds"])
        await self._send(message)


class _Slow(_Event):
    """Every piece of a stream waits."""

    async def _piece(self, message: Message) -> None:
        await asyncio.sleep(self.details["seconds"])
        await self._send(message)


class _Broken(_Event):
    """After some pieces the stream is cut.

    The application sees the client hang up and stops its work; the client sees the connection
    close before the answer is complete.
    """

    def __init__(self, fault: Fault, receive: Receive, send: Send) -> None:
        super().__init__(fault, receive, send)
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
        if self._sent >= self.details["chunks"] or message.get("body", b"").startswith(LAST_EVENT):
            self._cut.set()
        if not self._cut.is_set():
            self._sent += 1
            await self._send(message)


_EVENTS: dict[str, Callable[[Fault, Receive, Send], _Event]] = {
    "timeout": _Late,
    "slow_stream": _Slow,
    "broken_stream": _Broken,
}
