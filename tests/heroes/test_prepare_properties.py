"""`heroes prepare` with any table: nothing is changed that nobody accepted, and twice is once."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers.check_file import check_file
from heroes.prepare import InputError, Plan, Source, Steps, Suggestion, Table, read_source, split
from heroes.prepare.output import examples, write_and_check

FORMATS = ("chat", "completions")
QUICK = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# Pieces that prepared files are made of, next to any text.
PIECES = st.sampled_from(
    [" ->", "->", " END", "END", "***", "\n\n###\n\n", "###", "\n", " ", "\r\n", "?", ".", "HERO "]
    + [
        "Tell me about ",
        "Meet Ana",
        "the ",
        "\t",
        "{n}",
        "<|end|>",
        "=1+1",
        '"',
        ",",
        ";",
        "é",
        "İ",
    ]
)
LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
TEXTS = st.lists(st.one_of(PIECES, PIECES, LETTERS), max_size=5).map("".join)
ROWS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8)
# Where there is a common beginning and a common end, so that the rules have something to do.
FRAMED = st.tuples(ROWS, TEXTS, TEXTS, TEXTS, TEXTS).map(
    lambda t: [(t[1] + p + t[2], t[3] + c + t[4]) for p, c in t[0]]
)
TABLES = st.one_of(ROWS, FRAMED)
Pair = tuple[str, str]


def source_of(rows: list[Pair]) -> Source:
    columns: dict[str, list[Any]] = {
        "prompt": [prompt for prompt, _ in rows],
        "completion": [completion for _, completion in rows],
    }
    return Source(Table("made.csv", columns, list(range(2, len(rows) + 2))), "csv", "utf-8")


def run(source: Source, plan: Plan, accept: Callable[[Suggestion], bool]) -> Table | None:
    """The prepared table, or None if no row is left."""
    try:
        return Steps(plan, accept).run(source)
    except InputError as error:
        assert "No row is left" in error.problem
        return None


def pairs_of(table: Table) -> list[Pair]:
    return list(zip(table["prompt"], table["completion"], strict=True))


@QUICK
@given(rows=TABLES, form=st.sampled_from(FORMATS))
def test_declining_leaves_every_text_and_row(rows: list[Pair], form: Any) -> None:
    table = run(source_of(rows), Plan(form), lambda s: s.level == "necessary")
    usable = [(p, c) for p, c in rows if c.strip() and "<|end|>" not in p + c]
    usable = [pair for pair in usable if not any("<|" in text for text in pair)]
    kept = [] if table is None else pairs_of(table)
    assert [pair for pair in kept if not any("<|" in text for text in pair)] == usable


@QUICK
@given(rows=TABLES, form=st.sampled_from(FORMATS), data=st.data())
def test_kept_rows_change_only_where_a_suggestion_was_accepted(
    rows: list[Pair], form: Any, data: st.DataObject
) -> None:
    accepted: list[Suggestion] = []

    def decide(suggestion: Suggestion) -> bool:
        if suggestion.level == "recommended" and not data.draw(st.booleans()):
            return False
        accepted.append(suggestion)
        return True

    table = run(source_of(rows), Plan(form), decide)
    if table is None:
        return
    by_place = dict(zip(range(2, len(rows) + 2), rows, strict=True))
    changing = [s for s in accepted if s.after is not None]
    dropped = sum(s.count for s in accepted if s.after is None)
    assert len(table) == len(rows) - dropped
    for place, pair in zip(table.places, pairs_of(table), strict=True):
        before = by_place[place]
        listed = {s.kind for s in changing if place in s.places}
        if pair[0] != before[0]:
            assert any(kind.startswith(("prompt", "separator")) for kind in listed)
        if pair[1] != before[1]:
            assert listed & {"stop", "chat_stop", "leading_space"} or any(
                kind.startswith("completion") for kind in listed
            )


@QUICK
@example(rows=[("a", "END"), ("b", "END ->")], form="completions")
@example(rows=[(" ->", " ->"), (" -> ->", " ->")], form="completions")
@given(rows=TABLES, form=st.sampled_from(FORMATS))
def test_preparing_again_suggests_nothing(rows: list[Pair], form: Any, tmp_path: Path) -> None:
    plan = Plan(form)
    table = run(source_of(rows), plan, lambda _: True)
    if table is None:
        return
    path = tmp_path / "prepared.jsonl"
    write_and_check(path, table, plan, training=True)
    again = Steps(plan, lambda _: True)
    second = again.run(read_source(path))
    assert [s.title for s, _ in again.decisions] == []
    assert list(examples(second, plan)) == list(examples(table, plan))


@QUICK
@given(rows=TABLES, form=st.sampled_from(FORMATS))
def test_the_checker_finds_no_error_but_too_few(
    rows: list[Pair], form: Any, tmp_path: Path
) -> None:
    plan = Plan(form)
    table = run(source_of(rows), plan, lambda _: True)
    if table is None:
        return
    report = write_and_check(tmp_path / "prepared.jsonl", table, plan, training=False)
    assert report.ok, report
    assert report.n_examples == len(table)
    assert not report.counts["duplicate"]
    assert not report.counts["no_leading_space"]
    assert not report.counts["no_separator"]
    assert not report.counts["no_stop"]


def write_csv(path: Path, rows: list[Pair], delimiter: str = ",") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerows([("prompt", "completion"), *rows])


def write_xlsx(path: Path, rows: list[Pair]) -> None:
    book = openpyxl.Workbook()
    for number, row in enumerate([("prompt", "completion"), *rows], start=1):
        for column, text in enumerate(row, start=1):
            cell = book.active.cell(number, column)
            cell.value = text
            cell.data_type = "s"  # a text, even if it begins like a formula
    book.save(path)


def write_lines(path: Path, rows: list[Pair]) -> None:
    lines = [json.dumps({"prompt": p, "completion": c}) + "\n" for p, c in rows]
    path.write_text("".join(lines), encoding="utf-8")


def write_list(path: Path, rows: list[Pair]) -> None:
    value = [{"prompt": p, "completion": c} for p, c in rows]
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


WRITERS: dict[str, Callable[[Path, list[Pair]], None]] = {
    "csv": write_csv,
    "tsv": lambda path, rows: write_csv(path, rows, "\t"),
    "xlsx": write_xlsx,
    "jsonl": write_lines,
    "json": write_list,
}
# No control characters, which have no place in a sheet, and no empty rows, which are no rows.
PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
PLAIN_ROWS = st.lists(st.tuples(PLAIN, PLAIN), min_size=1, max_size=6)


@pytest.mark.parametrize("kind", WRITERS)
@settings(parent=QUICK, max_examples=40)
@given(rows=PLAIN_ROWS)
def test_what_was_written_is_read(kind: str, rows: list[Pair], tmp_path: Path) -> None:
    path = tmp_path / f"table.{kind}"
    WRITERS[kind](path, rows)
    source = read_source(path)
    assert source.kind == kind
    assert pairs_of(source.table) == rows


@settings(parent=QUICK, max_examples=60)
@given(rows=ROWS, form=st.sampled_from(FORMATS))
def test_all_formats_are_prepared_alike(rows: list[Pair], form: Any, tmp_path: Path) -> None:
    rows = [(p.replace("\0", ""), c.replace("\0", "")) for p, c in rows]
    results = []
    for kind in ("csv", "tsv", "jsonl", "json"):
        path = tmp_path / f"table.{kind}"
        WRITERS[kind](path, rows)
        table = run(read_source(path), Plan(form), lambda _: True)
        results.append(None if table is None else pairs_of(table))
    assert all(result == results[0] for result in results)


@settings(parent=QUICK, max_examples=100)
@given(
    groups=st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=60),
    share=st.one_of(st.floats(0.01, 0.99), st.integers(1, 70)),
    seed=st.integers(0, 9),
)
def test_a_split_loses_nothing_and_leaks_nothing(
    groups: list[str], share: float, seed: int
) -> None:
    texts = [str(number) for number in range(len(groups))]
    table = Table(
        "made", {"prompt": texts, "completion": texts}, list(range(len(groups))), hidden=groups
    )
    if len(set(groups)) == 1:
        with pytest.raises(InputError, match="same power"):
            split(table, share, seed, "power")
        return
    found = split(table, share, seed, "power")
    assert sorted(found.train.places + found.valid.places) == table.places
    assert not set(found.train.hidden or ()) & set(found.valid.hidden or ())
    assert len(found.train) > 0
    assert len(found.valid) > 0
    assert found.to_dict() == split(table, share, seed, "power").to_dict()


@settings(parent=QUICK, max_examples=100)
@given(
    data=st.binary(max_size=300),
    kind=st.sampled_from(["csv", "tsv", "json", "jsonl", "txt", "xlsx"]),
)
def test_any_bytes_are_read_or_refused_in_one_line(data: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"any.{kind}"
    path.write_bytes(data)
    try:
        source = read_source(path)
    except InputError as error:
        assert f"any.{kind}" in str(error)
        assert str(error).count("\n") <= str(error.problem).count("\n")
        return
    assert len(source.table) == len(source.table.places) > 0


def test_the_checker_is_the_one_of_the_course(tmp_path: Path) -> None:
    path = tmp_path / "prepared.jsonl"
    table = run(source_of([("a", "b")]), Plan("completions"), lambda _: True)
    assert table is not None
    report = write_and_check(path, table, Plan("completions"), training=True)
    assert str(report) == str(check_file(path))
