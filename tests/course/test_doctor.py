from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from course import doctor
from course.doctor import Result, examine


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "HEROES_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HEROES_ENV_FILE", str(tmp_path / ".env"))
    monkeypatch.setenv("HEROES_MY", str(tmp_path / "my"))
    monkeypatch.setenv("HEROES_SANDBOX_STATE", str(tmp_path / "state"))


def only(check: Callable[[], Iterator[Result]]) -> Result:
    results = list(check())
    assert len(results) == 1
    assert results[0].level == "ok" or results[0].remedy
    return results[0]


@pytest.mark.parametrize(
    "check",
    [doctor.check_python, doctor.check_loopback, doctor.check_env, doctor.check_torch],
)
def test_this_machine_passes(check: Callable[[], Iterator[Result]]) -> None:
    assert only(check).level == "ok"


def test_both_folders_are_tried(tmp_path: Path) -> None:
    assert [result.level for result in doctor.check_writing()] == ["ok", "ok"]
    assert [entry.name for entry in sorted(tmp_path.iterdir())] == ["my", "state"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "my").write_text("a file is in the way")
    results = list(doctor.check_writing())
    assert [result.level for result in results] == ["fail", "ok"]
    assert "name another folder" in results[0].remedy


def test_packages_are_compared_with_the_tested_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    (tmp_path / "requirements.txt").write_text("# c\n\nopenai>=3  # the SDK\nno-such-thing\n")
    (tmp_path / "constraints.txt").write_text("openai==0.1\n")
    missing = only(doctor.check_packages)
    assert (missing.level, missing.found) == ("fail", "missing: no-such-thing")
    (tmp_path / "requirements.txt").write_text("openai>=3\n")
    different = only(doctor.check_packages)
    assert different.level == "warn"
    assert "(tested: 0.1)" in different.found
    (tmp_path / "constraints.txt").write_text("")
    assert only(doctor.check_packages).level == "ok"


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = []
    for free in (10, 1, 0.1):
        usage = (100, 0, int(free * doctor.GIB))
        monkeypatch.setattr(
            doctor.shutil, "disk_usage", lambda path, u=usage: type("U", (), {"free": u[2]})
        )
        levels.append(only(doctor.check_disk).level)
    assert levels == ["ok", "warn", "fail"]


def test_a_blocked_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> socket.socket:
        raise PermissionError("blocked")

    monkeypatch.setattr(doctor.socket, "create_connection", refuse)
    assert only(doctor.check_loopback).level == "fail"


def test_a_torch_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.sys, "executable", str(Path(os.devnull)))
    results = [result for result in examine() if result.what == "torch"]
    assert [result.level for result in results] == ["fail"]


def test_a_slow_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("python", 1)

    monkeypatch.setattr(doctor.subprocess, "run", slow)
    assert "not loaded after" in only(doctor.check_torch).found


def test_env_findings_become_lines(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=\nOPENAI_BASE_URL=\n")
    assert [result.level for result in doctor.check_env()] == ["warn", "warn"]


def test_a_hosted_endpoint_is_not_called(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-proj-x\n")
    assert only(doctor.check_endpoint).found == "openai, gpt-6-luna"
    (tmp_path / ".env").write_text("OPENAI_BASE_URL=https://example.org/v1\n")
    assert only(doctor.check_endpoint).level == "fail"


def test_a_check_that_breaks_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_broken() -> Iterator[Result]:
        raise RuntimeError("oh")
        yield

    def check_fine() -> Iterator[Result]:
        yield Result("ok", "fine", "yes")

    monkeypatch.setattr(doctor, "CHECKS", (check_broken, check_fine))
    assert [(result.level, result.what) for result in examine()] == [
        ("fail", "broken"),
        ("ok", "fine"),
    ]
