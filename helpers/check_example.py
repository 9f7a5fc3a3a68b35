"""`check_example`: every problem of one training example, also for the configured endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from helpers.dialogue import format_of, messages_of, turns_of, without_nulls
from helpers.report import Problem
from helpers.rules import format_problems
from helpers.settings import Settings
from helpers.tokens import TokenCounter, counter_for

# The formats have these, but the sandbox trains without them.
HOSTED_KEYS = ("name", "tool_calls", "function_call", "tool_call_id", "refusal")


def check_example(example: dict[str, Any], settings: Settings | None = None) -> list[Problem]:
    """Every problem of one example; with `settings`, also what the configured endpoint refuses.

    Takes any object. Only one that is nested very deeply raises RecursionError.
    """
    example = without_nulls(example)
    found = list(format_problems(example))
    if settings and settings.endpoint == "sandbox":
        found += _sandbox_problems(example)
    wrong = any(problem.severity == "error" for problem in found)
    counter = counter_for(settings.base_model) if settings and not wrong else None
    return [*found, *_model_problems(example, counter)] if counter else found


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
