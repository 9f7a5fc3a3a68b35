"""The body of a chat completion: its fields and their limits."""

from typing import Annotated

from pydantic import Field, model_validator

from sandbox.api.messages import ChatMessage
from sandbox.api.parameters import TextRequest


class ChatRequest(TextRequest):
    """The parameters of a chat completion."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool = False

    @model_validator(mode="after")
    def _check_together(self) -> "ChatRequest":
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("give 'max_completion_tokens' or the older 'max_tokens', not both")
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("'top_logprobs' needs 'logprobs' to be true")
        return self
