"""Clients that are slow, rude or elsewhere; a disk that is full; folders that are not ours."""

from __future__ import annotations

import errno
import shutil
import socket
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
import uvicorn
from filelock import FileLock
from openai import InternalServerError, OpenAI

from sandbox.__main__ import main
from sandbox.api import app, batch_runner, connection, files, middleware, validation
from sandbox.api.connection import PatientProtocol
from sandbox.api.serve import serve
from sandbox.config import ConfigError, Settings
from sandbox.store.database import Store
from sandbox.store.errors import NotOurState
from tests.support.api import Api, running_api
from tests.support.server import PATIENCE, chat_lines, wait_for
from tests.support.tiny import kept_base

FOREIGN = ("files/thesis.txt", "models/holiday/photo.jpg", "jobs/cv.doc")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder of somebody else's that happens to look like a state folder."""
    for name in FOREIGN:
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True)
        path.write_text("precious")
    return tmp_path / "mine"


def settings_for(state: Path, **fields: Any) -> Settings:
    return Settings(state_dir=state, base_models=(str(kept_base()),), **fields)


def assert_untouched(folder: Path) -> None:
    assert [(folder / name).read_text() for name in FOREIGN] == ["precious"] * len(FOREIGN)


def test_a_start_that_fails_at_the_port_touches_nothing(
    foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main([f"--port={port}", f"--state={foreign}", f"--base-model={kept_base()}"]) == 1
    told = capsys.readouterr()
    assert f"port {port}" in told.err and "--port 0" in told.err and told.out == ""
    assert_untouched(foreign)
    assert not (foreign / "sandbox.db").exists()


@pytest.mark.parametrize("database", [None, b""])
def test_a_folder_that_is_not_ours_is_refused_whole(foreign: Path, database: bytes | None) -> None:
    if database is not None:
        (foreign / "sandbox.db").write_bytes(database)
    with pytest.raises(NotOurState):
        serve(settings_for(foreign, port=0))
    assert_untouched(foreign)


def test_a_second_server_is_told_where_the_first_one_is(tmp_path: Path) -> None:
    held = FileLock(tmp_path / "sandbox.lock")
    (tmp_path / "sandbox.json").write_text('{"url": "http://127.0.0.1:1/v1", "pid": 7}')
    with held, pytest.raises(ConfigError, match="already using .*127.0.0.1:1/v1, pid 7"):
        serve(settings_for(tmp_path, port=0))
    assert not (tmp_path / "sandbox.db").exists()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8765", 200),
        ("[::1]:8765", 200),
        ("127.0.0.9:1", 200),
        ("evil.example", 403),
        ("evil.example:8765", 403),
        ("127.0.0.1.evil.example", 403),
        ("192.168.1.7", 403),
    ],
)
def test_only_names_of_its_own_are_answered(api: Api, host: str, status: int) -> None:
    with api.http() as http:
        answer = http.get("models", headers={"host": host})
    assert answer.status_code == status
    if status == 403:
        assert "does not answer under the name" in answer.json()["error"]["message"]


def test_a_host_of_ones_own_is_answered(tmp_path: Path) -> None:
    async def hello(scope: Any, receive: Any, send: Any) -> None:
        """Nothing to answer here: the check comes first."""

    for host, name, good in (
        ("classroom.local", "classroom.local:80", True),
        ("classroom.local", "other.local", False),
        ("0.0.0.0", "teacher.local:8765", True),
    ):
        envelope = middleware.Envelope(hello, host)
        if good:
            envelope._check_host(name)
        else:
            with pytest.raises(middleware.Forbidden):
                envelope._check_host(name)


@pytest.fixture
def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """An API that waits half a second for headers and for bodies."""
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.5)
    monkeypatch.setattr(middleware, "BODY_GRACE_SECONDS", 0.5)
    real = uvicorn.Config
    monkeypatch.setattr(uvicorn, "Config", lambda *a, **k: real(*a, **k, http=PatientProtocol))
    with running_api(tmp_path / "state") as made:
        yield made


def ask(connected: socket.socket, request: bytes) -> bytes:
    """Send a request and return its whole answer, which is a JSON object."""
    connected.sendall(request)
    answer = b""
    while not answer.endswith(b"}"):
        piece = connected.recv(10_000)
        assert piece, "the connection was closed"
        answer += piece
    return answer


def address(api: Api) -> tuple[str, int]:
    url = httpx2.URL(api.url)
    return url.host, url.port


