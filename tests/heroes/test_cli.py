"""The command as a whole: its help, its sandbox, its keys, the machine check."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from heroes.app import app
from tests.support.heroes_command import ROOT, Heroes, environment


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Heroes]:
    """`heroes` with the embedded sandbox of its own, which is stopped at the end."""
    heroes = Heroes(environment(tmp_path))
    yield heroes
    heroes("sandbox", "stop")


def walk(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it."""
    commands = getattr(group, "commands", None)
    if commands is None:
        yield path, group
        return
    for name, command in commands.items():
        yield from walk(command, (*path, name))


COMMANDS = dict(walk(get_command(app)))


def test_the_sandbox_from_start_to_stop(own: Heroes) -> None:
    status = own("sandbox", "status")
    assert (status.returncode, "not running" in status.stdout) == (3, True)
    assert "No sandbox was running." in own("sandbox", "stop").stdout
    start = own("sandbox", "start")
    assert (start.returncode, start.stderr) == (0, "")
    assert start.stdout.startswith("The sandbox runs: http://127.0.0.1:")
    assert "was running already" in own("sandbox", "start").stdout
    assert "since 20" in own("sandbox", "status").stdout
    assert own.json("sandbox", "status")["running"] is True
    assert own("sandbox", "stop").stdout == "The sandbox has stopped.\n"
    assert own("sandbox", "status").returncode == 3


def test_keys_from_create_to_revoke(own: Heroes) -> None:
    made = own("keys", "create", "--project", "anna", "--name", "laptop")
    key = made.stdout.strip()
    assert made.returncode == 0
    assert key.startswith("sk-sandbox-")
    assert key.count("\n") == 0
    listed = own("keys", "list").stdout
    assert key not in listed
    row = next(line for line in listed.splitlines() if "anna" in line)
    assert "laptop" in row
    assert key[-4:] in row
    assert key not in own("keys", "list", "--json").stdout
    key_id = row.split()[0]
    assert own("keys", "revoke", key_id).stdout == f"Revoked: {key_id}\n"
    again = own("keys", "revoke", key_id)
    assert again.returncode == 1
    assert again.stderr.startswith("heroes: There is no live key")
    assert again.stderr.count("\n") == 1


def test_an_impossible_project_is_one_line(own: Heroes) -> None:
    refused = own("keys", "create", "--project", "Not Allowed")
    assert refused.returncode == 1
    assert refused.stderr.startswith("heroes: A project name has")
    assert refused.stderr.count("\n") == 1
    assert refused.stdout == ""


def test_the_doctor_sees_a_bad_env_file(own: Heroes, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-sand—box\n", encoding="utf-8")
    seen = own("doctor")
    assert seen.returncode == 1
    assert "long dash" in seen.stdout
    assert "sk-sand" not in seen.stdout + seen.stderr
    assert "Traceback" not in seen.stderr


def test_the_old_verbs_are_all_there() -> None:
    words = {" ".join(path) for path in COMMANDS}
    files = {f"files {verb}" for verb in ("list", "upload", "get", "content", "delete")}
    steering = {"follow", "list", "get", "cancel", "pause", "resume", "events", "checkpoints"}
    jobs = {f"jobs {verb}" for verb in (*steering, "create", "results")}
    others = {"models list", "models delete", "complete", "chat", "generate", "cost", "doctor"}
    assert files | jobs | others <= words


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_says_what_it_does(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help, "no help"
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{parameter.name} has no help"
        # A pipe on Windows may know no other characters, and help is shown before we can act.
        assert parameter.help.isascii(), parameter.help
    assert command.help.isascii()


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_an_example_that_can_be_typed(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = COMMANDS[path]
    examples = [line for line in command.help.splitlines() if line.startswith("Example: ")]
    assert examples, "no example"
    for example in examples:
        typed = re.split(r" [>|] ", example.removeprefix("Example: heroes "))[0]  # then the shell
        words = shlex.split(typed)
        assert tuple(words[: len(path)]) == path
        monkeypatch.chdir(ROOT)  # examples name files of the course
        context = command.make_context("heroes", words[len(path) :], resilient_parsing=False)
        context.close()


def test_the_book_documents_every_command() -> None:
    """The book's page is made from the commands themselves, so none can be missing in it."""
    page = (ROOT / "docs" / "heroes.md").read_text(encoding="utf-8")
    assert "```{heroes-reference}" in page


def test_help_is_shown_when_nothing_is_asked(own: Heroes) -> None:
    shown = own()
    assert "Usage: heroes" in shown.stdout + shown.stderr
    assert "Exit codes: 0 done" in own("--help", PYTHONIOENCODING="ascii").stdout


def test_wrong_use_is_exit_code_2(own: Heroes) -> None:
    for words in (("jobs", "create"), ("files", "list", "--limit", "0"), ("fly",)):
        refused = own(*words)
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_complete(own: Heroes, shell: str) -> None:
    # So does the shell ask; which shell runs the tests does not matter then.
    variables = {
        "bash": {"COMP_WORDS": "heroes jobs ca", "COMP_CWORD": "2"},
        "zsh": {"_TYPER_COMPLETE_ARGS": "heroes jobs ca"},
        "fish": {
            "_TYPER_COMPLETE_ARGS": "heroes jobs ca",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        },
    }[shell]
    asked = own(_HEROES_COMPLETE=f"complete_{shell}", **variables)
    assert "cancel" in asked.stdout
    assert "create" not in asked.stdout


def test_help_needs_no_heavy_package() -> None:
    """Completion asks at every press of the tab key, so starting must be quick."""
    heavy = "openai pandas torch matplotlib ipywidgets".split()
    code = f"import sys, heroes.app; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
