"""/v1/completions: the older, plain "go on with this text"."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sandbox.api.auth import Project
from sandbox.api.body import parse, read_object
from sandbox.api.catalog import FoundModel, find_model
from sandbox.api.completion_answer import CompletionAnswer
from sandbox.api.completion_request import CompletionRequest
from sandbox.api.context import Context, ContextOf
from sandbox.api.disconnect import unless_gone
from sandbox.api.errors import BadRequest, UnsupportedParameter
from sandbox.api.generation import check_bias
from sandbox.api.openapi import body_of
from sandbox.api.parameters import refuse_unsupported
from sandbox.api.stream import start_stream
from sandbox.engine.protocol import GenerateRequest

router = APIRouter(prefix="/completions", tags=["completions"])


@router.post("", openapi_extra=body_of(CompletionRequest), response_model=None)
async def create_completion(
    request: Request, project: Project, context: ContextOf
) -> dict[str, Any] | Response:
    """How the model goes on with one prompt or with several, at once or as a stream."""
    data = refuse_unsupported(await read_object(request, context.settings.max_body_bytes))
    asked = parse(CompletionRequest, data)
    if asked.best_of is not None and asked.best_of != asked.n:
        raise UnsupportedParameter("best_of", "Ask for 'n' texts and choose among them yourself.")
    model = await run_in_threadpool(find_model, context, project, asked.model)
    check_bias(asked.logit_bias, model)
    _check_tokens(asked, model)
    answer = CompletionAnswer(context.sampler, asked, _engine_requests(context, asked, model, data))
    if asked.stream:
        return await unless_gone(request, start_stream(answer.chunks()))
    return await unless_gone(request, answer.whole())


def _check_tokens(asked: CompletionRequest, model: FoundModel) -> None:
    largest = max((token for p in asked.prompt if isinstance(p, list) for token in p), default=0)
    if largest >= model.base.vocab_size:
        raise BadRequest(
            f"Invalid 'prompt': the model has the tokens 0 to {model.base.vocab_size - 1}, "
            f"not {largest}.",
            param="prompt",
        )


def _engine_requests(
    context: Context, asked: CompletionRequest, model: FoundModel, data: dict[str, Any]
) -> list[GenerateRequest]:
    """Return one request for each prompt; the same prompt gives the same text."""
    seed = context.seeds.choose(asked.seed, data)
    return [
        GenerateRequest(
            model_path=str(model.path),
            prompt=prompt,
            max_tokens=asked.max_tokens,
            n=asked.n,
            temperature=asked.temperature,
            top_p=asked.top_p,
            seed=seed,
            stop=tuple(asked.stop),
            top_logprobs=asked.logprobs,
            presence_penalty=asked.presence_penalty,
            frequency_penalty=asked.frequency_penalty,
            logit_bias=asked.logit_bias,
            echo=asked.echo,
            stream=asked.stream,
        )
        for prompt in asked.prompt
    ]
