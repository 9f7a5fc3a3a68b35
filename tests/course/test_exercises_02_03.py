from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from course.exercise import Exercise
from course.exercises import step_02, step_03
from course.grid import POWERS, superhero_grid
from helpers.check_file import check_file
from helpers.data import my
from helpers.jsonl import split_by, to_completions, write_jsonl
from helpers.pairs import add_separator, add_stop, drop_duplicates, leading_space

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def heroes() -> pd.DataFrame:
    """The whole grid with a different text of 45 words in every row."""
    frame = superhero_grid()
    frame["response_txt"] = [f"{number} capes " + "word " * 42 + "end." for number in range(294)]
    return frame.assign(finish_reason="stop", completion_tokens=60)


def plain_pairs(heroes: pd.DataFrame) -> pd.DataFrame:
    plain = pd.DataFrame({"prompt": heroes["sub_prompt"], "completion": heroes["response_txt"]})
    return pd.concat([plain, plain.head(1)])


def solution(notebook: str, exercise: str) -> str:
    """The code in the collapsed solution of an exercise, as learners read it."""
    cells = nbformat.read(NOTEBOOKS / notebook, as_version=4).cells
    text = next(cell.source for cell in cells if cell.id == f"{exercise}-solution")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found, f"{exercise} has no solution"
    return found[1]


@pytest.mark.parametrize(
    ("notebook", "cell", "exercise"),
    [
        ("02_synthetic_superheroes.ipynb", "ex-own-grid", step_02.own_grid),
        ("02_synthetic_superheroes.ipynb", "ex-clean", step_02.clean_table),
        ("03_jsonl_preparation.ipynb", "ex-mend", step_03.mended),
        ("03_jsonl_preparation.ipynb", "ex-split", step_03.split_by_age),
        ("03_jsonl_preparation.ipynb", "ex-marks", step_03.own_marks),
    ],
)
def test_the_solution_in_the_notebook_passes(
    notebook: str,
    cell: str,
    exercise: Exercise,
    heroes: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HEROES_MY", str(tmp_path))
    names: dict[str, Any] = {
        "heroes": heroes,
        "plain": plain_pairs(heroes),
        "table": step_02.damaged_table(heroes),
        "patient": step_03.hand_out_patient(my("patient.jsonl")),
        "own_grid": step_02.own_grid,
        "clean_table": step_02.clean_table,
        "mended": step_03.mended,
        "split_by_age": step_03.split_by_age,
        "own_marks": step_03.own_marks,
        "json": json,
        "superhero_grid": superhero_grid,
        "split_by": split_by,
        "write_jsonl": write_jsonl,
        "my": my,
        "add_separator": add_separator,
        "add_stop": add_stop,
        "drop_duplicates": drop_duplicates,
        "leading_space": leading_space,
    }
    exec(solution(notebook, cell), names)  # noqa: S102 (our own text, as a learner would run it)
    said = capsys.readouterr().out
    assert f"Exercise {exercise.number} " in said
    assert "done" in said


Grid = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda grid: grid.drop(columns="prompt"), "no prompt"),
        (lambda grid: grid[grid["power"] == "Ice"], "two powers"),
        (lambda grid: pd.concat([grid, grid]), "28 rows"),
        (lambda grid: pd.concat([grid.iloc[1:], grid.tail(1)]), "every hero once"),
        (lambda grid: grid.assign(prompt=grid["prompt"][0]), "27 prompts"),
    ],
)
def test_a_grid_is_graded_line_by_line(change: Grid, problem: str) -> None:
    good = superhero_grid(powers=["Ice", "Cheese"], repeats=1)
    assert step_02.own_grid.verdict(good)
    assert problem in str(step_02.own_grid.verdict(change(good)).problem)


def test_a_grid_of_known_powers_is_not_new() -> None:
    known = superhero_grid(powers=[POWERS[0].upper(), "Ice"], repeats=1)
    assert "INVISIBILITY" in str(step_02.own_grid.verdict(known).problem)


