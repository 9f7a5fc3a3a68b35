"""The course's job is found again, or submitted once."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest
from openai import OpenAI

from helpers.follow import follow
from helpers.jobs import course_jobs, ensure_job, find_job, submit, tags, upload
from helpers.jsonl import write_jsonl
from helpers.settings import Settings
from tests.support.live_sandbox import (  # noqa: F401
    LiveSandbox,
    chat_examples,
    live_client,
    live_model,
    live_sandbox,
    pair_examples,
)


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's folder with small training files of both formats."""
    monkeypatch.setenv("HEROES_MY", str(tmp_path))
    write_jsonl(tmp_path / "train.jsonl", chat_examples())
    write_jsonl(tmp_path / "validation.jsonl", chat_examples(4))
    write_jsonl(tmp_path / "train_completions.jsonl", pair_examples())
    write_jsonl(tmp_path / "validation_completions.jsonl", pair_examples(4))
    return tmp_path


def settings_for(model: str) -> Settings:
    return Settings("sandbox", "sandbox", None, model, model)


def test_upload_waits_and_names_the_file(live_client: OpenAI, tmp_path: Path) -> None:  # noqa: F811
    path = write_jsonl(tmp_path / "small.jsonl", chat_examples())
    file = upload(live_client, str(path))
    assert (file.filename, file.purpose, file.status) == ("small.jsonl", "fine-tune", "processed")
    assert live_client.files.content(file.id).read() == path.read_bytes()


def test_a_job_is_submitted_once_and_then_found(
    live_client: OpenAI,  # noqa: F811
    live_model: str,  # noqa: F811
    course: Path,
) -> None:
    settings = settings_for(live_model)
    made = ensure_job(live_client, settings)
    assert made.metadata == tags("chat")
    assert made.seed == 42
    assert ensure_job(live_client, settings).id == made.id
    pairs = ensure_job(live_client, settings, "completion")
    assert pairs.id != made.id
    assert pairs.metadata == {"course": "superheroes", "format": "completion"}
    done = follow(live_client, made.id, every=0.2, timeout=600)
    assert done.status == "succeeded", done.error
    assert done.fine_tuned_model
    assert ":superhero:" in done.fine_tuned_model
    assert ensure_job(live_client, settings).id == made.id
    assert find_job(live_client, "another-base") is None


def test_jobs_of_no_use_are_passed_over(
    live_client: OpenAI,  # noqa: F811
    live_model: str,  # noqa: F811
    course: Path,
) -> None:
    settings = settings_for(live_model)
    cancelled = submit(live_client, settings, metadata={"course": "superheroes", "format": "x"})
    live_client.fine_tuning.jobs.cancel(cancelled.id)
    assert [job.id for job in course_jobs(live_client, "x")] == [cancelled.id]  # type: ignore[arg-type]
    assert find_job(live_client, live_model, "x") is None  # type: ignore[arg-type]
    deleted = submit(live_client, settings, metadata={"course": "superheroes", "format": "y"})
    done = follow(live_client, deleted.id, every=0.2, timeout=600)
    assert done.fine_tuned_model
    assert find_job(live_client, live_model, "y")  # type: ignore[arg-type]
    live_client.models.delete(done.fine_tuned_model)
    assert find_job(live_client, live_model, "y") is None  # type: ignore[arg-type]


def test_what_is_refused_is_raised(
    live_client: OpenAI,  # noqa: F811
    live_model: str,  # noqa: F811
    course: Path,
) -> None:
    with pytest.raises(ValueError, match="choose from chat, completion"):
        ensure_job(live_client, settings_for(live_model), "xml")  # type: ignore[arg-type]
    with pytest.raises(openai.NotFoundError):
        submit(live_client, settings_for("no-such-model"))


def test_no_training_files_is_told(
    live_client: OpenAI,  # noqa: F811
    tmp_path: Path,
) -> None:
    with pytest.raises(openai.BadRequestError):
        upload(live_client, write_jsonl(tmp_path / "empty.jsonl", []))
