"""Prompt/completion pairs: separator, stop sequence, leading space, and how to add them.

A completion model sees one text. It must be able to tell where the prompt ends and where the
answer ends, the same way in every example.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from os.path import commonprefix

import pandas as pd

from helpers.jsonl import SEPARATOR, STOP, need_columns
from helpers.report import Problem

# Endings to choose from; the first that occurs in none of the texts is advised.
SEPARATORS = (" ->", "\n\n###\n\n", "\n\n===\n\n", "\n\n---\n\n", "\n\n===>\n\n", "\n\n### =>\n\n")
STOPS = (" END", "\n", "***", "+++", "&&&", "$$$", "@@@", "%%%", " [END]")


def common_end(texts: Sequence[str]) -> str:
    """The longest text that all of them end with."""
    return commonprefix([text[::-1] for text in texts])[::-1]


def _unused(candidates: Sequence[str], texts: Sequence[str]) -> str:
    """The first candidate that occurs in none of the texts, else the last."""
    return next((c for c in candidates if not any(c in text for text in texts)), candidates[-1])


def pair_problems(pairs: dict[int, tuple[str, str]]) -> Iterator[Problem]:
    """What is to be said about the prompts and completions of a file as a whole, by line."""
    unspaced = [line for line, (_, completion) in pairs.items() if not completion[:1].isspace()]
    if unspaced:
        message = f"{len(unspaced):,} of {len(pairs):,} completions begin without a space."
        yield Problem("no_leading_space", message, "completion", unspaced[0])
    if len(pairs) < 2:
        return
    prompts, completions = zip(*pairs.values(), strict=True)
    # "…ing" may end all prompts by chance: only signs make a separator.
    if len(set(prompts)) > 1 and not re.search(r"[^\w\s]\s*$", common_end(prompts)):
        advice = _unused(SEPARATORS, prompts)
        message = f"The prompts have no common ending that marks their end, such as {advice!r}."
        yield Problem("no_separator", message, "prompt")
    # Text without end, or a class of a few: there is nothing to stop.
    if not any(prompts) or len(set(completions)) < len(completions) / 3:
        return
    if not (end := common_end(completions)):
        advice = _unused(STOPS, completions)
        message = f"The completions have no common ending to stop at, such as {advice!r}."
        yield Problem("no_stop", message, "completion")
    elif inside := sum(text.find(end) < len(text) - len(end) for text in completions):
        message = f"Completions end with {end[:40]!r}, but {inside:,} of them also hold it earlier."
        yield Problem("stop_inside", message, "completion")


# Repairs for tables with the columns prompt and completion. Each adds what is missing, leaves
# what is right alone, and takes no white space away: in code or YAML it is content.


def add_separator(df: pd.DataFrame, separator: str = SEPARATOR) -> pd.DataFrame:
    """End every prompt with the separator, once."""
    return _change(df, "prompt", lambda text: text.removesuffix(separator) + separator)


def add_stop(df: pd.DataFrame, stop: str = STOP) -> pd.DataFrame:
    """End every completion with the stop sequence, once."""
    return _change(df, "completion", lambda text: text.removesuffix(stop) + stop)


def leading_space(df: pd.DataFrame) -> pd.DataFrame:
    """Begin every completion with white space: a space, where there is none."""
    return _change(df, "completion", lambda text: text if text[:1].isspace() else " " + text)


def drop_duplicates(df: pd.DataFrame) -> pd.DataFrame:
    """Keep the first of rows that have the same prompt and completion."""
    need_columns(df, ["prompt", "completion"])
    return df.drop_duplicates(["prompt", "completion"]).reset_index(drop=True)


def _change(df: pd.DataFrame, column: str, change: Callable[[str], str]) -> pd.DataFrame:
    need_columns(df, [column])
    return df.assign(**{column: df[column].map(change)})
