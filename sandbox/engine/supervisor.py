"""Keeps a worker process running: starts it, notices its end, starts it again.

No torch here. A worker is ready when it says so (``{"op": "ready"}``), and ends by itself when
its standard input closes, so it never outlives its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger("sandbox.engine")

MAX_LINE = 64 * 1024 * 1024
QUIT_SECONDS = 10.0
LAST_WORDS = 20  # lines of standard error kept for the error message


@dataclass(frozen=True)
class RestartPolicy:
    """Wait longer after each quick death; give up after so many of them in a row."""

    first_wait: float = 0.2
    longest_wait: float = 10.0
    limit: int = 6
    healthy_seconds: float = 20.0

    def wait(self, deaths: int) -> float:
        """Seconds to wait after the ``deaths``-th quick death."""
        return min(self.longest_wait, self.first_wait * 2 ** (deaths - 1))


DEFAULT_POLICY = RestartPolicy()


class Worker:
    """One supervised process.

    ``on_message`` gets every message but "ready"; ``on_exit`` is called when the process has died
    unasked, before it is started again.
    """

    def __init__(
        self,
        name: str,
        arguments: Iterable[str],
        *,
        on_message: Callable[[dict[str, Any]], None] | None = None,
        on_exit: Callable[[], None] | None = None,
        policy: RestartPolicy = DEFAULT_POLICY,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.failure: str | None = None  # why it was given up
        self.process: asyncio.subprocess.Process | None = None
        self._arguments = [sys.executable, *arguments]
        self._on_message = on_message
        self._on_exit = on_exit
        self._policy = policy
        self._environment = worker_environment() | (environment or {})
        self._ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS)

    @property
    def ready(self) -> bool:
        """Whether the process has said that it is ready."""
        return self._ready.is_set() and self.failure is None

    async def start(self) -> None:
        """Begin to keep the process running; does not wait until it is ready."""
        if self._task is None:
            self._task = asyncio.create_task(self._supervise(), name=f"supervise-{self.name}")

    async def stop(self) -> None:
        """Close its standard input and wait; a process that does not end is killed."""
        self._stopping.set()
        if self._task is not None:
            await self._task
            self._task = None
        self.failure = self.failure or f"The {self.name} process has been stopped."
        self._ready.set()  # wakes those who wait; they find the reason

    async def wait_ready(self) -> None:
        """Wait until the process is ready. Raises RuntimeError once it was given up or stopped."""
        await self._ready.wait()
        if self.failure is not None:
            raise RuntimeError(self.failure)

    async def send(self, line: bytes) -> None:
        """Write one line to the process. Raises ConnectionError when it is not there."""
        if self.process is None or self.process.stdin is None or not self.ready:
            raise ConnectionResetError(f"The {self.name} process is not running.")
        self.process.stdin.write(line)
        await self.process.stdin.drain()

    async def _supervise(self) -> None:
        """The one loop: run, look how it ended, wait, run again."""
        deaths = 0
        clock = asyncio.get_running_loop()
        while not self._stopping.is_set():
            started = clock.time()
            code = await self._run_once()
            self._ready.clear()
            if self._stopping.is_set():
                return
            deaths = 1 if clock.time() - started > self._policy.healthy_seconds else deaths + 1
            logger.error("The %s process ended (%s).\n%s", self.name, code, self._words())
            if deaths >= self._policy.limit:
                self._give_up(deaths)
            if self._on_exit is not None:
                self._on_exit()
            if self.failure is not None:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._policy.wait(deaths))

    async def _run_once(self) -> int | str:
        """Start the process and stay with it until it has ended."""
        self._last_words.clear()
        try:
            self.process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MAX_LINE,
                env=self._environment,
                # Ctrl-C in a terminal goes to the whole group; only the parent should act on it.
                **_own_group(),
            )
        except OSError as error:
            return f"it could not be started: {error}"
        pumps = [
            asyncio.create_task(self._read_messages()),
            asyncio.create_task(self._read_errors()),
        ]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([pumps[0], stopping], return_when=asyncio.FIRST_COMPLETED)
            return await self._end_process()
        finally:
            stopping.cancel()
            ends = await asyncio.gather(*pumps, stopping, return_exceptions=True)
            for error in filter(lambda end: isinstance(end, Exception), ends):
                logger.error("Reading from the %s process failed: %r", self.name, error)
            self.process = None

    async def _end_process(self) -> int:
        """Close the pipe, wait for the end, and help it along if it does not come."""
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.close()
        if self._stopping.is_set() and not self._ready.is_set():
            # Still loading, which can take longer than the wait: there is nothing to finish.
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        try:
            return await asyncio.wait_for(self.process.wait(), QUIT_SECONDS)
        except TimeoutError:
            logger.warning("The %s process did not end; it is killed.", self.name)
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            return await self.process.wait()

    async def _read_messages(self) -> None:
        assert self.process is not None and self.process.stdout is not None
        while line := await self.process.stdout.readline():
            message = json.loads(line)
            if message.get("op") == "ready":
                self._ready.set()
            elif self._on_message is not None:
                self._on_message(message)

    async def _read_errors(self) -> None:
        assert self.process is not None and self.process.stderr is not None
        while line := await self.process.stderr.readline():
            text = line.decode(errors="replace").rstrip()
            self._last_words.append(text)
            logger.debug("%s: %s", self.name, text)

    def _give_up(self, deaths: int) -> None:
        self.failure = (
            f"The {self.name} process ended {deaths} times in a row and is not started again. "
            f"Its last words:\n{self._words()}"
        )
        logger.error("%s", self.failure)
        self._ready.set()  # wakes those who wait; they find the failure

    def _words(self) -> str:
        return "\n".join(self._last_words)


def trainer_arguments(
    state_dir: Path, bases: dict[str, Path], name: str = "trainer-1"
) -> list[str]:
    """Arguments of Python that start a trainer process; ``bases`` are name and folder.

    ``name`` tells it from other trainers of the same state; the leases of its jobs begin with it.
    """
    flags = [part for base, path in bases.items() for part in ("--base", f"{base}={path}")]
    return ["-m", "sandbox.engine.trainer", "--state", str(state_dir), "--name", name, *flags]


def worker_environment() -> dict[str, str]:
    """The environment of a worker: this one's, with what must be set before torch loads."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads must not eat the other worker's core
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",  # bases of the Hub were fetched by the API process
        "PYTHONPATH": root if not path else os.pathsep.join([root, path]),
        "PYTHONUNBUFFERED": "1",
    }


def _own_group() -> dict[str, Any]:
    if sys.platform == "win32":
        import subprocess

        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
