"""What runs in the processes of test_process: small functions that need no torch."""

from __future__ import annotations

import os
import sys
import time

from sandbox.engine.pipe import CLOSED, Connection, Ready, incoming


def echo(connection: Connection) -> None:
    """Send everything back; print meanwhile, as a library might."""
    inbox = incoming(connection)
    connection.send(Ready())
    while (message := inbox.get()) is not CLOSED:
        print("hello from a library", flush=True)
        os.write(1, b"hello from below")
        if message == "die":
            raise ValueError("I was told to die")
        connection.send(message)


def stubborn(connection: Connection, seconds: float) -> None:
    """Be ready, and then neither read nor end."""
    connection.send(Ready())
    time.sleep(seconds)


def broken(_: Connection) -> None:
    """End before it is ready."""
    raise ImportError("no such library")


def what_it_sees(connection: Connection) -> None:
    """Tell what the process finds when it starts."""
    connection.send(Ready())
    apart = not hasattr(os, "getsid") or os.getsid(0) == os.getpid()
    connection.send((os.environ["OMP_WAIT_POLICY"], apart, "torch" in sys.modules))
    incoming(connection).get()
