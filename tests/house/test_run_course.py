"""The command that runs the road: what it asks first, what it tells, what it leaves behind."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_notebook
from openai import OpenAI

from helpers.settings import Settings
from tests.support.provider import Provider, completion, error
from tools import notebooks, run_course
from tools.notebooks import NotebookFailed, read, write
from tools.run_course import CourseError

AT_HOME = Settings("sandbox", "sandbox", None, "superhero-mini", "superhero-mini", seeds=True)
HOSTED = Settings(
    "hosted", "openai", "https://api.openai.com/v1", "gpt-6-luna", "gpt-4.1-mini-2025-04-14"
)
MODEL = "ft:superhero-mini:learner:superhero:Ab3dEf9h"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course in a folder of its own: notebooks/ is empty, build/run does not exist."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(run_course, "ROOT", tmp_path)
    monkeypatch.setattr(run_course, "RUN", tmp_path / "build" / "run")
    return tmp_path


def add(folder: Path, name: str, *sources: str) -> Path:
    path = folder / "notebooks" / f"{name}.ipynb"
    write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    return path


def test_a_hosted_key_costs_nothing_without_a_yes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "00_start", "raise SystemExit('this must not run')")
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    assert run_course.main([]) == 1
    said = capsys.readouterr().out
    assert "OpenAI is configured, so this run costs money" in said
    assert "$" in said
    assert "--yes" in said
    assert "not-a-key" not in said
    assert not (folder / "build").exists()


def test_the_cost_is_not_known_if_one_price_is_not() -> None:
    text = run_course.cost_text(replace(HOSTED, generator_model="somebodys-model"))
    assert "together: price not known" in text


@pytest.mark.slow
def test_the_road_runs_in_order_and_keeps_the_executed_notebooks(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "00_start", "print('zero')", "1 + 1")
    add(folder, "01_key", "print('one')")
    assert run_course.main([]) == 0
    said = capsys.readouterr().out
    assert "\r" not in said, "this is no terminal"
    assert said.index("00_start") < said.index("01_key") < said.index("make lab")
    assert "2 cells" in said
    made = read(folder / "build" / "run" / "00_start.ipynb")
    assert made.cells[0].outputs[0].text == "zero\n"
    assert read(folder / "notebooks" / "00_start.ipynb").cells[0].outputs == []


def test_publishing_stores_the_seconds_and_keeps_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = folder / "measured.json"
    measured.write_text(json.dumps({"install": 84.0, "notebooks": {"00_start": 1.0, "07_x": 9.0}}))
    monkeypatch.setattr(run_course, "MEASURED", measured)
    add(folder, "00_start", "import time; time.sleep(1.2)")
    assert run_course.main(["--only", "00"]) == 0
    assert json.loads(measured.read_text())["notebooks"]["00_start"] == 1.0, "not asked for"
    assert run_course.main(["--only", "00", "--publish"]) == 0
    told = json.loads(measured.read_text())
    assert 1.2 < told["notebooks"]["00_start"] < 60
    assert (told["notebooks"]["07_x"], told["install"]) == (9.0, 84.0)
    assert "torch" in told["machine"]
    assert os.uname().nodename not in told["machine"] if hasattr(os, "uname") else True


def test_a_failing_cell_is_told_in_a_few_lines(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "00_start", "1", "hero = {}\nhero['cape']")
    add(folder, "01_key", "print('never')")
    assert run_course.main([]) == 1
    said = capsys.readouterr().out
    assert "00_start.ipynb stopped in code cell 2" in said
    assert "    hero['cape']" in said
    assert "KeyError: 'cape'" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) < 20
    kept = read(folder / "build" / "run" / "00_start.ipynb")
    assert kept.cells[1].outputs[0].ename == "KeyError"
    assert not (folder / "build" / "run" / "01_key.ipynb").exists()


def test_an_unknown_notebook_is_no_traceback(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "00_start", "1")
    assert run_course.main(["--only", "05"]) == 1
    assert "There is no notebook 05" in capsys.readouterr().out


def test_wrong_settings_are_no_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "00_start", "1")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.example.org/v1")
    assert run_course.main([]) == 1
    assert "OPENAI_BASE_URL is set but OPENAI_API_KEY is not" in capsys.readouterr().out


def test_a_road_without_a_model_record_says_who_makes_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, "06_prediction", "1")
    assert run_course.main([]) == 1
    assert "model.json: notebook 06 saves it" in capsys.readouterr().out


def ask(answer: tuple[int, dict[str, Any]], settings: Settings) -> tuple[str, dict[str, Any]]:
    """What predict() makes of an answer, and the request that it sent."""
    status, body = answer
    with (
        Provider(lambda number, request: (status, {}, body)) as provider,
        OpenAI(api_key="k", base_url=provider.url, max_retries=0) as client,
    ):
        return run_course.predict(client, settings, MODEL), provider.calls[0]


def test_the_prediction_is_asked_with_the_bare_note() -> None:
    text, request = ask((200, completion("A hero. ")), AT_HOME)
    assert text == "A hero."
    assert request["messages"] == [{"role": "user", "content": "40, woman, Healing ->"}]
    assert request["model"] == MODEL
    assert request["seed"] == run_course.PREDICTION_SEED
    assert "seed" not in ask((200, completion("A hero.")), HOSTED)[1]


def test_a_model_that_is_gone_or_silent_is_explained() -> None:
    with pytest.raises(CourseError, match="it was deleted.*--only 05 06"):
        ask((404, error("model_not_found")), AT_HOME)
    with pytest.raises(CourseError, match="an empty answer"):
        ask((200, completion("  ")), AT_HOME)


def test_the_end_shows_the_hero_in_full() -> None:
    hero = "Ada Moon is a 40-year-old woman who heals. " * 6
    summary = {
        "rows": 294,
        "generator_model": "superhero-mini",
        "base_model": "superhero-mini",
        "fine_tuned_model": MODEL,
        "job_seconds": None,
        "prediction": hero.strip(),
    }
    text = run_course.hero_text(summary)
    assert hero.split() == text.split("it writes:")[1].split()
    assert "None" not in text
    assert "in 17 seconds" in run_course.hero_text({**summary, "job_seconds": 17})
    assert max(len(line) for line in text.splitlines()) < 90


def test_a_long_cell_and_a_long_error_are_shortened(folder: Path) -> None:
    failed = NotebookFailed(folder / "00_x.ipynb", 3, "x\n" * 100, "ValueError: " + "long " * 500)
    text = run_course.failure_text(failed)
    assert len(text) < 1200
    assert os.path.join("build", "run", "00_x.ipynb") in text


@pytest.mark.slow
def test_the_summary_holds_what_was_really_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a real sandbox, with a real job of a few rows, found by its record."""
    made = """
        import json
        import pandas as pd
        from helpers.data import my
        from helpers.connect import connect
        from helpers.jsonl import to_chat, write_jsonl
        from helpers.follow import follow
        from helpers.settings import load_settings

        client, settings = connect(), load_settings()
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
            model=settings.base_model, training_file=file.id, suffix="SuperHero", method=method
        )
        job = follow(client, job.id)
        names = ("fine_tuned_model", "model", "id")
        kept = ("fine_tuned_model", "base_model", "job_id")
        record = {name: getattr(job, one) for name, one in zip(kept, names)}
        my("model.json").write_text(json.dumps(record))
    """
    lines = made.splitlines()
    add(folder, "06_prediction", "\n".join(line[8:] for line in lines))
    from tools.conditions import Conditions

    base = os.environ.get("TEST_BASE_MODEL")
    with Conditions(["--base-model", base] if base else []):
        assert run_course.main([]) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    summary = json.loads((folder / "build" / "run" / "summary.json").read_text())
    assert summary["endpoint"] == "sandbox"
    assert summary["rows"] == 12
    assert summary["fine_tuned_model"].startswith(f"ft:{summary['base_model']}:learner:superhero:")
    assert 0 <= summary["job_seconds"] <= summary["seconds"]["06_prediction"] + 1
    assert summary["prediction"].split() == said.split("it writes:")[1].split("\n\n")[1].split()
