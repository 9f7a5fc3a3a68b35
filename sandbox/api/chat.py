"""/v1/chat/completions."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sandbox.api.auth import Project
from sandbox.api.body import parse, read_object
from sandbox.api.catalog import FoundModel, find_model
from sandbox.api.chat_answer import ChatAnswer
from sandbox.api.chat_request import ChatRequest
from sandbox.api.context import Context, ContextOf
from sandbox.api.disconnect import unless_gone
from sandbox.api.generation import check_bias
from sandbox.api.openapi import body_of
from sandbox.api.parameters import refuse_unsupported
from sandbox.api.stream import start_stream
from sandbox.engine.protocol import GenerateRequest

router = APIRouter(prefix="/chat/completions", tags=["completions"])


@router.post("", openapi_extra=body_of(ChatRequest), response_model=None)
async def create_chat_completion(
    request: Request, project: Project, context: ContextOf
) -> dict[str, Any] | Response:
    """The model's answer to a conversation, at once or as a stream of chunks."""
    data = refuse_unsupported(await read_object(request, context.settings.max_body_bytes))
    asked = parse(ChatRequest, data)
    model = await run_in_threadpool(find_model, context, project, asked.model)
    check_bias(asked.logit_bias, model)
    answer = ChatAnswer(context.sampler, asked, _engine_request(context, asked, model, data))
    if asked.stream:
        return await unless_gone(request, start_stream(answer.chunks()))
    return await unless_gone(request, answer.whole())


def _engine_request(
    context: Context, asked: ChatRequest, model: FoundModel, data: dict[str, Any]
) -> GenerateRequest:
    return GenerateRequest(
        model_path=str(model.path),
        prompt=[message.plain() for message in asked.messages],
        max_tokens=asked.max_completion_tokens or asked.max_tokens,
        n=asked.n,
        temperature=asked.temperature,
        top_p=asked.top_p,
        seed=context.seeds.choose(asked.seed, data),
        stop=tuple(asked.stop),
        top_logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        logit_bias=asked.logit_bias,
        stream=asked.stream,
    )
