"""A file of finished rows that survives an interrupt and a crash of any kind.

One JSON object a line, each handed to the system as soon as its row is done: a killed program
loses nothing. A power cut can cost the rows of the last half minute.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import IO, Any, Self

from filelock import FileLock, Timeout


class LedgerBusy(RuntimeError):
    """Another program is writing the same rows."""


def row_key(**identity: Any) -> str:
    """A short fingerprint of everything that makes a row the row it is."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:20]


class Ledger:
    """Finished rows by key. Use it in a `with` block; only one program can hold it at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        self._lock = FileLock(path.with_name(path.name + ".lock"), timeout=0)
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise LedgerBusy(
                f"Another notebook or program is writing {self.path.name} right now. "
                "Wait for it, or stop it, and run this cell again."
            ) from error
        self._file = self.path.open("a+b")
        self._file.seek(0)
        *lines, torn = self._file.read().split(b"\n")
        # A writer that was killed may have left half a line: its row is not done.
        self._file.truncate(self._file.tell() - len(torn))
        for line in lines:
            try:
                row = json.loads(line)
                self.rows[row.pop("key")] = row
            except (ValueError, KeyError, AttributeError, TypeError):
                continue  # something else has spoilt this line: its row is made again
        return self

    def __exit__(self, *error: object) -> None:
        if self._file:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
        self._lock.release()

    def append(self, key: str, row: dict[str, Any]) -> None:
        """Add a finished row; from here on it outlives this program."""
        if self._file is None:
            raise RuntimeError("A ledger is only open inside its `with` block.")
        self._file.write(json.dumps({"key": key, **row}, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        self.rows[key] = row

    def clear(self) -> None:
        """Forget all rows."""
        if self._file is None:
            raise RuntimeError("A ledger is only open inside its `with` block.")
        self._file.truncate(0)
        self.rows = {}
