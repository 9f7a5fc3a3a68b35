"""`connect()` and the sandbox behind it, started as a learner's notebook starts it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import psutil
import pytest

from helpers.connect import connect, connect_async
from helpers.sandbox import (
    SandboxError,
    run_keys,
    sandbox_status,
    start_sandbox,
    stop_sandbox,
)
from helpers.settings import SettingsError, load_settings

pytestmark = pytest.mark.slow


def clean_environment(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "HEROES_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HEROES_ENV_FILE", str(state / "no.env"))
    monkeypatch.setenv("HEROES_SANDBOX_STATE", str(state))


@pytest.fixture(scope="module")
def shared_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of one sandbox that most tests here share."""
    state = tmp_path_factory.mktemp("shared") / "state"  # the helpers make this folder
    yield state
    with pytest.MonkeyPatch.context() as patch:
        clean_environment(patch, state)
        stop_sandbox()


@pytest.fixture
def sandbox(shared_state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clean environment, and the shared sandbox running."""
    clean_environment(monkeypatch, shared_state)
    start_sandbox()
    return shared_state


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder of the test's own, with no sandbox running yet."""
    clean_environment(monkeypatch, tmp_path)
    yield tmp_path
    stop_sandbox()


def test_connect_says_who_answers_and_finds_the_sandbox_that_runs(
    sandbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = sandbox_status()
    with connect() as client:
        assert "superhero-mini" in [model.id for model in client.models.list()]
        assert str(client.base_url).rstrip("/") == first.url
    assert capsys.readouterr().out == (
        "Connected to the sandbox on this machine (free). "
        f"Base model: {load_settings().base_model}\n"
    )
    assert sandbox_status() == first == start_sandbox()


def test_the_learners_key_is_private_and_replaced_when_it_was_revoked(sandbox: Path) -> None:
    def key() -> str:
        with connect(announce=False) as client:
            assert client.models.list().data
            return client.api_key

    first, path = key(), sandbox / "learner.key"
    assert first.startswith("sk-sandbox-")
    assert key() == first == path.read_text().strip()
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
        assert sandbox.stat().st_mode & 0o777 == 0o700
    run_keys("revoke", next(row["id"] for row in run_keys("list") if row["last4"] == first[-4:]))
    assert key() != first


def test_a_key_and_an_address_of_the_learners_own(
    sandbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = run_keys("create", "--project", "mine", "--name", "n")["key"]
    monkeypatch.setenv("OPENAI_API_KEY", f" {key}\n")
    with connect(announce=False) as client:
        assert client.api_key == key
        assert client.models.list().data
        assert capsys.readouterr().out == ""
    monkeypatch.setenv("OPENAI_BASE_URL", str(sandbox_status().url))
    connect().close()
    assert capsys.readouterr().out.startswith("Connected to a shared sandbox (free)")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sandbox-" + "x" * 40)
    with pytest.raises(SettingsError, match="heroes keys create") as caught:
        connect()
    assert "x" * 40 not in str(caught.value)


def test_nobody_at_the_address(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sandbox-" + "x" * 40)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(SandboxError, match="No sandbox answers at http://127.0.0.1:9/v1"):
        connect()


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_a_proxy_does_not_catch_loopback(
    sandbox: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
        monkeypatch.setenv(name.lower(), proxy)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with connect(announce=False) as client:
        assert client.models.list().data

    async def ask() -> int:
        async with connect_async() as client:
            return len((await client.models.list()).data)

    assert asyncio.run(ask()) >= 1


def test_a_hosted_endpoint_is_announced_without_a_call(
    own_state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-secret")
    with connect() as client:
        assert str(client.base_url) == "https://api.openai.com/v1/"
        assert client.max_retries == openai.DEFAULT_MAX_RETRIES
    assert capsys.readouterr().out == (
        "Connected to OpenAI (api.openai.com; calls cost money). "
        "Base model: gpt-4.1-mini-2025-04-14\n"
    )
    assert not (own_state / "sandbox.json").exists()


STARTER = "from helpers.sandbox import start_sandbox; print(start_sandbox().pid)"


def test_two_starters_at_once_share_one_sandbox_that_outlives_them(own_state: Path) -> None:
    starters = [
        subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    pids = {int(starter.communicate(timeout=300)[0]) for starter in starters}
    assert len(pids) == 1
    status = sandbox_status()
    assert status.running
    assert {status.pid} == pids


def test_a_killed_sandbox_is_started_anew_and_keeps_its_keys(own_state: Path) -> None:
    with connect(announce=False) as client:
        key = client.api_key
    first = start_sandbox()
    process = psutil.Process(first.pid)
    process.kill()
    process.wait(300)
    assert (own_state / "sandbox.json").exists()
    assert not sandbox_status().running
    with connect(announce=False) as client:
        assert client.api_key == key
    assert sandbox_status().pid != first.pid


@pytest.mark.skipif(sys.platform == "win32", reason="there are no zombies")
def test_stopping_while_the_notebook_that_started_it_is_still_open(own_state: Path) -> None:
    """Its parent never reaps the server, so the ended server stays in the table of processes."""
    code = f"{STARTER}; import sys; sys.stdout.flush(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as notebook:
        pid = int(notebook.stdout.readline())
        assert sandbox_status().pid == pid
        assert stop_sandbox() is True
        assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        assert notebook.poll() is None
        assert not sandbox_status().running
        assert stop_sandbox() is False
        assert start_sandbox().pid != pid
        notebook.communicate("")


def test_a_process_that_got_the_pid_of_an_ended_sandbox_is_left_alone(own_state: Path) -> None:
    """Even one whose command line tells of a sandbox: the start time says that it is another."""
    command = [sys.executable, "-c", "input()", "-m", "sandbox", "--state", str(own_state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
        started = psutil.Process(other.pid).create_time()
        record = {"url": "http://127.0.0.1:9/v1", "pid": other.pid, "started_at": 1}
        for more in ({"process_started": started - 60}, {}):
            (own_state / "sandbox.json").write_text(json.dumps(record | more))
            assert not sandbox_status().running
            assert stop_sandbox() is False
            assert other.poll() is None
        other.communicate(b"\n")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 1}', '{"url": "x", "pid": "y"}'])
def test_a_spoilt_record_is_no_sandbox(own_state: Path, text: str) -> None:
    (own_state / "sandbox.json").write_text(text)
    assert not sandbox_status().running
    assert stop_sandbox() is False


def test_a_failed_start_shows_the_log(own_state: Path) -> None:
    (own_state / "sandbox.db").mkdir()
    with pytest.raises(SandboxError, match=r"did not start(?s:.*)doctor(?s:.*)sandbox\.log:\n."):
        start_sandbox()
    with pytest.raises(SandboxError):
        run_keys("list")


def test_connecting_needs_no_pandas() -> None:
    code = "import sys, helpers.connect; sys.exit('pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
