"""The laboratory of notebook 10: apart from the learner's own things, and empty at every visit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from course.faults import list_faults, set_fault
from course.practice import PROJECT, close_laboratory, open_laboratory
from helpers.connect import connect
from helpers.sandbox import run_keys, stop_sandbox


@pytest.fixture
def own_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A sandbox of the test's own, as a learner's notebook starts it."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "HEROES_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HEROES_ENV_FILE", str(tmp_path / "no.env"))
    monkeypatch.setenv("HEROES_SANDBOX_STATE", str(tmp_path / "state"))
    yield
    stop_sandbox()


def live_keys() -> list[str]:
    return [
        row["id"] for row in run_keys("list") if row["project"] == PROJECT and not row["revoked_at"]
    ]


def leave_a_job_behind(lab: openai.OpenAI) -> None:
    """A job that is in the middle of its training, with checkpoints that come and go."""
    pair = b'{"prompt": "%d ->", "completion": " A hero."}\n'
    file = lab.files.create(file=b"".join(pair % n for n in range(12)), purpose="fine-tune")
    numbers = {"n_epochs": 50}
    job = lab.fine_tuning.jobs.create(
        model="superhero-mini",
        training_file=file.id,
        method={"type": "supervised", "supervised": {"hyperparameters": numbers}},
    )
    deadline = time.monotonic() + 120
    while len(lab.models.list().data) < 3:
        assert time.monotonic() < deadline, lab.fine_tuning.jobs.retrieve(job.id).status
        time.sleep(0.05)


def test_from_open_to_close(own_sandbox: None) -> None:
    client = connect(announce=False)
    mine = client.files.create(file=b"mine", purpose="user_data")
    lab = open_laboratory(client)
    assert lab.max_retries == 0
    assert lab.api_key != client.api_key
    assert lab.files.list().data == []
    leave_a_job_behind(lab)
    set_fault(lab, "server_error")

    again = open_laboratory(client)
    assert (again.files.list().data, list_faults(again)) == ([], [])
    assert [job.status for job in again.fine_tuning.jobs.list()] == ["cancelled"]
    assert [model.owned_by for model in again.models.list()] == ["sandbox"]
    assert len(live_keys()) == 1
    with pytest.raises(openai.AuthenticationError):
        lab.models.list()

    close_laboratory(again)
    assert live_keys() == []
    assert [file.id for file in client.files.list()] == [mine.id]
    client.close()
