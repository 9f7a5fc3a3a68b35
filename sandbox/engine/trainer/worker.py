"""The trainer process: trains one job after another, as the server tells it.

The server imports this module to start the process, so torch is loaded inside ``run``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sandbox.engine.pipe import CLOSED, Connection, Ready, incoming
from sandbox.engine.trainer.messages import Train


def run(connection: Connection, bases: list[Path]) -> None:
    """Train until the server closes the pipe.

    Each small base is loaded once before, so that the first job does not wait for a cold disk. A
    large one would leave too much memory behind.
    """
    from sandbox.engine.load import is_large, load_model
    from sandbox.engine.trainer.job import Conversation, train

    inbox = incoming(connection)
    for folder in bases:
        try:
            if not is_large(folder):
                load_model(folder)
        except (OSError, ValueError) as error:
            # Its jobs will fail with the reason; those of other bases can be trained.
            print(f"{folder}: {error}", file=sys.stderr)
    connection.send(Ready())
    while (message := inbox.get()) is not CLOSED:
        if isinstance(message, Train):  # a Stop may come when its job has just ended
            connection.send(train(message, Conversation(connection, inbox)))
