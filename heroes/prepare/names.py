"""The names that people give to the columns of a table of examples."""

from __future__ import annotations

import re

# In order of preference, as `plain` writes them.
PROMPTS = ("prompt", "instruction", "question", "sub_prompt", "prompt_short", "query", "user")
PROMPTS += ("human", "user_input", "user_message", "source_text", "text", "input")
CONTEXTS = ("input", "inputs", "context", "passage", "document")
BEFORE = ("context", "passage", "document")  # a text that a question is about comes first
COMPLETIONS = (
    "completion",
    "output",
    "response",
    "answer",
    "response_txt",
    "description",
    "target",
)
COMPLETIONS += ("assistant", "reply", "gpt", "model_output", "expected_output", "label")
SYSTEMS = ("system", "system_prompt", "system_message")
DIALOGUES = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns")
PREFERENCES = ("preferred_output", "non_preferred_output", "chosen", "rejected")

# The course's own table: the short prompt is a note, and the long one only made the answers.
COURSE = {"sub_prompt", "response_txt"}
COURSE_GRID = {"age", "gender", "power"}

# Columns that describe a row and are not part of its text.
RECORD = re.compile(
    r"(.*_)?(id|ids|uuid|guid|index|idx|nr|no|row|hash|date|time|timestamp|created|updated)"
    r"|created_at|updated_at|finish_reason|unnamed:_\d+|column_\d+"
)
RECORD_VALUE = re.compile(
    r"\s*|[-+]?[\d.,]+([eE][-+]?\d+)?\s?%?|(?i:true|false|yes|no)|[0-9a-fA-F-]{32,36}"
    r"|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}([T ][\d:.]+(Z|[+-][\d:]+)?)?"
)


def plain(name: str) -> str:
    """A column's name in plain spelling: " User Prompt" and "user-prompt" are "user_prompt"."""
    return re.sub(r"[\s-]+", "_", str(name).strip()).lower()
