"""A worker process's own end of its pipes: messages in on stdin, messages out on stdout."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import Any, BinaryIO

CLOSED: dict[str, Any] = {"op": "closed"}
CHUNK = 65536  # bytes


def dump_line(message: dict[str, Any]) -> bytes:
    """One message as a line of ASCII."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def claim_stdout() -> BinaryIO:
    """Keep standard output for messages; whatever else is printed goes to standard error.

    A library that prints, even from C, can then not break the protocol.
    """
    private = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return private


def read_messages(inbox: queue.SimpleQueue[dict[str, Any]]) -> threading.Thread:
    """Read standard input in a thread of its own; ``CLOSED`` is put in when the parent is gone."""
    thread = threading.Thread(target=_read, args=(inbox,), name="stdin", daemon=True)
    thread.start()
    return thread


def _read(inbox: queue.SimpleQueue[dict[str, Any]]) -> None:
    # Not through sys.stdin: a thread blocked in its buffer makes Python's own end fail.
    source, unfinished = sys.stdin.fileno(), b""
    while chunk := os.read(source, CHUNK):
        *lines, unfinished = (unfinished + chunk).split(b"\n")
        for line in lines:
            _put(inbox, line)
    inbox.put(CLOSED)


def _put(inbox: queue.SimpleQueue[dict[str, Any]], line: bytes) -> None:
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if isinstance(message, dict):
        inbox.put(message)
    else:
        print(f"Not a message: {line[:80]!r}", file=sys.stderr)
