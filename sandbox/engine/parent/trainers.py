"""Hands out the queued jobs to trainer processes, and alone writes what becomes of them.

No torch here. Which job is held by which process is known here, in memory: no clock can end a
training, and what a process says after it has lost its job reaches nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sandbox.bases import Base
from sandbox.engine.parent.process import QUIT_SECONDS, Child, RestartPolicy
from sandbox.engine.parent.records import JobRecord
from sandbox.engine.trainer import worker
from sandbox.engine.trainer.messages import Done, Failed, Share, Stop, Stopped, Sync, Synced
from sandbox.store import jobs
from sandbox.store.database import Store
from sandbox.store.errors import StateError
from sandbox.store.tables import JobRow

logger = logging.getLogger("sandbox.engine")

MOST_CRASHES = 4  # of the trainers of one job, without a new saved state
IDLE_SECONDS = 10.0  # until a process that has trained is replaced by a fresh, small one
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds until a failed write is tried again
# Never given up: a job that kills its trainers fails, and the jobs behind it need one.
POLICY = RestartPolicy(limit=1_000_000)
MANY_DEATHS = 3  # in a row: worth a word in /health


class Gone:
    """Put into a trainer's inbox when its process has died unasked."""


class Trainer:
    """One trainer process and what it is doing."""

    def __init__(self, name: str, bases: list[Path], policy: RestartPolicy) -> None:
        self.child = Child(
            name,
            worker.run,
            (bases,),
            on_message=lambda message: self.inbox.put_nowait(message),
            on_exit=self._died,
            policy=policy,
        )
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        self.job_id: str | None = None  # the job it holds
        self.used = False  # has trained since it was started
        self.deaths = 0  # since it was last ready
        self.trouble: str | None = None  # why its job cannot be recorded

    def tell(self, message: Any) -> None:
        """Send a message, if the process is there: that it died is in the inbox."""
        with contextlib.suppress(ConnectionError):
            self.child.send(message)

    async def replace(self) -> None:
        """Start a fresh process: one that has trained keeps gigabytes of memory."""
        await self.child.stop()
        self.used = False
        await self.child.start()

    def _died(self) -> None:
        self.deaths += 1
        self.inbox.put_nowait(Gone())


