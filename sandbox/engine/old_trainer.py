"""The trainer process: ``python -m sandbox.engine.trainer --state DIR --base NAME=FOLDER ...``.

Claims one job after another from the store and trains it. Ends when standard input closes: a
job at work is saved first, and goes on when the next trainer comes.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

from sandbox.engine.lease import LEASE_SECONDS
from sandbox.engine.worker_io import CLOSED, claim_stdout, dump_line, read_messages
from sandbox.store import Store, ids, jobs

LOOK_SECONDS = 0.25  # between two looks at the queue


def serve(store: Store, bases: dict[str, Path], out: BinaryIO, name: str) -> None:
    """Say "ready", then train until standard input closes."""
    # Not before standard output was claimed: large libraries may print while they are loaded.
    from sandbox.engine.fine_tuning import run_job

    stopping = threading.Event()
    inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    read_messages(inbox)
    threading.Thread(target=_watch, args=(inbox, stopping), name="watch", daemon=True).start()
    for folder in bases.values():
        _warm_up(folder)
    out.write(dump_line({"op": "ready"}))
    owner = f"{name}-{os.getpid()}-{ids.random_text(8)}"
    while not stopping.is_set():
        job = jobs.claim_next_job(store, owner, LEASE_SECONDS)
        if job is None:
            stopping.wait(LOOK_SECONDS)
        else:
            run_job(store, job, owner, bases, stopping)


def _watch(inbox: queue.SimpleQueue[dict[str, Any]], stopping: threading.Event) -> None:
    """Note when the parent is gone. The trainer takes no other messages."""
    while inbox.get() is not CLOSED:
        print("The trainer takes no messages; its jobs come from the store.", file=sys.stderr)
    stopping.set()


def _warm_up(folder: Path) -> None:
    """Load a base once, so that the first job does not wait for imports and a cold disk."""
    from sandbox.engine.sampler.models import load_model

    try:
        load_model(folder, for_training=True)
    except (OSError, ValueError) as error:
        # Its jobs will fail with the reason; those of other bases can be trained.
        print(f"{folder}: {error}", file=sys.stderr)


def main() -> None:
    """Run the process until its parent is gone."""
    parser = argparse.ArgumentParser(description="Trains the jobs of a sandbox.")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--name", default="trainer-1")
    parser.add_argument("--base", action="append", default=[], metavar="NAME=FOLDER")
    options = parser.parse_args()
    bases = {name: Path(folder) for name, _, folder in (b.partition("=") for b in options.base)}
    out = claim_stdout()
    with Store(options.state) as store:
        serve(store, bases, out, options.name)


if __name__ == "__main__":
    main()
