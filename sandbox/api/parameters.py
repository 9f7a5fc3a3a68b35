"""The parameters of chat completions and completions: types, ranges, and what is refused."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)

from sandbox.api.body import Strict
from sandbox.api.errors import UnsupportedParameter
from sandbox.api.metadata import Metadata

MOST_STOPS = 4
LARGEST_INT64 = 2**63 - 1
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


def _check_stop(value: Any) -> list[str]:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise ValueError("it must be a string or a list of strings")
    if len(stops) > MOST_STOPS:
        raise ValueError(f"at most {MOST_STOPS} stop sequences are allowed, these are {len(stops)}")
    if "" in stops:
        raise ValueError("a stop sequence cannot be empty")
    return stops


def _check_bias(value: Any) -> dict[int, float]:
    if not isinstance(value, dict):
        raise ValueError("it must be an object that maps token ids to numbers")
    bias: dict[int, float] = {}
    for token, weight in value.items():
        if not re.fullmatch(r"[0-9]{1,9}", token):
            raise ValueError(f"'{token[:40]}' is not a token id")
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not -100 <= weight <= 100:
            raise ValueError(f"the bias of token {token} must be a number from -100 to 100")
        bias[int(token)] = float(weight)
    return bias


STOP_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "maxItems": MOST_STOPS},
    ]
}
BIAS_SCHEMA = {"type": "object", "additionalProperties": {"type": "number"}}

Stop = Annotated[list[str], BeforeValidator(_check_stop), WithJsonSchema(STOP_SCHEMA)]
Bias = Annotated[dict[int, float], BeforeValidator(_check_bias), WithJsonSchema(BIAS_SCHEMA)]
Penalty = Annotated[float, Field(ge=-2, le=2)]


class StreamOptions(Strict):
    """What a stream carries beside the text."""

    include_usage: bool = False
    include_obfuscation: Literal[False] = False


class Sampling(Strict):
    """What both kinds of completions have in common."""

    model: str
    n: Annotated[int, Field(ge=1, le=128)] = 1
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Field(ge=0, le=1)] = 1.0
    stop: Stop = []
    seed: Annotated[int, Field(ge=-LARGEST_INT64 - 1, le=LARGEST_INT64)] | None = None
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    logit_bias: Bias = {}
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
        # Not ValueErrors but ApiErrors: pydantic lets them pass as they are.
        given = refuse_unsupported(data) if isinstance(data, dict) else data
        asked = handler(given)
        asked._given = given
        return asked

    @property
    def given(self) -> dict[str, Any]:
        """The request as its client has written it: what a seed is made of."""
        return self._given

    @model_validator(mode="after")
    def _stream_options_need_stream(self) -> "Sampling":
        if self.stream_options is not None and not self.stream:
            raise ValueError("'stream_options' is only allowed when 'stream' is true")
        return self

    @property
    def usage_wanted(self) -> bool:
        """Whether a stream is to end with the token counts."""
        return self.stream_options is not None and self.stream_options.include_usage
