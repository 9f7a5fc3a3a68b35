"""What the learner has done: recorded, shown, merged for a class, and put back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from course import reset as module
from course.board import board, report
from course.exercise import Exercise, ProgressError, expect, note_passed, numbers_of, passed
from course.progress import StepProgress, progress, show_progress
from course.reset import reset
from course.steps import STEPS
from helpers.data import my
from helpers.settings import ROOT
from heroes.app import app

NOTEBOOK = "notebooks/03_x.ipynb"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEROES_MY", str(tmp_path / "my"))
    return tmp_path / "my"


def check(number: str, answer: int) -> None:
    Exercise(number, "x", lambda n: [expect(n == 1, "one", n)], ("a", "b", "c")).check(answer)


def of(step: str) -> StepProgress:
    return next(each for each in progress() if each.step == step)


def test_every_notebook_is_a_step_with_exercises() -> None:
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert [path.name[:2] for path in notebooks] == [step.number for step in STEPS]
    assert {each.state for each in progress()} == {"open"}
    assert all(len(each.exercises) >= 2 for each in progress())


def test_a_passed_exercise_is_recorded_once_and_a_failed_one_is_not() -> None:
    check("3.1", 1)
    first = passed()
    check("3.1", 1)
    check("3.2", 2)
    assert passed() == first
    assert list(first) == ["3.1"]


def test_two_notebooks_that_record_at_once_lose_nothing() -> None:
    numbers = [[f"{step}.{n}" for n in range(20)] for step in (1, 2)]
    code = "from course.exercise import note_passed as note; import sys; [*map(note, sys.argv[1:])]"
    running = [subprocess.Popen([sys.executable, "-c", code, *each], cwd=ROOT) for each in numbers]
    assert [each.wait(timeout=300) for each in running] == [0, 0]
    assert set(passed()) == {*numbers[0], *numbers[1]}


@pytest.mark.parametrize("text", ["[1]", '{"3.1": 7}', '{"3.1": "2026', ""])
def test_a_damaged_record_is_named_and_kept(folder: Path, text: str) -> None:
    my("exercises.json").write_text(text)
    for act in (passed, progress, lambda: note_passed("3.1"), lambda: reset("03")):
        with pytest.raises(ProgressError, match=r"my/exercises\.json is damaged.*Move it away"):
            act()
    assert (folder / "exercises.json").read_text() == text


def test_a_step_is_done_when_all_its_parts_are(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("superheroes.csv", "validation.csv"):
        my(name).write_text("x")
        assert of("02").state == "begun"
    for number in [*numbers_of("00"), *numbers_of("02")]:
        check(number, 1)
    assert str(of("02")) == "[x] 02 Synthetic data    3 of 3 exercises, 2 of 2 files"
    capsys.readouterr()
    show_progress()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[x] 00 The whole game    2 of 2 exercises"
    assert lines[-1] == "Next: 01 API key."


def write_report(path: Path, name: str, made_at: str, **steps: dict[str, bool]) -> Path:
    told = [{"step": s[1:], "products": {}, "exercises": done} for s, done in steps.items()]
    path.write_text(json.dumps({"name": name, "made_at": f"{made_at}T08:00Z", "steps": told}))
    return path


def test_a_board_has_a_row_for_each_learner_and_counts_the_newest_report(tmp_path: Path) -> None:
    half, whole = {"0.1": True, "0.2": False}, {"0.1": True, "0.2": True}
    table = board(
        [
            write_report(tmp_path / "b.json", "Bob", "2026-11-02", s01={"1.1": False}, s00=whole),
            write_report(tmp_path / "a2.json", "Ada", "2026-11-03", s00=whole),
            write_report(tmp_path / "a1.json", "Ada", "2026-11-01", s00=half),
        ]
    )
    assert table.index.name == "name"
    assert list(table.columns) == ["00", "01", "done"]
    assert table.loc["Ada"].tolist() == ["done", "open", 1]
    assert table.loc["Bob"].tolist() == ["done", "open", 1]
    assert list(table.index) == ["Ada", "Bob"]


def test_a_report_that_powershell_wrote_is_read(tmp_path: Path) -> None:
    path = write_report(tmp_path / "ada.json", "Ada", "2026-11-02", s00={"0.1": True})
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-16")
    assert list(board([path]).index) == ["Ada"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("no json", "Invalid JSON"),
        ("[]", "ada.json is not a progress report"),
        ('{"name": 1, "made_at": "2026-11-02T08:00Z", "steps": []}', "(name: "),
        ('{"name": "A", "made_at": "soon", "steps": []}', "(made_at: "),
        ('{"name": "A", "made_at": "2026-11-02T08:00Z", "steps": {}}', "(steps: "),
        ('{"name": "A", "made_at": "2026-11-02T08:00Z", "steps": [{}]}', "(steps.0.step: "),
        ("\xff", "Invalid JSON"),
        (None, "No such file"),
    ],
)
def test_a_bad_report_is_named_with_its_field(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    path = tmp_path / "ada.json"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ProgressError, match=r"^ada\.json is not a progress report") as refused:
        board([path])
    assert problem in str(refused.value)
    assert "heroes progress --json" in str(refused.value)


def test_a_reset_moves_the_files_aside_and_opens_the_exercises(folder: Path) -> None:
    for name in ("superheroes.csv", "superheroes.rows.jsonl", "train.jsonl"):
        my(name).write_text(f"mine: {name}")
    check("2.1", 1)
    check("3.1", 1)
    moved = [Path(path) for path in reset("2")]
    assert {path.name for path in moved} == {"superheroes.csv", "superheroes.rows.jsonl"}
    assert all(path.read_text() == f"mine: {path.name}" for path in moved), "nothing is lost"
    assert not (folder / "superheroes.csv").exists()
    assert (folder / "train.jsonl").exists(), "another step's"
    assert list(passed()) == ["3.1"]
    assert reset("2") == []
    with pytest.raises(ProgressError, match="There is no step 77. There are: 00, 01"):
        reset("77")


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notebook that was edited, in a project of its own."""
    path = tmp_path / NOTEBOOK
    path.parent.mkdir()
    path.write_text("with my edits")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return path


