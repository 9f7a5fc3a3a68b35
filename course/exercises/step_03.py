"""The exercises of notebook 03. Two files beside this one belong to exercise 3.1.

damaged.jsonl has twelve short examples with six mistakes that people really make; in
repaired.jsonl they are as they should be.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from course.exercise import Expectations, exercise, expect
from helpers.check_file import check_file
from helpers.data import replace_text
from helpers.jsonl import leaks, read_jsonl

HERE = Path(__file__).parent
NOTE = ["age", "gender", "power"]
HELD_OUT = 14  # notes: a seventh of them, as when one power of seven is held out
EXAMPLE = json.dumps(
    {"messages": [{"role": "user", "content": "7"}, {"role": "assistant", "content": "8"}]}
)
# What exercise 3.3 tries beside the lines of damaged.jsonl: each with the words for it.
MORE_LINES = {
    "a list around the example": f"[{EXAMPLE}]",
    "single quotes": EXAMPLE.replace('"', "'"),
    "two examples on one line": EXAMPLE + EXAMPLE,
    "an empty answer": EXAMPLE.replace('"8"', '""'),
    "no message at all": '{"messages": []}',
    "a message without content": '{"messages": [{"role": "user"}, {"role": "assistant"}]}',
    "a bare number": "7",
}


def write_damaged_file(path: Path) -> Path:
    """Write the damaged file of exercise 3.1, unless it exists already; returns its path."""
    if not path.is_file():
        replace_text(path, (HERE / "damaged.jsonl").read_text(encoding="utf-8"))
    return path


def _pairs(path: Path) -> list[tuple[str, ...]]:
    """The prompt and the answer of each example."""
    return [tuple(m["content"] for m in example["messages"]) for example in read_jsonl(path)]


@exercise("3.1")
def repaired_file(path: Path) -> Expectations:
    report = check_file(path)
    errors = [problem for problem in report.problems if problem.severity == "error"]
    count = f"{len(errors)} errors" if len(errors) > 1 else "one error"
    first = f"{count}, the first in {errors[0].where}" if errors else ""
    yield expect(report.ok, "a file without errors", first)
    found, wanted = _pairs(path), _pairs(HERE / "repaired.jsonl")
    yield expect(len(found) == len(wanted), "all twelve heroes", f"{len(found)} examples")
    for pair in wanted:
        yield expect(pair in found, f'"{pair[0]}" with its own answer', "something else there")


@exercise("3.2")
def split_by_note(train: pd.DataFrame, valid: pd.DataFrame) -> Expectations:
    notes = len(valid[NOTE].drop_duplicates())
    yield expect(notes == HELD_OUT, f"{HELD_OUT} notes held out", f"{notes} of them")
    yield expect(len(valid) == 3 * HELD_OUT, f"all {3 * HELD_OUT} rows of these", len(valid))
    shared = leaks(train, valid, on=NOTE)
    yield expect(shared == 0, "no note in both parts", f"{shared} validation rows that leak")
    rows = len(train) + len(valid)
    yield expect(rows == 294, "no row lost and none twice", f"{rows} rows in both parts together")
    for name in NOTE:
        unseen = sorted(set(valid[name]) - set(train[name]))
        wanted = f"a training part with every {name} of the validation part"
        yield expect(not unseen, wanted, f"no {', '.join(map(str, unseen))} in it")


@exercise("3.3")
def own_checker(is_valid: Callable[[str], bool]) -> Expectations:
    intact, damaged = (
        (HERE / name).read_text(encoding="utf-8").splitlines()
        for name in ("repaired.jsonl", "damaged.jsonl")
    )
    for number, line in enumerate(intact, start=1):
        seen = _answer(is_valid, line)
        yield expect(seen is True, f"True for line {number} of an intact file", seen)
    for number, line in enumerate(damaged, start=1):
        if line not in intact:
            seen = _answer(is_valid, line)
            yield expect(seen is False, f"False for line {number} of damaged.jsonl", seen)
    for what, line in MORE_LINES.items():
        seen = _answer(is_valid, line)
        yield expect(seen is False, f"False for {what}", seen)


def _answer(is_valid: Callable[[str], bool], line: str) -> object:
    """What the learner's function says; an exception that it raises is told as well."""
    try:
        return is_valid(line)
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
