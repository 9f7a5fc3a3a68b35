"""A sampler without a model: what it answers follows from the request alone, by a simple rule.

For tests of the API: shapes, errors, order, streams. It needs no torch and no time.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import AsyncIterator
from typing import Any

from sandbox.engine.sampler.messages import (
    Delta,
    Embed,
    EngineError,
    Generate,
    TokenInfo,
    Usage,
)

WORDS = "She flies over the old harbour at night and laughs like a child".split()
CONTEXT = 192
WIDTH = 8  # numbers in a vector


class ScriptedSampler:
    """Answers with twelve words; which comes first depends on the seed and the choice.

    A prompt of more than CONTEXT words is too long for it. It stops by itself unless max_tokens
    comes first.
    """

    async def generate(self, request: Generate) -> AsyncIterator[Delta | Usage]:
        """Yield the answer word by word, or each choice whole without `stream`; last the usage."""
        prompt = prompt_words(request.prompt)
        check_length(prompt)
        count = 0
        for choice in range(request.sampling.n):
            deltas = _choice(request, prompt, choice)
            count += len(deltas)
            for delta in deltas if request.stream else [_joined(deltas)]:
                yield delta
        echoed = len(prompt) * request.sampling.n if request.echo else 0
        yield Usage(len(prompt), 0 if request.sampling.max_tokens == 0 else count - echoed)

    async def embed(self, request: Embed) -> tuple[list[str], Usage]:
        """One vector of unit length for each input, made of its hash."""
        inputs = [prompt_words(text) for text in request.inputs]
        for words in inputs:
            check_length(words)
        width = WIDTH if request.dimensions is None else request.dimensions
        if width > WIDTH:
            message = f"Invalid 'dimensions': it must be less than or equal to {WIDTH}."
            raise EngineError("invalid_dimensions", message)
        return [_vector(words, width) for words in inputs], Usage(sum(map(len, inputs)), 0)


def prompt_words(prompt: list[dict[str, Any]] | str | list[int]) -> list[str]:
    """The words of a prompt in any of its shapes."""
    if isinstance(prompt, str):
        return prompt.split()
    return [
        word
        for part in prompt
        for word in ([str(part)] if isinstance(part, int) else str(part["content"]).split())
    ]


def check_length(words: list[str]) -> None:
    """Raise EngineError for a prompt that is longer than the context."""
    if len(words) > CONTEXT:
        raise EngineError(
            "context_length_exceeded",
            f"This model's maximum context length is {CONTEXT} tokens. "
            f"However, your messages resulted in {len(words)} tokens.",
        )


def _choice(request: Generate, prompt: list[str], choice: int) -> list[Delta]:
    first = ((request.sampling.seed or 0) + choice) % len(WORDS)
    words = WORDS[first:] + WORDS[:first]
    wanted = len(words) if request.sampling.max_tokens is None else request.sampling.max_tokens
    reason = "length" if wanted < len(words) else "stop"
    said = _spaced(words[:wanted])
    text = "".join(said)
    ends = [text.index(stop) for stop in request.sampling.stop if stop in text]
    if ends:
        said, reason = _cut(said, min(ends)), "stop"
    if request.echo:
        said = _spaced(prompt) + said
    deltas = [Delta(choice, piece, _tokens(request, piece), None) for piece in said]
    last = deltas.pop() if deltas else Delta(choice, "", [], None)
    return [*deltas, Delta(choice, last.text, last.tokens, reason)]


def _spaced(words: list[str]) -> list[str]:
    """The words as the pieces of a text."""
    return [word if number == 0 else f" {word}" for number, word in enumerate(words)]


def _cut(pieces: list[str], length: int) -> list[str]:
    """The pieces up to this length of their text."""
    kept: list[str] = []
    for piece in pieces:
        kept.append(piece[: length - len("".join(kept))])
    return [piece for piece in kept if piece]


def _tokens(request: Generate, text: str) -> list[TokenInfo]:
    if request.sampling.top_logprobs is None:
        return []
    top = [(text, list(text.encode()), -0.25), (" or", list(b" or"), -2.5), (" not", [], -3.0)]
    return [TokenInfo(text, list(text.encode()), -0.25, top[: request.sampling.top_logprobs])]


def _joined(deltas: list[Delta]) -> Delta:
    return Delta(
        deltas[0].choice,
        "".join(delta.text for delta in deltas),
        [token for delta in deltas for token in delta.tokens],
        deltas[-1].finish_reason,
    )


def _vector(words: list[str], width: int) -> str:
    text = " ".join(words).encode(errors="surrogatepass")
    numbers = [byte - 127.5 for byte in hashlib.sha256(text).digest()[:width]]
    length = sum(number * number for number in numbers) ** 0.5
    return base64.b64encode(struct.pack(f"<{width}f", *(n / length for n in numbers))).decode()
