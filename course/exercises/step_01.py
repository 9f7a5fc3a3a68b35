"""The exercises of notebook 01: what is handed out, what is expected back, and three hints each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openai.resources.chat.completions import Completions

from course.env_file import check_env_file
from course.exercise import Exercise, Expectation, expect
from helpers.settings import read_env_file

PRACTICE_KEY = "sk-demo-1234"
# Three mistakes in two lines.
BROKEN_ENV = "OPEN_AI_KEY=“sk-demo—1234”\nOPENAI_BASE_URL=\n"
ROLES = ["system", "user", "assistant", "user"]
ANSWERS, PIECES = 3, 40


def _env_file(path: Path) -> Iterator[Expectation]:
    yield expect(path.is_file(), "a file", f"none at {path.name}")
    # What the learner's own system has set is not part of the exercise.
    found = [f for f in check_env_file(path) if "system's environment" not in f.problem]
    seen = str(found[0]).rstrip(".?") if found else ""
    yield expect(not found, "a file with nothing to mend", seen)
    values = read_env_file(path)
    yield expect("OPENAI_API_KEY" in values, "a line for the key", f"only {sorted(values)}")
    right = values["OPENAI_API_KEY"] == PRACTICE_KEY
    yield expect(right, "the key with two short dashes in it", "another key")
    yield expect(len(values) == 1, "the key alone, and nothing blank", f"{len(values)} variables")


def _conversation(messages: list[dict[str, str]]) -> Iterator[Expectation]:
    yield expect(isinstance(messages, list), "a list of messages", type(messages).__name__)
    shaped = all(isinstance(m, dict) and set(m) == {"role", "content"} for m in messages)
    yield expect(shaped, "a role and a content in every message", messages)
    roles = [message["role"] for message in messages]
    yield expect(len(roles) == len(ROLES), f"{len(ROLES)} messages", len(roles))
    yield expect(roles[0] == "system", "a message first that says who the model is", roles[0])
    yield expect(roles == ROLES, "a question, an answer, and a question again", ", ".join(roles))
    texts = [message["content"] for message in messages]
    filled = all(isinstance(text, str) and len(text.split()) > 1 for text in texts)
    yield expect(filled, "a few words in every message", texts)


def _request(request: dict[str, Any]) -> Iterator[Expectation]:
    yield expect(isinstance(request, dict), "a dictionary", type(request).__name__)
    known = set(inspect.signature(Completions.create).parameters)
    strange = sorted(set(request) - known)
    yield expect(not strange, "only names that the openai package knows", ", ".join(strange))
    asked = request.get("model") and request.get("messages")
    yield expect(asked, "a model and some messages", ", ".join(request) or "an empty request")
    n = request.get("n", 1)
    yield expect(n == ANSWERS, f"{ANSWERS} answers from one call", n)
    yield expect("max_tokens" not in request, "today's name for the limit", "max_tokens")
    limit = request.get("max_completion_tokens", "no limit")
    yield expect(limit == PIECES, f"at most {PIECES} tokens an answer", limit)
    stop = request.get("stop", "nothing")
    yield expect(stop in (".", ["."]), "a full stop as the place to end", repr(stop))
    varied = request.get("temperature", 1) >= 0.5
    yield expect(varied, "answers that may differ", f"temperature {request.get('temperature')}")


env_file = Exercise(
    "1.1",
    "mend a .env file",
    _env_file,
    hints=(
        "There are three mistakes: in the name, in the key, and in the line that says nothing.",
        "The variable is OPENAI_API_KEY. A key has no quotes and only short dashes (-).",
        "One line is enough: OPENAI_API_KEY=sk-… with the rest of the key typed by hand.",
    ),
)
conversation = Exercise(
    "1.2",
    "write a conversation",
    _conversation,
    hints=(
        "Four messages in a list; each is a dictionary with a role and a content.",
        "The roles in order: who the model is, what you ask, what it said, what you ask next.",
        '{"role": "system", "content": "You are …"} comes first; user, assistant, user follow.',
    ),
)
request = Exercise(
    "1.3",
    "three short openings",
    _request,
    hints=(
        "Everything you need stands in sections 8 and 9: how many, how long, and where to end.",
        "Three settings have to be added: n, max_completion_tokens and stop.",
        'stop="." ends an answer at its first full stop. The other two are plain numbers.',
    ),
)
