"""What is wrong with one training example, by the rules of OpenAI's formats.

The sandbox trains less than the formats hold: `sandbox_findings` says what it refuses. Any value
gives findings; only one that is nested very deeply raises RecursionError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from helpers.dialogue import message_findings, messages_of, text_of, without_nulls
from helpers.report import WORDS, Finding
from helpers.shapes import ChatExample, PairExample

ROLES = ("system", "user", "assistant")
TOP_KEYS = {"messages", "tools", "parallel_tool_calls", "functions"}
MESSAGE_KEYS = {"role", "content", "name", "weight", "tool_calls", "function_call", "tool_call_id"}
HOSTED_KEYS = ("name", "tool_calls", "function_call", "tool_call_id", "refusal")  # not the sandbox
PREFERENCE_KEYS = {"preferred_output", "non_preferred_output"}
# Markers such as <|end|> steer a model; endpoints refuse them inside texts.
SPECIAL_TOKEN = re.compile(r"<\|[a-zA-Z_]+\|>")


def type_name(value: Any) -> str:
    """The JSON name of a value's type, with its article."""
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a string"}
    return (names | {list: "a list"}).get(type(value), "an object")


def shorten(value: Any, length: int = 40) -> str:
    """A value as a message can show it: short, on one line."""
    if isinstance(value, (list, dict)):
        return type_name(value)
    text = repr(value[: length + 1] if isinstance(value, str) else value)
    return text if len(text) <= length else f"{text[:length]}…"


def turns_of(example: dict[str, Any]) -> list[tuple[Any, str]]:
    """The role and the text of every message; a prompt is the user's, a completion the answer."""
    if format_of(example) == "chat":
        return [(m.get("role"), text_of(m.get("content"))) for _, m in messages_of(example)]
    pair = (("user", "prompt"), ("assistant", "completion"))
    return [(role, text_of(example.get(key))) for role, key in pair]


def texts_of(example: dict[str, Any]) -> list[str]:
    """The texts of an example: one of each message, or prompt and completion."""
    return [text for _, text in turns_of(example)]


def format_of(example: dict[str, Any]) -> str:
    """Tell the format by the keys: "chat", "completion", "preference" or "unknown"."""
    keys = {key for key, value in example.items() if value is not None}
    if "messages" in keys:
        return "chat"
    if keys & {"prompt", "completion"}:
        return "completion"
    return "preference" if keys & PREFERENCE_KEYS else "unknown"


def check_example(example: dict[str, Any]) -> list[Finding]:
    """Every problem of one parsed line, whatever its format."""
    form = format_of(example)
    if form == "unknown":
        return [_unknown(example)]
    example = without_nulls(example)
    if form == "preference":
        return [Finding("preference_format", "", "This is a preference (DPO) example.")]
    if form == "chat":
        found = list(_shape_findings(example, ChatExample))
        found += message_findings(example, shape_is_right=not found)
        places = [f"{field}.content" for field, _ in messages_of(example)]
    else:
        found = list(_shape_findings(example, PairExample))
        places = ["prompt", "completion"]
        if isinstance(answer := example.get("completion"), str) and not answer.strip():
            found.append(Finding("empty_answer", "completion", "The completion is empty."))
    for place, text in zip(places, texts_of(example), strict=True):
        if marker := SPECIAL_TOKEN.search(text):
            message = f"The text holds the marker {shorten(marker.group())}."
            found.append(Finding("special_token", place, message))
    return found


def _unknown(example: dict[str, Any]) -> Finding:
    near = {key.strip().casefold(): key for key in example}
    for right in ("messages", "prompt", "completion"):
        if right in near:
            text = "null" if right in example else f"written {shorten(near[right])}"
            return Finding("missing_key", right, f"The key is {text}.")
    keys = ", ".join(shorten(key) for key in list(example)[:4]) or "none"
    return Finding(
        "unknown_format", "", f"Neither messages nor prompt and completion; keys: {keys}."
    )


def _shape_findings(example: dict[str, Any], model: type[Any]) -> Iterator[Finding]:
    try:
        model.model_validate(example)
        return
    except ValidationError as errors:
        found, table = errors.errors(include_url=False), WORDS["pydantic"]
    for error in found:
        place, value, context = list(error["loc"]), error["input"], error.get("ctx", {})
        kind, message = table.get(error["type"], table["other"]).values()
        if tag := context.get("discriminator", "").strip("'"):
            place, value = [*place, tag], value.get(tag)
            if tag == "role" and kind == "wrong_value":
                kind, message = "unknown_role", "Unknown role {value}."
        if place[-1] == "arguments":
            kind = "bad_arguments"
        words = {"key": str(place[-1])[:40], "value": shorten(value), "found": type_name(value)}
        yield Finding(kind, _field(place), message.format(**context, **words))


def _field(place: list[str | int]) -> str:
    """A place of pydantic's in words, without the role or type that it names after a number."""
    if len(place) == 1 and place[0] not in TOP_KEYS | {"prompt", "completion"}:
        return shorten(place[0])
    words = ""
    for i, step in enumerate(place):
        tag = i > 1 and isinstance(place[i - 1], int) and place[i - 2] in ("messages", "<parts>")
        if isinstance(step, int):
            words += f"[{step}]"
        elif step not in ("<text>", "<parts>") and not (tag and i + 1 < len(place)):
            words += f".{step[:40]}"
    return words.removeprefix(".")


def sandbox_findings(example: dict[str, Any]) -> list[Finding]:
    """What the sandbox refuses of an example that OpenAI's formats allow: at most one finding."""
    example = without_nulls(example)
    found = {key: repr(key) for key in sorted(example.keys() & TOP_KEYS - {"messages"})}
    for field, message in messages_of(example):
        if message.get("role") in ("tool", "function"):
            found[f"{field}.role"] = f"role {message['role']!r}"
        found |= {f"{field}.{key}": repr(key) for key in HOSTED_KEYS if key in message}
        content = message.get("content")
        for i, part in enumerate(content if isinstance(content, list) else []):
            if isinstance(part, dict) and part.get("type") in ("image_url", "refusal"):
                found[f"{field}.content[{i}]"] = f"part of the type {part['type']!r}"
    words = ", ".join(dict.fromkeys(found.values()))
    message = f"The sandbox can't train {words}."
    return [Finding("unsupported", next(iter(found)), message)] if found else []
