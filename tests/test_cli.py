"""The console command as a learner types it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from helpers.cli import app

Heroes = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def heroes(tmp_path: Path) -> Iterator[Heroes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "HEROES_"))}
    environment |= {
        "HEROES_ENV_FILE": str(tmp_path / ".env"),
        "HEROES_SANDBOX_STATE": str(tmp_path / "state"),
        "HEROES_MY": str(tmp_path / "my"),
        "COLUMNS": "200",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "helpers.cli", *arguments],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )

    yield run
    run("sandbox", "stop")


def test_the_sandbox_from_start_to_stop(heroes: Heroes) -> None:
    status = heroes("sandbox", "status")
    assert (status.returncode, "not running" in status.stdout) == (3, True)
    assert "No sandbox was running." in heroes("sandbox", "stop").stdout
    start = heroes("sandbox", "start")
    assert (start.returncode, start.stderr) == (0, "")
    assert start.stdout.startswith("The sandbox runs: http://127.0.0.1:")
    assert "was running already" in heroes("sandbox", "start").stdout
    assert "since 20" in heroes("sandbox", "status").stdout
    assert heroes("sandbox", "stop").stdout == "The sandbox has stopped.\n"
    assert heroes("sandbox", "status").returncode == 3


def test_keys_from_create_to_revoke(heroes: Heroes) -> None:
    made = heroes("keys", "create", "--project", "anna", "--name", "laptop")
    key = made.stdout.strip()
    assert made.returncode == 0
    assert key.startswith("sk-sandbox-")
    assert key.count("\n") == 0
    listed = heroes("keys", "list").stdout
    assert key not in listed
    row = next(line for line in listed.splitlines() if "anna" in line)
    assert "laptop" in row
    assert key[-4:] in row
    key_id = row.split("│")[1].strip()
    assert heroes("keys", "revoke", key_id).stdout == f"Revoked: {key_id}\n"
    again = heroes("keys", "revoke", key_id)
    assert again.returncode == 1
    assert again.stderr.startswith("heroes: There is no live key")
    assert again.stderr.count("\n") == 1


def test_an_impossible_project_is_one_line(heroes: Heroes) -> None:
    refused = heroes("keys", "create", "--project", "Not Allowed")
    assert refused.returncode == 1
    assert refused.stderr.startswith("heroes: A project name has")
    assert refused.stderr.count("\n") == 1
    assert refused.stdout == ""


def test_the_doctor_sees_a_bad_env_file(heroes: Heroes, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-sand—box\n", encoding="utf-8")
    seen = heroes("doctor")
    assert seen.returncode == 1
    assert "long dash" in seen.stdout
    assert "sk-sand" not in seen.stdout + seen.stderr
    assert "Traceback" not in seen.stderr


def walk(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    commands = getattr(group, "commands", None)
    if commands is None:
        yield path
        return
    for name, command in commands.items():
        yield from walk(command, (*path, name))


def test_every_command_says_what_it_does() -> None:
    found = sorted(walk(get_command(app)))
    assert found == [
        ("doctor",),
        ("keys", "create"),
        ("keys", "list"),
        ("keys", "revoke"),
        ("sandbox", "start"),
        ("sandbox", "status"),
        ("sandbox", "stop"),
    ]
    for path in found:
        command = get_command(app)
        for name in path:
            command = command.commands[name]  # type: ignore[attr-defined]
        assert command.help, f"heroes {' '.join(path)} has no help"
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{path}: {parameter.name} has no help"


def test_help_is_shown_when_nothing_is_asked(heroes: Heroes) -> None:
    assert "Usage: heroes" in heroes().stdout + heroes().stderr
    assert isinstance(app, typer.Typer)
