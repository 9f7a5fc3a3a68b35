"""A job trained in this process: what the server and a trainer do, without a pipe between."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.bases import Base, find_base
from sandbox.engine.parent.records import JobRecord
from sandbox.engine.trainer.job import Conversation, train
from sandbox.engine.trainer.messages import Failed, Step, Stop, Stopped, Sync, Synced
from sandbox.store import jobs
from sandbox.store.database import Store
from sandbox.store.tables import JobRow


def tiny_bases(folder: Path) -> dict[str, Base]:
    """The model of a folder as the base "tiny"."""
    return {"tiny": find_base(str(folder))}


class Server:
    """The server's end: records what it is sent, and says what `at` has for a step."""

    def __init__(self, record: JobRecord, at: Mapping[int, Stop]) -> None:
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._record = record
        self._at = at

    def send(self, message: Any) -> None:
        if isinstance(message, Sync):
            self.inbox.put(Synced())
            return
        self._record.write(message)
        if isinstance(message, Step) and message.step in self._at:
            self.inbox.put(self._at[message.step])


def run_job(store: Store, base: Path, at: Mapping[int, Stop] | None = None) -> JobRow | None:
    """Train the next job on the base "tiny"; None when nothing is waiting."""
    job = jobs.next_job(store, ())
    if job is None:
        return None
    record = JobRecord(store, job, tiny_bases(base))
    message = record.train_message()
    server = Server(record, at or {})
    end = (
        message
        if isinstance(message, Failed)
        else train(message, Conversation(server, server.inbox))
    )
    if isinstance(end, Stopped):
        record.stopped(end.saved)
    else:
        record.write(end)
    record.tidy()
    return jobs.get_job(store, None, job.id)
