"""One real sandbox for the tests of the helpers: started when first asked for, stopped at the end.

Import the fixtures into a test module: `from live_sandbox import live_client, live_model`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from sandbox.config import SHIPPED_BASE

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 60


def _base_options() -> list[str]:
    if SHIPPED_BASE.is_dir():
        return []
    folder = os.environ.get("SANDBOX_TEST_BASE")
    assert folder, "There is no base model: make one, or name a folder in SANDBOX_TEST_BASE."
    return ["--base-model", folder]


@dataclass
class LiveSandbox:
    """A sandbox in a process of its own."""

    state: Path
    process: subprocess.Popen[str] | None = None
    key: str = ""

    def start(self, port: int = 0) -> None:
        """Start it and wait until it says that it is ready."""
        log = self.state.with_suffix(".log")
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [*self._command(), "--port", str(port), *_base_options()],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("sandbox ready at"), log.read_text()
        if not self.key:
            self.key = self._new_key()

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "sandbox", *words, "--state", str(self.state)]

    def _new_key(self) -> str:
        command = self._command("keys", "create", "--json")
        made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return json.loads(made.stdout)["key"]

    @property
    def url(self) -> str:
        return json.loads((self.state / "sandbox.json").read_text())["url"]

    def client(self, **options: Any) -> OpenAI:
        return OpenAI(base_url=self.url, api_key=self.key, **{"timeout": 600, **options})

    def kill(self) -> None:
        """Kill it: it can do nothing about that."""
        assert self.process is not None
        self.process.kill()
        self._reap()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self._reap()

    def _reap(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.wait(STOP_SECONDS)
        self.process.stdout.close()


_KEY = pytest.StashKey[LiveSandbox]()


@pytest.fixture(scope="session")
def live_sandbox(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LiveSandbox:
    """The sandbox that all test modules share."""
    if _KEY not in request.config.stash:
        running = LiveSandbox(tmp_path_factory.mktemp("helpers") / "state")
        running.start()
        request.config.stash[_KEY] = running
        request.config.add_cleanup(running.stop)
    return request.config.stash[_KEY]


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[LiveSandbox]:
    """A sandbox for one test that kills it."""
    running = LiveSandbox(tmp_path / "state")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def live_client(live_sandbox: LiveSandbox) -> Iterator[OpenAI]:
    with live_sandbox.client() as client:
        yield client


@pytest.fixture(scope="session")
def live_model(live_sandbox: LiveSandbox) -> str:
    """The name of the sandbox's base model."""
    with live_sandbox.client() as client:
        return client.models.list().data[0].id


def chat_examples(count: int = 16) -> list[dict[str, Any]]:
    """Small chat examples, all different."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"{20 + n}, woman, flight ->"},
                {"role": "assistant", "content": f"Hero {n} flies over the town at {20 + n}."},
            ]
        }
        for n in range(count)
    ]


def pair_examples(count: int = 16) -> list[dict[str, str]]:
    """Small prompt/completion examples, all different."""
    return [
        {
            "prompt": f"{20 + n}, man, flight ->",
            "completion": f" Hero {n} flies over the town at {20 + n}. END",
        }
        for n in range(count)
    ]
