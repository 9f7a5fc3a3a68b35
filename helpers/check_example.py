"""`check_example`: every problem of one training example, also for the configured endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from helpers.dialogue import (
    format_of,
    message_problems,
    messages_of,
    texts_of,
    turns_of,
    without_nulls,
)
from helpers.report import Problem, shorten
from helpers.settings import Settings
from helpers.shapes import ChatExample, PairExample, shape_problems
from helpers.tokens import TokenCounter, counter_for

# Markers such as <|end|> steer a model; endpoints refuse them inside texts.
SPECIAL_TOKEN = re.compile(r"<\|[a-zA-Z_]+\|>")
# The formats have these, but the sandbox trains without them.
HOSTED_KEYS = ("name", "tool_calls", "function_call", "tool_call_id", "refusal")


def check_example(example: dict[str, Any], settings: Settings | None = None) -> list[Problem]:
    """Every problem of one example; with `settings`, also what the configured endpoint refuses.

    Takes any object. Only one that is nested very deeply raises RecursionError.
    """
    example = without_nulls(example)
    found = list(_format_problems(example))
    if settings and settings.endpoint == "sandbox":
        found += _sandbox_problems(example)
    wrong = any(problem.severity == "error" for problem in found)
    counter = counter_for(settings.base_model) if settings and not wrong else None
    return [*found, *_model_problems(example, counter)] if counter else found


def _format_problems(example: dict[str, Any]) -> Iterator[Problem]:
    """Every problem of an example, whatever its format."""
    form = format_of(example)
    if form == "preference":
        yield Problem("preference_format", "This is a preference (DPO) example.")
    elif form == "unknown":
        yield _unknown(example)
    elif form == "chat":
        shape = list(shape_problems(example, ChatExample))
        yield from shape
        yield from message_problems(example)
        if not shape:
            yield from _call_problems(example)
    else:
        yield from shape_problems(example, PairExample)
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


def _sandbox_problems(example: dict[str, Any]) -> list[Problem]:
    """What the sandbox refuses of an example that OpenAI's formats allow: at most one problem."""
    found = {key: repr(key) for key in ("functions", "tools") if key in example}
    for field, message in messages_of(example):
        if (role := message.get("role")) in ("tool", "function", "developer"):
            found[f"{field}.role"] = f"role {role!r}"
        found |= {f"{field}.{key}": repr(key) for key in HOSTED_KEYS if key in message}
        content = message.get("content")
        for i, part in enumerate(content if isinstance(content, list) else []):
            if isinstance(part, dict) and part.get("type") in ("image_url", "refusal"):
                found[f"{field}.content[{i}]"] = f"part of the type {part['type']!r}"
    words = ", ".join(dict.fromkeys(found.values()))
    message = f"The sandbox can't train {words}."
    return [Problem("unsupported", message, next(iter(found)))] if found else []


def _model_problems(example: dict[str, Any], counter: TokenCounter) -> Iterator[Problem]:
    """What the model that will learn can't take. The sandbox cuts nothing off."""
    turns = turns_of(example)
    said = "\n".join(text for _, text in turns)
    if markers := [token for token in counter.special_tokens if token in said]:
        yield Problem("special_token", f"A text holds the marker {markers[0]!r}.")
    try:
        if format_of(example) == "chat":
            messages = [{"role": role, "content": text} for role, text in turns]
            tokens = counter.chat(messages, answer=False)
        else:
            tokens = counter.example(example)
    except ValueError as error:  # the model's template refuses the roles
        yield Problem("unsupported", f"{error}.")
        return
    if tokens > counter.max_tokens:
        most = f"more than the model's {counter.max_tokens:,}"
        yield Problem("too_long", f"The example has {tokens:,} tokens, {most}.")
