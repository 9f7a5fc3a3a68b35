"""From a checked request for text to its answer: whole, as a stream, or for a line of a batch.

An endpoint opens its request (which model, which seed), makes the engine's requests of it, and
gives a `Shape` that writes the answer down with the SDK's objects. All the rest is here.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi import Request
from openai import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sandbox.api.body import dump
from sandbox.api.catalog import FoundModel, find_writer
from sandbox.api.context import Context
from sandbox.api.errors import ApiError, BadRequest, EngineUnavailable, ServerError
from sandbox.api.prompts import check_tokens
from sandbox.api.streaming import start_stream, unless_gone
from sandbox.engine.parent.sampler import SamplerClient
from sandbox.engine.sampler.messages import Delta, EngineError, Generate, TokenInfo, Usage
from sandbox.parameters import Sampling

FINGERPRINT = "fp_sandbox"
# The number of a request, and a piece of its answer, or what ended it: an error, or nothing.
Item = tuple[int, Delta | Usage | Exception | None]
QUEUE_LENGTH = 256


class Answer(Protocol):
    """An answer on its way; nothing is computed before it is asked for."""

    async def whole(self) -> dict[str, Any]:
        """Return the answer in one piece. Raises ApiError."""


# From a request to its answer: the context, the project, the checked body, and whether it may wait
# for others (a line of a batch) or somebody waits for it.
Prepare = Callable[[Context, str, Any, bool], Awaitable[Answer]]


@dataclass
class Choice:
    """What one choice has said so far."""

    texts: list[str] = field(default_factory=list)
    tokens: list[TokenInfo] = field(default_factory=list)
    finish_reason: str = "stop"

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.texts)

    def add(self, piece: Delta) -> None:
        """Take in the next piece."""
        self.texts.append(piece.text)
        self.tokens.extend(piece.tokens)
        self.finish_reason = piece.finish_reason or self.finish_reason


class Shape(Protocol):
    """How an endpoint writes an answer: with the SDK's objects, in one piece or in chunks."""

    def whole(self, choices: list[Choice], usage: Usage) -> BaseModel:
        """Return the answer in one piece."""

    def begin(self) -> Iterable[BaseModel]:
        """Return the chunks that come before the first piece."""

    def chunks(self, index: int, piece: Delta) -> Iterable[BaseModel]:
        """Return the chunks for the next piece of a choice."""

    def end(self, answer: Any) -> Iterable[BaseModel]:
        """Return the chunks that come after the last piece of this answer."""


@dataclass(frozen=True)
class TextAnswer:
    """One answer on its way, of ``n`` choices for each request; ``param`` holds the prompt.

    ``keep`` stores it, in a thread, before its client learns that it is complete.
    """

    sampler: SamplerClient
    requests: list[Generate]
    param: str
    shape: Shape
    keep: Callable[[dict[str, Any]], None] | None = None

    async def whole(self) -> dict[str, Any]:
        """Return the answer in one piece. Raises ApiError."""
        choices, usage = self._nothing_yet()
        async for _ in self._collect(choices, usage):
            pass
        return dump(await self._finish(choices, usage))

    async def chunks(self) -> AsyncGenerator[BaseModel, None]:
        """Yield the answer in chunks. Raises ApiError."""
        choices, usage = self._nothing_yet()
        begun = False
        async with aclosing(self._collect(choices, usage)) as pieces:
            async for index, piece in pieces:
                # Not earlier: a request that fails at once gets its own HTTP status.
                for chunk in () if begun else self.shape.begin():
                    yield chunk
                begun = True
                for chunk in self.shape.chunks(index, piece):
                    yield chunk
        for chunk in self.shape.end(await self._finish(choices, usage)):
            yield chunk

    async def respond(self, request: Request) -> dict[str, Any] | Response:
        """Answer a live request in its shape; stop the work when its client is gone."""
        if self.requests[0].stream:
            return await unless_gone(request, start_stream(self.chunks()))
        return await unless_gone(request, self.whole())

    async def _finish(self, choices: list[Choice], usage: list[Usage]) -> BaseModel:
        answer = self.shape.whole(choices, _sum(usage))
        if self.keep is not None:
            await run_in_threadpool(self.keep, dump(answer))
        return answer

    def _nothing_yet(self) -> tuple[list[Choice], list[Usage]]:
        return [Choice() for request in self.requests for _ in range(request.sampling.n)], []

    async def _collect(
        self, choices: list[Choice], usage: list[Usage]
    ) -> AsyncGenerator[tuple[int, Delta], None]:
        """Yield each piece with the number of its choice, after adding it to ``choices``.

        Closing this cancels what still runs. Raises the ApiError for the first request that fails.
        """
        queue: asyncio.Queue[Item] = asyncio.Queue(QUEUE_LENGTH)
        tasks = [
            asyncio.create_task(self._feed(queue, number)) for number in range(len(self.requests))
        ]
        try:
            running = len(tasks)
            while running:
                number, piece = await queue.get()
                if isinstance(piece, Delta):
                    index = number * self.requests[number].sampling.n + piece.choice
                    choices[index].add(piece)
                    yield index, piece
                elif isinstance(piece, Usage):
                    usage.append(piece)
                elif isinstance(piece, EngineError):
                    raise translate(piece, self.param) from piece
                elif isinstance(piece, Exception):
                    raise piece
                else:
                    running -= 1
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(self, queue: asyncio.Queue[Item], number: int) -> None:
        """Put the pieces of one request's answer into the queue, and None or its error last."""
        end: Exception | None = None
        try:
            async with aclosing(self.sampler.generate(self.requests[number])) as pieces:
                async for piece in pieces:
                    await queue.put((number, piece))
        except Exception as error:  # noqa: BLE001 - it travels through the queue to the reader
            end = error
        await queue.put((number, end))


