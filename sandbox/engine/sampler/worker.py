"""The sampler process: ``python -m sandbox.engine.sampler.worker [--preload FOLDER ...]``.

Reads requests as JSON lines on standard input, answers on standard output (``protocol.py``), and
ends when standard input closes.
"""

from __future__ import annotations

import argparse
import queue
import sys
import traceback
from typing import TYPE_CHECKING, Any, BinaryIO

from sandbox.engine.sampler.messages import (
    EngineError,
    Output,
    dump_line,
    dump_outputs,
    load_embed_request,
    load_request,
)
from sandbox.engine.worker_io import CLOSED, claim_stdout, read_messages

if TYPE_CHECKING:
    from sandbox.engine.sampler.models import ModelShelf

Inbox = queue.SimpleQueue[dict[str, Any]]


class Sampler:
    """Takes messages, runs the models' loops, writes what they bring."""

    def __init__(self, inbox: Inbox, out: BinaryIO, shelf: ModelShelf) -> None:
        self._inbox = inbox
        self._out = out
        self._shelf = shelf

    def run(self, preload: list[str]) -> None:
        """Serve until the parent closes the pipe."""
        for folder in preload:
            self._try_loading(folder)
        self._write(dump_line({"op": "ready"}))
        while self._take_messages():
            outputs = [output for loop in self._shelf.busy() for output in loop.step()]
            if outputs:
                self._write(dump_outputs(outputs))

    def _try_loading(self, folder: str) -> None:
        try:
            self._shelf.get(folder)
        except EngineError as error:
            # The requests that name this model will get the error; others can be served.
            print(f"{folder}: {error.message}", file=sys.stderr)

    def _take_messages(self) -> bool:
        """Handle what has arrived; wait for it only when there is nothing to decode."""
        while True:
            try:
                message = self._inbox.get(block=not self._shelf.busy())
            except queue.Empty:
                return True
            if message is CLOSED:
                return False
            self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        request_id = message.get("id")
        if not isinstance(request_id, int):
            print(f"A message without an id: {message.get('op')!r}", file=sys.stderr)
        elif message.get("op") == "cancel":
            self._shelf.cancel(request_id)
        elif message.get("op") in ("generate", "embed"):
            self._add(request_id, message["op"], message.get("request"))

    def _add(self, request_id: int, op: str, wire: Any) -> None:
        try:
            if op == "embed":
                wanted = load_embed_request(wire)
                self._shelf.embedder(wanted.folder).add(request_id, wanted)
            else:
                request = load_request(wire)
                self._shelf.get(request.folder).add(request_id, request)
        except EngineError as error:
            self._write(dump_outputs([Output(request_id, error=error)]))
        # A request of a kind nobody thought of must not take the others down with it.
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            failure = EngineError("engine_failed", f"{type(error).__name__}: {error}")
            self._write(dump_outputs([Output(request_id, error=failure)]))

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        while view:  # a pipe may take less than the whole line
            view = view[self._out.write(view) or 0 :]


def main() -> None:
    """Run the process until its parent is gone."""
    parser = argparse.ArgumentParser(description="Samples from language models.")
    parser.add_argument("--preload", action="append", default=[], metavar="FOLDER")
    options = parser.parse_args()
    out = claim_stdout()
    # Only now: what large libraries print while they are loaded must not reach the parent.
    from sandbox.engine.sampler.models import ModelShelf

    inbox: Inbox = queue.SimpleQueue()
    read_messages(inbox)
    try:
        Sampler(inbox, out, ModelShelf()).run(options.preload)
    except BrokenPipeError:
        print("The parent process is gone.", file=sys.stderr)


if __name__ == "__main__":
    main()
