"""From a table of superheroes to training examples, to a file, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from course.grid import SUB_PROMPT
from helpers.data import replace_text

SEPARATOR = " ->"
STOP = " END"


def short_prompt(age: int, gender: str, power: str) -> str:
    """The prompt that the tuned model learns: "40, woman, Healing ->"."""
    return SUB_PROMPT.format(age=age, gender=gender, power=power) + SEPARATOR


def need_columns(df: pd.DataFrame, names: Sequence[str]) -> None:
    """Raises ValueError if the table lacks one of the columns."""
    absent = [name for name in names if name not in df.columns]
    if absent:
        raise ValueError(f"The table has no column {', '.join(absent)}. It has {list(df.columns)}.")


def _pairs(df: pd.DataFrame) -> list[tuple[str, str]]:
    """The (short prompt, description) of every row; ValueError for a row without description."""
    need_columns(df, ["age", "gender", "power", "response_txt"])
    pairs = []
    for index, row in zip(df.index, df.to_dict("records"), strict=True):
        text = row["response_txt"]
        if not isinstance(text, str) or not text.strip():
            raise ValueError(
                f"Row {index} has no description in response_txt: leave such rows out."
            )
        pairs.append((short_prompt(row["age"], row["gender"], row["power"]), text))
    return pairs


def to_chat(df: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows (age, gender, power, response_txt) as chat examples: a question and its answer."""
    return [
        {
            "messages": [
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": text},
            ]
        }
        for prompt, text in _pairs(df)
    ]


def to_completions(df: pd.DataFrame) -> list[dict[str, str]]:
    """Rows as prompt/completion examples, with separator, leading space and stop sequence."""
    return [
        {"prompt": prompt, "completion": f" {text.strip()}{STOP}"} for prompt, text in _pairs(df)
    ]


def json_line(example: dict[str, Any]) -> str:
    """One example as a line of a file. Raises TypeError or ValueError if it can't be JSON."""
    return json.dumps(example, ensure_ascii=False, allow_nan=False) + "\n"


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
    """Read the examples of a file. Raises ValueError, naming the line, if one is no JSON object."""
    examples = []
    with Path(path).open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                example = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{Path(path).name}, line {number}: {error}") from error
            if not isinstance(example, dict):
                raise ValueError(f"{Path(path).name}, line {number}: not a JSON object.")
            examples.append(example)
    return examples


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