def token_fields(token: TokenInfo) -> dict[str, Any]:
    """Return a token's log-probabilities as chat and responses show them."""
    top = [{"token": text, "bytes": raw, "logprob": logprob} for text, raw, logprob in token.top]
    fields = {"token": token.text, "bytes": token.bytes, "logprob": token.logprob}
    return fields | {"top_logprobs": top}


def usage_object(usage: Usage) -> dict[str, int]:
    """Return token counts as chat and completions show them."""
    return {**vars(usage), "total_tokens": usage.prompt_tokens + usage.completion_tokens}


def _sum(usage: list[Usage]) -> Usage:
    prompts, completions = (u.prompt_tokens for u in usage), (u.completion_tokens for u in usage)
    return Usage(sum(prompts), sum(completions))


@dataclass(frozen=True)
class Opened:
    """A request that was checked against the model it names, with the seed it gets."""

    model: FoundModel
    sampling: Sampling
    project: str
    background: bool

    def generate(self, prompt: Any, stream: bool, echo: bool = False) -> Generate:
        """Return the engine's request for a prompt."""
        return Generate(
            folder=str(self.model.path),
            prompt=prompt,
            sampling=self.sampling,
            echo=echo,
            stream=stream,
            group=self.project,
            background=self.background,
            adapter=None if self.model.adapter is None else str(self.model.adapter),
        )


async def open_request(
    context: Context,
    project: str,
    name: str,
    sampling: Sampling,
    given: dict[str, Any],
    background: bool,
) -> Opened:
    """Find the model of this name, and the seed of a request that is written like ``given``.

    Raises BadRequest, NotFound or Forbidden.
    """
    model = await run_in_threadpool(find_writer, context, project, name)
    check_tokens(model, list(sampling.logit_bias), "logit_bias")
    seed = context.seeds.choose(sampling.seed, given)
    # Not validated again: the seeds that the server makes itself have more bits than a client's.
    return Opened(model, sampling.model_copy(update={"seed": seed}), project, background)


def translate(error: EngineError, param: str) -> ApiError:
    """Return the API's error for an error of the engine."""
    if error.code == "context_length_exceeded":
        return BadRequest(error.message, param=param, code=error.code)
    if error.code in ("invalid_request", "invalid_dimensions"):
        return BadRequest(error.message, param=param)
    if error.code in ("model_unavailable", "engine_crashed"):
        # The first line only: what follows are the process's last words, for the log.
        return EngineUnavailable(error.message.split("\n")[0], code=error.code)
    return ServerError(error.message, code=error.code)