def test_the_damaged_table_has_four_accidents_and_each_is_missed(heroes: pd.DataFrame) -> None:
    table = step_02.damaged_table(heroes)
    grade = step_02.clean_table
    assert "2 that it did not" in str(grade.verdict(table).problem)
    finished = table[table["finish_reason"] == "stop"]
    assert "1 shorter" in str(grade.verdict(finished).problem)
    whole = finished[finished["response_txt"].str.split().str.len() >= 40]
    assert "1 repeated" in str(grade.verdict(whole).problem)
    sound = whole.drop_duplicates("response_txt")
    assert grade.verdict(sound)
    assert "7 rows" in str(grade.verdict(sound.head(7)).problem)


def test_too_small_a_table_cannot_be_damaged(heroes: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="12 are needed"):
        step_02.damaged_table(heroes.head(11))


def test_the_patient_has_all_six_mistakes_and_is_not_overwritten(tmp_path: Path) -> None:
    path = step_03.hand_out_patient(tmp_path / "patient.jsonl")
    errors = {p.line for p in check_file(path).problems if p.severity == "error"}
    assert errors == {2, 4, 6, 8, 10, 12}
    path.write_text("mine", encoding="utf-8")
    assert step_03.hand_out_patient(path).read_text(encoding="utf-8") == "mine"


def test_a_patient_that_lost_a_hero_or_a_word_is_not_mended(tmp_path: Path) -> None:
    def example(age: int, gender: str, power: str, text: str) -> dict[str, Any]:
        user = {"role": "user", "content": f"{age}, {gender}, {power} ->"}
        return {"messages": [user, {"role": "assistant", "content": text}]}

    whole = [example(*hero) for hero in step_03.PATIENT]
    path = write_jsonl(tmp_path / "patient.jsonl", whole)
    assert step_03.mended.verdict(path)
    write_jsonl(path, whole[:11])
    assert "11 examples" in str(step_03.mended.verdict(path).problem)
    whole[3]["messages"][1]["content"] = "Something else."
    write_jsonl(path, whole)
    assert "20, woman, invisibility ->" in str(step_03.mended.verdict(path).problem)


def test_a_split_is_graded_line_by_line(heroes: pd.DataFrame) -> None:
    grade = step_03.split_by_age
    train, valid = split_by(heroes, "age", [18, 60])
    assert grade.verdict(train, valid)
    assert "252 rows" in str(grade.verdict(*split_by(heroes, "age", [18])[::-1]).problem)
    assert "378 rows" in str(grade.verdict(heroes, valid).problem)
    dealt = heroes.sample(84, random_state=1)
    assert "two whole ages" in str(grade.verdict(heroes.drop(dealt.index), dealt).problem)
    swapped = pd.concat([valid.iloc[1:], valid.tail(1)])
    leaky = pd.concat([train, valid.head(1)]).iloc[1:]
    assert "leak" in str(grade.verdict(leaky, swapped).problem)


def test_marks_must_be_there_and_of_ones_own(heroes: pd.DataFrame, tmp_path: Path) -> None:
    grade, path = step_03.own_marks, tmp_path / "marks.jsonl"
    write_jsonl(path, plain_pairs(heroes).to_dict("records"))
    assert "no_separator" in str(grade.verdict(path).problem)
    write_jsonl(path, to_completions(heroes))
    assert "a separator other than" in str(grade.verdict(path).problem)
    pairs = plain_pairs(heroes).pipe(drop_duplicates).pipe(add_separator, " =>").pipe(leading_space)
    write_jsonl(path, pairs.pipe(add_stop).to_dict("records"))
    assert "a stop sequence other than" in str(grade.verdict(path).problem)
    write_jsonl(path, pairs.pipe(add_stop, " ***").to_dict("records"))
    assert grade.verdict(path)


@pytest.mark.parametrize(
    "exercise",
    [step_02.own_grid, step_02.clean_table, step_03.own_marks],
)
def test_nothing_handed_in_is_not_yet(
    exercise: Exercise, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise.check(None)
    assert "Nothing was handed in" in capsys.readouterr().out
