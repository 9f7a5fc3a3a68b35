"""Completions in the making: from the engine's pieces to the SDK's objects."""

import codecs
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from openai.types import Completion, CompletionChoice, CompletionUsage
from openai.types.completion_choice import Logprobs

from sandbox.api import wire
from sandbox.api.completion_request import CompletionRequest
from sandbox.api.context import Sampler
from sandbox.api.generation import Item, run_all
from sandbox.engine.sampler.messages import Delta, Generate, TokenInfo, Usage
from sandbox.store import ids

UTF8 = codecs.getincrementaldecoder("utf-8")


@dataclass
class _Collected:
    """What one choice has said so far."""

    texts: list[str] = field(default_factory=list)
    tokens: list[TokenInfo] = field(default_factory=list)
    finish_reason: str = "stop"
    offset: int = 0  # characters so far: where the next token begins
    decoder: codecs.IncrementalDecoder = field(default_factory=lambda: UTF8("replace"))


class CompletionAnswer:
    """One completion request on its way: ``n`` choices for each prompt, in order."""

    def __init__(
        self,
        sampler: Sampler,
        asked: CompletionRequest,
        requests: list[Generate],
    ) -> None:
        self.sampler, self.asked, self.requests = sampler, asked, requests
        self.collected = self._nothing_yet()
        self.head: dict[str, Any] = {
            "id": ids.completion_id(),
            "object": "text_completion",
            "created": int(time.time()),
            "model": asked.model,
            "system_fingerprint": wire.FINGERPRINT,
        }

    async def whole(self) -> dict[str, Any]:
        """Return all choices in one piece."""
        counts = [0, 0]
        self.collected = self._nothing_yet()  # a batch may try it again
        async with aclosing(self._items()) as items:
            async for number, piece in items:
                if isinstance(piece, Usage):
                    _count(counts, piece)
                    continue
                choice = self.collected[number * self.asked.n + piece.choice]
                choice.texts.append(piece.text)
                choice.tokens.extend(piece.tokens)
                choice.finish_reason = piece.finish_reason or choice.finish_reason
        choices = [
            self._choice(index, "".join(one.texts), one.tokens, one.finish_reason)
            for index, one in enumerate(self.collected)
        ]
        return wire.dump(
            Completion(**self.head, choices=choices, usage=wire.usage_object(Usage(*counts)))
        )

    async def chunks(self) -> AsyncIterator[Completion]:
        """Yield the choices piece by piece, last the counts if they are wanted."""
        counts = [0, 0]
        async with aclosing(self._items()) as items:
            async for number, piece in items:
                if isinstance(piece, Usage):
                    _count(counts, piece)
                else:
                    index = number * self.asked.n + piece.choice
                    yield self._build_chunk([self._chunk_choice(index, piece)], None)
        if self.asked.usage_wanted:
            yield self._build_chunk([], wire.usage_object(Usage(*counts)))

    def _nothing_yet(self) -> list[_Collected]:
        return [_Collected() for _ in range(len(self.asked.prompt) * self.asked.n)]

    def _items(self) -> AsyncIterator[Item]:
        return run_all(self.sampler, self.requests, "prompt")

    def _chunk_choice(self, index: int, piece: Delta) -> CompletionChoice:
        return self._choice(index, piece.text, piece.tokens, piece.finish_reason)

    def _choice(
        self, index: int, text: str, tokens: list[TokenInfo], finish_reason: str | None
    ) -> CompletionChoice:
        logprobs = None
        if self.asked.top_logprobs is not None:
            logprobs = self._logprobs(self.collected[index], tokens)
        fields = {
            "index": index,
            "text": text,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        # The SDK's type demands a reason; the chunks before the last one have none.
        return CompletionChoice(**fields) if finish_reason else CompletionChoice.construct(**fields)

    def _logprobs(self, choice: _Collected, tokens: list[TokenInfo]) -> Logprobs:
        offsets = []
        for token in tokens:
            offsets.append(choice.offset)
            # Counted in bytes first: one character may be made of several tokens.
            choice.offset += len(choice.decoder.decode(bytes(token.bytes)))
        # Not validated: in an echoed prompt the first token has nulls, which the type lacks.
        return Logprobs.construct(
            tokens=[token.text for token in tokens],
            token_logprobs=[token.logprob for token in tokens],
            top_logprobs=[_top(token) for token in tokens],
            text_offset=offsets,
        )

    def _build_chunk(
        self, choices: list[CompletionChoice], usage: CompletionUsage | None
    ) -> Completion:
        counts = {"usage": usage} if self.asked.usage_wanted else {}
        return Completion(**self.head, choices=choices, **counts)


def _top(token: TokenInfo) -> dict[str, float] | None:
    """Return the likeliest tokens and the token itself, as the older API shows them."""
    if token.logprob is None:
        return None
    return {text: logprob for text, _, logprob in token.top} | {token.text: token.logprob}


def _count(counts: list[int], usage: Usage) -> None:
    counts[0] += usage.prompt_tokens
    counts[1] += usage.completion_tokens
