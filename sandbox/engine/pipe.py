"""What every worker process and the server tell each other, and the worker's end of the pipe.

Messages are dataclasses; multiprocessing pickles them between our own processes. No torch here.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any


@dataclass(frozen=True)
class Ready:
    """From a worker: it has loaded what it needs and takes messages."""


@dataclass(frozen=True)
class Died:
    """From a worker that ends with an exception: what it was."""

    reason: str


CLOSED = None  # to a worker: end. Its inbox gets it too when the server is gone.


def incoming(connection: Connection) -> queue.SimpleQueue[Any]:
    """The queue that a thread fills with what the server sends; ``CLOSED`` is its last entry."""
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def read() -> None:
        with contextlib.suppress(EOFError, OSError):  # the server is gone
            while (message := connection.recv()) is not CLOSED:
                inbox.put(message)
        inbox.put(CLOSED)

    threading.Thread(target=read, name="inbox", daemon=True).start()
    return inbox
