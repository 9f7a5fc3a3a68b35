"""Plain prompts: one text or many, each as a string or as token ids."""

from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from sandbox.api.catalog import FoundModel
from sandbox.api.errors import BadRequest

MOST_PROMPTS = 2048
SHAPES = "it must be a string, a list of strings, a list of token ids, or a list of those"

Prompt = str | list[int]
Texts = Annotated[list[str], Field(fail_fast=True)]
Token = Annotated[int, Field(ge=0, lt=2**31)]
Tokens = Annotated[list[Token], Field(min_length=1, fail_fast=True)]
TokenLists = Annotated[list[Tokens], Field(fail_fast=True)]
FOUR_SHAPES = TypeAdapter(str | Texts | Tokens | TokenLists, config=ConfigDict(strict=True))
# Without the bounds, which an error tells.
SCHEMA = TypeAdapter(str | list[str] | list[int] | list[list[int]]).json_schema()


def _list_prompts(value: Any) -> list[Prompt]:
    """Return the prompts of a request as a list, whichever of the four shapes it has."""
    try:
        given = FOUR_SHAPES.validate_python(value)
    except ValidationError:
        raise ValueError(SHAPES) from None
    one = isinstance(given, str) or isinstance(next(iter(given), None), int)
    prompts = [given] if one else given
    if not prompts:
        raise ValueError(SHAPES)
    if len(prompts) > MOST_PROMPTS:
        raise ValueError(
            f"array too long. Expected an array with maximum length {MOST_PROMPTS}, but got an "
            f"array with length {len(prompts)} instead"
        )
    return prompts


Prompts = Annotated[list[Prompt], BeforeValidator(_list_prompts), WithJsonSchema(SCHEMA)]


def check_tokens(model: FoundModel, tokens: list[int], param: str) -> None:
    """Raise BadRequest for a token that is not in the model's vocabulary."""
    largest = max(tokens, default=0)
    if largest >= model.base.vocab_size:
        raise BadRequest(
            f"Invalid '{param}': the model has the tokens 0 to {model.base.vocab_size - 1}, "
            f"not {largest}.",
            param=param,
        )
