"""`heroes prepare` with any table: texts survive, and "ready" is what the sandbox accepts."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.check_file import check_file
from helpers.jsonl import write_jsonl
from helpers.settings import ROOT, load_settings
from heroes.prepare.read import read_source
from heroes.prepare.steps import Steps
from heroes.prepare.suggestion import InputError, Plan, Suggestion
from heroes.prepare.write import examples, is_same
from sandbox.engine.text.examples import validate_training_file

pytestmark = pytest.mark.slow

QUICK = settings(
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
WEIGHTS = ROOT / "sandbox" / "base_model" / "weights"
PIECES = st.sampled_from(
    [" ->", " END", "***", "\n\n###\n\n", "\n", " ", "?", ".", "HERO ", "Tell me about ", "nan"]
    + ["\t", "{n}", "<|end|>", "=1+1", '"', "'", ",", ";", "|", "\\", "é", "İ", "007", "1.0", "[{"]
)
LETTERS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)
TEXTS = st.lists(st.one_of(PIECES, LETTERS), max_size=5).map("".join)
ROWS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=14)
# "w" at the front: a text of blanks is no row, and one such as "#N/A" is an error of Excel.
WRITTEN = ROWS.map(lambda rows: [(f"w{p}", f"w{c}") for p, c in rows])
WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "semicolon.csv": lambda frame, path: frame.to_csv(path, index=False, sep=";"),
    "xlsx": lambda frame, path: frame.to_excel(path, index=False),
    "json": lambda frame, path: frame.to_json(path, orient="records"),
    "jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
}

NAMES = ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.txt", "a.xlsx", "a.gz", "a"]


def accept(suggestion: Suggestion) -> bool:
    return True


@QUICK
@given(rows=WRITTEN, kind=st.sampled_from(sorted(WRITERS)))
def test_what_pandas_writes_comes_back(rows: list[tuple[str, str]], kind: str) -> None:
    frame = pd.DataFrame(rows, columns=["prompt", "completion"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{kind}"
        WRITERS[kind](frame, path)
        read = read_source(path).frame
    assert list(zip(read["prompt"], read["completion"], strict=True)) == rows


@QUICK
@given(rows=ROWS, form=st.sampled_from(["chat", "completions"]))
def test_ready_is_what_checker_and_sandbox_accept(rows: list[tuple[str, str]], form: str) -> None:
    plan = Plan(form)
    with tempfile.TemporaryDirectory() as folder:
        path, made = Path(folder) / "a.json", Path(folder) / "made.jsonl"
        rows = [*rows, *((f"question {n}", f"answer {n}") for n in range(10))]
        path.write_text(json.dumps([{"prompt": p, "completion": c} for p, c in rows]))
        frame = Steps(plan, accept).run(read_source(path))
        write_jsonl(made, examples(frame, plan))
        report = check_file(made, settings=load_settings())
        if report.ok:
            validate_training_file(made, WEIGHTS)
        else:
            assert set(report.counts) & {"too_few"}
        # Preparing again suggests nothing.
        again = Steps(plan, accept)
        second = again.run(read_source(made))
        assert [s.title for s, _ in again.decisions] == []
        assert is_same(made, second, plan)


@QUICK
@given(rows=ROWS, form=st.sampled_from(["chat", "completions"]))
def test_declining_changes_no_text(rows: list[tuple[str, str]], form: str) -> None:
    text = pd.DataFrame(rows, columns=["prompt", "completion"]).to_json(orient="records")
    steps = Steps(Plan(form), lambda suggestion: suggestion.level == "necessary")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        path.write_text(text, encoding="utf-8")
        try:
            frame = steps.run(read_source(path))
        except InputError as error:
            assert "No row is left" in str(error) or "refuse all" in str(error)
            return
    left_out = {row for suggestion, _ in steps.decisions for row in suggestion.rows if _}
    kept = [row for place, row in enumerate(rows, 1) if place not in left_out]
    assert list(zip(frame["prompt"], frame["completion"], strict=True)) == kept


@QUICK
@given(data=st.one_of(st.binary(max_size=60), TEXTS.map(str.encode)), name=st.sampled_from(NAMES))
def test_any_bytes_are_read_or_refused_in_words(data: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            assert len(read_source(path).frame)
        except InputError as error:
            assert io.StringIO(str(error)).read()
