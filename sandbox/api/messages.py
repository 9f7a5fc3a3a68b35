"""Chat messages: which shapes are accepted, and the plain form the engine takes."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from sandbox.api.body import Strict

# What an answer carries when a client sends it back as the next question's history.
EMPTY_IN_HISTORY = ("annotations", "audio", "function_call", "refusal", "tool_calls")


def _join_parts(content: Any) -> Any:
    """Return text as it is, and a list of text parts as one text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise ValueError("it must be a string or a list of text parts")
    return "".join(_text_of(part) for part in content)


def _text_of(part: Any) -> str:
    if not isinstance(part, dict):
        raise ValueError("each part must be an object such as {'type': 'text', 'text': '...'}")
    if part.get("type") != "text":
        raise ValueError("only parts of the type 'text' are supported by the sandbox")
    if set(part) != {"type", "text"} or not isinstance(part["text"], str):
        raise ValueError("a text part must have a 'type' and a 'text' that is a string")
    return part["text"]


PARTS_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
            },
        },
    ]
}
Content = Annotated[str, BeforeValidator(_join_parts), WithJsonSchema(PARTS_SCHEMA)]


class ChatMessage(Strict):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    # The hosted API lets participants have names; the sandbox's models do not read them.
    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _prepare(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if data.get("role") in ("tool", "function"):
            raise ValueError(f"the role '{data['role']}' is not supported by the sandbox")
        for name in EMPTY_IN_HISTORY:
            if data.get(name):
                raise ValueError(f"'{name}' is not supported by the sandbox")
        return {k: v for k, v in data.items() if v is not None and k not in EMPTY_IN_HISTORY}

    def plain(self) -> dict[str, str]:
        """Return the message as the engine takes it. "developer" is today's name of "system"."""
        role = "system" if self.role == "developer" else self.role
        return {"role": role, "content": self.content}
