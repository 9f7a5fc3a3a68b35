"""The server as a process: serving, stopping, the lock, keys, and kill -9 of each process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from openai import APIError, AuthenticationError

from sandbox.__main__ import main
from sandbox.bases import find_base
from sandbox.config import ConfigError
from tests.support.server import PATIENCE, ROOT, Server

pytestmark = pytest.mark.slow

QUESTION = [{"role": "user", "content": "Tell me about a hero."}]
ENDLESS = {"0": -100, "4": -100}  # the tokens that end a text are never chosen


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A sandbox that may be stopped, killed and restarted."""
    running = Server(tmp_path_factory.mktemp("own") / "state")
    yield running
    running.stop()


def sandbox(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_server_says_where_it_is_and_keeps_its_state_to_itself(own_server: Server) -> None:
    note = json.loads((own_server.state / "sandbox.json").read_text())
    pid = own_server.process.pid
    assert own_server.ready_line == f"sandbox ready at {own_server.url} (pid {pid})"
    assert (note["url"], note["pid"]) == (own_server.url, pid)
    assert abs(note["started_at"] - time.time()) < PATIENCE


def test_the_api_process_loads_no_torch() -> None:
    script = "import sys, sandbox.api.serve; print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("option", "values", "what"),
    [
        ("--port", ["-1", "65536", "x", "1.5"], "a port from 0 to 65535"),
        ("--requests-per-minute", ["0", "-1", "many", "1000001"], "a number of requests from 1"),
        ("--trainers", ["0", "17"], "a number of trainers from 1 to 16"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(
    option: str, values: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in values:
        with pytest.raises(SystemExit):
            main([f"{option}={value}"])
        assert f"'{value}' is not {what}" in capsys.readouterr().err


def test_a_missing_base_model_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no base model at"):
        find_base(str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="config.json"):
        find_base(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="vocab_size"):
        find_base(str(tmp_path))


def test_a_key_made_while_the_server_runs_works_until_revoked(server: Server) -> None:
    state = str(server.state)
    made = json.loads(
        sandbox("keys", "create", "--project", "late", "--state", state, "--json").stdout
    )
    assert made["project"] == "late"
    with server.client(made["key"]) as client:
        assert client.files.list().data == []
        listed = json.loads(sandbox("keys", "list", "--state", state, "--json").stdout)
        mine = next(row for row in listed if row["id"] == made["id"])
        assert mine["last4"] == made["key"][-4:] and "key" not in mine
        assert sandbox("keys", "revoke", made["id"], "--state", state).returncode == 0
        with pytest.raises(AuthenticationError):
            client.files.list()


def test_the_keys_commands_speak_plainly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ["--state", str(tmp_path)]
    assert main(["keys", "list", *state]) == 0
    assert "No keys yet" in capsys.readouterr().out
    assert main(["keys", "create", "--name", "Ada", *state]) == 0
    secret = capsys.readouterr().out.splitlines()[-1]
    assert secret.startswith("sk-sandbox-")
    assert main(["keys", "list", *state]) == 0
    listed = capsys.readouterr().out
    assert "Ada" in listed and secret not in listed and secret[-4:] in listed
    assert main(["keys", "revoke", listed.split()[0], *state, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["revoked"] is True
    assert main(["keys", "revoke", "key-nothing", *state]) == 1
    assert main(["keys", "create", "--project", "Not Good", *state]) == 1
    assert "project name" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="file modes are a matter of POSIX")
def test_the_lock_file_is_private(server: Server) -> None:
    assert (server.state / "sandbox.lock").stat().st_mode & 0o077 == 0


def kill_worker(server: Server, name: str) -> None:
    """Kill the server's workers of one kind, as soon as there are any."""
    deadline = time.monotonic() + PATIENCE
    found: list[psutil.Process] = []
    while not found:
        assert time.monotonic() < deadline
        workers = psutil.Process(server.process.pid).children()
        found = [worker for worker in workers if f"sandbox-{name}" in " ".join(worker.cmdline())]
    for worker in found:
        worker.kill()


def test_a_dead_sampler_is_told_in_the_stream_and_started_again(own_server: Server) -> None:
    with own_server.client() as client:
        fields = {"model": "tiny", "messages": QUESTION}
        # 128 long texts: it is far from their end, however long this process has to wait.
        stream = client.chat.completions.create(**fields, n=128, stream=True, logit_bias=ENDLESS)
        next(stream)
        kill_worker(own_server, "sampler")
        with pytest.raises(APIError, match="sampler process ended"):
            for _ in stream:
                pass
        short = {"max_completion_tokens": 2, "logit_bias": ENDLESS}
        assert client.chat.completions.create(**fields, **short).usage.completion_tokens == 2


def test_a_server_that_is_stopped_says_nothing_more_and_leaves_no_note(own_server: Server) -> None:
    own_server.process.terminate()
    assert own_server.process.stdout.read() == "", "one line is all it says"
    assert own_server.stop() == 0
    assert not (own_server.state / "sandbox.json").exists()
