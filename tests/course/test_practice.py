"""Practice projects and faults on a real sandbox: apart from all others, empty at every visit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from course.practice import (
    NoSandboxError,
    clear_faults,
    close_classroom,
    known_faults,
    list_faults,
    open_classroom,
    open_lab,
    open_practice,
    set_fault,
)
from helpers.sandbox import run_keys
from tests.support.server import PATIENCE, Server

pytestmark = pytest.mark.slow


@pytest.fixture
def client(live_sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAI]:
    monkeypatch.setenv("HEROES_SANDBOX_STATE", str(live_sandbox.state))
    with live_sandbox.client(max_retries=0) as made:
        yield made
        clear_faults(made)


def live_keys(name: str) -> list[str]:
    return [row["id"] for row in run_keys("list") if row["name"] == name and not row["revoked_at"]]


def leave_a_job_behind(practice: OpenAI) -> None:
    """A job that is in the middle of its training, with checkpoints that come and go."""
    pair = b'{"prompt": "%d ->", "completion": " A hero."}\n'
    file = practice.files.create(
        file=("a.jsonl", b"".join(pair % n for n in range(24))), purpose="fine-tune"
    )
    job = practice.fine_tuning.jobs.create(
        model="tiny",
        training_file=file.id,
        # 1,200 steps: it is far from its end when its first models are there.
        hyperparameters={"n_epochs": 50, "batch_size": 1},
    )
    deadline = time.monotonic() + PATIENCE
    while len(practice.models.list().data) < 4:
        assert time.monotonic() < deadline, practice.fine_tuning.jobs.retrieve(job.id).status
        time.sleep(0.05)


def test_a_practice_project_is_apart_from_all_others_and_emptied(client: OpenAI) -> None:
    mine = client.files.create(file=("mine.txt", b"mine"), purpose="user_data")
    practice = open_practice(client)
    assert practice.max_retries == 0
    assert practice.api_key != client.api_key
    assert practice.files.list().data == []
    leave_a_job_behind(practice)
    set_fault(practice, "server_error")
    assert list_faults(client) == []

    again = open_practice(client)
    assert (again.files.list().data, list_faults(again)) == ([], [])
    assert [job.status for job in again.fine_tuning.jobs.list()] == ["cancelled"]
    assert {model.owned_by for model in again.models.list()} == {"sandbox"}
    with pytest.raises(openai.AuthenticationError):
        practice.models.list()
    assert len(live_keys("practice")) == 1
    assert mine.id in [file.id for file in client.files.list()]


def test_the_lab_is_the_sandbox_on_this_machine_whatever_is_configured(
    client: OpenAI, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("OPENAI_API_KEY=sk-hosted\n", encoding="utf-8")
    monkeypatch.setenv("HEROES_ENV_FILE", str(env_file))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hosted")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://provider.example/v1")
    lab, folder = open_lab()
    with lab:
        assert lab.base_url == client.base_url
        assert (lab.max_retries, lab.files.list().data, list(folder.iterdir())) == (0, [], [])
    assert "OPENAI_API_KEY" not in os.environ
    assert env_file.read_text(encoding="utf-8") == "OPENAI_API_KEY=sk-hosted\n"


def test_students_have_projects_of_their_own(client: OpenAI) -> None:
    students = open_classroom(client, ["ada", "ben"])
    file = students["ada"].files.create(file=("x.txt", b"x"), purpose="user_data")
    assert [one.id for one in students["ada"].files.list()] == [file.id]
    assert list(students["ben"].files.list()) == []
    with pytest.raises(openai.NotFoundError):
        students["ben"].files.retrieve(file.id)
    again = open_classroom(client, ["ada"])  # the earlier lesson was broken off
    assert list(again["ada"].files.list()) == []
    with pytest.raises(openai.AuthenticationError):
        students["ben"].models.list()
    close_classroom(again)
    assert live_keys("classroom") == []
    with pytest.raises(openai.AuthenticationError):
        again["ada"].models.list()


def test_a_fault_from_set_to_clear(client: OpenAI) -> None:
    assert list_faults(client) == []
    shown = set_fault(client, "rate_limit", times=3, retry_after=4)
    assert [(each["name"], each["times_left"], each["details"]) for each in shown] == [
        ("rate_limit", 3, {"retry_after": 4})
    ]
    with pytest.raises(openai.RateLimitError) as caught:
        client.files.list()
    assert caught.value.response.headers["retry-after"] == "4"
    assert list_faults(client)[0]["times_left"] == 2
    assert clear_faults(client) == 1
    assert list_faults(client) == []
    client.files.list()


def test_all_known_faults_can_be_set_and_an_unknown_one_names_them(client: OpenAI) -> None:
    names = [each["name"].replace("_N_", "_7_") for each in known_faults(client)]
    assert len(names) == 10
    for name in names:
        set_fault(client, name)
    assert {each["name"] for each in list_faults(client)} == set(names)
    with pytest.raises(openai.BadRequestError) as caught:
        set_fault(client, "rain")
    for each in known_faults(client):
        assert each["name"] in caught.value.body["message"]


def test_a_hosted_provider_has_no_faults(live_sandbox: Server) -> None:
    elsewhere = live_sandbox.url.removesuffix("/v1") + "/elsewhere"
    client = OpenAI(api_key="sk-x", base_url=elsewhere, max_retries=0)
    with client, pytest.raises(NoSandboxError, match="Only the sandbox"):
        set_fault(client, "rate_limit")
