"""The body of a completion: its fields and their limits."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from sandbox.api.parameters import TextRequest

MOST_CHOICES = 2048
DEFAULT_MAX_TOKENS = 16
LARGEST_TOKEN = 2**31
PROMPT_SHAPES = "it must be a string, a list of strings, a list of token ids, or a list of those"

Prompt = str | list[int]


def _list_prompts(value: Any) -> list[Prompt]:
    """Return the prompts of a request as a list, whichever of the four shapes it has."""
    if isinstance(value, str) or is_tokens(value):
        return [value]
    if not isinstance(value, list) or not value:
        raise ValueError(PROMPT_SHAPES)
    same = all(isinstance(one, str) for one in value) or all(is_tokens(one) for one in value)
    if not same:
        raise ValueError(PROMPT_SHAPES)
    return value


def is_tokens(value: Any) -> bool:
    """Return whether a value is a list of token ids, at least one."""
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
Prompts = Annotated[
    list[str | list[int]], BeforeValidator(_list_prompts), WithJsonSchema(PROMPT_SCHEMA)
]


class CompletionRequest(TextRequest):
    """The parameters of a completion."""

    prompt: Prompts = [""]  # none: as at the start of a document
    max_tokens: Annotated[int, Field(ge=0)] = DEFAULT_MAX_TOKENS
    top_logprobs: Annotated[int, Field(ge=0, le=5)] | None = Field(None, alias="logprobs")
    echo: bool = False
    best_of: Annotated[int, Field(ge=1, le=20)] | None = None

    @model_validator(mode="after")
    def _check_together(self) -> "CompletionRequest":
        if self.max_tokens == 0 and not self.echo:
            raise ValueError("'max_tokens' can be 0 only together with 'echo'")
        if len(self.prompt) * self.n > MOST_CHOICES:
            raise ValueError(f"prompts times 'n' can be at most {MOST_CHOICES}")
        return self
