"""The pipe between the server and a worker process, and how the process begins.

Messages are dataclasses, pickled between our own processes. What a worker sends comes after its
length, because the server's event loop cannot read a pickle as it arrives. No torch here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import queue
import struct
import threading
from dataclasses import dataclass
from typing import Any, BinaryIO

LENGTH = struct.Struct("!Q")


@dataclass(frozen=True)
class Ready:
    """From a worker: it has loaded what it needs and takes messages."""


@dataclass(frozen=True)
class Died:
    """From a worker that ends with an exception: what it was."""

    reason: str


async def receive(reader: asyncio.StreamReader) -> Any:
    """The server's end: the next message of a worker. Raises IncompleteReadError after the last."""
    [length] = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    return pickle.loads(await reader.readexactly(length))


class Connection:
    """A worker's end of the pipe."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def send(self, message: Any) -> None:
        """Write a message. Raises ConnectionError when the server is gone."""
        data = pickle.dumps(message)
        self._outgoing.write(LENGTH.pack(len(data)) + data)
        self._outgoing.flush()

    def recv(self) -> Any:
        """Wait for a message. Raises EOFError when the server is gone or wants the end."""
        try:
            return pickle.load(self._incoming)
        except pickle.UnpicklingError as error:  # cut off: the server was killed
            raise EOFError from error


CLOSED = None  # the last entry of a worker's inbox: end


def incoming(connection: Connection) -> queue.SimpleQueue[Any]:
    """The queue that a thread fills with what the server sends; ``CLOSED`` is its last entry."""
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def read() -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                inbox.put(connection.recv())
        inbox.put(CLOSED)

    threading.Thread(target=read, name="inbox", daemon=True).start()
    return inbox


def run_worker() -> None:
    """The first function of a new process: do the work that the server sends, until it is done.

    Its standard input and output are the pipe; whatever is printed goes to the log.
    """
    connection = Connection(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    try:
        work, args = connection.recv()  # imports the module of the work
        work(connection, *args)
    except (ConnectionError, EOFError):
        return  # the server is gone
    except Exception as error:
        with contextlib.suppress(ConnectionError):
            connection.send(Died(f"{type(error).__name__}: {error}"))
        raise
