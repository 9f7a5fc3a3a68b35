"""The server's way to the sampler process: ask, and read the answer as it comes. No torch here."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from pathlib import Path

from sandbox.engine.parent.process import DEFAULT_POLICY, Child, RestartPolicy
from sandbox.engine.sampler import worker
from sandbox.engine.sampler.messages import (
    Ask,
    Cancel,
    Delta,
    Embed,
    EngineError,
    Generate,
    Output,
    Usage,
)


class SamplerClient:
    """Starts the sampler process, keeps it running, and gives it requests."""

    def __init__(
        self, preload: Iterable[Path] = (), *, policy: RestartPolicy = DEFAULT_POLICY
    ) -> None:
        self.child = Child(
            "sampler",
            worker.run,
            ([str(folder) for folder in preload],),
            on_message=self._receive,
            on_exit=self._fail_all,
            policy=policy,
        )
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Queue[Output]] = {}

    async def start(self) -> None:
        """Start the sampler in the background."""
        await self.child.start()

    async def stop(self) -> None:
        """End the sampler; requests in flight fail."""
        await self.child.stop()
        self._fail_all()

    async def generate(self, request: Generate) -> AsyncIterator[Delta | Usage]:
        """Yield the pieces of the answer, its ``Usage`` last. Waits until the sampler is ready.

        Closing the iterator early cancels the request. Raises EngineError.
        """
        async with aclosing(self._ask(request)) as outputs:
            async for output in outputs:
                for delta in output.deltas:
                    yield delta
                if output.usage is not None:
                    yield output.usage

    async def embed(self, request: Embed) -> tuple[list[str], Usage]:
        """Return one vector for each text, in base64, and the token counts. Raises EngineError."""
        async with aclosing(self._ask(request)) as outputs:
            async for output in outputs:
                if output.vectors is not None and output.usage is not None:
                    return output.vectors, output.usage
        raise EngineError("engine_failed", "The sampler ended the request without its vectors.")

    async def _ask(self, request: Generate | Embed) -> AsyncGenerator[Output, None]:
        """Send a request and yield what comes back for it, up to its usage or error."""
        try:
            await self.child.wait_ready()
        except RuntimeError as error:
            raise EngineError("engine_crashed", str(error)) from None
        number, inbox = next(self._numbers), asyncio.Queue[Output]()
        self._open[number] = inbox
        finished = False
        try:
            self.child.send(Ask(number, request))
            while not finished:
                output = await inbox.get()
                finished = output.usage is not None or output.error is not None
                yield output
                if output.error is not None:
                    raise output.error
        except ConnectionError:
            raise _CRASHED from None
        finally:
            del self._open[number]
            if not finished:
                with contextlib.suppress(ConnectionError):  # no sampler, nothing to cancel
                    self.child.send(Cancel(number))

    def _receive(self, outputs: list[Output]) -> None:
        for output in outputs:
            inbox = self._open.get(output.id)
            if inbox is not None:  # else it was cancelled meanwhile
                inbox.put_nowait(output)

    def _fail_all(self) -> None:
        for number, inbox in self._open.items():
            inbox.put_nowait(Output(number, error=_CRASHED))


_CRASHED = EngineError(
    "engine_crashed",
    "The sampler process ended while it was answering. It is being started again: "
    "send the request once more.",
)
