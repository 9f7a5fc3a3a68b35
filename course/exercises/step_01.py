"""The exercises of notebook 01."""

from __future__ import annotations

from pathlib import Path

from openai.types.chat import ChatCompletion

from course.env_file import check_env_file
from course.exercise import Expectations, exercise, expect
from helpers.settings import read_env_file

ROLES = ["system", "user", "assistant", "user"]


@exercise("1.1")
def env_file(path: Path) -> Expectations:
    yield expect(path.is_file(), "a file", f"none at {path.name}")
    # What the learner's own system has set is not part of the exercise.
    found = [f for f in check_env_file(path) if "system's environment" not in f.problem]
    seen = f"{found[0].where}: {found[0].problem}".rstrip(".") if found else ""
    yield expect(not found, "a file without problems", seen)
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
def five_sentences(answer: ChatCompletion) -> Expectations:
    is_answer = isinstance(answer, ChatCompletion)
    yield expect(is_answer, "the answer object of a chat request", type(answer).__name__)
    choices = answer.choices
    yield expect(len(choices) == 5, "5 answers from one call", len(choices))
    texts = [choice.message.content or "" for choice in choices]
    yield expect(all(texts), "a text in every answer", texts)
    yield expect(len(set(texts)) == 5, "5 different texts", f"{len(set(texts))} of them")
    reasons = [choice.finish_reason for choice in choices]
    yield expect("length" not in reasons, "no answer that was cut", ", ".join(reasons))
    used = answer.usage.completion_tokens if answer.usage else 0
    yield expect(used <= 5 * 60, "at most 60 tokens an answer", f"{used} tokens in all")
