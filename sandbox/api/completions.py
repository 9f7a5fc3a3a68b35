"""/v1/completions: the older, plain "go on with this text"."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sandbox.api.answering import Opened, open_request, respond
from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute, parse
from sandbox.api.catalog import FoundModel
from sandbox.api.completion_answer import CompletionAnswer
from sandbox.api.completion_request import CompletionRequest
from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import BadRequest, UnsupportedParameter
from sandbox.engine.protocol import GenerateRequest

router = APIRouter(prefix="/completions", tags=["completions"], route_class=JsonRoute)


@router.post("", response_model=None)
async def create_completion(
    asked: CompletionRequest, request: Request, project: Project, context: ContextOf
) -> dict[str, Any] | Response:
    """How the model goes on with one prompt or with several, at once or as a stream."""
    return await respond(request, await _open(context, project, asked))


async def prepare(
    context: Context, project: str, data: dict[str, Any], background: bool = False
) -> CompletionAnswer:
    """Check the body of a request and return its answer on its way. Raises ApiError."""
    return await _open(context, project, parse(CompletionRequest, data), background)


async def _open(
    context: Context, project: str, asked: CompletionRequest, background: bool = False
) -> CompletionAnswer:
    opened = await open_request(context, project, asked)
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


def _engine_requests(opened: Opened[CompletionRequest], background: bool) -> list[GenerateRequest]:
    """Return one request for each prompt; the same prompt gives the same text."""
    asked = opened.asked
    return [
        GenerateRequest(
            model_path=str(opened.model.path),
            prompt=prompt,
            max_tokens=asked.max_tokens,
            n=asked.n,
            temperature=asked.temperature,
            top_p=asked.top_p,
            seed=opened.seed,
            stop=tuple(asked.stop),
            top_logprobs=asked.logprobs,
            presence_penalty=asked.presence_penalty,
            frequency_penalty=asked.frequency_penalty,
            logit_bias=asked.logit_bias,
            echo=asked.echo,
            stream=asked.stream,
            group=opened.project,
            background=background,
        )
        for prompt in asked.prompt
    ]
