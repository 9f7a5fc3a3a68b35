"""The format, the turns and the texts of an example, even of one that is not well formed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from helpers.report import Problem

PREFERENCE_KEYS = {"preferred_output", "non_preferred_output"}
# Exporters write an empty list or text of these for none at all.
EMPTY_IS_NONE = {"tools", "functions", "tool_calls", "annotations", "refusal", "name"}
ANSWERS = {"content", "tool_calls", "function_call", "refusal"}  # an assistant gives one of them


def without_nulls(value: Any) -> Any:
    """A copy without what exporters write for absent keys: null, and some empty lists and texts.

    A JSON schema stays, and so does an empty list of calls where there is no content either.
    """
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if not isinstance(value, dict):
        return value
    empty = EMPTY_IS_NONE - ({"tool_calls"} if value.get("content") is None else set())
    return {
        key: item if key == "parameters" else without_nulls(item)
        for key, item in value.items()
        if item is not None and not (item in ([], "") and key in empty)
    }


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


def format_of(example: dict[str, Any]) -> str:
    """Tell the format by the keys: "chat", "completion", "preference" or "unknown"."""
    keys = {key for key, value in example.items() if value is not None}
    if "messages" in keys:
        return "chat"
    if keys & {"prompt", "completion"}:
        return "completion"
    return "preference" if keys & PREFERENCE_KEYS else "unknown"


def turns_of(example: dict[str, Any]) -> list[tuple[Any, str]]:
    """The role and the text of every message; a prompt is the user's, a completion the answer."""
    if format_of(example) == "chat":
        return [(m.get("role"), text_of(m.get("content"))) for _, m in messages_of(example)]
    pair = (("user", "prompt"), ("assistant", "completion"))
    return [(role, text_of(example.get(key))) for role, key in pair]


def texts_of(example: dict[str, Any]) -> list[str]:
    """The texts of an example: one of each message, or prompt and completion."""
    return [text for _, text in turns_of(example)]


def message_problems(example: dict[str, Any]) -> Iterator[Problem]:
    """What is wrong with the messages beyond their shape: who speaks, and whether they say it."""
    if not isinstance(example.get("messages"), list):
        return
    for field, message in messages_of(example):
        role, place, answers = message.get("role"), f"{field}.content", message.keys() & ANSWERS
        if role == "assistant" and not answers:
            yield Problem("missing_key", "The key 'content' is missing or null.", place)
        elif _is_blank(message.get("content")):
            if role == "assistant" and answers == {"content"}:
                yield Problem("empty_answer", "The text is empty.", place)
            elif role in ("system", "developer", "user"):
                yield Problem("empty_content", "The text is empty.", place)
    messages = [message for _, message in messages_of(example)]
    roles = [message.get("role") for message in messages]
    weights = [m.get("weight", 1) for m in messages if m.get("role") == "assistant"]
    if not weights:
        yield Problem("no_assistant", "No message is from the assistant.", "messages")
    elif roles[-1] != "assistant":
        place = f"messages[{len(example['messages']) - 1}]"
        yield Problem("last_not_assistant", "The last message asks, not answers.", place)
    elif all(weight == 0 for weight in weights):
        yield Problem("nothing_to_learn", "Every assistant message has the weight 0.", "messages")
    if "user" not in roles:
        yield Problem("no_user", "No message is from the user.", "messages")


def _is_blank(content: Any) -> bool:
    """Whether a content is text, but without any words."""
    if not isinstance(content, list):
        return isinstance(content, str) and not content.strip()
    kinds = [isinstance(part, dict) and part.get("type") == "text" for part in content]
    return bool(kinds) and all(kinds) and not text_of(content).strip()
