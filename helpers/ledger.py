"""A file of finished rows that survives an interrupt and a crash of any kind.

One JSON object a line, each handed to the system as soon as its row is done: a killed program
loses nothing. A power cut can cost the rows of the last second.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from filelock import FileLock, Timeout

SYNC_SECONDS = 1.0


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
        self._file: IO[str] | None = None
        self._synced_at = 0.0

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise LedgerBusy(
                f"Another notebook or program is writing {self.path.name} right now. "
                "Wait for it, or stop it, and run this cell again."
            ) from error
        try:
            self._cut_torn_line()
            self.rows = self._read()
            self._file = self.path.open("a", encoding="utf-8", newline="\n")
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._sync(self._file)
            self._file.close()
            self._file = None
        self._lock.release()

    def append(self, key: str, row: dict[str, Any]) -> None:
        """Add a finished row; from here on it outlives this program."""
        if self._file is None:
            raise RuntimeError("A ledger is only open inside its `with` block.")
        self._file.write(json.dumps({"key": key, **row}, ensure_ascii=False) + "\n")
        self._file.flush()
        # Waiting for the disk after every row would take longer than making the rows.
        if time.monotonic() - self._synced_at > SYNC_SECONDS:
            self._sync(self._file)
        self.rows[key] = row

    def clear(self) -> None:
        """Forget all rows."""
        if self._file is None:
            raise RuntimeError("A ledger is only open inside its `with` block.")
        self._file.truncate(0)
        self.rows = {}

    def _sync(self, file: IO[str]) -> None:
        file.flush()
        os.fsync(file.fileno())
        self._synced_at = time.monotonic()

    def _cut_torn_line(self) -> None:
        """A writer that was killed may have left half a line: cut it off, its row is not done."""
        if not self.path.is_file():
            return
        with self.path.open("r+b") as file:
            data = file.read()
            end = data.rfind(b"\n") + 1
            if end < len(data):
                file.truncate(end)

    def _read(self) -> dict[str, dict[str, Any]]:
        """All whole rows. A line that something else has spoilt is skipped: its row is redone."""
        rows: dict[str, dict[str, Any]] = {}
        if not self.path.is_file():
            return rows
        for line in self.path.read_bytes().splitlines():
            try:
                row = json.loads(line)
                rows[row.pop("key")] = row
            except (ValueError, KeyError, AttributeError, TypeError):
                continue
        return rows
