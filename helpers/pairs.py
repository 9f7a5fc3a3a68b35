"""Prompt/completion pairs: separator, stop sequence, leading space, and how to add them.

A completion model sees one text. It must be able to tell where the prompt ends and where the
answer ends, the same way in every example.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from os.path import commonprefix

import pandas as pd

from helpers.jsonl import SEPARATOR, STOP, need_columns
from helpers.report import Report

# Endings to choose from; the first that occurs in none of the texts is advised.
SEPARATORS = (" ->", "\n\n###\n\n", "\n\n===\n\n", "\n\n---\n\n", "\n\n===>\n\n", "\n\n### =>\n\n")
STOPS = (" END", "\n", "***", "+++", "&&&", "$$$", "@@@", "%%%", " [END]")


def common_end(texts: Sequence[str]) -> str:
    """The longest text that all of them end with."""
    return commonprefix([text[::-1] for text in texts])[::-1]


def unused(candidates: Sequence[str], texts: Sequence[str]) -> str:
    """The first candidate that occurs in none of the texts, else the last."""
    return next((c for c in candidates if not any(c in text for text in texts)), candidates[-1])


def _inside(ending: str, texts: Sequence[str]) -> int:
    """In how many texts the ending occurs earlier, too."""
    return sum(text.find(ending) < len(text) - len(ending) for text in texts)


def check_pairs(report: Report, pairs: Sequence[tuple[int, str, str]]) -> None:
    """Add what is to be said about the (line, prompt, completion) of a file as a whole."""
    unspaced = [line for line, _, completion in pairs if not completion[:1].isspace()]
    if unspaced:
        message = f"{len(unspaced):,} of {len(pairs):,} completions begin without a space."
        report.add("no_leading_space", message, unspaced[0], "completion")
    prompts = [prompt for _, prompt, _ in pairs]
    if len(pairs) > 1:
        if any(prompts):
            _prompts(report, prompts)
        _completions(report, [completion for *_, completion in pairs], open_ended=not any(prompts))


def _prompts(report: Report, texts: list[str]) -> None:
    # "…ing" may end all prompts by chance: only signs make a separator.
    found = re.search(r"\W*$", common_end(texts))
    sign = found[0] if found else ""
    if len(set(texts)) == 1:
        report.add("prompts_equal", "All prompts are the same.", field="prompt")
    elif not sign.strip():
        advice = unused(SEPARATORS, texts)
        message = f"The prompts have no common ending that marks their end, such as {advice!r}."
        report.add("no_separator", message, field="prompt")
    elif inside := _inside(sign, texts):
        message = f"The separator {sign!r} also occurs inside {inside:,} prompts."
        report.add("separator_inside", message, field="prompt")


def _completions(report: Report, texts: list[str], open_ended: bool) -> None:
    if len(set(texts)) == 1:
        report.add("completions_equal", "All completions are the same.", field="completion")
        return
    if open_ended or len(set(texts)) < len(texts) / 3:
        return  # text without end, or a class of a few: nothing to stop
    end = common_end(texts)
    if not end:
        advice = unused(STOPS, texts)
        message = f"The completions have no common ending to stop at, such as {advice!r}."
        report.add("no_stop", message, field="completion")
    elif inside := _inside(end, texts):
        message = f"Completions end with {end[:40]!r}, but {inside:,} of them also hold it earlier."
        report.add("stop_inside", message, field="completion")


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
