"""The sampler process: takes requests from its pipe, runs the models' loops, sends what they bring.

The server imports this module to start the process, so torch is loaded inside ``run``.
"""

from __future__ import annotations

import queue
import sys
import traceback
from typing import TYPE_CHECKING, Any

from sandbox.engine.pipe import CLOSED, Connection, Ready, incoming
from sandbox.engine.sampler.messages import Ask, Cancel, Embed, EngineError, Output

if TYPE_CHECKING:
    from sandbox.engine.sampler.models import ModelCache


def run(connection: Connection, preload: list[str]) -> None:
    """Serve until the server closes the pipe; the folders in ``preload`` are loaded first."""
    from sandbox.engine.sampler.models import ModelCache

    inbox, models = incoming(connection), ModelCache()
    for folder in preload:
        _try_loading(models, folder)
    connection.send(Ready())
    while (outputs := _take_messages(inbox, models)) is not None:
        outputs += [output for loop in models.busy() for output in loop.step()]
        if outputs:
            connection.send(outputs)


def _try_loading(models: ModelCache, folder: str) -> None:
    try:
        models.get(folder)
    except EngineError as error:
        # The requests that name this model will get the error; others can be served.
        print(f"{folder}: {error.message}", file=sys.stderr)


def _take_messages(inbox: queue.SimpleQueue[Any], models: ModelCache) -> list[Output] | None:
    """Handle what has arrived; wait for it only when there is nothing to decode.

    Returns what to answer at once, or None when the pipe is closed.
    """
    refused: list[Output] = []
    while True:
        try:
            message = inbox.get(block=not (models.busy() or refused))
        except queue.Empty:
            return refused
        if message is CLOSED:
            return None
        if isinstance(message, Cancel):
            models.cancel(message.id)
        else:
            refused += _add(models, message)


def _add(models: ModelCache, ask: Ask) -> list[Output]:
    """Give a request to its model's loop; return the error if it cannot be answered."""
    request = ask.request
    try:
        if isinstance(request, Embed):
            models.embedder(request.folder).add(ask.id, request)
        else:
            models.get(request.folder, request.adapter).add(ask.id, request)
    # A request of a kind nobody thought of must not take the others down with it.
    except Exception as error:  # noqa: BLE001
        if not isinstance(error, EngineError):
            traceback.print_exc()
        return [Output(ask.id, error=EngineError.of(error))]
    return []
