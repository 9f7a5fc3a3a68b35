"""Jobs that were asked to fail: in the engine, without a server."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.engine.fine_tuning import run_job_inline
from sandbox.store import Store, events, files, jobs, models
from sandbox.store.jobs import JobRow, NewJob
from tests.support.tiny import make_base


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


def train(store: Store, base: Path, fault: dict[str, Any] | None) -> JobRow:
    """Run a job of two epochs of three steps with this fault."""
    lines = [json.dumps({"prompt": f"{i} ->", "completion": f" Hero {i}."}) for i in range(12)]
    row = files.add_file(store, "learner", "t.jsonl", "fine-tune", "\n".join(lines).encode())
    numbers = {"n_epochs": 2, "batch_size": 4}
    job = jobs.create_job(store, NewJob("learner", "tiny", row.id, 5, {}, numbers, fault=fault))
    jobs.mark_queued(store, job.id)
    done = run_job_inline(store, {"tiny": base})
    assert done is not None
    return done


def test_it_fails_at_the_step_that_was_asked_for(store: Store, base: Path) -> None:
    job = train(store, base, {"name": "job_fails_after_5_steps", "steps": 5})
    assert (job.status, job.fine_tuned_model) == ("failed", None)
    assert job.error is not None and job.error["code"] == "server_error"
    assert "after step 5 of 6" in job.error["message"]
    assert [event.data["step"] for event in events.list_metrics(store, job.id)] == [1, 2, 3, 4, 5]
    # The checkpoint of the first epoch is there, and is a model like any other.
    assert [model.step for model in models.list_models_of_job(store, job.id)] == [3]


def test_a_fault_beyond_the_end_is_told(store: Store, base: Path) -> None:
    job = train(store, base, {"name": "job_fails_after_7_steps", "steps": 7})
    assert job.status == "succeeded"
    warned = [e.message for e in events.list_events(store, job.id).rows if e.level == "warn"]
    assert warned == ["The fault job_fails_after_7_steps did not happen: the job has only 6 steps"]


def test_a_job_without_a_fault_has_none(store: Store, base: Path) -> None:
    job = train(store, base, None)
    assert (job.status, job.fault) == ("succeeded", None)
