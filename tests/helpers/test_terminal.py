"""Commands run from a notebook: what is shown, Ctrl-C, and the exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from helpers.terminal import terminal
from tests.support.server import chat_lines


def test_only_heroes_is_run() -> None:
    with pytest.raises(ValueError, match="not \\['rm'\\]"):
        terminal("rm -r .")


def test_the_last_lines_are_shown_and_the_exit_code_comes_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert terminal("heroes jobs", "--help", last=2) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert terminal("heroes", "jobs nothing") == 2
    assert "No such command" in capsys.readouterr().out


def test_the_place_of_the_own_folder_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEROES_MY", str(tmp_path / "mine"))
    assert terminal("heroes prepare", tmp_path / "mine" / "no.csv") != 0
    out = capsys.readouterr().out
    assert "no.csv" in out and str(tmp_path) not in out


@pytest.mark.skipif(sys.platform == "win32", reason="the command is ended in another way there")
def test_ctrl_c_ends_the_command_and_not_the_job(
    api: Any,
    client: OpenAI,
    base_model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = client.files.create(file=("a.jsonl", chat_lines()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model=base_model, training_file=file.id)
    monkeypatch.setenv("OPENAI_BASE_URL", api.url)
    monkeypatch.setenv("OPENAI_API_KEY", api.key)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a notebook's kernel does
    assert terminal("heroes jobs follow", job.id, ctrl_c_at="Created") == 130
    said = capsys.readouterr().out
    assert "Stopped following" in said and "\x1b" not in said
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled", "it was still there"
