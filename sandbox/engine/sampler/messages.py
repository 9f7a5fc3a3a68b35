"""What the server and the sampler process say to each other. No torch here.

The server sends ``Ask`` and ``Cancel``; the sampler answers with lists of ``Output``: one list for
each decoding step, for all requests together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.parameters import Sampling


class EngineError(Exception):
    """The engine cannot do this; ``code`` says why in one word, ``message`` in a sentence.

    Codes: context_length_exceeded, invalid_request, invalid_dimensions, model_unavailable,
    engine_failed (inside the sampler), engine_crashed (the sampler died).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type[EngineError], tuple[str, str]]:
        return EngineError, (self.code, self.message)

    @classmethod
    def of(cls, error: Exception) -> EngineError:
        """The error as one of the engine's; out of memory, for one, is ``engine_failed``."""
        if isinstance(error, EngineError):
            return error
        return cls("engine_failed", f"{type(error).__name__}: {error}")


@dataclass(frozen=True)
class Generate:
    """One question to a model.

    ``prompt`` is a list of chat messages, a text, or token ids. With ``stream`` off, the deltas
    come in as few pieces as memory allows.
    """

    folder: str  # of the model
    prompt: list[dict[str, Any]] | str | list[int]
    sampling: Sampling
    echo: bool = False  # begin the answer with the prompt
    stream: bool = True
    group: str = ""  # whose request it is: groups get their turns evenly
    background: bool = False  # those that somebody waits for go first
    adapter: str | None = None  # folder of the LoRA adapter on the model


@dataclass(frozen=True)
class Embed:
    """Texts (or their token ids) to be turned into vectors; ``dimensions`` None keeps them all."""

    folder: str  # of the model
    inputs: list[str] | list[list[int]]
    dimensions: int | None = None


@dataclass(frozen=True)
class Ask:
    """A request with the number under which it is answered."""

    id: int
    request: Generate | Embed


@dataclass(frozen=True)
class Cancel:
    """Forget the request with this number."""

    id: int


@dataclass(frozen=True)
class TokenInfo:
    """One token with its log-probability; ``top`` holds (text, bytes, logprob) of the likeliest.

    The logprob is None for the first token of an echoed prompt: nothing stands before it.
    """

    text: str
    bytes: list[int]
    logprob: float | None
    top: list[tuple[str, list[int], float]]


@dataclass(frozen=True)
class Delta:
    """The next piece of one choice. ``finish_reason`` ("stop", "length") comes with its last."""

    choice: int
    text: str
    tokens: list[TokenInfo]
    finish_reason: str | None


@dataclass(frozen=True)
class Usage:
    """Token counts of a whole request."""

    prompt_tokens: int
    completion_tokens: int


@dataclass
class Output:
    """What one decoding step brought for one request. Usage or an error ends the request."""

    id: int
    deltas: list[Delta] = field(default_factory=list)
    usage: Usage | None = None
    error: EngineError | None = None
    vectors: list[str] | None = None  # each one float32, little-endian, in base64
