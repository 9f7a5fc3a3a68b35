"""The shape of one training example, without null keys: OpenAI's formats as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from helpers.json_lines import JsonFault, parse_line


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Filled = Annotated[str, Field(min_length=1)]


class TextPart(Strict):
    type: Literal["text"]
    text: str


class RefusalPart(Strict):
    type: Literal["refusal"]
    refusal: str


class Image(Strict):
    url: Filled
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(Strict):
    type: Literal["image_url"]
    image_url: Image


def _shape(content: Any) -> str:
    objects = isinstance(content, list) and all(isinstance(part, dict) for part in content)
    return "<parts>" if objects else "<text>"


def _content(part: Any) -> Any:
    """The type of a content: a string, or a list of parts. The tags name the two in a place."""
    parts = Annotated[list[part], Field(min_length=1), Tag("<parts>")]
    return Annotated[Annotated[str, Tag("<text>")] | parts, Discriminator(_shape)]


Content = _content(TextPart)
UserContent = _content(Annotated[TextPart | ImagePart, Field(discriminator="type")])
AnswerContent = _content(Annotated[TextPart | RefusalPart, Field(discriminator="type")])


def _json_object(text: str) -> str:
    try:
        cause = "" if isinstance(parse_line(text), dict) else "It is another JSON value."
    except JsonFault as fault:
        cause = fault.problem.message
    if cause:
        raise PydanticCustomError("no_json_object", "{cause}", {"cause": cause})
    return text


class FunctionCall(Strict):
    name: str
    arguments: Annotated[str, AfterValidator(_json_object)]


class ToolCall(Strict):
    id: Filled
    type: Literal["function"]
    function: FunctionCall


class Parameters(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")  # a JSON schema holds much else
    type: Literal["object"]
    properties: dict[str, dict[str, Any]] = {}
    required: list[str] = []


class FunctionDeclaration(Strict):
    name: FunctionName
    description: str = ""
    parameters: Parameters | None = None
    strict: bool = False


class Tool(Strict):
    type: Literal["function"]
    function: FunctionDeclaration


class SystemMessage(Strict):
    role: Literal["system", "developer"]
    content: Content
    name: str = ""


class UserMessage(Strict):
    role: Literal["user"]
    content: UserContent
    name: str = ""


class AssistantMessage(Strict):
    role: Literal["assistant"]
    content: AnswerContent = ""
    refusal: str = ""
    name: str = ""
    weight: float = Field(1, ge=0, le=1, multiple_of=1)  # 0 or 1; tables make 1.0 of it
    tool_calls: list[ToolCall] = Field([], min_length=1)
    function_call: FunctionCall | None = None


class ToolMessage(Strict):
    role: Literal["tool"]
    content: Content
    tool_call_id: Filled
    name: str = ""


class FunctionMessage(Strict):
    role: Literal["function"]
    content: str = ""
    name: str


Message = Annotated[
    SystemMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage,
    Field(discriminator="role"),
]


class ChatExample(Strict):
    messages: list[Message]
    tools: list[Tool] = []
    functions: list[FunctionDeclaration] = []
    parallel_tool_calls: bool = True


class PairExample(Strict):
    prompt: str
    completion: str
