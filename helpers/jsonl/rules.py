"""The rules for one example: is it what a fine-tuning job takes?

Each function is given a parsed line and yields (kind, field, message) for every problem. No value
of any type makes them fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

Finding = tuple[str, str, str]
Format = Literal["chat", "completion", "preference", "unknown"]

ROLES = ("system", "user", "assistant")
OTHER_ROLES = ("tool", "function")  # part of OpenAI's format, but not of the sandbox's
TOP_KEYS = {"messages", "tools", "parallel_tool_calls", "functions"}
MESSAGE_KEYS = {"role", "content", "name", "weight", "tool_calls", "function_call", "tool_call_id"}
PREFERENCE_KEYS = {"input", "preferred_output", "non_preferred_output"}
UNSUPPORTED = ("name", "tool_calls", "function_call", "tool_call_id")
# Markers such as <|end|> steer a model; endpoints refuse them inside texts.
SPECIAL_TOKEN = re.compile(r"<\|[a-zA-Z_]+\|>")


def type_name(value: Any) -> str:
    """The JSON name of a value's type, with its article."""
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a string"}
    return names.get(type(value), "a list" if isinstance(value, list) else "an object")


def shorten(value: Any, length: int = 40) -> str:
    """A value as it may stand in a message: short, on one line."""
    if not isinstance(value, (str, bool)) and (not isinstance(value, int) or abs(value) > 10**9):
        return type_name(value) if not isinstance(value, float) else repr(value)
    # Cutting before repr: a text may be as large as the file.
    text = repr(value[: length + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= length else f"{text[:length]}…"


def format_of(example: dict[str, Any]) -> Format:
    """Tell the format of one example by its keys."""
    if "messages" in example:
        return "chat"
    if "prompt" in example or "completion" in example:
        return "completion"
    if PREFERENCE_KEYS & example.keys():
        return "preference"
    return "unknown"


def check_example(example: dict[str, Any]) -> Iterator[Finding]:
    """Every problem of one parsed line, whatever its format."""
    match format_of(example):
        case "chat":
            yield from check_chat(example)
        case "completion":
            yield from check_completion(example)
        case "preference":
            yield "preference_format", "", "This is a preference (DPO) example."
        case "unknown":
            near = {key.strip().casefold(): key for key in example}
            for right in ("messages", "prompt", "completion"):
                if right in near:
                    yield "missing_key", right, f"The key is written {shorten(near[right])}."
                    return
            keys = ", ".join(shorten(key, 20) for key in list(example)[:4]) or "none"
            yield "unknown_format", "", f"Neither messages nor prompt and completion; keys: {keys}."


def check_completion(example: dict[str, Any]) -> Iterator[Finding]:
    """The rules for {"prompt": "…", "completion": "…"}."""
    for key in ("prompt", "completion"):
        if key not in example:
            yield "missing_key", key, f"The key {key!r} is missing."
        elif not isinstance(example[key], str):
            yield "wrong_type", key, f"Expected a string, found {type_name(example[key])}."
        elif key == "completion" and not example[key].strip():
            yield "empty_answer", key, "The completion is empty."
        else:
            yield from _check_tokens(example[key], key)
    for key in example.keys() - {"prompt", "completion"}:
        yield "extra_key", shorten(key), f"The key {shorten(key)} does not belong here."


def check_chat(example: dict[str, Any]) -> Iterator[Finding]:
    """The rules for {"messages": [...]}."""
    for key in sorted(example.keys() - TOP_KEYS):
        yield "extra_key", shorten(key), f"The key {shorten(key)} does not belong here."
    for key in sorted(example.keys() & TOP_KEYS - {"messages"}):
        yield "unsupported", key, f"The sandbox takes no {key!r}."
    messages = example["messages"]
    if not isinstance(messages, list):
        yield "wrong_type", "messages", f"Expected a list, found {type_name(messages)}."
        return
    for number, message in enumerate(messages):
        field = f"messages[{number}]"
        if isinstance(message, dict):
            yield from _check_message(message, field)
        else:
            yield "wrong_type", field, f"Expected an object, found {type_name(message)}."
    yield from _check_roles([m for m in messages if isinstance(m, dict)])


def _check_roles(messages: list[dict[str, Any]]) -> Iterator[Finding]:
    roles = [message.get("role") for message in messages]
    if "assistant" not in roles:
        yield "no_assistant", "messages", "No message is from the assistant."
    elif roles[-1] != "assistant":
        yield (
            "last_not_assistant",
            f"messages[{len(roles) - 1}]",
            "The last message asks, not answers.",
        )
    else:
        weights = [m.get("weight") for m in messages if m.get("role") == "assistant"]
        if all(type(weight) is int and weight == 0 for weight in weights):
            yield "nothing_to_learn", "messages", "Every assistant message has the weight 0."
    if "user" not in roles:
        yield "no_user", "messages", "No message is from the user."


def _check_message(message: dict[str, Any], field: str) -> Iterator[Finding]:
    for key in sorted(message.keys() - MESSAGE_KEYS):
        yield "extra_key", field, f"The key {shorten(key)} does not belong here."
    for key in UNSUPPORTED:
        if key in message:
            yield "unsupported", f"{field}.{key}", f"The sandbox takes no {key!r}."
    role = message.get("role")
    if "role" not in message:
        yield "missing_key", f"{field}.role", "The key 'role' is missing."
    elif not isinstance(role, str):
        yield "wrong_type", f"{field}.role", f"Expected a string, found {type_name(role)}."
    elif role in OTHER_ROLES:
        yield "unsupported", f"{field}.role", f"The sandbox takes no role {role!r}."
    elif role not in ROLES:
        yield "unknown_role", f"{field}.role", f"Unknown role {shorten(role)}."
    yield from _check_content(message, field)
    if "name" in message and not isinstance(message["name"], str):
        kind = type_name(message["name"])
        yield "wrong_type", f"{field}.name", f"Expected a string, found {kind}."
    if "weight" in message:
        yield from _check_weight(message, field)


def _check_content(message: dict[str, Any], field: str) -> Iterator[Finding]:
    content, field = message.get("content"), f"{field}.content"
    if isinstance(content, str):
        if not content.strip():
            kind = "empty_answer" if message.get("role") == "assistant" else "empty_content"
            yield kind, field, "The text is empty."
        yield from _check_tokens(content, field)
    elif isinstance(content, list) and all(isinstance(part, dict) for part in content) and content:
        yield "unsupported", field, "The sandbox takes no list of parts as content."
    elif content is None and (message.get("tool_calls") or message.get("function_call")):
        return  # a call stands for the text
    elif "content" not in message:
        yield "missing_key", field, "The key 'content' is missing."
    else:
        yield "wrong_type", field, f"Expected a string, found {type_name(content)}."


def _check_tokens(text: str, field: str) -> Iterator[Finding]:
    marker = SPECIAL_TOKEN.search(text)
    if marker:
        yield "special_token", field, f"The text holds the marker {shorten(marker.group())}."


def _check_weight(message: dict[str, Any], field: str) -> Iterator[Finding]:
    weight = message["weight"]
    if type(weight) is not int or weight not in (0, 1):
        yield "wrong_type", f"{field}.weight", f"Expected 0 or 1, found {shorten(weight)}."
    elif message.get("role") != "assistant":
        yield "extra_key", f"{field}.weight", "Only assistant messages have a weight."


def texts_of(example: dict[str, Any]) -> list[str]:
    """All texts of an example, to measure its length and to recognise it when it comes again."""
    if "messages" in example:
        messages = example["messages"] if isinstance(example["messages"], list) else []
        texts = [m.get("content") for m in messages if isinstance(m, dict)]
    else:
        texts = [example.get("prompt"), example.get("completion")]
    return [text for text in texts if isinstance(text, str)]
