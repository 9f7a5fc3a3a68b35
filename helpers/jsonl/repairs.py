"""Repairs for tables with the columns prompt and completion. Each leaves what is right alone."""

from __future__ import annotations

import pandas as pd

from helpers.jsonl.examples import SEPARATOR, STOP, need_columns


def add_separator(df: pd.DataFrame, separator: str = SEPARATOR) -> pd.DataFrame:
    """End every prompt with the separator, once."""
    need_columns(df, ["prompt"])
    return df.assign(prompt=[_ending(text, separator) for text in df["prompt"]])


def add_stop(df: pd.DataFrame, stop: str = STOP) -> pd.DataFrame:
    """End every completion with the stop sequence, once."""
    need_columns(df, ["completion"])
    return df.assign(completion=[_ending(text, stop) for text in df["completion"]])


def leading_space(df: pd.DataFrame) -> pd.DataFrame:
    """Begin every completion with exactly one space."""
    need_columns(df, ["completion"])
    return df.assign(completion=[" " + text.lstrip() for text in df["completion"]])


def drop_duplicates(df: pd.DataFrame) -> pd.DataFrame:
    """Keep the first of rows that have the same prompt and completion."""
    need_columns(df, ["prompt", "completion"])
    return df.drop_duplicates(["prompt", "completion"]).reset_index(drop=True)


def _ending(text: str, ending: str) -> str:
    return text if text.endswith(ending) else text.rstrip() + ending
