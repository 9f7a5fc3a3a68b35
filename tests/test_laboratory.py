"""The laboratory of notebook 10: apart from the learner's own things, and empty at every visit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from helpers.embedded import run_keys, stop_sandbox
from helpers.endpoint import connect
from helpers.faults import list_faults, set_fault
from helpers.laboratory import PROJECT, close_laboratory, open_laboratory


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


def test_from_open_to_close(own_sandbox: None) -> None:
    client = connect(announce=False)
    mine = client.files.create(file=b"mine", purpose="user_data")
    lab = open_laboratory(client)
    assert lab.max_retries == 0
    assert lab.api_key != client.api_key
    assert lab.files.list().data == []
    lab.files.create(file=b"left behind", purpose="user_data")
    set_fault(lab, "server_error")

    again = open_laboratory(client)
    assert (again.files.list().data, list_faults(again)) == ([], [])
    assert len(live_keys()) == 1
    with pytest.raises(openai.AuthenticationError):
        lab.models.list()

    close_laboratory(again)
    assert live_keys() == []
    assert [file.id for file in client.files.list()] == [mine.id]
    client.close()
