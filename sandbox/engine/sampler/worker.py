"""The sampler process: takes requests from its pipe, runs the models' loops, sends what they bring.

The server imports this module to start the process, so torch is loaded inside ``run``.
"""

from __future__ import annotations

import queue
import sys
import traceback
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from sandbox.engine.pipe import CLOSED, Ready, incoming
from sandbox.engine.sampler.messages import Ask, Cancel, Embed, EngineError, Output

if TYPE_CHECKING:
    from sandbox.engine.sampler.models import ModelShelf


def run(connection: Connection, preload: list[str]) -> None:
    """Serve until the server closes the pipe; the folders in ``preload`` are loaded first."""
    from sandbox.engine.sampler.models import ModelShelf

    inbox, shelf = incoming(connection), ModelShelf()
    for folder in preload:
        _try_loading(shelf, folder)
    connection.send(Ready())
    while (outputs := _take_messages(inbox, shelf)) is not None:
        outputs += [output for loop in shelf.busy() for output in loop.step()]
        if outputs:
            connection.send(outputs)


def _try_loading(shelf: ModelShelf, folder: str) -> None:
    try:
        shelf.get(folder)
    except EngineError as error:
        # The requests that name this model will get the error; others can be served.
        print(f"{folder}: {error.message}", file=sys.stderr)


def _take_messages(inbox: queue.SimpleQueue[Any], shelf: ModelShelf) -> list[Output] | None:
    """Handle what has arrived; wait for it only when there is nothing to decode.

    Returns what to answer at once, or None when the pipe is closed.
    """
    refused: list[Output] = []
    while True:
        try:
            message = inbox.get(block=not (shelf.busy() or refused))
        except queue.Empty:
            return refused
        if message is CLOSED:
            return None
        if isinstance(message, Cancel):
            shelf.cancel(message.id)
        else:
            refused += _add(shelf, message)


def _add(shelf: ModelShelf, ask: Ask) -> list[Output]:
    """Give a request to its model's loop; return the error if it cannot be answered."""
    folder = ask.request.folder
    try:
        loop = shelf.embedder(folder) if isinstance(ask.request, Embed) else shelf.get(folder)
        loop.add(ask.id, ask.request)
    except EngineError as error:
        return [Output(ask.id, error=error)]
    # A request of a kind nobody thought of must not take the others down with it.
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        failure = EngineError("engine_failed", f"{type(error).__name__}: {error}")
        return [Output(ask.id, error=failure)]
    return []
