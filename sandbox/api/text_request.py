"""What chats and completions share: their fields, what is refused of them, their answer's head."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Self

from openai import BaseModel
from pydantic import ModelWrapValidatorHandler, PrivateAttr, model_validator

from sandbox.api.body import Strict
from sandbox.api.errors import UnsupportedParameter
from sandbox.api.generation import FINGERPRINT
from sandbox.api.metadata import Metadata
from sandbox.parameters import Sampling

NO_TOOLS = "The sandbox's models cannot call tools."
NO_JSON = (
    "Its models cannot be held to JSON: describe in a message what the answer is to look like."
)
NO_MODERATION = "It has no moderation model: leave it out, and nothing is moderated."

# Parameters of the hosted API that the sandbox cannot do: the values that ask for nothing, and
# why the others are refused. They are dropped before the fields are checked.
Refused = dict[str, tuple[tuple[Any, ...], str]]
REFUSED: Refused = {
    "function_call": (("none",), NO_TOOLS),
    "functions": ((), NO_TOOLS),
    "modalities": ((["text"],), "The sandbox's models write text only."),
    "moderation": ((), NO_MODERATION),
    "parallel_tool_calls": ((True, False), NO_TOOLS),
    "prediction": ((), ""),
    "prompt_cache_options": ((), ""),
    "reasoning_effort": (("none",), "The sandbox's models do not reason: leave it out."),
    "response_format": (({"type": "text"},), NO_JSON),
    "service_tier": (("auto", "default"), "There is one tier only."),
    "tool_choice": (("none",), NO_TOOLS),
    "tools": ((), NO_TOOLS),
    "verbosity": (("medium",), "The sandbox's models do not know it: leave it out."),
    "web_search_options": ((), "The sandbox works offline."),
}
# Beside these, they ask for nothing: tools that must not be called.
WITHOUT_EFFECT = {"tools": ("tool_choice", "none"), "functions": ("function_call", "none")}


def refuse_unsupported(data: dict[str, Any], refused: Refused) -> dict[str, Any]:
    """Return a body without the refused parameters that ask for nothing.

    Raises UnsupportedParameter for one that asks for something.
    """
    for name, (harmless, why) in refused.items():
        other, value = WITHOUT_EFFECT.get(name, (name, None))
        if name in data and data[name] not in harmless and not data.get(other) == value:
            # It is no ValueError: pydantic, whose validators call this, lets it pass as it is.
            raise UnsupportedParameter(name, why)
    return {name: value for name, value in data.items() if name not in refused}


class StreamOptions(Strict):
    """What a stream carries beside the text. Nothing is padded, so nothing is obfuscated."""

    include_usage: bool = False
    include_obfuscation: bool = False


class TextRequest(Sampling):
    """What chat completions and completions have in common."""

    model: str
    stream: bool = False
    stream_options: StreamOptions | None = None
    # These change no text: they are labels for the hosted provider's own records.
    user: str | None = None
    metadata: Metadata | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    _given: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep_given(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        given = refuse_unsupported(data, REFUSED) if isinstance(data, dict) else data
        asked = handler(given)
        asked._given = given
        return asked

    @property
    def given(self) -> dict[str, Any]:
        """The request as its client has written it: what its seed is made of."""
        return self._given

    @model_validator(mode="after")
    def _stream_options_need_stream(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise ValueError("'stream_options' is only allowed when 'stream' is true")
        return self

    @property
    def usage_wanted(self) -> bool:
        """Whether a stream is to end with the token counts."""
        return self.stream_options is not None and self.stream_options.include_usage

    def sampling(self, **changes: Any) -> Sampling:
        """Return the part that the engine needs; ``changes`` have been checked already."""
        fields = {name: getattr(self, name) for name in Sampling.model_fields}
        return Sampling.model_construct(**fields | changes)


class TextShape(ABC):
    """The parent of what writes chats and completions."""

    def __init__(self, asked: TextRequest, answer_id: str) -> None:
        self.asked = asked
        self.head: dict[str, Any] = {
            "id": answer_id,
            "created": int(time.time()),
            "model": asked.model,
            "system_fingerprint": FINGERPRINT,
        }
        # With usage wanted, every chunk has the field; only the last one has the counts.
        self.no_usage = {"usage": None} if asked.usage_wanted else {}

    def begin(self) -> Iterable[BaseModel]:
        """Nothing: the first piece of each choice has its own first chunk."""
        return ()

    def end(self, answer: Any) -> Iterable[BaseModel]:
        """Yield the token counts, if they are wanted."""
        if self.asked.usage_wanted:
            yield self.build([], usage=answer.usage)

    @abstractmethod
    def build(self, choices: list[dict[str, Any]], **usage: Any) -> BaseModel:
        """Return a chunk with these choices."""
