"""The body of a request to /v1/responses: its fields, its input items, and what is refused."""

from typing import Annotated, Any, Literal

from openai.types.responses import ResponseIncludable
from pydantic import BeforeValidator, Field, model_validator

from sandbox.api.body import Strict
from sandbox.api.metadata import Metadata
from sandbox.api.text_request import NO_JSON, NO_MODERATION, NO_TOOLS, Refused, refuse_unsupported
from sandbox.parameters import Sampling

FEWEST_TOKENS = 16  # of an answer; the hosted API takes no smaller limit
NO_REASONING = "The sandbox's models do not reason."
PLAIN_TEXT = {"format": {"type": "text"}}

NO_COMPACTION = "Its models cannot summarize a conversation: send a shorter one."

REFUSED: Refused = {
    "access_programs": ((), ""),
    "context_management": (([],), NO_COMPACTION),
    "conversation": ((), "Use 'previous_response_id'."),
    "image": ((), "The sandbox's models read text only."),
    "moderation": ((), NO_MODERATION),
    "parallel_tool_calls": ((True, False), NO_TOOLS),
    "personality": ((), "Say in 'instructions' how to write."),
    "prompt": ((), "It has no stored prompts: send 'input' and 'instructions'."),
    "prompt_cache_options": ((), ""),
    "reasoning": (({}, {"effort": "none"}), NO_REASONING),
    "service_tier": (("auto", "default"), "There is one tier only."),
    "text": (
        ({}, PLAIN_TEXT, PLAIN_TEXT | {"verbosity": "medium"}, {"verbosity": "medium"}),
        NO_JSON,
    ),
    "tools": (([],), NO_TOOLS),
    "truncation": (("disabled",), "Send a shorter input."),
}
PARTS = {"system": "input_text", "developer": "input_text", "user": "input_text"}
PARTS |= {"assistant": "output_text"}


class Part(Strict):
    """One piece of a message's text."""

    type: Literal["input_text", "output_text"]
    text: str
    # What an answer carries when it comes back as the next question's history.
    annotations: Annotated[list[Any], Field(max_length=0)] = []
    logprobs: list[Any] | None = None


class Item(Strict):
    """One message of the input: a new one, or one that an answer has brought."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[Part], Field(min_length=1)]
    id: str | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None
    phase: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_messages(cls, data: Any) -> Any:
        kind = data.get("type", "message") if isinstance(data, dict) else "message"
        if kind != "message":
            raise ValueError(f"items of the type '{str(kind)[:40]}' are not supported")
        return data

    @property
    def text(self) -> str:
        """All of the message's text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)

    def stored(self, item_id: str) -> dict[str, Any]:
        """Return the message as the list of input items shows it."""
        part: dict[str, Any] = {"type": PARTS[self.role], "text": self.text}
        if self.role == "assistant":
            part["annotations"] = []
        return {
            "id": item_id,
            "type": "message",
            "status": "completed",
            "role": self.role,
            "content": [part],
        }


def _list_items(value: Any) -> Any:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


Input = Annotated[list[Item], Field(min_length=1), BeforeValidator(_list_items)]


class StreamOptions(Strict):
    """What a stream carries beside the text. Nothing is padded, so nothing is obfuscated."""

    include_obfuscation: bool = False


class InputRequest(Strict):
    """What a model is to read."""

    model: str
    input: Input
    instructions: str | None = None
    previous_response_id: str | None = None
    tool_choice: Literal["auto", "none"] = "auto"

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, data: Any) -> Any:
        return refuse_unsupported(data, REFUSED) if isinstance(data, dict) else data


class ResponseRequest(InputRequest):
    """The parameters of a response."""

    max_output_tokens: Annotated[int, Field(ge=FEWEST_TOKENS)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Field(ge=0, le=1)] = 1.0
    top_logprobs: Annotated[int, Field(ge=0, le=20)] = 0
    include: list[ResponseIncludable] = []
    max_tool_calls: Annotated[int, Field(ge=0)] | None = None
    metadata: Metadata = {}
    store: bool = True
    background: bool = False
    stream: bool = False
    stream_options: StreamOptions | None = None
    # These change no text: they are labels for the hosted provider's own records.
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None

    @model_validator(mode="after")
    def _background_needs_store(self) -> "ResponseRequest":
        if self.background and not self.store:
            raise ValueError("'background' needs 'store' to be true")
        return self

    @classmethod
    def of_answer(cls, answer: dict[str, Any], items: list[dict[str, Any]]) -> "ResponseRequest":
        """Return the request that a stored answer tells of. What was to be included is not told."""
        told = {k: v for k, v in answer.items() if k in cls.model_fields and v is not None}
        return cls.model_validate(told | {"input": items})

    @property
    def logprobs_wanted(self) -> bool:
        """Whether the answer is to tell the probability of its tokens."""
        return "message.output_text.logprobs" in self.include or self.top_logprobs > 0

    def sampling(self) -> Sampling:
        """Return the part that the engine needs."""
        return Sampling(
            max_tokens=self.max_output_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            top_logprobs=self.top_logprobs if self.logprobs_wanted else None,
        )
