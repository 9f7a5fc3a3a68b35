"""From a table to training examples, to a file, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.data import replace_text
from helpers.json_lines import parse_jsonl

SEPARATOR = " ->"
STOP = " END"
SUB_PROMPT = "{age}, {gender}, {power}"
# How spreadsheets and programs write a value that is missing.
MISSING = re.compile(r"\s*(nan|NaN|None|null|NULL|NaT|<NA>|N/A|#N/A|#(NULL|REF|VALUE|DIV/0)!)?\s*")


def is_missing(value: Any) -> bool:
    """Whether a table's cell holds no value: none at all, a blank, or the word for it."""
    if isinstance(value, str):
        return MISSING.fullmatch(value) is not None
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def has_missing(text: str, *, asked: bool) -> bool:
    """Is a text the word for a missing value, or a prompt with one, as in "nan, woman ->"?"""
    values = re.split(r"[,;|\t\n]|->", text) if asked else [text]
    return any(value.strip() and is_missing(value) for value in values)


def short_prompt(age: Any, gender: str, power: str) -> str:
    """The prompt that the tuned model learns: "40, woman, Healing ->"; an age of 18.0 is "18".

    Raises ValueError for a missing value.
    """
    for name, value in (("age", age), ("gender", gender), ("power", power)):
        if is_missing(value):
            raise ValueError(f"The prompt has no {name}: {value!r}. Fill it in.")
    whole = re.sub(r"^(-?\d+)\.0+$", r"\1", str(age))  # a column with a blank became floats
    return SUB_PROMPT.format(age=whole, gender=gender, power=power) + SEPARATOR


def need_columns(df: pd.DataFrame, names: Sequence[str]) -> None:
    """Raises ValueError if the table lacks one of the columns."""
    absent = [name for name in names if name not in df.columns]
    if absent:
        raise ValueError(f"The table has no column {', '.join(absent)}. It has {list(df.columns)}.")


def _rows(df: pd.DataFrame) -> list[tuple[str, str]]:
    """The (short prompt, description) of every row."""
    names = ["age", "gender", "power", "response_txt"]
    need_columns(df, names)
    rows = []
    for index, (*values, text) in zip(df.index, df[names].to_numpy(dtype=object), strict=True):
        for name, value in zip(names, [*values, text], strict=True):
            if is_missing(value):
                # dropna knows no words for a missing value.
                drop = f"dropna(subset=[{name!r}])" if pd.isna(value) else f"drop(index={index!r})"
                found = "" if pd.isna(value) else f": it is {value!r}"
                problem = f"Row {index} of the table has no {name}{found}."
                raise ValueError(f"{problem} Fill it in, or drop the row with df.{drop}.")
        rows.append((short_prompt(*values), str(text)))
    return rows


def to_chat(df: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows (age, gender, power, response_txt) as chat examples: a question and its answer.

    Raises ValueError, naming row and column, for a missing value.
    """
    return [
        {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]}
        for prompt, text in _rows(df)
    ]


def to_completions(df: pd.DataFrame) -> list[dict[str, str]]:
    """Rows as prompt/completion examples, with separator, leading space and stop sequence.

    Raises ValueError, naming row and column, for a missing value.
    """
    return [
        {"prompt": prompt, "completion": ("" if text[:1].isspace() else " ") + text + STOP}
        for prompt, text in _rows(df)
    ]


def json_line(example: dict[str, Any]) -> str:
    """One example as a line of a file. Raises TypeError or ValueError if it can't be JSON."""
    line = json.dumps(example, ensure_ascii=False, allow_nan=False) + "\n"
    line.encode("utf-8")  # half of an emoji can't be written
    return line


def write_jsonl(path: str | Path, examples: Iterable[dict[str, Any]]) -> Path:
    """Write one example per line, UTF-8, all or nothing; the path comes back.

    Raises ValueError, with the number of the example, for one that has no place in JSON.
    """
    lines = []
    for number, example in enumerate(examples, start=1):
        if not isinstance(example, dict):
            raise ValueError(f"Example {number} is a {type(example).__name__}, not a dict.")
        try:
            lines.append(json_line(example))
        except (TypeError, ValueError) as error:
            raise ValueError(f"Example {number} can't be written as JSON: {error}") from error
    replace_text(Path(path), "".join(lines))
    return Path(path)


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """Read the examples of a file. Raises ValueError as `parse_jsonl` does, and OSError."""
    return parse_jsonl(Path(path).read_bytes(), Path(path).name)


def split_by(
    df: pd.DataFrame, column: str, values: Iterable[Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split into (train, validation): rows with one of `values` in `column` go to validation.

    A whole group moves together, so nothing of it can leak into training. Raises ValueError for
    an unknown column or value, or if a side stays empty.
    """
    need_columns(df, [column])
    wanted = [values] if isinstance(values, str) else list(values)
    known = df[column].unique().tolist()
    strangers = [value for value in wanted if value not in known]
    if strangers:
        raise ValueError(f"No row has {strangers} in the column {column!r}. There are: {known}")
    chosen = df[column].isin(wanted)
    if chosen.all() or not chosen.any():
        raise ValueError(f"One side of the split is empty: {int(chosen.sum())} of {len(df)} rows.")
    return df[~chosen].reset_index(drop=True), df[chosen].reset_index(drop=True)


def leaks(train: pd.DataFrame, valid: pd.DataFrame, on: Sequence[str]) -> int:
    """How many validation rows share all attributes in `on` with some training row."""
    names = [on] if isinstance(on, str) else list(on)
    need_columns(train, names)
    need_columns(valid, names)
    seen = set(train[names].itertuples(index=False, name=None))
    return sum(row in seen for row in valid[names].itertuples(index=False, name=None))
