"""Plain prompts: one text or many, each as a string or as token ids."""

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from sandbox.api.catalog import FoundModel
from sandbox.api.errors import BadRequest

MOST_PROMPTS = 2048
LARGEST_TOKEN = 2**31
SHAPES = "it must be a string, a list of strings, a list of token ids, or a list of those"

Prompt = str | list[int]


def _list_prompts(value: Any) -> list[Prompt]:
    """Return the prompts of a request as a list, whichever of the four shapes it has."""
    prompts = [value] if isinstance(value, str) or _is_tokens(value) else value
    if not isinstance(prompts, list) or not prompts:
        raise ValueError(SHAPES)
    if len(prompts) > MOST_PROMPTS:
        raise ValueError(
            f"array too long. Expected an array with maximum length {MOST_PROMPTS}, but got an "
            f"array with length {len(prompts)} instead"
        )
    same = all(isinstance(one, str) for one in prompts) or all(_is_tokens(one) for one in prompts)
    if not same:
        raise ValueError(SHAPES)
    return prompts


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(_is_token(one) for one in value)


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_TOKEN


TOKENS_SCHEMA = {"type": "array", "items": {"type": "integer"}}
PROMPT_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}},
        TOKENS_SCHEMA,
        {"type": "array", "items": TOKENS_SCHEMA},
    ]
}
Prompts = Annotated[list[Prompt], BeforeValidator(_list_prompts), WithJsonSchema(PROMPT_SCHEMA)]


def check_tokens(model: FoundModel, tokens: list[int], param: str) -> None:
    """Raise BadRequest for a token that is not in the model's vocabulary."""
    largest = max(tokens, default=0)
    if largest >= model.base.vocab_size:
        raise BadRequest(
            f"Invalid '{param}': the model has the tokens 0 to {model.base.vocab_size - 1}, "
            f"not {largest}.",
            param=param,
        )