@pytest.mark.parametrize("begun", [b"", b"GET /v1/models HT", b"GET /health HTTP/1.1\r\nhost: lo"])
def test_headers_that_do_not_come_close_the_connection(impatient: Api, begun: bytes) -> None:
    began = time.monotonic()
    with socket.create_connection(address(impatient), timeout=PATIENCE) as half_open:
        half_open.sendall(begun)
        assert half_open.recv(100) == b""
        assert time.monotonic() - began > 0.4
    # A second request on a connection waits no longer than the first.
    whole = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with socket.create_connection(address(impatient), timeout=PATIENCE) as reused:
        assert b"200 OK" in ask(reused, whole)
        if begun:
            reused.sendall(begun)
            assert reused.recv(100) == b""
        else:
            time.sleep(0.8)
            assert b"200 OK" in ask(reused, whole), "an idle connection is no late request"


def test_a_body_that_does_not_come_is_refused(impatient: Api) -> None:
    head = (
        f"POST /v1/fine_tuning/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n"
        f"authorization: Bearer {impatient.key}\r\n\r\n{{"
    )
    with socket.create_connection(address(impatient), timeout=PATIENCE) as slow:
        answer = ask(slow, head.encode())
    assert answer.startswith(b"HTTP/1.1 408") and b"The body came too slowly" in answer


def test_an_upload_on_a_full_disk_says_storage_and_leaves_nothing(
    api: Api, client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Any, target: Path) -> None:
        target.write_bytes(b"some of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    before = client.files.list(limit=10_000).data
    with monkeypatch.context() as patched:
        patched.setattr(files, "copy_jsonl", full)
        with pytest.raises(InternalServerError) as caught:
            client.files.create(file=("a.jsonl", chat_lines()), purpose="fine-tune")
    assert (caught.value.status_code, caught.value.code) == (507, "insufficient_storage")
    assert "Storage:" in caught.value.message and "space" in caught.value.message
    assert not list((api.state / "files").glob("*.part"))
    assert client.files.list(limit=10_000).data == before
    assert client.files.create(file=("a.jsonl", chat_lines()), purpose="fine-tune").id


def test_health_tells_of_a_full_disk(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    url = api.url.removesuffix("/v1") + "/health"
    assert httpx2.get(url, timeout=PATIENCE, trust_env=False).json()["status"] == "ok"
    usage = namedtuple("usage", "free")
    fake = SimpleNamespace(disk_usage=lambda _: usage(1_000_000))
    monkeypatch.setattr(app, "shutil", fake)
    told = httpx2.get(url, timeout=PATIENCE, trust_env=False).json()
    assert told["status"] == "degraded" and told["problems"][0].startswith("Storage: 0 MiB")
    monkeypatch.setattr(app, "shutil", shutil)
    assert httpx2.get(url, timeout=PATIENCE, trust_env=False).json()["status"] == "ok"


def test_the_check_of_a_jobs_files_waits_for_room(
    api: Api, client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that cannot be written is no reason to lose a job, or the checks after it."""
    real, failures = validation.jobs.mark_queued, iter([True, True, False])

    def sometimes_full(store: Store, job_id: str) -> Any:
        if next(failures):
            raise validation.StorageError("no room")
        return real(store, job_id)

    monkeypatch.setattr(validation, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(validation.jobs, "mark_queued", sometimes_full)
    file = client.files.create(file=("a.jsonl", chat_lines()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="tiny", training_file=file.id)
    assert wait_for(client, job.id, "queued", "failed").status == "queued"
    client.fine_tuning.jobs.cancel(job.id)


def test_an_error_that_nobody_foresaw_fails_the_job_or_the_batch(
    client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(validation, "find_model", broken)
    monkeypatch.setattr(batch_runner, "check_file", broken)
    file = client.files.create(file=("a.jsonl", chat_lines()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="tiny", training_file=file.id)
    job = wait_for(client, job.id, "queued", "failed")
    assert (job.error.code, job.error.message) == (
        "server_error",
        "The sandbox could not check the files (ZeroDivisionError).",
    )
    lines = client.files.create(file=("b.jsonl", b"{}"), purpose="batch")
    batch = client.batches.create(
        input_file_id=lines.id, endpoint="/v1/completions", completion_window="24h"
    )
    deadline = time.monotonic() + PATIENCE
    while batch.status == "validating":
        assert time.monotonic() < deadline
        time.sleep(0.02)
        batch = client.batches.retrieve(batch.id)
    (error,) = batch.errors.data
    assert (batch.status, error.code) == ("failed", "server_error")
    assert "could not run the batch (ZeroDivisionError)" in error.message
