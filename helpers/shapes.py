"""The shape of one training example: OpenAI's formats as pydantic models, and what breaks them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    create_model,
)
from pydantic_core import PydanticCustomError

from helpers.json_lines import JsonFault, parse_line
from helpers.report import WORDS, Problem, shorten, type_name


def shape(*, extra: Literal["forbid", "allow"] = "forbid", **fields: Any) -> type[BaseModel]:
    """A model of an object: each key with its type, or with (type, default) if it may be absent."""
    return create_model("Shape", __config__=ConfigDict(strict=True, extra=extra), **fields)


def _kind(content: Any) -> str:
    objects = isinstance(content, list) and all(isinstance(part, dict) for part in content)
    return "<parts>" if objects else "<text>"


def text_or(part: Any) -> Any:
    """The type of a content: a string, or a list of parts. The tags name the two in a place."""
    parts = Annotated[list[part], Field(min_length=1), Tag("<parts>")]
    return Annotated[Annotated[str, Tag("<text>")] | parts, Discriminator(_kind)]


def one_of(key: str, *shapes: Any) -> Any:
    """One of several shapes, told by the value of a key."""
    return Annotated[reduce(or_, shapes), Field(discriminator=key)]


def _json_object(text: str) -> str:
    try:
        cause = "" if isinstance(parse_line(text), dict) else "It is another JSON value."
    except JsonFault as fault:
        cause = fault.problem.message
    if cause:
        raise PydanticCustomError("no_json_object", "{cause}", {"cause": cause})
    return text


Filled = Annotated[str, Field(min_length=1)]
FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Weight = Annotated[float, Field(ge=0, le=1, multiple_of=1)]  # 0 or 1; tables make 1.0 of it

TextPart = shape(type=Literal["text"], text=str)
RefusalPart = shape(type=Literal["refusal"], refusal=str)
Image = shape(url=Filled, detail=(Literal["auto", "low", "high"], "auto"))
ImagePart = shape(type=Literal["image_url"], image_url=Image)

FunctionCall = shape(name=str, arguments=Annotated[str, AfterValidator(_json_object)])
ToolCall = shape(id=Filled, type=Literal["function"], function=FunctionCall)
Parameters = shape(
    extra="allow",  # a JSON schema holds much else
    type=Literal["object"],
    properties=(dict[str, dict[str, Any]], {}),
    required=(list[str], []),
)
FunctionDeclaration = shape(
    name=FunctionName, description=(str, ""), parameters=(Parameters, None), strict=(bool, False)
)
Tool = shape(type=Literal["function"], function=FunctionDeclaration)

SystemMessage = shape(
    role=Literal["system", "developer"], content=text_or(TextPart), name=(str, "")
)
UserMessage = shape(
    role=Literal["user"], content=text_or(one_of("type", TextPart, ImagePart)), name=(str, "")
)
AssistantMessage = shape(
    role=Literal["assistant"],
    content=(text_or(one_of("type", TextPart, RefusalPart)), ""),
    refusal=(str, ""),
    name=(str, ""),
    weight=(Weight, 1),
    tool_calls=(Annotated[list[ToolCall], Field(min_length=1)], []),
    function_call=(FunctionCall, None),
)
ToolMessage = shape(
    role=Literal["tool"], content=text_or(TextPart), tool_call_id=Filled, name=(str, "")
)
FunctionMessage = shape(role=Literal["function"], content=(str, ""), name=str)
MESSAGES = (SystemMessage, UserMessage, AssistantMessage, ToolMessage, FunctionMessage)

ChatExample = shape(
    messages=list[one_of("role", *MESSAGES)],
    tools=(list[Tool], []),
    functions=(list[FunctionDeclaration], []),
    parallel_tool_calls=(bool, True),
)
PairExample = shape(prompt=str, completion=str)

ROLES = ("system", "user", "assistant")
TOP_KEYS = set(ChatExample.model_fields)
MESSAGE_KEYS = {key for message in MESSAGES for key in message.model_fields} - {"refusal"}


def shape_problems(example: dict[str, Any], model: type[BaseModel]) -> Iterator[Problem]:
    """Where an example, without null keys, has not the shape of a model."""
    try:
        model.model_validate(example)
        return
    except ValidationError as errors:
        found, table = errors.errors(include_url=False), WORDS["pydantic"]
    for error in found:
        place, value, context = list(error["loc"]), error["input"], error.get("ctx", {})
        kind, message = table.get(error["type"], table["other"])
        if tag := context.get("discriminator", "").strip("'"):
            place, value = [*place, tag], value.get(tag)
            if tag == "role" and kind == "wrong_value":
                kind, message = "unknown_role", "Unknown role {value}."
        if place[-1] == "arguments":
            kind = "bad_arguments"
        words = {"key": str(place[-1])[:40], "value": shorten(value), "found": type_name(value)}
        unknown_key = kind == "extra_key" and len(place) == 1
        field = shorten(place[0]) if unknown_key else _field(place)
        yield Problem(kind, message.format(**context, **words), field)


def _field(place: list[str | int]) -> str:
    """A place of pydantic's in words, without the role or type that it names after a number."""
    words = "".join(f"[{s}]" if isinstance(s, int) else f".{s[:40]}" for s in place)
    words = re.sub(r"((?:messages|<parts>)\[\d+\])\.\w+(?=\.)", r"\1", words)
    return re.sub(r"\.<\w+>", "", words).removeprefix(".")
