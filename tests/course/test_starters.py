"""The starter tables of notebook 12: whole, written once each, and accepted by their own tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from course.exercise import Exercise
from course.exercises import step_12
from course.starters import COLUMNS, FOLDER, JUDGES, LEGAL, SYSTEM, TableError, load_table
from course.wording import words
from helpers.statistics import copied, copied_among

HELD_OUT = 20
LONGEST = 40  # words
LARGEST_COPY = 0.5  # of a text's runs of five words
NAMES = list(JUDGES)


def split(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As in the notebook."""
    test = table.sample(frac=0.2, random_state=12)
    return table.drop(test.index), test


def normal(text: str) -> str:
    return " ".join(words(text.casefold()))


def test_the_folder_holds_the_three_tables() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_table_is_whole(name: str) -> None:
    table = load_table(name)
    assert list(pd.read_csv(FOLDER / f"{name}.csv").columns) == COLUMNS == list(table.columns)
    assert len(table) == 100
    assert table["system"].nunique() == 1
    for column in COLUMNS:
        texts = table[column]
        assert (texts == texts.str.strip()).all() and (texts != "").all()
        assert not texts.str.contains(r"[“”‘’\n\t]|  ").any(), "typed with plain quotes, one line"
    assert max(len(words(text)) for text in table["completion"]) <= LONGEST
    assert max(len(words(text)) for text in table["prompt"]) <= LONGEST


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("column", ["prompt", "completion"])
def test_no_text_is_there_twice_or_nearly(name: str, column: str) -> None:
    texts = load_table(name)[column].tolist()
    assert len({normal(text) for text in texts}) == len(texts)
    near = [
        text
        for text, share in zip(texts, copied_among(texts), strict=True)
        if share > LARGEST_COPY and name != "repairs"  # four keys are the same in each
    ]
    assert not near


@pytest.mark.parametrize("name", NAMES)
def test_nothing_leaks_from_the_training_rows_into_the_held_out_ones(name: str) -> None:
    train, test = split(load_table(name))
    assert len(test) == HELD_OUT and len(train) == 100 - HELD_OUT
    assert not set(train["prompt"].map(normal)) & set(test["prompt"].map(normal))
    assert max(copied(test["prompt"].tolist(), train["prompt"].tolist())) <= LARGEST_COPY


@pytest.mark.parametrize("name", NAMES)
def test_every_completion_passes_the_test_of_its_table(name: str) -> None:
    rows = load_table(name).itertuples()
    assert not [row.prompt for row in rows if not JUDGES[name](row.completion, row)]


def test_the_prompts_themselves_do_not_pass() -> None:
    for name in NAMES:
        rows = list(load_table(name).itertuples())
        passing = sum(JUDGES[name](row.prompt, row) for row in rows)
        assert passing <= 2


def test_a_plain_sentence_keeps_the_numbers_and_is_shorter() -> None:
    for row in load_table("plain").itertuples():
        assert re.findall(r"\d+", row.prompt) == re.findall(r"\d+", row.completion), row.prompt
        assert len(row.completion) < len(row.prompt), row.prompt
        assert not LEGAL.search(row.completion)


def test_a_ticket_says_only_what_the_note_says() -> None:
    tickets = [json.loads(text) for text in load_table("repairs")["completion"]]
    flats = [ticket["flat"] for ticket in tickets]
    assert len(set(flats)) == len(flats)
    assert all(re.fullmatch(r"\d{1,2}[A-D]?", flat) for flat in flats)
    assert {type(ticket["when"]) for ticket in tickets} == {str, type(None)}
    assert 20 <= sum(ticket["urgent"] for ticket in tickets) <= 40
    for row, ticket in zip(load_table("repairs").itertuples(), tickets, strict=True):
        assert list(ticket) == ["flat", "problem", "when", "urgent"]
        assert ticket["flat"].lower() in row.prompt.lower()
        assert len(words(ticket["problem"])) <= 8


TICKET = {"flat": "3B", "problem": "tap drips", "when": None, "urgent": False}


def test_the_tests_refuse_what_they_should() -> None:
    row = SimpleNamespace(
        prompt="Seven days are herewith given.", must="seven|7", completion=json.dumps(TICKET)
    )
    assert JUDGES["sarcastic"]("Seven, as you know.", row)
    for answer in (
        "Six, as you know.",
        "Seven.",
        "Seven. You know. I do, too.",
        "Seventy for you.",
    ):
        assert not JUDGES["sarcastic"](answer, row), answer
    assert JUDGES["plain"]("You have seven days.", row)
    for answer in ("You shall have seven days.", "You have days.", row.prompt):
        assert not JUDGES["plain"](answer, row), answer
    assert JUDGES["repairs"](json.dumps({**TICKET, "problem": "the tap drips"}), row)
    for wrong in (
        *({"flat": "3b"}, {"urgent": "no"}, {"urgent": True}, {"urgent": 0}, {"problem": None}),
        *({"room": "bath"}, {"when": "at noon"}, {"when": 5}),
    ):
        assert not JUDGES["repairs"](json.dumps({**TICKET, **wrong}), row), wrong
    for answer in ("", "[]", "Here you are: {}", json.dumps(TICKET) + "."):
        assert not JUDGES["repairs"](answer, row), answer


