"""The API's way to the sampler process: ask, and read the answer as it comes. No torch here."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from sandbox.engine.sampler.messages import (
    Delta,
    Embed,
    EngineError,
    Generate,
    Output,
    Usage,
    dump_embed,
    dump_generate,
    dump_line,
    load_outputs,
)
from sandbox.engine.supervisor import DEFAULT_POLICY, RestartPolicy, Worker, sampler_arguments


class SamplerClient:
    """Starts the sampler process, keeps it running, and gives it requests."""

    def __init__(
        self, preload: Iterable[Path] = (), *, policy: RestartPolicy = DEFAULT_POLICY
    ) -> None:
        self._worker = Worker(
            "sampler",
            sampler_arguments(preload),
            on_message=self._receive,
            on_exit=self._fail_all,
            policy=policy,
        )
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Queue[Output]] = {}

    @property
    def ready(self) -> bool:
        """Whether the sampler has loaded its models and answers."""
        return self._worker.ready

    @property
    def pid(self) -> int | None:
        """The sampler's process id while it runs."""
        return self._worker.process.pid if self._worker.process else None

    async def start(self) -> None:
        """Start the sampler in the background."""
        await self._worker.start()

    async def stop(self) -> None:
        """End the sampler; requests in flight fail."""
        await self._worker.stop()
        self._fail_all()

    async def generate(self, request: Generate) -> AsyncIterator[Delta | Usage]:
        """Yield the pieces of the answer, its ``Usage`` last. Waits until the sampler is ready.

        Closing the iterator early cancels the request. Raises EngineError.
        """
        number = next(self._numbers)
        async with aclosing(self._ask(number, dump_generate(number, request))) as outputs:
            async for output in outputs:
                for delta in output.deltas:
                    yield delta
                if output.usage is not None:
                    yield output.usage

    async def embed(self, request: Embed) -> tuple[list[str], Usage]:
        """Return one vector for each text, in base64, and the token counts. Raises EngineError."""
        number = next(self._numbers)
        async with aclosing(self._ask(number, dump_embed(number, request))) as outputs:
            async for output in outputs:
                if output.vectors is not None and output.usage is not None:
                    return output.vectors, output.usage
        raise EngineError("engine_failed", "The sampler ended the request without its vectors.")

    async def _ask(self, number: int, line: bytes) -> AsyncGenerator[Output, None]:
        """Send a request and yield what comes back for it, up to its usage or error."""
        try:
            await self._worker.wait_ready()
        except RuntimeError as error:
            raise EngineError("engine_crashed", str(error)) from None
        inbox: asyncio.Queue[Output] = asyncio.Queue()
        self._open[number] = inbox
        finished = False
        try:
            await self._send(line)
            while not finished:
                output = await inbox.get()
                finished = output.usage is not None or output.error is not None
                yield output
                if output.error is not None:
                    raise output.error
        finally:
            del self._open[number]
            if not finished:
                await self._cancel(number)

    async def _send(self, line: bytes) -> None:
        try:
            await self._worker.send(line)
        except ConnectionError:
            raise _CRASHED from None

    async def _cancel(self, number: int) -> None:
        try:
            await self._worker.send(dump_line({"op": "cancel", "id": number}))
        except ConnectionError:
            return  # no sampler, nothing to cancel

    def _receive(self, message: dict[str, Any]) -> None:
        for output in load_outputs(message):
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
