"""/v1/chat/completions: the model's answer to a conversation."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import Field, model_validator
from starlette.responses import Response

from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute, Strict
from sandbox.api.context import Context, ContextOf
from sandbox.api.document import STREAM
from sandbox.api.generation import Choice, TextAnswer, open_request, token_fields, usage_object
from sandbox.api.messages import ChatMessage
from sandbox.api.text_request import TextRequest, TextShape
from sandbox.engine.sampler.messages import Delta, TokenInfo, Usage
from sandbox.store import answers, ids
from sandbox.store.database import Store

router = APIRouter(prefix="/chat/completions", tags=["completions"], route_class=JsonRoute)
MOST_MESSAGES = 2048  # of a conversation, as in the hosted API


class Audio(Strict):
    """A voice, for answers with sound; the sandbox gives none, so it has nothing to say."""

    format: Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"]
    voice: str | dict[str, str]


class ChatRequest(TextRequest):
    """The parameters of a chat completion."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MOST_MESSAGES)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool = False
    audio: Audio | None = None
    store: bool = False

    @model_validator(mode="after")
    def _check_together(self) -> "ChatRequest":
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("give 'max_completion_tokens' or the older 'max_tokens', not both")
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("'top_logprobs' needs 'logprobs' to be true")
        return self


@router.post("", response_model=None, responses=STREAM)
async def create_chat_completion(
    asked: ChatRequest, request: Request, project: Project, context: ContextOf
) -> dict[str, Any] | Response:
    """The model's answer to a conversation, at once or as a stream of chunks."""
    return await (await prepare(context, project, asked, False)).respond(request)


async def prepare(
    context: Context, project: str, asked: ChatRequest, background: bool
) -> TextAnswer:
    """Return the answer to a request on its way. Raises ApiError."""
    sampling = asked.sampling(
        max_tokens=asked.max_completion_tokens or asked.max_tokens,
        top_logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
    )
    opened = await open_request(context, project, asked.model, sampling, asked.given, background)
    prompt = [message.plain() for message in asked.messages]
    requests = [opened.generate(prompt, asked.stream)]
    keep = partial(keep_chat, context.store, project, asked) if asked.store else None
    return TextAnswer(context.sampler, requests, "messages", ChatShape(asked), keep)


def keep_chat(store: Store, project: str, asked: ChatRequest, answer: dict[str, Any]) -> None:
    """Store a chat, for the addresses of stored_chats.py."""
    messages = [message.model_dump(exclude_none=True) for message in asked.messages]
    answers.add_answer(store, project, messages, answer | {"metadata": asked.metadata or {}})


class ChatShape(TextShape):
    """Writes chat completions."""

    def __init__(self, asked: ChatRequest) -> None:
        super().__init__(asked, ids.chat_completion_id())
        self.begun: set[int] = set()  # the choices whose first chunk is out

    def whole(self, choices: list[Choice], usage: Usage) -> ChatCompletion:
        """Return the answer in one piece."""
        return ChatCompletion(
            **self.head,
            object="chat.completion",
            choices=[
                {
                    "index": index,
                    "message": {"role": "assistant", "content": one.text, "refusal": None},
                    "logprobs": self._logprobs(one.tokens),
                    "finish_reason": one.finish_reason,
                }
                for index, one in enumerate(choices)
            ],
            usage=usage_object(usage),
        )

    def chunks(self, index: int, piece: Delta) -> Iterable[ChatCompletionChunk]:
        """Yield the choice's role first, then what it says, then why it ends."""
        if index not in self.begun:
            self.begun.add(index)
            yield self._chunk(index, {"role": "assistant", "content": ""})
        if piece.text or piece.tokens:
            yield self._chunk(index, {"content": piece.text}, logprobs=self._logprobs(piece.tokens))
        if piece.finish_reason:
            yield self._chunk(index, {}, finish_reason=piece.finish_reason)

    def _chunk(
        self,
        index: int,
        delta: dict[str, str],
        logprobs: dict[str, Any] | None = None,
        finish_reason: str | None = None,
    ) -> ChatCompletionChunk:
        choice = {"index": index, "delta": delta, "logprobs": logprobs}
        return self.build([choice | {"finish_reason": finish_reason}])

    def build(self, choices: list[dict[str, Any]], **usage: Any) -> ChatCompletionChunk:
        """Return a chunk."""
        counts = usage or self.no_usage
        return ChatCompletionChunk(
            **self.head, object="chat.completion.chunk", choices=choices, **counts
        )

    def _logprobs(self, tokens: list[TokenInfo]) -> dict[str, Any] | None:
        if not self.asked.logprobs:
            return None
        return {"content": [token_fields(token) for token in tokens], "refusal": None}
