"""`heroes` as a process: Ctrl-C, a pipe, a terminal, a stray encoding, a quick start."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from openai import OpenAI

from helpers.jsonl import write_jsonl
from tests.support.heroes_command import ROOT, Heroes, Terminal, interrupt
from tests.support.server import chat_examples

pytestmark = pytest.mark.slow

on_a_terminal = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")


def test_ctrl_c_ends_the_following_and_not_the_job(
    heroes_process: Heroes, tmp_path: Path, live_client: OpenAI, live_model: str
) -> None:
    train = str(write_jsonl(tmp_path / "train.jsonl", chat_examples(60)))
    words = ["-m", live_model, "-t", train, "--epochs", "50", "--batch-size", "1"]
    following = heroes_process.start("jobs", "create", *words)
    assert following.stdout is not None
    job_id = following.stdout.readline().split()[-1]
    code, _, err = interrupt(following)
    assert code == 130
    assert f"heroes jobs follow {job_id}" in err
    assert f"heroes jobs cancel {job_id}" in err
    assert "Traceback" not in err
    assert live_client.fine_tuning.jobs.retrieve(job_id).status != "cancelled"
    live_client.fine_tuning.jobs.cancel(job_id)


def test_an_interrupted_generation_loses_nothing(heroes_process: Heroes, tmp_path: Path) -> None:
    table, ledger = tmp_path / "own.csv", tmp_path / "own.rows.jsonl"
    words = ["generate", "--power", "flight", "--max-tokens", "30", "-o", str(table)]
    running = heroes_process.start(*words, "--at-once", "1")
    while not ledger.exists() or ledger.read_text(encoding="utf-8").count("\n") < 3:
        assert running.poll() is None
        time.sleep(0.02)
    code, _, err = interrupt(running)
    assert (code, "Traceback" in err, table.exists()) == (130, False, False)
    assert err.endswith("kept beside own.csv; the same command goes on.\n")
    done = heroes_process(*words)
    assert (done.returncode, done.stdout) == (0, f"{table}\n"), done.stderr
    assert "42 rows" in done.stderr and "42 of them new" not in done.stderr


@on_a_terminal
def test_a_conversation_and_a_question_on_a_terminal(heroes_process: Heroes) -> None:
    with Terminal(heroes_process, "chat", "--seed", "1", "--max-tokens", "30") as terminal:
        assert "Ctrl-D ends it" in terminal.read_until("you> ")
        terminal.write("Who are you?\n")
        assert len(terminal.read_until("you> ")) > 15
        terminal.write("\x04")
        assert terminal.wait() == 0
    with Terminal(heroes_process, "files", "delete", "file-x", columns=40) as terminal:
        assert "file-x" in terminal.read_until("[y/N]")
        said = terminal.interrupt()
        assert "Interrupted." in said and "Traceback" not in said
        assert terminal.wait() == 130


@on_a_terminal
def test_a_narrow_window_breaks_no_id(heroes_process: Heroes, live_client: OpenAI) -> None:
    data = "\n".join('{"messages": []}' for _ in range(12)).encode()
    file = live_client.files.create(file=(":heart:.jsonl", data), purpose="fine-tune")
    with Terminal(heroes_process, "files", "list", columns=40) as terminal:
        shown = terminal.read_all()
        assert terminal.wait() == 0
    assert file.id in shown and ":heart:.jsonl" in shown and "─" in shown


def test_a_reader_that_leaves_and_a_stray_encoding(heroes_process: Heroes) -> None:
    program = [sys.executable, "-m", "heroes", "explain", "-", "--json"]
    with subprocess.Popen(
        program,
        cwd=ROOT,
        env={**heroes_process.environment, "PYTHONIOENCODING": "ascii"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as reading:
        assert reading.stdin and reading.stdout and reading.stderr
        reading.stdout.close()
        reading.stdin.write("Connection error.")
        reading.stdin.close()
        assert reading.stderr.read() == ""
    assert reading.returncode in (0, 1)
    told = heroes_process("explain", "Missing credentials", PYTHONIOENCODING="ascii")
    assert (told.returncode, "OPENAI_API_KEY=?" in told.stdout) == (0, True)


def test_help_needs_no_heavy_package(heroes_process: Heroes) -> None:
    """Completion asks at every press of the tab key, so starting must be quick."""
    heavy = "openai pandas torch matplotlib ipywidgets psutil".split()
    code = f"import sys, heroes.app; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    fish = {"_TYPER_COMPLETE_ARGS": "heroes jobs ca", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    asked = heroes_process(_HEROES_COMPLETE="complete_fish", **fish)
    assert "cancel" in asked.stdout and "create" not in asked.stdout
