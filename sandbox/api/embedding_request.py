"""The body of a request for embeddings: its fields and their limits."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from sandbox.api.body import Strict
from sandbox.api.completion_request import PROMPT_SCHEMA, is_tokens

MOST_INPUTS = 2048
SHAPES = "it must be a string, a list of strings, a list of token ids, or a list of those"


def _list_inputs(value: Any) -> list[str | list[int]]:
    """Return the inputs of a request as a list, whichever of the four shapes it has."""
    if value in ("", []):
        kind = "string" if isinstance(value, str) else "array"
        raise ValueError(f"input cannot be an empty {kind}")
    inputs = [value] if isinstance(value, str) or is_tokens(value) else value
    if not isinstance(inputs, list):
        raise ValueError(SHAPES)
    if len(inputs) > MOST_INPUTS:
        raise ValueError(
            f"array too long. Expected an array with maximum length {MOST_INPUTS}, but got an "
            f"array with length {len(inputs)} instead"
        )
    for number, one in enumerate(inputs):
        if one in ("", []):
            raise ValueError(f"input[{number}] cannot be empty")
    same = all(isinstance(one, str) for one in inputs) or all(is_tokens(one) for one in inputs)
    if not same:
        raise ValueError(SHAPES)
    return inputs


Inputs = Annotated[
    list[str | list[int]], BeforeValidator(_list_inputs), WithJsonSchema(PROMPT_SCHEMA)
]


class EmbeddingRequest(Strict):
    """The parameters of a request for embeddings."""

    model: str
    input: Inputs
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None  # a label for the hosted provider's own records
