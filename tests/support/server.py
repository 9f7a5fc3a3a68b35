"""A real sandbox in a process of its own, and what its tests send to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from sandbox.store import keys
from sandbox.store.database import Store
from tests.support.tiny import kept_base
from tests.support.tiny_embedder import kept_embedder

ROOT = Path(__file__).resolve().parents[2]
# A test that fails waits so long. A busy machine takes its time: to load torch, even to drop it.
STOP_SECONDS = 120
PATIENCE = 300.0


class Server:
    """A running ``python -m sandbox`` with a state directory of its own and one trainer.

    The tests' models are "tiny" and, for vectors, "tiny-embedder"; the shipped one, which every
    server offers, is there besides.
    """

    def __init__(self, state: Path, *options: str) -> None:
        self.state = state
        bases = [f"--base-model={folder}" for folder in (kept_base(), kept_embedder())]
        self.options = [*bases, "--trainers", "1", *options]
        with Store(state) as store:
            self.key = keys.create_key(store, "learner", "tests")[1]
            self.other_key = keys.create_key(store, "other", "tests")[1]
        self.log = state.parent / f"{state.name}.log"
        self.start()

    def start(self, port: int = 0) -> None:
        """Start the server and wait for its ready line."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sandbox", "--port", str(port), "--state", str(self.state)]
                + self.options,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        self.ready_line = self.process.stdout.readline().strip()
        assert self.ready_line.startswith("sandbox ready at "), self.log.read_text()
        self.url = json.loads((self.state / "sandbox.json").read_text())["url"]

    def stop(self) -> int:
        """Stop the server, if it still runs, and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self._wait()

    def kill(self) -> None:
        """Kill the API process: it can do nothing about it."""
        self.process.kill()
        self._wait()

    def restart(self) -> None:
        """Kill the server, if it still runs, and start it again on the same state."""
        self.kill()
        self.start()

    def client(self, key: str | None = None, **options: Any) -> OpenAI:
        """Return an SDK client; retries are off, so that a test sees the first answer."""
        options = {"max_retries": 0, "timeout": PATIENCE, **options}
        return OpenAI(base_url=self.url, api_key=key or self.key, **options)

    def _wait(self) -> int:
        code = self.process.wait(STOP_SECONDS)
        self.process.stdout.close()
        return code


def chat_examples(count: int = 12) -> list[dict[str, Any]]:
    """Good chat examples, all different."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"{20 + i}, woman, flight ->"},
                {"role": "assistant", "content": f"Hero number {i} flies over the town."},
            ]
        }
        for i in range(count)
    ]


def chat_lines(count: int = 12) -> bytes:
    """A good training file in the chat format."""
    return "".join(json.dumps(example) + "\n" for example in chat_examples(count)).encode()


def wait_for(client: OpenAI, job_id: str, *states: str, seconds: float = PATIENCE) -> FineTuningJob:
    """Return the job once it is in one of the states."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if job.status in states:
            return job
        time.sleep(0.05)
    raise AssertionError(f"{job_id} is {job.status} after {seconds} s, not {states}")
