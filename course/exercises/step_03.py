"""The exercises of notebook 03. Two files beside this one belong to exercise 3.1.

damaged.jsonl has twelve short examples with six mistakes that people really make; in
repaired.jsonl they are as they should be.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from course.exercise import Expectations, exercise, expect
from course.grid import AGES
from helpers.check_file import check_file
from helpers.data import replace_text
from helpers.jsonl import SEPARATOR, STOP, leaks, read_jsonl

HERE = Path(__file__).parent


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
    first = f"{report.n_errors} errors, the first in {errors[0].where}" if errors else ""
    yield expect(report.ok, "a file without errors", first)
    found, wanted = _pairs(path), _pairs(HERE / "repaired.jsonl")
    yield expect(len(found) == len(wanted), "all twelve heroes", f"{len(found)} examples")
    for pair in wanted:
        yield expect(pair in found, f'"{pair[0]}" with its own answer', "something else there")


@exercise("3.2")
def split_by_age(train: pd.DataFrame, valid: pd.DataFrame) -> Expectations:
    rows = len(train) + len(valid)
    yield expect(len(valid) == 84, "84 rows in the validation part", f"{len(valid)} rows")
    yield expect(rows == 294, "no row lost and none twice", f"{rows} rows in both parts together")
    ages = sorted(set(valid["age"]))
    yield expect(len(ages) == 2 and set(ages) <= set(AGES), "two whole ages held out", ages)
    shared = leaks(train, valid, on=["age"])
    yield expect(shared == 0, "no age in both parts", f"{shared} validation rows that leak")


@exercise("3.3")
def own_separators(path: Path) -> Expectations:
    report = check_file(path)
    yield expect(report.format == "completion", "prompt/completion format", report.format)
    yield expect(report.n_examples >= 10, "ten examples or more", f"{report.n_examples}")
    kinds = ", ".join(sorted(report.counts))
    yield expect(not report.counts, "a file that the checker has nothing to say about", kinds)
    pairs = read_jsonl(path)
    same = sum(pair["prompt"].endswith(SEPARATOR) for pair in pairs)
    yield expect(same == 0, f"a separator other than {SEPARATOR!r}", f"{same} prompts that end so")
    same = sum(pair["completion"].endswith(STOP) for pair in pairs)
    yield expect(same == 0, f"a stop sequence other than {STOP!r}", f"{same} that end so")
