"""The command that runs the course: what it asks first, what it tells, what it leaves behind."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_notebook
from openai import OpenAI

from helpers.settings import load_settings
from tests.support.provider import Provider, completion, error
from tools import notebooks, run_course
from tools.conditions import conditions
from tools.notebooks import NotebookFailed, read, write
from tools.run_course import CourseError

MODEL = "ft:superhero-mini:learner:superhero:Ab3dEf9h"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course in a folder of its own: notebooks/ is empty, build/run does not exist."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(run_course, "ROOT", tmp_path)
    monkeypatch.setattr(run_course, "RUN", tmp_path / "build" / "run")
    return tmp_path


def add(folder: Path, name: str, *sources: str) -> None:
    path = folder / "notebooks" / f"{name}.ipynb"
    write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)


def test_a_hosted_key_costs_nothing_without_a_yes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "00_start", "raise SystemExit('this must not run')")
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    assert run_course.main(["--all"]) == 1
    said = capsys.readouterr().out
    assert "OpenAI is configured, so this run costs money" in said
    assert "$" in said and "--yes" in said and "not-a-key" not in said
    assert not (folder / "build").exists()


@pytest.mark.slow
def test_the_road_runs_in_order_and_publishes_its_seconds_only_if_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = folder / "measured.json"
    before = {"install": 84.0, "notebooks": {"07_x": 9.0}}
    measured.write_text(json.dumps(before))
    monkeypatch.setattr(run_course, "MEASURED", measured)
    add(folder, "00_start", "print('zero')", "1 + 1")
    add(folder, "01_key", "print('one')")
    assert run_course.main(["--all"]) == 0
    said = capsys.readouterr().out
    assert "\r" not in said, "this is no terminal"
    assert said.index("00_start") < said.index("01_key") < said.index("make lab")
    assert "2 cells" in said
    made = read(folder / "build" / "run" / "00_start.ipynb")
    assert made.cells[0].outputs[0].text == "zero\n"
    assert read(folder / "notebooks" / "00_start.ipynb").cells[0].outputs == []
    assert json.loads(measured.read_text()) == before
    assert run_course.main(["--only", "0", "--publish"]) == 0
    after = json.loads(measured.read_text())
    assert after["notebooks"].keys() == {"00_start", "07_x"}
    assert after["install"] == 84.0 and "torch" in after["machine"]


@pytest.mark.slow
def test_it_ends_at_the_hero_and_another_model_may_be_tuned(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEROES_BASE_MODEL", "another")  # and after this test as it was before
    monkeypatch.setattr(run_course, "TO_THE_HERO", ("00",))
    add(folder, "00_x", "from helpers.settings import load_settings", "load_settings().base_model")
    add(folder, "07_x", "raise SystemExit('this must not run')")
    assert run_course.main(["--model", "smollm2-135m-instruct"]) == 0, capsys.readouterr().out
    [output] = read(folder / "build" / "run" / "00_x.ipynb").cells[1].outputs
    assert output.data["text/plain"] == "'smollm2-135m-instruct'"
    assert not (folder / "build" / "run" / "07_x.ipynb").exists()


@pytest.mark.slow
def test_a_failing_cell_is_told_in_a_few_lines(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "00_start", "1", "hero = {}\nhero['cape']")
    add(folder, "01_key", "print('never')")
    assert run_course.main(["--all"]) == 1
    said = capsys.readouterr().out
    assert "00_start.ipynb stopped in code cell 2" in said
    assert "    hero['cape']" in said and "KeyError: 'cape'" in said
    assert "Traceback" not in said and len(said.splitlines()) < 20
    assert read(folder / "build" / "run" / "00_start.ipynb").cells[1].outputs[0].ename == "KeyError"
    assert not (folder / "build" / "run" / "01_key.ipynb").exists()
    failed = NotebookFailed(folder / "00_x.ipynb", 3, "x\n" * 100, "ValueError: " + "long " * 500)
    assert len(run_course.failure_text(failed)) < 1200


@pytest.mark.slow
def test_what_is_wrong_is_said_without_a_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "06_prediction", "1")
    assert run_course.main(["--only", "05"]) == 1
    assert "There is no notebook 05" in capsys.readouterr().out
    assert run_course.main(["--all"]) == 1
    assert "model.json" in capsys.readouterr().out
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.example.org/v1")
    assert run_course.main(["--all"]) == 1
    assert "OPENAI_BASE_URL is set but OPENAI_API_KEY is not" in capsys.readouterr().out


def ask(status: int, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What predict() makes of an answer, and the request that it sent."""
    with (
        Provider(lambda number, request: (status, {}, body)) as provider,
        OpenAI(api_key="k", base_url=provider.url, max_retries=0) as client,
    ):
        return run_course.predict(client, load_settings(), MODEL), provider.calls[0]


@pytest.mark.slow
def test_the_prediction_is_asked_with_the_bare_note_and_its_failures_are_explained() -> None:
    text, request = ask(200, completion("A hero. "))
    assert text == "A hero."
    assert request["messages"] == [{"role": "user", "content": "40, woman, Healing ->"}]
    assert (request["model"], request["seed"]) == (MODEL, run_course.PREDICTION_SEED)
    with pytest.raises(CourseError, match=r"was deleted.*--only 05 06"):
        ask(404, error("model_not_found"))
    with pytest.raises(CourseError, match="an empty answer"):
        ask(200, completion("  "))


@pytest.mark.slow
def test_the_summary_holds_what_was_really_made(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a real sandbox, with a real job of a few rows, found by its record."""
    made = """
        import json
        import pandas as pd
        from helpers.connect import connect
        from helpers.data import my, replace_text
        from helpers.follow import follow
        from helpers.jsonl import to_chat, write_jsonl

        client = connect()
        text = "Ada is a 40-year-old woman who flies."
        rows = [{"age": 40, "gender": "woman", "power": "flight", "prompt": "Imagine.",
                 "sub_prompt": "40, woman, flight ->", "response_txt": f" {text} {i}",
                 "finish_reason": "stop"} for i in range(12)]
        frame = pd.DataFrame(rows)
        frame.to_csv(my("superheroes.csv"), index=False)
        path = write_jsonl(my("train.jsonl"), to_chat(frame))
        file = client.files.create(file=path, purpose="fine-tune")
        method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}}
        job = client.fine_tuning.jobs.create(
            model="superhero-mini", training_file=file.id, suffix="SuperHero", method=method
        )
        job = follow(client, job.id)
        record = {"fine_tuned_model": job.fine_tuned_model, "base_model": job.model,
                  "job_id": job.id}
        replace_text(my("model.json"), json.dumps(record))
    """
    add(folder, "06_prediction", textwrap.dedent(made))
    with conditions():
        assert run_course.main(["--only", "06"]) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    summary = json.loads((folder / "build" / "run" / "summary.json").read_text())
    assert (summary["endpoint"], summary["rows"]) == ("sandbox", 12)
    assert summary["fine_tuned_model"].startswith("ft:superhero-mini:learner:superhero:")
    assert 0 <= summary["job_seconds"] <= summary["seconds"]["06_prediction"] + 1
    assert summary["prediction"].split() == said.split("it writes:")[1].split("\n\n")[1].split()
    assert max(len(line) for line in said.splitlines()) < 90
