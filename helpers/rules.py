"""What is wrong with one training example, by the rules of OpenAI's formats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from helpers.dialogue import format_of, message_problems, messages_of, texts_of
from helpers.report import WORDS, Problem, shorten, type_name
from helpers.shapes import ChatExample, PairExample

ROLES = ("system", "user", "assistant")
TOP_KEYS = set(ChatExample.model_fields)
MESSAGE_KEYS = {"role", "content", "name", "weight", "tool_calls", "function_call", "tool_call_id"}
# Markers such as <|end|> steer a model; endpoints refuse them inside texts.
SPECIAL_TOKEN = re.compile(r"<\|[a-zA-Z_]+\|>")


def format_problems(example: dict[str, Any]) -> Iterator[Problem]:
    """Every problem of an example, whatever its format."""
    form = format_of(example)
    if form == "preference":
        yield Problem("preference_format", "This is a preference (DPO) example.")
    elif form == "unknown":
        yield _unknown(example)
    elif form == "chat":
        shape = list(_shape_problems(example, ChatExample))
        yield from shape
        yield from message_problems(example)
        if not shape:
            yield from _call_problems(example)
    else:
        yield from _shape_problems(example, PairExample)
        if isinstance(answer := example.get("completion"), str) and not answer.strip():
            yield Problem("empty_answer", "The completion is empty.", "completion")
    if form in ("chat", "completion"):
        places = [f"{field}.content" for field, _ in messages_of(example)]
        for place, text in zip(places or ["prompt", "completion"], texts_of(example), strict=False):
            if marker := SPECIAL_TOKEN.search(text):
                message = f"The text holds the marker {shorten(marker[0])}."
                yield Problem("special_token", message, place)


def _unknown(example: dict[str, Any]) -> Problem:
    near = {key.strip().casefold(): key for key in example}
    for right in ("messages", "prompt", "completion"):
        if right in near:
            return Problem("missing_key", f"The key is written {shorten(near[right])}.", right)
    keys = ", ".join(shorten(key) for key in list(example)[:4]) or "none"
    message = f"Neither messages nor prompt and completion; keys: {keys}."
    return Problem("unknown_format", message)


def _shape_problems(example: dict[str, Any], model: type[BaseModel]) -> Iterator[Problem]:
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


def _call_problems(example: dict[str, Any]) -> Iterator[Problem]:
    """Do calls, their declarations and their answers belong together?"""
    declared = {
        "tools": [tool["function"]["name"] for tool in example.get("tools", [])],
        "functions": [function["name"] for function in example.get("functions", [])],
    }
    for key, names in declared.items():
        if twice := {name for name in names if names.count(name) > 1}:
            yield Problem("duplicate_key", f"Two of them have the name {min(twice)!r}.", key)
    waiting: dict[str, str] = {}  # the id of a call (or the name of a function) → its place
    for field, message in messages_of(example):
        if key := {"tool": "tool_call_id", "function": "name"}.get(message["role"]):
            if waiting.pop(message[key], None) is None:
                text = f"No call just before it waits for an answer to {message[key][:40]!r}."
                yield Problem("unasked_answer", text, f"{field}.{key}")
            continue
        for place in waiting.values():
            yield Problem("unanswered_call", "No message answers this call.", place)
        waiting = {}
        for i, call in enumerate(message.get("tool_calls", [])):
            place, name = f"{field}.tool_calls[{i}]", call["function"]["name"]
            if name not in declared["tools"]:
                text = f"`tools` declares no function {name!r}."
                yield Problem("unknown_tool", text, f"{place}.function.name")
            if call["id"] in waiting:
                text = f"Two calls have the id {call['id'][:40]!r}."
                yield Problem("duplicate_key", text, f"{place}.id")
            waiting[call["id"]] = place
        if call := message.get("function_call"):
            waiting[call["name"]] = place = f"{field}.function_call"
            if call["name"] not in declared["functions"]:
                text = f"`functions` declares no function {call['name']!r}."
                yield Problem("unknown_function", text, f"{place}.name")