def write(path: Path, head: str, *lines: str) -> str:
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return str(path)


def test_a_table_of_ones_own_gets_the_missing_columns(tmp_path: Path) -> None:
    lines = [f"note {n},NA" for n in range(20)]
    table = load_table(write(tmp_path / "own.csv", "prompt,completion", *lines))
    assert list(table.columns) == COLUMNS
    assert set(table["system"]) == {SYSTEM} and set(table["must"]) == {""}
    assert set(table["completion"]) == {"NA"}, "a word, not a missing value"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_a_table_from_a_spreadsheet_is_read(tmp_path: Path, encoding: str, comma: str) -> None:
    lines = [f'bell {n}{comma}"The bell, {n} €"{comma}' for n in range(20)]
    text = "\r\n".join([f"Prompt{comma} Completion {comma}", *lines, comma * 2, comma * 2])
    (tmp_path / "own.csv").write_bytes(text.encode(encoding))
    table = load_table(str(tmp_path / "own.csv"))
    assert table["prompt"].tolist() == [f"bell {n}" for n in range(20)]
    assert table["completion"].iloc[7] == "The bell, 7 €"


@pytest.mark.parametrize(
    ("head", "line", "said"),
    [
        ("question,completion", "a,b", "no column prompt"),
        ("prompt,completion", "a,", "Row 2 of own.csv has no completion"),
        ("prompt,completion", "a,b", "20 at least"),
        ("prompt,completion", "a,b,c", "Row 2 of own.csv has more cells than the first row"),
        ("prompt,completion,must", "a,b,(c", r"Row 2 of own.csv: \(c is no regular expression"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(
    tmp_path: Path, head: str, line: str, said: str
) -> None:
    with pytest.raises(TableError, match=said):
        load_table(write(tmp_path / "own.csv", head, line))


def test_a_table_that_is_not_there_is_named() -> None:
    with pytest.raises(TableError, match="sarcastic, plain, repairs"):
        load_table("no such table")


def stricter(answer: str, row: Any) -> bool:
    return JUDGES["sarcastic"](answer, row) and len(answer.split()) >= 6


ROWS = [
    {"prompt": f"{thing}, please", "completion": f"Here is the {thing}.", "must": thing}
    for thing in "salt pepper bread milk sugar coffee water butter".split()
]
HELD = pd.DataFrame({"prompt": list("abcd"), "completion": list("efgh")})


@pytest.mark.parametrize(
    ("number", "handed_in", "said"),
    [
        ("12.1", ("I say seven.", stricter), None),
        ("12.1", ("Six.", stricter), "that the judge of the sarcastic table accepts"),
        ("12.1", ("I say seven.", JUDGES["sarcastic"]), "refuses your answer"),
        ("12.1", ("I say seven.", lambda answer, row: answer == "Seven."), "100 refused"),
        ("12.1", ("I say seven.", lambda answer, row: len(answer) > 12), "the right fact"),
        (
            "12.1",
            ("I say seven.", lambda a, row: a != "I say seven." and JUDGES["sarcastic"](a, row)),
            "three bad answers",
        ),
        ("12.2", (ROWS,), None),
        ("12.2", (ROWS[:7],), "8 rows"),
        ("12.2", ([*ROWS[:7], {**ROWS[7], "must": "jam"}],), "no 'jam'"),
        ("12.2", ([*ROWS[:7], ROWS[0]],), "every prompt once"),
        ("12.2", ([*ROWS[:7], {**ROWS[7], "prompt": " "}],), "a text as prompt in row 8"),
        ("12.3", (list("ijkl"), list("mnop"), HELD), None),
        ("12.3", (list("ijk"), list("mnop"), HELD), "4 answers in bare"),
        ("12.3", (list("ijkl"), list("efgh"), HELD), "answers of the model in other"),
        ("12.3", (list("ijkl"), list("ijkl"), HELD), "two different requests"),
    ],
)
def test_the_exercises_name_what_is_wrong(number: str, handed_in: Any, said: str | None) -> None:
    exercises = {each.number: each for each in vars(step_12).values() if isinstance(each, Exercise)}
    problem = exercises[number].grade(*handed_in).problem
    assert problem is None if said is None else said in str(problem)
