"""The exercises of notebook 01."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from openai.resources.chat.completions import Completions

from course.env_file import check_env_file
from course.exercise import Expectations, exercise, expect
from helpers.settings import read_env_file

ROLES = ["system", "user", "assistant", "user"]


@exercise("1.1")
def env_file(path: Path) -> Expectations:
    yield expect(path.is_file(), "a file", f"none at {path.name}")
    # What the learner's own system has set is not part of the exercise.
    found = [f for f in check_env_file(path) if "system's environment" not in f.problem]
    seen = str(found[0]).rstrip(".?") if found else ""
    yield expect(not found, "a file with nothing to mend", seen)
    values = read_env_file(path)
    names = sorted(values)
    yield expect(names == ["OPENAI_API_KEY"], "a line for the key, and no other", names)
    right = values["OPENAI_API_KEY"] == "sk-demo-1234"
    yield expect(right, "the key with two short dashes in it", "another key")


@exercise("1.2")
def conversation(messages: list[dict[str, str]]) -> Expectations:
    yield expect(isinstance(messages, list), "a list of messages", type(messages).__name__)
    shaped = all(isinstance(m, dict) and set(m) == {"role", "content"} for m in messages)
    yield expect(shaped, "a role and a content in every message", messages)
    roles = [message["role"] for message in messages]
    yield expect(len(roles) == 4, "4 messages", len(roles))
    yield expect(roles[0] == "system", "a message first that says who the model is", roles[0])
    yield expect(roles == ROLES, "a question, an answer, and a question again", ", ".join(roles))
    texts = [message["content"] for message in messages]
    filled = all(isinstance(text, str) and len(text.split()) > 1 for text in texts)
    yield expect(filled, "a few words in every message", texts)


@exercise("1.3")
def request(request: dict[str, Any]) -> Expectations:
    yield expect(isinstance(request, dict), "a dictionary", type(request).__name__)
    known = set(inspect.signature(Completions.create).parameters)
    strange = sorted(set(request) - known)
    yield expect(not strange, "only names that the openai package knows", ", ".join(strange))
    asked = request.get("model") and request.get("messages")
    yield expect(asked, "a model and some messages", ", ".join(request) or "an empty request")
    n = request.get("n", 1)
    yield expect(n == 3, "3 answers from one call", n)
    yield expect("max_tokens" not in request, "today's name for the limit", "max_tokens")
    limit = request.get("max_completion_tokens", "no limit")
    yield expect(limit == 40, "at most 40 tokens an answer", limit)
    stop = request.get("stop", "nothing")
    yield expect(stop in (".", ["."]), "a full stop as the place to end", repr(stop))
    varied = request.get("temperature", 1) >= 0.5
    yield expect(varied, "answers that may differ", f"temperature {request.get('temperature')}")
