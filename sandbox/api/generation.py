"""Running requests on the sampler: several at once, errors translated, cancelled when unwanted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from sandbox.api.catalog import FoundModel
from sandbox.api.context import Sampler
from sandbox.api.errors import (
    ApiError,
    BadRequest,
    ContextTooLong,
    EngineUnavailable,
    ServerError,
)
from sandbox.engine.sampler.messages import Delta, EngineError, Generate, Usage

Item = tuple[int, Delta | Usage]  # the number of the request, and a piece of its answer
QUEUE_LENGTH = 256


async def run_all(
    sampler: Sampler, requests: Sequence[Generate], param: str
) -> AsyncIterator[Item]:
    """Yield the pieces of all answers as they come. Closing this cancels what still runs.

    Raises the ApiError for the first request that fails; ``param`` is the parameter that holds
    the prompt.
    """
    queue: asyncio.Queue[Item | Exception | None] = asyncio.Queue(QUEUE_LENGTH)
    tasks = [
        asyncio.create_task(_feed(queue, sampler, number, request))
        for number, request in enumerate(requests)
    ]
    try:
        running = len(tasks)
        while running:
            item = await queue.get()
            if item is None:
                running -= 1
            elif isinstance(item, EngineError):
                raise translate(item, param) from item
            elif isinstance(item, Exception):
                raise item
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _feed(
    queue: "asyncio.Queue[Item | Exception | None]",
    sampler: Sampler,
    number: int,
    request: Generate,
) -> None:
    end: Exception | None = None
    try:
        async with aclosing(sampler.generate(request)) as pieces:
            async for piece in pieces:
                await queue.put((number, piece))
    except Exception as error:  # noqa: BLE001 - it travels through the queue to the reader
        end = error
    await queue.put(end)


def translate(error: EngineError, param: str) -> ApiError:
    """Return the API's error for an error of the engine."""
    if error.code == "context_length_exceeded":
        return ContextTooLong(error.message, param=param)
    if error.code in ("invalid_request", "invalid_dimensions"):
        return BadRequest(error.message, param=param)
    if error.code in ("model_unavailable", "engine_crashed"):
        # The first line only: what follows are the process's last words, for the log.
        return EngineUnavailable(error.message.split("\n")[0], code=error.code)
    return ServerError(error.message, code=error.code)


def check_bias(bias: dict[int, float], model: FoundModel) -> None:
    """Raise BadRequest when a biased token is not in the model's vocabulary."""
    for token in bias:
        if token >= model.base.vocab_size:
            raise BadRequest(
                f"Invalid 'logit_bias': the model has the tokens 0 to "
                f"{model.base.vocab_size - 1}, not {token}.",
                param="logit_bias",
            )