def test_a_reset_brings_the_notebook_back(notebook: Path, tmp_path: Path) -> None:
    notebook.write_text("as it was\n")
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init"], ["add", NOTEBOOK], [*who, "commit", "-m", "x"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)
    notebook.write_text("with my edits")
    reset("03")
    assert notebook.read_text() == "with my edits", "not asked for"
    (moved,) = reset("03", notebook=True)
    assert notebook.read_bytes() == b"as it was\n"
    assert Path(moved).read_text() == "with my edits"


def test_without_git_nothing_is_touched(notebook: Path) -> None:
    my("train.jsonl").write_text("mine")
    with pytest.raises(ProgressError, match=f"git has no {NOTEBOOK} here"):
        reset("03", notebook=True)
    assert my("train.jsonl").read_text() == "mine"
    assert notebook.read_text() == "with my edits"


def test_the_commands(tmp_path: Path) -> None:
    def call(*words: str) -> Any:
        return CliRunner().invoke(app, list(words))

    check("0.1", 1)
    assert "[/] 00 The whole game" in call("progress").output
    path = tmp_path / "ada.json"
    path.write_text(call("progress", "--json", "--name", "Ada").stdout)
    assert json.loads(path.read_text())["steps"] == report("Ada")["steps"]
    assert "Ada" in call("board", str(path)).output
    assert json.loads(call("board", str(path), "--json").stdout)[0]["00"] == "begun"
    refused = call("reset", "0")
    assert refused.exit_code == 1 and "--yes" in refused.output
    assert call("reset", "0", "--yes").exit_code == 0
    assert passed() == {}
    wrong = call("board", str(tmp_path / "missing.json"))
    assert wrong.exit_code == 1 and "missing.json is not a progress report" in wrong.output
