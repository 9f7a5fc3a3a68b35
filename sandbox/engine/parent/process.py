"""A worker process that is kept running: started, spoken to, started again when it dies.

No torch here. What runs in the worker is a function; it says ``Ready`` when it takes messages, and
ends when its pipe closes, so it never outlives the server. Two threads for each process read and
write its pipe: the event loop never waits for it, and an idle process costs no CPU at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sandbox.engine.pipe import CLOSED, Died, Ready

logger = logging.getLogger("sandbox.engine")

SPAWN = multiprocessing.get_context("spawn")
QUIT_SECONDS = 10.0  # what a process gets to finish before it is killed
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
        self._process: BaseProcess | None = None
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
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
                self._outbox.put(CLOSED)
            else:  # still loading: there is nothing to finish
                self._process.kill()
        if self._task is not None:
            _, running = await asyncio.wait([self._task], timeout=QUIT_SECONDS)
            if running and self._process is not None:
                logger.warning("The %s process did not end; it is killed.", self.name)
                self._process.kill()
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
        """Queue a message for the process. Raises ConnectionError when it is not there."""
        if self._process is None or not self.ready:
            raise ConnectionError(f"The {self.name} process is not running.")
        self._outbox.put(message)

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
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(
            target=_enter, args=(theirs, self.name, self._work), name=self.name, daemon=True
        )
        self._last_words = ""
        try:
            _start(process)
        except OSError as error:
            ours.close()
            return f"it could not be started: {error}"
        finally:
            theirs.close()
        self._process, self._outbox = process, queue.SimpleQueue()
        threads = [
            threading.Thread(target=_read, args=(ours, loop, self._receive, ended), daemon=True),
            threading.Thread(target=_write, args=(ours, self._outbox), daemon=True),
        ]
        for thread in threads:
            thread.start()
        await ended.wait()
        self._outbox.put(CLOSED)  # ends the writing thread
        code = await asyncio.to_thread(_reap, process, threads)
        self._process = None
        process.close()
        ours.close()
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


def _start(process: BaseProcess) -> None:
    """Start a process that Ctrl-C in the terminal does not reach: only the server acts on it."""
    if sys.platform == "win32":
        process.start()
        return
    from multiprocessing import resource_tracker

    # Started first: it would take the signal out of the mask again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()  # inherits the mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _enter(connection: Connection, name: str, work: bytes) -> None:
    """The first function that runs in the new process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)  # whatever is printed goes to the log; standard output belongs to the server
    os.environ.update(ENVIRONMENT)
    _show_name(name)
    try:
        target, args = pickle.loads(work)  # imports the module of the target
        target(connection, *args)
    except ConnectionError:
        return  # the server is gone
    except Exception as error:
        with contextlib.suppress(ConnectionError):
            connection.send(Died(f"{type(error).__name__}: {error}"))
        raise


def _show_name(name: str) -> None:
    """Let ps and top show what this process is; only Linux offers a way without a library."""
    place = Path("/proc/self/comm")
    if place.exists():
        place.write_text(f"sandbox-{name}"[:15], encoding="utf-8")


def _read(
    connection: Connection,
    loop: asyncio.AbstractEventLoop,
    receive: Callable[[Any], None],
    ended: asyncio.Event,
) -> None:
    """Hand on what the process sends until it closes its end, which it does when it dies."""
    try:
        with contextlib.suppress(EOFError, OSError):
            while True:
                message = connection.recv()
                loop.call_soon_threadsafe(receive, message)
    finally:
        with contextlib.suppress(RuntimeError):  # the event loop is closed: the server has ended
            loop.call_soon_threadsafe(ended.set)


def _write(connection: Connection, outbox: queue.SimpleQueue[Any]) -> None:
    """Write what is queued. A process that reads slowly keeps only this thread waiting."""
    message: Any = ...
    with contextlib.suppress(OSError):  # it has died: the reading thread tells
        while message is not CLOSED:
            message = outbox.get()
            connection.send(message)


def _reap(process: BaseProcess, threads: list[threading.Thread]) -> int | None:
    """Wait for the end of a process that has closed its pipe; return its exit code."""
    process.join(QUIT_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    for thread in threads:
        thread.join()
    return process.exitcode
