"""Chat completions in the making: from the engine's pieces to the SDK's objects."""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from openai.types import CompletionUsage
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionTokenLogprob,
)
from openai.types.chat.chat_completion import Choice, ChoiceLogprobs
from openai.types.chat.chat_completion_chunk import Choice as ChunkChoice
from openai.types.chat.chat_completion_chunk import ChoiceDelta
from openai.types.chat.chat_completion_chunk import ChoiceLogprobs as ChunkLogprobs
from openai.types.chat.chat_completion_token_logprob import TopLogprob

from sandbox.api import wire
from sandbox.api.chat_request import ChatRequest
from sandbox.api.context import Sampler
from sandbox.api.generation import run_all
from sandbox.engine.sampler.messages import Delta, Generate, TokenInfo, Usage
from sandbox.store import ids


@dataclass
class _Collected:
    """What one choice has said so far."""

    texts: list[str] = field(default_factory=list)
    tokens: list[TokenInfo] = field(default_factory=list)
    finish_reason: str = "stop"


class ChatAnswer:
    """One chat completion on its way, in either of its two shapes."""

    def __init__(self, sampler: Sampler, asked: ChatRequest, request: Generate) -> None:
        self.sampler, self.asked, self.request = sampler, asked, request
        self.head: dict[str, Any] = {
            "id": ids.chat_completion_id(),
            "created": int(time.time()),
            "model": asked.model,
            "system_fingerprint": wire.FINGERPRINT,
        }

    async def whole(self) -> dict[str, Any]:
        """Return the answer in one piece."""
        collected = [_Collected() for _ in range(self.asked.n)]
        usage = Usage(0, 0)
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                if isinstance(piece, Usage):
                    usage = piece
                    continue
                choice = collected[piece.choice]
                choice.texts.append(piece.text)
                choice.tokens.extend(piece.tokens)
                choice.finish_reason = piece.finish_reason or choice.finish_reason
        return wire.dump(
            ChatCompletion(
                **self.head,
                object="chat.completion",
                choices=[self._choice(i, choice) for i, choice in enumerate(collected)],
                usage=wire.usage_object(usage),
            )
        )

    async def chunks(self) -> AsyncIterator[ChatCompletionChunk]:
        """Yield the answer as chunks: first each choice's role, last the counts if wanted."""
        usage = Usage(0, 0)
        begun: set[int] = set()
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                if isinstance(piece, Usage):
                    usage = piece
                    continue
                if piece.choice not in begun:
                    begun.add(piece.choice)
                    yield self._chunk(piece.choice, {"role": "assistant", "content": ""})
                if piece.text or piece.tokens:
                    yield self._chunk(piece.choice, {"content": piece.text}, piece)
                if piece.finish_reason:
                    yield self._chunk(piece.choice, {}, finish_reason=piece.finish_reason)
        if self.asked.usage_wanted:
            yield self._build_chunk([], wire.usage_object(usage))

    async def _pieces(self) -> AsyncIterator[Delta | Usage]:
        async with aclosing(run_all(self.sampler, [self.request], "messages")) as items:
            async for _, piece in items:
                yield piece

    def _choice(self, index: int, collected: _Collected) -> Choice:
        logprobs = None
        if self.asked.logprobs:
            content = [_token_object(token) for token in collected.tokens]
            logprobs = ChoiceLogprobs(content=content, refusal=None)
        return Choice(
            index=index,
            message=ChatCompletionMessage(
                role="assistant", content="".join(collected.texts), refusal=None
            ),
            logprobs=logprobs,
            finish_reason=collected.finish_reason,
        )

    def _chunk(
        self,
        index: int,
        delta: dict[str, str],
        piece: Delta | None = None,
        finish_reason: str | None = None,
    ) -> ChatCompletionChunk:
        logprobs = None
        if self.asked.logprobs and piece is not None:
            content = [_token_object(token) for token in piece.tokens]
            logprobs = ChunkLogprobs(content=content, refusal=None)
        choice = ChunkChoice(
            index=index,
            delta=ChoiceDelta(**delta),
            logprobs=logprobs,
            finish_reason=finish_reason,
        )
        return self._build_chunk([choice], None)

    def _build_chunk(
        self, choices: list[ChunkChoice], usage: CompletionUsage | None
    ) -> ChatCompletionChunk:
        # With usage wanted, every chunk has the field; only the last one has the counts.
        counts = {"usage": usage} if self.asked.usage_wanted else {}
        return ChatCompletionChunk(
            **self.head, object="chat.completion.chunk", choices=choices, **counts
        )


def _token_object(token: TokenInfo) -> ChatCompletionTokenLogprob:
    return ChatCompletionTokenLogprob(
        token=token.text,
        bytes=token.bytes,
        logprob=token.logprob,
        top_logprobs=[
            TopLogprob(token=text, bytes=raw, logprob=logprob) for text, raw, logprob in token.top
        ],
    )
