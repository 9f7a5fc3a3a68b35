"""/v1/chat/completions."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sandbox.api.answering import Opened, open_request, respond
from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute, parse
from sandbox.api.chat_answer import ChatAnswer
from sandbox.api.chat_request import ChatRequest
from sandbox.api.context import Context, ContextOf
from sandbox.engine.protocol import GenerateRequest

router = APIRouter(prefix="/chat/completions", tags=["completions"], route_class=JsonRoute)


@router.post("", response_model=None)
async def create_chat_completion(
    asked: ChatRequest, request: Request, project: Project, context: ContextOf
) -> dict[str, Any] | Response:
    """The model's answer to a conversation, at once or as a stream of chunks."""
    return await respond(request, await _open(context, project, asked))


async def prepare(
    context: Context, project: str, data: dict[str, Any], background: bool = False
) -> ChatAnswer:
    """Check the body of a request and return its answer on its way. Raises ApiError."""
    return await _open(context, project, parse(ChatRequest, data), background)


async def _open(
    context: Context, project: str, asked: ChatRequest, background: bool = False
) -> ChatAnswer:
    opened = await open_request(context, project, asked)
    return ChatAnswer(context.sampler, opened.asked, _engine_request(opened, background))


def _engine_request(opened: Opened[ChatRequest], background: bool) -> GenerateRequest:
    asked = opened.asked
    return GenerateRequest(
        model_path=str(opened.model.path),
        prompt=[message.plain() for message in asked.messages],
        max_tokens=asked.max_completion_tokens or asked.max_tokens,
        n=asked.n,
        temperature=asked.temperature,
        top_p=asked.top_p,
        seed=opened.seed,
        stop=tuple(asked.stop),
        top_logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        logit_bias=asked.logit_bias,
        stream=asked.stream,
        group=opened.project,
        background=background,
    )
