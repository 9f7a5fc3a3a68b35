"""The command line: serving, stopping, the lock, keys."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from openai import AuthenticationError

from sandbox.__main__ import main
from sandbox.config import ConfigError, load_base_model
from tests.support.server import ROOT, Server


def sandbox(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_whole_life_of_a_server(own_server: Server) -> None:
    note = json.loads((own_server.state / "sandbox.json").read_text())
    pid = own_server.process.pid
    assert own_server.ready_line == f"sandbox ready at {own_server.url} (pid {pid})"
    assert (note["url"], note["pid"]) == (own_server.url, pid)
    assert abs(note["started_at"] - time.time()) < 60
    with own_server.client() as client:
        file = client.files.create(file=b"kept", purpose="user_data")

    second = sandbox("--port", "0", "--state", str(own_server.state))
    assert second.returncode == 1
    assert "already using" in second.stderr and own_server.url in second.stderr
    assert second.stdout == ""

    own_server.restart()  # after a kill -9
    with own_server.client() as client:
        assert client.files.content(file.id).read() == b"kept"
        client.files.delete(file.id)
    own_server.process.terminate()
    assert own_server.process.stdout.read() == "", "one line is all it says"
    assert own_server.stop() == 0
    assert not (own_server.state / "sandbox.json").exists()


def test_the_api_process_loads_no_torch() -> None:
    script = "import sys, sandbox.api.serve; print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"


def test_a_taken_port_is_explained(server: Server, tmp_path: Path) -> None:
    port = server.url.rsplit(":", 1)[1].removesuffix("/v1")
    answer = sandbox("--port", port, "--state", str(tmp_path))
    assert answer.returncode == 1
    assert f"port {port}" in answer.stderr and "--port 0" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "x", "1.5"])
def test_a_bad_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([f"--port={port}"])
    assert "not a port" in capsys.readouterr().err


def test_a_missing_base_model_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no base model at"):
        load_base_model(str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="config.json"):
        load_base_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="vocab_size"):
        load_base_model(str(tmp_path))


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
