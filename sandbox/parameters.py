"""The sampling parameters: declared once, for the API, the messages between processes, the engine.

The API's requests add what is theirs (``api/parameters.py``); the engine reads these as they are.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

MOST_STOPS = 4
LARGEST_INT64 = 2**63 - 1


def _check_stop(value: Any) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list | tuple) or not all(isinstance(stop, str) for stop in stops):
        raise ValueError("it must be a string or a list of strings")
    if len(stops) > MOST_STOPS:
        raise ValueError(f"at most {MOST_STOPS} stop sequences are allowed, these are {len(stops)}")
    if "" in stops:
        raise ValueError("a stop sequence cannot be empty")
    return tuple(stops)


def _check_bias(value: Any) -> dict[int, float]:
    if not isinstance(value, dict):
        raise ValueError("it must be an object that maps token ids to numbers")
    bias: dict[int, float] = {}
    for token, weight in value.items():
        if not re.fullmatch(r"[0-9]{1,9}", str(token)):
            raise ValueError(f"'{str(token)[:40]}' is not a token id")
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

Stop = Annotated[tuple[str, ...], BeforeValidator(_check_stop), WithJsonSchema(STOP_SCHEMA)]
Bias = Annotated[dict[int, float], BeforeValidator(_check_bias), WithJsonSchema(BIAS_SCHEMA)]
Penalty = Annotated[float, Field(ge=-2, le=2)]


class Sampling(BaseModel):
    """How the tokens of an answer are chosen. Nothing is converted, nothing unknown is taken.

    Raises pydantic's ValidationError for what is outside these ranges.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    max_tokens: Annotated[int, Field(ge=0)] | None = None
    """Most tokens of each choice; None goes up to the end of the model's context."""

    n: Annotated[int, Field(ge=1, le=128)] = 1
    """How many answers are sampled, each with random numbers of its own."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    """Divides the logits: 0 takes the likeliest token, 1 is the model's own distribution."""

    top_p: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Samples among the fewest likeliest tokens that have this probability together."""

    seed: Annotated[int, Field(ge=-LARGEST_INT64 - 1, le=LARGEST_INT64)] | None = None
    """The same seed and the same request give the same answer; None is random."""

    stop: Stop = ()
    """Texts that end an answer; they are not part of it."""

    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """How many of the likeliest tokens are told with each; None tells no log-probabilities."""

    presence_penalty: Penalty = 0.0
    """Is subtracted from the logit of every token that the answer already has."""

    frequency_penalty: Penalty = 0.0
    """Is subtracted from a token's logit as often as the answer already has it."""

    logit_bias: Bias = {}
    """Is added to the logits of these tokens."""
