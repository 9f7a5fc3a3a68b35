"""What the learner has done: noted, shown, merged for a class, and put back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from course import progress as module
from course.exercise import Exercise, expect
from course.passed import ProgressError, passed
from course.progress import board, exercises_of, progress, report, reset, show_progress, steps
from helpers.data import my
from heroes.app import app

heroes = CliRunner()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEROES_MY", str(tmp_path / "my"))
    return tmp_path / "my"


def solve(number: str) -> None:
    hints = ("a", "b", "c")
    Exercise(number, "x", lambda n: [expect(n == 1, "one", n)], hints).check(1)


def of(step: str) -> module.Progress:
    return next(each for each in progress() if each.step == step)


def test_every_step_has_exercises_and_starts_open() -> None:
    found = progress()
    assert [each.step for each in found] == steps()
    assert all(len(each.exercises) >= 2 for each in found)
    assert {each.state for each in found} == {"open"}
    for step in steps():
        assert {e.number.split(".")[0].zfill(2) for e in exercises_of(step)} == {step}


def test_a_solved_exercise_is_noted_once_and_a_failed_one_is_not() -> None:
    solve("3.1")
    first = passed()["3.1"]
    solve("3.1")
    hints = ("a", "b", "c")
    Exercise("3.2", "x", lambda n: [expect(n == 1, "one", n)], hints).check(2)
    assert passed() == {"3.1": first}


def test_a_step_is_done_when_all_its_parts_are() -> None:
    step = "02"
    my("superheroes.csv").write_text("x")
    assert of(step).state == "begun"
    my("validation.csv").write_text("x")
    assert of(step).state == "begun"
    for exercise in exercises_of(step):
        solve(exercise.number)
    assert of(step).state == "done"
    assert str(of(step)) == "[x] 02 Synthetic heroes  2 of 2 exercises, 2 of 2 files"


def test_it_is_shown_with_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    for exercise in exercises_of("00"):
        solve(exercise.number)
    capsys.readouterr()
    show_progress()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("[x] 00 Start here")
    assert lines[-1] == "Next: 01 API key."


def test_a_damaged_file_is_named(folder: Path) -> None:
    folder.mkdir()
    (folder / "exercises.json").write_text("[1]")
    with pytest.raises(ProgressError, match=r"my/exercises\.json is damaged.*Move it away"):
        passed()


def write_report(path: Path, name: str, made_at: str, **states: dict[str, bool]) -> Path:
    told = [{"step": s[1:], "products": {}, "exercises": done} for s, done in states.items()]
    path.write_text(json.dumps({"name": name, "made_at": made_at, "steps": told}))
    return path


def test_a_board_has_a_row_for_each_learner_and_counts_the_newest_report(tmp_path: Path) -> None:
    half, whole = {"0.1": True, "0.2": False}, {"0.1": True, "0.2": True}
    table = board(
        [
            write_report(tmp_path / "b.json", "Bob", "2026-11-02", s00=whole, s01={"1.1": False}),
            write_report(tmp_path / "a2.json", "Ada", "2026-11-03", s00=whole),
            write_report(tmp_path / "a1.json", "Ada", "2026-11-01", s00=half),
        ]
    )
    assert list(table.index) == ["Ada", "Bob"]
    assert list(table.columns) == ["00", "01", "done"]
    assert table.loc["Ada"].tolist() == ["done", "open", 1]
    assert table.loc["Bob"].tolist() == ["done", "open", 1]


def test_a_real_report_can_be_merged(tmp_path: Path) -> None:
    solve("0.1")
    path = tmp_path / "ada.json"
    path.write_text(json.dumps(report("Ada")))
    assert board([path]).loc["Ada", "00"] == "begun"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("no json", "ada.json is not a progress report"),
        ("[]", "no good field 'name'"),
        ('{"name": 1, "made_at": "x", "steps": []}', "no good field 'name'"),
        ('{"name": "A", "made_at": "x", "steps": {}}', "no good field 'steps'"),
        ('{"name": "A", "made_at": "x", "steps": [{"step": "00"}]}', "'products'"),
        ('{"name": "A", "made_at": "x", "steps": [7]}', "'steps' cannot be read"),
    ],
)
def test_a_bad_report_is_named_with_its_field(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "ada.json"
    path.write_text(content)
    with pytest.raises(ProgressError, match=problem) as refused:
        board([path])
    assert "heroes progress --json" in str(refused.value)


def test_a_reset_moves_the_products_aside_and_opens_the_exercises(folder: Path) -> None:
    for name in ("superheroes.csv", "superheroes.rows.jsonl", "train.jsonl"):
        my(name).write_text(f"mine: {name}")
    solve("2.1")
    solve("3.1")
    moved = [Path(path) for path in reset("2")]
    assert {path.name for path in moved} == {"superheroes.csv", "superheroes.rows.jsonl"}
    assert all(path.read_text() == f"mine: {path.name}" for path in moved), "nothing is lost"
    assert not (folder / "superheroes.csv").exists()
    assert (folder / "train.jsonl").exists(), "another step's"
    assert list(passed()) == ["3.1"]
    assert reset("2") == []


def git(folder: Path) -> Callable[..., None]:
    def run(*words: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)

    return run


def test_a_reset_brings_the_notebook_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = tmp_path / "notebooks" / "03_x.ipynb"
    notebook.parent.mkdir()
    notebook.write_bytes(b"as it was\n")
    call = git(tmp_path)
    call("init")
    call("add", ".")
    call("commit", "-m", "x")
    notebook.write_text("with my edits")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "NOTEBOOKS", notebook.parent)
    reset("03")
    assert notebook.read_text() == "with my edits", "not asked for"
    (moved,) = reset("03", notebook=True)
    assert notebook.read_bytes() == b"as it was\n"
    assert Path(moved).read_text() == "with my edits"


def test_without_git_nothing_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = tmp_path / "notebooks" / "03_x.ipynb"
    notebook.parent.mkdir()
    notebook.write_text("with my edits")
    my("train.jsonl").write_text("mine")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "NOTEBOOKS", notebook.parent)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ProgressError, match="git has no notebooks/03_x.ipynb here"):
        reset("03", notebook=True)
    assert my("train.jsonl").read_text() == "mine"
    assert notebook.read_text() == "with my edits"


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(ProgressError, match="There is no step 77. There are: 00, 01"):
        reset("77")


def call(*words: str) -> Any:
    return heroes.invoke(app, list(words))


def test_the_commands(tmp_path: Path) -> None:
    solve("0.1")
    shown = call("progress")
    assert "[/] 00 Start here" in shown.output
    made = call("progress", "--json", "--name", "Ada")
    path = tmp_path / "ada.json"
    path.write_text(made.stdout)
    assert "Ada" in call("board", str(path)).output
    assert json.loads(call("board", str(path), "--json").stdout)[0]["00"] == "begun"
    refused = call("reset", "0")
    assert refused.exit_code == 1
    assert "--yes" in refused.output
    assert call("reset", "0", "--yes").exit_code == 0
    assert passed() == {}
    wrong = call("board", str(tmp_path / "nobody.json"))
    assert wrong.exit_code == 1
    assert "nobody.json is not a progress report" in wrong.output
    assert "Traceback" not in wrong.output
