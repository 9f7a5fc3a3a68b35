"""A worker process that is kept running: started, spoken to, started again when it dies.

No torch here. What runs in the worker is a function; it says ``Ready`` when it takes messages, and
ends when its pipe closes, so it never outlives the server. An idle process costs no CPU at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.engine.pipe import Died, Ready, receive

logger = logging.getLogger("sandbox.engine")

QUIT_SECONDS = 10.0  # what a process gets to finish before it is killed
PROGRAM = "from sandbox.engine.pipe import run_worker; run_worker()"
# Set before torch is loaded.
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads must not eat another process's core
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",  # bases of the Hub have been fetched by the server
}


@dataclass(frozen=True)
class RestartPolicy:
    """Wait longer after each quick death; give up after so many of them in a row."""

    first_wait: float = 0.2
    longest_wait: float = 10.0
    limit: int = 6
    healthy_seconds: float = 20.0

    def wait(self, deaths: int) -> float:
        """Seconds to wait after the ``deaths``-th quick death."""
        return min(self.longest_wait, self.first_wait * 2 ** min(deaths - 1, 30))


DEFAULT_POLICY = RestartPolicy()


class Child:
    """One supervised process that runs ``target(connection, *args)``.

    The module of ``target`` is imported here too, so it must not load torch. ``on_message`` gets
    what the process sends; ``on_exit`` is called when it has died unasked, before it is started
    again. Both are called on the event loop.
    """

    def __init__(
        self,
        name: str,
        target: Callable[..., None],
        args: tuple[Any, ...] = (),
        *,
        on_message: Callable[[Any], None],
        on_exit: Callable[[], None] | None = None,
        policy: RestartPolicy = DEFAULT_POLICY,
    ) -> None:
        self.name = name
        self.failure: str | None = None  # why it was given up
        self._work = pickle.dumps((target, args))
        self._on_message = on_message
        self._on_exit = on_exit
        self._policy = policy
        self._process: Process | None = None
        self._ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._last_words = ""

    @property
    def ready(self) -> bool:
        """Whether the process has said that it is ready."""
        return self._ready.is_set() and self.failure is None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Begin to keep the process running; does not wait until it is ready."""
        if self._task is None:
            self.failure = None
            self._ready.clear()
            self._stopping.clear()
            self._task = asyncio.create_task(self._supervise(), name=f"supervise-{self.name}")

    async def stop(self) -> None:
        """End the process: it may finish what it is doing, for ``QUIT_SECONDS``. Then it is killed.

        It can be started again.
        """
        self._stopping.set()
        if self._process is not None:
            if self._ready.is_set():
                self._process.stdin.close()  # when all that was sent is written
            else:  # still loading: there is nothing to finish
                _kill(self._process)
        if self._task is not None:
            _, running = await asyncio.wait([self._task], timeout=QUIT_SECONDS)
            if running and self._process is not None:
                logger.warning("The %s process did not end; it is killed.", self.name)
                _kill(self._process)
            await self._task
            self._task = None
        self.failure = self.failure or f"The {self.name} process has been stopped."
        self._ready.set()  # wakes those who wait; they find the reason

    async def wait_ready(self) -> None:
        """Wait until the process is ready. Raises RuntimeError once it was given up or stopped."""
        await self._ready.wait()
        if self.failure is not None:
            raise RuntimeError(self.failure)

    def send(self, message: Any) -> None:
        """Send a message, without waiting. Raises ConnectionError when the process is not there."""
        if self._process is None or not self.ready:
            raise ConnectionError(f"The {self.name} process is not running.")
        self._process.stdin.write(pickle.dumps(message))

    async def _supervise(self) -> None:
        """The one loop: run, look how it ended, wait, run again."""
        deaths = 0
        clock = asyncio.get_running_loop()
        while not self._stopping.is_set():
            started = clock.time()
            reason = await self._run_once()
            self._ready.clear()
            if self._stopping.is_set():
                return
            deaths = 1 if clock.time() - started > self._policy.healthy_seconds else deaths + 1
            logger.error("The %s process ended: %s", self.name, reason)
            if deaths >= self._policy.limit:
                self._give_up(deaths, reason)
            if self._on_exit is not None:
                self._on_exit()
            if self.failure is not None:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._policy.wait(deaths))

    async def _run_once(self) -> str:
        """Start the process, stay with it until it has ended, and return how it ended."""
        self._last_words = ""
        try:
            process = await _start(self.name)
        except OSError as error:
            return f"it could not be started: {error}"
        self._process = process
        if self._stopping.is_set():
            _kill(process)
        process.stdin.write(self._work)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):  # it has ended
            while True:
                self._receive(await receive(process.stdout))
        process.stdin.close()
        try:
            code = await asyncio.wait_for(process.wait(), QUIT_SECONDS)
        except TimeoutError:
            _kill(process)
            code = await process.wait()
        with contextlib.suppress(ConnectionError):  # what it did not read is lost with it
            await process.stdin.wait_closed()
        self._process = None
        return self._last_words or f"exit code {code}; its last words are in the log"

    def _receive(self, message: Any) -> None:
        if isinstance(message, Ready):
            self._ready.set()
        elif isinstance(message, Died):
            self._last_words = message.reason
        else:
            self._on_message(message)

    def _give_up(self, deaths: int, reason: str) -> None:
        self.failure = (
            f"The {self.name} process ended {deaths} times in a row and is not started again.\n"
            f"The last time: {reason}"
        )
        logger.error("%s", self.failure)
        self._ready.set()  # wakes those who wait; they find the failure


async def _start(name: str) -> Process:
    """Start a process. Ctrl-C in the terminal does not reach it: only the server acts on that."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", PROGRAM, f"sandbox-{name}"),  # the last is for ps only
        stdin=PIPE,
        stdout=PIPE,
        env=os.environ | ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows only
    )


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        process.kill()
