"""Model records that are safe to keep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.prediction import load_record, record_of, save_record
from openai.types.fine_tuning import FineTuningJob

from helpers.settings import Settings


@pytest.fixture
def job() -> FineTuningJob:
    return FineTuningJob.construct(
        id="ftjob-1",
        created_at=100,
        finished_at=120,
        status="succeeded",
        model="superhero-mini",
        fine_tuned_model="ft:superhero-mini:learner:superhero:abcdefgh",
        hyperparameters=FineTuningJob.model_fields["hyperparameters"].annotation(n_epochs=4),
        seed=42,
        training_file="file-1",
        validation_file="file-2",
        trained_tokens=1000,
    )


SETTINGS = Settings("sandbox", "sandbox", None, "superhero-mini", "superhero-mini")


def test_a_record_comes_back_as_it_was(job: FineTuningJob, tmp_path: Path) -> None:
    record = record_of(job, SETTINGS, n_rows=294)
    path = save_record(tmp_path / "my" / "model.json", record)
    assert load_record(path) == record
    assert json.loads(path.read_text())["hyperparameters"]["n_epochs"] == 4
    assert record.created_at == 120


def test_a_job_without_a_model_has_no_record(job: FineTuningJob) -> None:
    job.status = "running"
    with pytest.raises(ValueError, match="its status is running"):
        record_of(job, SETTINGS, n_rows=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a JSON file"),
        ("[]", "must hold one JSON object"),
        ('{"job_id": "a"}', "lacks base_model, created_at"),
    ],
)
def test_a_wrong_record_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        load_record(path)


def test_empty_names_and_missing_files_are_told(job: FineTuningJob, tmp_path: Path) -> None:
    path = save_record(tmp_path / "model.json", record_of(job, SETTINGS, n_rows=1))
    path.write_text(path.read_text().replace('"ftjob-1"', '""'))
    with pytest.raises(ValueError, match="job_id must be a non-empty string"):
        load_record(path)
    with pytest.raises(FileNotFoundError, match="notebook 06 saves it"):
        load_record(tmp_path / "none.json")
