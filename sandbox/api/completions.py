"""/v1/completions: the older, plain "go on with this text"."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sandbox.api.answering import Opened, open_request, respond
from sandbox.api.auth import Project
from sandbox.api.body import read_object
from sandbox.api.catalog import FoundModel
from sandbox.api.completion_answer import CompletionAnswer
from sandbox.api.completion_request import CompletionRequest
from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import BadRequest, UnsupportedParameter
from sandbox.api.openapi import body_of
from sandbox.engine.sampler.messages import Generate

router = APIRouter(prefix="/completions", tags=["completions"])


@router.post("", openapi_extra=body_of(CompletionRequest), response_model=None)
async def create_completion(
    request: Request, project: Project, context: ContextOf
) -> dict[str, Any] | Response:
    """How the model goes on with one prompt or with several, at once or as a stream."""
    data = await read_object(request, context.settings.max_body_bytes)
    return await respond(request, await prepare(context, project, data))


async def prepare(
    context: Context, project: str, data: dict[str, Any], background: bool = False
) -> CompletionAnswer:
    """Check the body of a request and return its answer on its way. Raises ApiError."""
    opened = await open_request(context, project, CompletionRequest, data)
    asked = opened.asked
    if asked.best_of is not None and asked.best_of != asked.n:
        raise UnsupportedParameter("best_of", "Ask for 'n' texts and choose among them yourself.")
    _check_tokens(asked, opened.model)
    return CompletionAnswer(context.sampler, asked, _engine_requests(opened, background))


def _check_tokens(asked: CompletionRequest, model: FoundModel) -> None:
    largest = max((token for p in asked.prompt if isinstance(p, list) for token in p), default=0)
    if largest >= model.base.vocab_size:
        raise BadRequest(
            f"Invalid 'prompt': the model has the tokens 0 to {model.base.vocab_size - 1}, "
            f"not {largest}.",
            param="prompt",
        )


def _engine_requests(opened: Opened[CompletionRequest], background: bool) -> list[Generate]:
    """Return one request for each prompt; the same prompt gives the same text."""
    sampling = opened.asked.sampling(seed=opened.seed)
    return [
        Generate(
            folder=str(opened.model.path),
            prompt=prompt,
            sampling=sampling,
            echo=opened.asked.echo,
            stream=opened.asked.stream,
            group=opened.project,
            background=background,
        )
        for prompt in opened.asked.prompt
    ]
