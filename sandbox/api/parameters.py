"""The parameters of chat completions and completions: types, ranges, and what is refused."""

from typing import Any, Literal

from pydantic import model_validator

from sandbox.api.body import Strict
from sandbox.api.errors import UnsupportedParameter
from sandbox.api.metadata import Metadata
from sandbox.parameters import Sampling

NO_TOOLS = "The sandbox's models cannot call tools."

# Parameters of the hosted API that the sandbox cannot do: the values that ask for nothing, and
# why the others are refused.
REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "audio": ((), "The sandbox's models write text only."),
    "function_call": ((), NO_TOOLS),
    "functions": ((), NO_TOOLS),
    "modalities": ((["text"],), "The sandbox's models write text only."),
    "moderation": ((), ""),
    "parallel_tool_calls": ((), NO_TOOLS),
    "prediction": ((), ""),
    "prompt_cache_options": ((), ""),
    "reasoning_effort": ((), "The sandbox's models do not reason: leave it out."),
    "response_format": (({"type": "text"},), "The sandbox's models write plain text only."),
    "service_tier": (("auto", "default"), "There is one tier only."),
    "store": ((False,), "The sandbox does not keep answers."),
    "suffix": (("",), "The sandbox's models cannot fill in text."),
    "tool_choice": ((), NO_TOOLS),
    "tools": ((), NO_TOOLS),
    "verbosity": ((), ""),
    "web_search_options": ((), "The sandbox works offline."),
}


def refuse_unsupported(data: dict[str, Any]) -> dict[str, Any]:
    """Return a body without the refused parameters that ask for nothing.

    Raises UnsupportedParameter for one that asks for something.
    """
    for name, (harmless, why) in REFUSED.items():
        if name in data and data[name] not in harmless:
            raise UnsupportedParameter(name, why)
    return {name: value for name, value in data.items() if name not in REFUSED}


class StreamOptions(Strict):
    """What a stream carries beside the text."""

    include_usage: bool = False
    include_obfuscation: Literal[False] = False


class TextRequest(Sampling):
    """What both kinds of completions have in common."""

    model: str
    stream: bool = False
    stream_options: StreamOptions | None = None
    # These change no text: they are labels for the hosted provider's own records.
    user: str | None = None
    metadata: Metadata | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None

    @model_validator(mode="after")
    def _stream_options_need_stream(self) -> "TextRequest":
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
