"""Several jobs at once: followed to their ends, and found again by their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from helpers import experiments
from helpers.experiments import JobsView, Progress, follow_all, labels_for
from helpers.jobs import find_job, find_labelled, upload
from helpers.jsonl import write_jsonl
from tests.support.live_sandbox import (  # noqa: F401
    LiveSandbox,
    chat_examples,
    live_client,
    live_model,
    live_sandbox,
)


def send(
    client: OpenAI, model: str, folder: Path, epochs: int, rows: int = 16
) -> tuple[FineTuningJob, dict[str, str]]:
    examples = chat_examples(rows)
    labels = labels_for(examples, epochs, 1)
    file = upload(client, write_jsonl(folder / f"{rows}.jsonl", examples))
    numbers: dict[str, Any] = {"n_epochs": epochs, "batch_size": 4}
    job = client.fine_tuning.jobs.create(
        model=model,
        training_file=file.id,
        seed=1,
        method={"type": "supervised", "supervised": {"hyperparameters": numbers}},
        metadata=labels,
    )
    return job, labels


def test_labels_tell_experiments_apart() -> None:
    rows = chat_examples(12)
    labels = labels_for(rows, 4, 5)
    assert {name: labels[name] for name in ("rows", "epochs", "rate")} == {
        "rows": "12",
        "epochs": "4",
        "rate": "5",
    }
    assert all(isinstance(value, str) and len(value) <= 512 for value in labels.values())
    assert labels_for(rows, 4, 5.0) == labels, "the same recipe"
    others = (labels_for(rows[:-1], 4, 5), labels_for(rows, 3, 5), labels_for(rows, 4, 1))
    others += (labels_for(rows[::-1], 4, 5),)
    assert all(other != labels for other in others)


def test_all_jobs_are_followed_and_found_again(
    live_client: OpenAI,  # noqa: F811
    live_model: str,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    short, labels = send(live_client, live_model, tmp_path, epochs=1)
    long, _ = send(live_client, live_model, tmp_path, epochs=2)
    names = {"short": short.id, "long": long.id}
    done = follow_all(live_client, names, every=0.1, timeout=600)
    assert {name: job.status for name, job in done.items()} == dict.fromkeys(names, "succeeded")
    said = ["short: succeeded after 4 steps", "long: succeeded after 8 steps"]
    assert capsys.readouterr().out.splitlines() == said
    follow_all(live_client, names)
    assert capsys.readouterr().out.splitlines() == said, "the same words when it is over"

    found = find_labelled(live_client, live_model, labels)
    assert found
    assert found.id == short.id
    assert find_labelled(live_client, live_model, labels | {"rate": "9"}) is None
    assert find_labelled(live_client, "another-base", labels) is None
    course = find_job(live_client, live_model)
    assert course is None or course.id not in names.values(), "no experiment is the course's job"
    assert done["short"].fine_tuned_model
    live_client.models.delete(done["short"].fine_tuned_model)
    assert find_labelled(live_client, live_model, labels) is None, "its model is gone"


def test_following_ends_before_the_jobs_do(
    live_client: OpenAI,  # noqa: F811
    live_model: str,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job, _ = send(live_client, live_model, tmp_path, epochs=50, rows=64)
    left = follow_all(live_client, {"slow": job.id}, every=0.05, timeout=0.1)["slow"]
    assert left.status not in experiments.AT_REST
    assert capsys.readouterr().out.startswith("slow: ")
    live_client.fine_tuning.jobs.cancel(job.id)
    assert follow_all(live_client, {"slow": job.id}, every=0.1)["slow"].status == "cancelled"
    assert capsys.readouterr().out == "slow: cancelled\n"


def test_no_jobs_and_no_such_job(live_client: OpenAI, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    assert follow_all(live_client, {}) == {}
    assert capsys.readouterr().out == ""
    with pytest.raises(openai.NotFoundError):
        follow_all(live_client, {"gone": "ftjob-" + "x" * 24})


def a_job(**changes: Any) -> FineTuningJob:
    return FineTuningJob.construct(id="ftjob-1", **{"status": "running", "error": None, **changes})


def test_the_view_has_a_line_for_each_job() -> None:
    view = JobsView()
    waiting = Progress(a_job(status="validating_files"))
    view.update({"<10> rows": waiting, "two": Progress(a_job(), 3, 12)})
    assert view.box.value.count("<tr>") == 2
    assert "&lt;10&gt; rows" in view.box.value
    assert "validating files" in view.box.value
    assert "running: step 3 of 12" in view.box.value
    assert '<progress value="3" max="12">' in view.box.value


def test_a_failed_job_tells_why() -> None:
    class Error:
        code, message = "invalid_training_file", "Line 3 is no JSON."

    failed = Progress(a_job(status="failed", error=Error()))
    assert failed.ending() == "failed. invalid_training_file: Line 3 is no JSON."


def test_an_interrupt_leaves_the_jobs_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "_look", interrupted)
    assert follow_all(OpenAI(api_key="none", base_url="http://127.0.0.1:9"), {"one": "x"}) == {}
    assert "The jobs go on without us" in capsys.readouterr().out