class Trainers:
    """The trainer processes of a server. ``wake`` and ``ask`` may be called from any thread."""

    def __init__(
        self, store: Store, bases: Mapping[str, Base], count: int, policy: RestartPolicy = POLICY
    ) -> None:
        self._store = store
        self._bases = bases
        folders = [base.path for base in bases.values()]
        self._trainers = [Trainer(f"trainer-{n}", folders, policy) for n in range(1, count + 1)]
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._choosing = asyncio.Lock()
        self._news = asyncio.Event()
        self._stopping = False

    @property
    def degraded(self) -> str | None:
        """Why jobs are not trained as they should be, or None."""
        for trainer in self._trainers:
            if trainer.trouble is not None:
                return trainer.trouble
            if trainer.deaths >= MANY_DEATHS:
                return f"The process {trainer.child.name} has died {trainer.deaths} times in a row."
        return None

    async def start(self) -> None:
        """Begin to train what is in the queue; do not wait until the processes are ready."""
        self._loop = asyncio.get_running_loop()
        for trainer in self._trainers:
            await trainer.child.start()
            self._tasks.append(asyncio.create_task(self._keep_working(trainer)))

    async def stop(self) -> None:
        """End the processes; jobs at work are saved first, and go on at the next start."""
        self._stopping = True
        self._news.set()
        busy = []
        for trainer, task in zip(self._trainers, self._tasks, strict=True):
            if trainer.job_id is not None and trainer.child.ready:
                trainer.tell(Stop(save=True))
                busy.append(task)
        if busy:
            await asyncio.wait(busy, timeout=QUIT_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(trainer.child.stop() for trainer in self._trainers))

    def wake(self) -> None:
        """Look at the queue: a job was queued or resumed."""
        self._call(self._news.set)

    def ask(self, job_id: str) -> None:
        """A cancel or pause of this job was stored: have its trainer stop."""
        job = jobs.get_job(self._store, None, job_id)
        if job is not None and job.requested is not None:
            self._call(self._tell_to_stop, job_id, job.requested == "pause")
        self.wake()  # what is asked of a job that nobody holds is done when the next is chosen

    def _call(self, function: Callable[..., object], *args: Any) -> None:
        if self._loop is not None and not self._stopping:
            self._loop.call_soon_threadsafe(function, *args)

    def _tell_to_stop(self, job_id: str, save: bool) -> None:
        for trainer in self._trainers:
            if trainer.job_id == job_id:
                trainer.tell(Stop(save))

    async def _keep_working(self, trainer: Trainer) -> None:
        """Train one job after another, whatever happens to any of them."""
        wait = FIRST_WAIT
        while not self._stopping:
            try:
                await self._work_once(trainer)
                wait = FIRST_WAIT
            except Exception as error:
                logger.exception("The work of %s was interrupted.", trainer.child.name)
                trainer.trouble = f"A trainer was interrupted ({type(error).__name__}: {error})."
                await asyncio.sleep(wait)
                wait = min(LONGEST_WAIT, 2 * wait)

    async def _work_once(self, trainer: Trainer) -> None:
        await trainer.child.wait_ready()
        trainer.deaths = 0
        job = await self._next_job(trainer)
        if job is None:
            return
        try:
            await self._train(trainer, JobRecord(self._store, job, self._bases))
        finally:
            trainer.job_id = None
            self._share_cores()

    async def _next_job(self, trainer: Trainer) -> JobRow | None:
        """The job that this trainer is to work on; it holds it from now on.

        None to look again: the sandbox stops, or the process has been replaced.
        """
        while not self._stopping:
            self._news.clear()
            async with self._choosing:
                held = [other.job_id for other in self._trainers if other.job_id is not None]
                job = await self._write(trainer, jobs.next_job, self._store, held)
                if job is not None:
                    trainer.job_id = job.id
                    self._news.set()  # there may be one for another trainer
                    return job
            try:
                await asyncio.wait_for(self._news.wait(), IDLE_SECONDS if trainer.used else None)
            except TimeoutError:
                await trainer.replace()
                return None
        return None

    async def _train(self, trainer: Trainer, record: JobRecord) -> None:
        train = await self._write(trainer, record.train_message)
        try:
            if isinstance(train, Failed):
                await self._write(trainer, record.write, train)
            elif trainer.child.ready and not self._stopping:
                trainer.used, trainer.inbox = True, asyncio.Queue()
                trainer.tell(train)
                self._share_cores()
                # What was asked before the trainer had the job.
                if asked := await self._write(trainer, record.requested):
                    trainer.tell(Stop(save=asked == "pause"))
                await self._follow(trainer, record)
        except StateError as error:
            logger.info("%s", error)
        except Exception:
            # Not of the disk, which is waited for. Not for ever at the same place.
            await trainer.replace()
            await self._write(trainer, record.crashed, MOST_CRASHES)
            raise
        await self._write(trainer, record.tidy)

    async def _follow(self, trainer: Trainer, record: JobRecord) -> None:
        """Record what the trainer says until it has left the job."""
        ended = False  # by somebody else: what is still said does not count
        while True:
            message = await trainer.inbox.get()
            try:
                if isinstance(message, Gone):
                    await self._write(trainer, record.crashed, MOST_CRASHES)
                elif isinstance(message, Stopped):
                    await self._write(trainer, record.stopped, message.saved)
                elif isinstance(message, Sync):
                    trainer.tell(Synced())
                elif not ended:
                    await self._write(trainer, record.write, message)
            except StateError as error:
                logger.info("%s", error)
                ended = True
                trainer.tell(Stop(save=False))
            if isinstance(message, Gone | Stopped | Done | Failed):
                return

    async def _write(self, trainer: Trainer, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function that reads and writes the store, in a thread.

        While the disk is full, or the store cannot be written for another reason, the trainer is
        stopped and the call is tried again and again, with longer and longer waits.
        """
        wait = FIRST_WAIT
        while True:
            try:
                result = await asyncio.to_thread(function, *args)
            except FileNotFoundError:
                raise  # a model folder that was taken away does not come back
            except (OSError, sqlite3.OperationalError) as error:
                trainer.trouble = (
                    f"Storage: the state folder {self._store.state_dir} cannot be written "
                    f"({error}). Training goes on by itself when it can be."
                )
                logger.error("%s", trainer.trouble)
                trainer.tell(Stop(save=False))
                await asyncio.sleep(wait)
                wait = min(LONGEST_WAIT, 2 * wait)
            else:
                trainer.trouble = None
                return result

    def _share_cores(self) -> None:
        """Let each job at work use a fair part of the cores."""
        busy = [trainer for trainer in self._trainers if trainer.job_id is not None]
        for trainer in busy:
            trainer.tell(Share(len(busy)))
