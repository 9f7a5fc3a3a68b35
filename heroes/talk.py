"""Ask a model and get its words as they come, from either of the two text endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import openai
from openai import OpenAI
from openai.types import Completion
from openai.types.chat import ChatCompletion


class Piece(NamedTuple):
    """A piece of an answer; the last one says why the model stopped."""

    text: str
    finish_reason: str | None = None


@dataclass(frozen=True)
class Wish:
    """How to answer. None leaves the choice to the server; `extra` are further arguments."""

    model: str
    max_tokens: int
    temperature: float | None = None
    seed: int | None = None
    stop: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """What both endpoints understand."""
        wanted = {"temperature": self.temperature, "seed": self.seed, "stop": self.stop or None}
        chosen = {name: value for name, value in wanted.items() if value is not None}
        return {"model": self.model, **chosen}


Messages = list[dict[str, str]]


def chat(client: OpenAI, messages: Messages, wish: Wish) -> ChatCompletion:
    """The whole answer to a chat, in one piece."""
    return client.chat.completions.create(**_chat_call(messages, wish))


def chat_pieces(client: OpenAI, messages: Messages, wish: Wish) -> Iterator[Piece]:
    """The answer to a chat as it comes."""
    call = _chat_call(messages, wish)
    with client.chat.completions.create(
        **call, stream=True, stream_options={"include_usage": True}
    ) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                yield Piece(choice.delta.content or "", choice.finish_reason)


def _chat_call(messages: Messages, wish: Wish) -> dict[str, Any]:
    limit = {"max_completion_tokens": wish.max_tokens}
    return {"messages": messages, **wish.arguments(), **limit, **wish.extra}


def complete(client: OpenAI, prompt: str, wish: Wish) -> Completion:
    """The whole continuation of a text, in one piece."""
    return client.completions.create(prompt=prompt, max_tokens=wish.max_tokens, **wish.arguments())


def complete_pieces(client: OpenAI, prompt: str, wish: Wish) -> Iterator[Piece]:
    """The continuation of a text as it comes."""
    with client.completions.create(
        prompt=prompt,
        max_tokens=wish.max_tokens,
        **wish.arguments(),
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                yield Piece(choice.text, choice.finish_reason)


def only_chats(error: openai.APIStatusError) -> bool:
    """Does this error say that the model, or the whole server, has no completions endpoint?"""
    if error.status_code in (405, 501) or "v1/chat/completions" in error.message:
        return True
    # A model that does not exist has a code; a route that does not exist has none.
    return error.status_code == 404 and error.code in (None, "not_found", "404")
