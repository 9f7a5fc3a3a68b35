"""The names that people give to columns, and how to find a column by them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from heroes.prepare.suggestion import SHOWN, InputError

# In order of preference, as `plain` writes them.
PROMPTS = (
    *("prompt", "instruction", "question", "sub_prompt", "prompt_short", "query", "user"),
    *("human", "user_input", "user_message", "source_text", "text", "input"),
)
CONTEXTS = ("input", "inputs", "context", "passage", "document")
BEFORE = ("context", "passage", "document")  # a text that a question is about comes first
COMPLETIONS = (
    *("response_txt", "completion", "output", "response", "answer", "description", "target"),
    *("assistant", "reply", "gpt", "model_output", "expected_output", "label"),
)
SYSTEMS = ("system", "system_prompt", "system_message")
DIALOGUES = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns")
PREFERENCES = ("preferred_output", "non_preferred_output", "chosen", "rejected")
ROLES, TEXTS = ("role", "from", "speaker", "author"), ("content", "value", "text")

# The course's own table: the short prompt is a note, and the long one only made the answers.
COURSE = {"sub_prompt", "response_txt"}
COURSE_GRID = {"age", "gender", "power"}


def plain(name: object) -> str:
    """A column's name in plain spelling: " User Prompt" and "user-prompt" are "user_prompt"."""
    return re.sub(r"[\s-]+", "_", str(name).strip()).lower()


def find(frame: pd.DataFrame, wanted: Iterable[str], *taken: str | None) -> str | None:
    """The first of these names that the table has, in whatever spelling."""
    known = {plain(column): column for column in reversed(frame.columns)}
    return next((known[n] for n in wanted if n in known and known[n] not in taken), None)


def named(frame: pd.DataFrame, name: str, option: str) -> str:
    """The column that an option names. Raises InputError if there is none."""
    near = [column for column in frame.columns if plain(column) == plain(name)]
    if name in frame.columns or len(near) == 1:
        return name if name in frame.columns else near[0]
    raise InputError(f"{option}: There is no column {name!r}; there are {listed(frame)}.")


def listed(columns: Iterable[object]) -> str:
    """Some names of columns, in quotes."""
    quoted = [repr(column) for column in columns]
    return ", ".join(quoted[:SHOWN]) + (" …" if len(quoted) > SHOWN else "")
