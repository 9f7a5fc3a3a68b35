"""How a request for text or vectors is taken up and answered: live, and as a line of a batch."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from fastapi import Request
from openai import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sandbox.api.body import parse
from sandbox.api.catalog import FoundModel, find_model
from sandbox.api.context import Context
from sandbox.api.disconnect import unless_gone
from sandbox.api.generation import check_bias
from sandbox.api.parameters import TextRequest, refuse_unsupported
from sandbox.api.stream import start_stream

Asked = TypeVar("Asked", bound=TextRequest)


class Answer(Protocol):
    """An answer on its way; nothing is computed before it is asked for in one of its shapes."""

    async def whole(self) -> dict[str, Any]:
        """Return the answer in one piece. Raises ApiError."""


class StreamableAnswer(Answer, Protocol):
    """An answer that can also be had piece by piece."""

    asked: TextRequest

    def chunks(self) -> AsyncGenerator[BaseModel, None]:
        """Yield the answer as chunks. Raises ApiError."""


# From a body to its answer: the context, the project, the body, and whether it may wait for
# others (a line of a batch) or somebody waits for it.
Prepare = Callable[[Context, str, dict[str, Any], bool], Awaitable[Answer]]


@dataclass(frozen=True)
class Opened(Generic[Asked]):
    """A request for text, checked, with the model it names and the seed it gets."""

    asked: Asked
    model: FoundModel
    seed: int | None
    project: str


async def open_request(
    context: Context, project: str, kind: type[Asked], data: dict[str, Any]
) -> Opened[Asked]:
    """Check the body of a request for text. Raises BadRequest or ModelNotFound."""
    data = refuse_unsupported(data)
    asked = parse(kind, data)
    model = await run_in_threadpool(find_model, context, project, asked.model)
    check_bias(asked.logit_bias, model)
    return Opened(asked, model, context.seeds.choose(asked.seed, data), project)


async def respond(request: Request, answer: StreamableAnswer) -> dict[str, Any] | Response:
    """Answer a live request in the shape it asks for; stop the work when its client is gone."""
    if answer.asked.stream:
        return await unless_gone(request, start_stream(answer.chunks()))
    return await unless_gone(request, answer.whole())
