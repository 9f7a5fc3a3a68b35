"""Step 03: from a table of superheroes to training files, and back.

`check_file` (see `helpers.jsonl.check`) reports every problem of such a file.
"""

from helpers.jsonl.check import check_file
from helpers.jsonl.examples import (
    SEPARATOR,
    STOP,
    leaks,
    read_jsonl,
    short_prompt,
    split_by,
    to_chat,
    to_completions,
    write_jsonl,
)
from helpers.jsonl.repairs import add_separator, add_stop, drop_duplicates, leading_space
from helpers.jsonl.report import Problem, Report

__all__ = [
    "SEPARATOR",
    "STOP",
    "Problem",
    "Report",
    "add_separator",
    "add_stop",
    "check_file",
    "drop_duplicates",
    "leading_space",
    "leaks",
    "read_jsonl",
    "short_prompt",
    "split_by",
    "to_chat",
    "to_completions",
    "write_jsonl",
]
