"""The messages of one example: their texts, who speaks when, which call has which answer.

Every function takes an example without null keys, whatever else it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from helpers.report import Finding


def without_nulls(value: Any) -> Any:
    """A copy without null keys, which exporters write for absent ones. A JSON schema stays."""
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if isinstance(value, dict):
        items = value.items()
        return {k: v if k == "parameters" else without_nulls(v) for k, v in items if v is not None}
    return value


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or its text parts joined."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def messages_of(example: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The place and the value of every message that is an object."""
    found = example.get("messages")
    numbered = enumerate(found) if isinstance(found, list) else ()
    return [(f"messages[{n}]", message) for n, message in numbered if isinstance(message, dict)]


def message_findings(example: dict[str, Any], *, shape_is_right: bool) -> Iterator[Finding]:
    """What is wrong with the messages beyond their shape."""
    yield from _content_findings(example)
    yield from _role_findings(example)
    if shape_is_right:
        yield from _call_findings(example)


def _content_findings(example: dict[str, Any]) -> Iterator[Finding]:
    for field, message in messages_of(example):
        role, content, place = message.get("role"), message.get("content"), f"{field}.content"
        text = text_of(content)
        answers_otherwise = message.keys() & {"tool_calls", "function_call", "refusal"}
        if role == "assistant" and content is None and not answers_otherwise:
            yield Finding("missing_key", place, "The key 'content' is missing or null.")
        parts = content if isinstance(content, list) and content else [{"type": "text"}]
        only_text = all(isinstance(p, dict) and p.get("type") == "text" for p in parts)
        if not isinstance(content, (str, list)) or text.strip() or not only_text:
            continue
        if role == "assistant" and not answers_otherwise and content != []:
            yield Finding("empty_answer", place, "The text is empty.")
        elif role in ("system", "user") and content != []:
            yield Finding("empty_content", place, "The text is empty.")


def _role_findings(example: dict[str, Any]) -> Iterator[Finding]:
    if not isinstance(example.get("messages"), list):
        return
    messages = [message for _, message in messages_of(example)]
    roles = [message.get("role") for message in messages]
    weights = [m.get("weight", 1) for m in messages if m.get("role") == "assistant"]
    if not weights:
        yield Finding("no_assistant", "messages", "No message is from the assistant.")
    elif roles[-1] != "assistant":
        place = f"messages[{len(example['messages']) - 1}]"
        yield Finding("last_not_assistant", place, "The last message asks, not answers.")
    elif all(type(weight) is int and weight == 0 for weight in weights):
        yield Finding("nothing_to_learn", "messages", "Every assistant message has the weight 0.")
    if "user" not in roles:
        yield Finding("no_user", "messages", "No message is from the user.")


def _call_findings(example: dict[str, Any]) -> Iterator[Finding]:
    """Do calls, their declarations and their answers belong together?"""
    tools = [tool["function"]["name"] for tool in example.get("tools", [])]
    functions = [function["name"] for function in example.get("functions", [])]
    for key, names in (("tools", tools), ("functions", functions)):
        if twice := {name for name in names if names.count(name) > 1}:
            yield Finding("duplicate_key", key, f"Two of them have the name {min(twice)!r}.")
    if "parallel_tool_calls" in example and not tools:
        message = "It is only allowed together with `tools`."
        yield Finding("extra_key", "parallel_tool_calls", message)
    waiting: dict[str, str] = {}  # the id of a call (or the name of a function) → its place
    for number, message in enumerate(example["messages"]):
        field = f"messages[{number}]"
        key = {"tool": "tool_call_id", "function": "name"}.get(message["role"])
        if key:
            if waiting.pop(message[key], None) is None:
                text = f"No call just before it waits for an answer to {message[key][:40]!r}."
                yield Finding("unasked_answer", f"{field}.{key}", text)
            continue
        for place in waiting.values():
            yield Finding("unanswered_call", place, "No message answers this call.")
        waiting = {}
        calls = message.get("tool_calls", [])
        for i, call in enumerate(calls):
            place, name = f"{field}.tool_calls[{i}]", call["function"]["name"]
            if name not in tools:
                text = f"`tools` declares no function {name!r}."
                yield Finding("unknown_tool", f"{place}.function.name", text)
            if call["id"] in waiting:
                text = f"Two calls have the id {call['id'][:40]!r}."
                yield Finding("duplicate_key", f"{place}.id", text)
            waiting[call["id"]] = place
        if len(calls) > 1 and example.get("parallel_tool_calls") is False:
            text = f"{len(calls)} calls at once, though parallel_tool_calls is false."
            yield Finding("parallel_calls", f"{field}.tool_calls", text)
        if call := message.get("function_call"):
            waiting[call["name"]] = f"{field}.function_call"
            if call["name"] not in functions:
                text = f"`functions` declares no function {call['name']!r}."
                yield Finding("unknown_function", f"{field}.function_call.name", text)
