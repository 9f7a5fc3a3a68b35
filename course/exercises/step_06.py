"""The exercises of notebook 06."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from course.exercise import Expectations, exercise, expect
from helpers.jsonl import SEPARATOR, STOP, short_prompt


@exercise("6.1")
def prompt_only(messages: Sequence[Mapping[str, Any]]) -> Expectations:
    yield expect(isinstance(messages, list), "a list of messages", type(messages).__name__)
    roles = [message["role"] for message in messages]
    yield expect(roles == ["user"], "one message, from the user", ", ".join(roles) or "none")
    content = messages[0]["content"]
    yield expect("33" in content, "the age 33 in the note", content)
    told = content.rstrip().endswith(SEPARATOR.strip())
    yield expect(told, "an arrow at the end of the note", content[-20:])
    wanted = short_prompt(33, "man", "Super Hearing")
    yield expect(content == wanted, "the note as in the training file, to the letter", content)


@exercise("6.2")
def completions_request(request: Mapping[str, Any]) -> Expectations:
    yield expect(isinstance(request, Mapping), "a dict of settings", type(request).__name__)
    yield expect(request.get("model"), "a model", "none")
    prompt = request.get("prompt", "")
    arrow = prompt.endswith(SEPARATOR)
    yield expect(arrow, "a prompt that ends as in the training file", repr(prompt[-10:]))
    wanted = short_prompt(50, "woman", "flight")
    yield expect(prompt == wanted, "the note for a woman of 50 who can fly", repr(prompt))
    stop = request.get("stop")
    yield expect(stop in (STOP, [STOP]), "the stop sign of the training file", repr(stop))
    longest = request.get("max_tokens")
    yield expect(longest == 150, "at most 150 tokens", repr(longest))
    strangers = sorted(set(request) - {"model", "prompt", "stop", "max_tokens", "temperature"})
    yield expect(not strangers, "nothing else in the request", ", ".join(strangers))
