"""/v1/chat/completions."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sandbox.api.answering import Opened, open_request, respond
from sandbox.api.auth import Project
from sandbox.api.body import read_object
from sandbox.api.chat_answer import ChatAnswer
from sandbox.api.chat_request import ChatRequest
from sandbox.api.context import Context, ContextOf
from sandbox.api.openapi import body_of
from sandbox.engine.sampler.messages import Generate

router = APIRouter(prefix="/chat/completions", tags=["completions"])


@router.post("", openapi_extra=body_of(ChatRequest), response_model=None)
async def create_chat_completion(
    request: Request, project: Project, context: ContextOf
) -> dict[str, Any] | Response:
    """The model's answer to a conversation, at once or as a stream of chunks."""
    data = await read_object(request, context.settings.max_body_bytes)
    return await respond(request, await prepare(context, project, data))


async def prepare(
    context: Context, project: str, data: dict[str, Any], background: bool = False
) -> ChatAnswer:
    """Check the body of a request and return its answer on its way. Raises ApiError."""
    opened = await open_request(context, project, ChatRequest, data)
    return ChatAnswer(context.sampler, opened.asked, _engine_request(opened, background))


def _engine_request(opened: Opened[ChatRequest], background: bool) -> Generate:
    asked = opened.asked
    return Generate(
        folder=str(opened.model.path),
        prompt=[message.plain() for message in asked.messages],
        sampling=asked.sampling(
            max_tokens=asked.max_completion_tokens or asked.max_tokens,
            seed=opened.seed,
            top_logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        ),
        stream=asked.stream,
        group=opened.project,
        background=background,
    )
