"""A file of finished rows that survives an interrupt and a crash of any kind.

One JSON object a line, on the disk as soon as its row is done.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout


class LedgerBusy(RuntimeError):
    """Another program is writing the same rows."""


def row_key(**identity: Any) -> str:
    """A short fingerprint of everything that makes a row the row it is."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:20]


class Ledger:
    """Finished rows by key, in an open file. `open_ledger` makes one."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.rows: dict[str, dict[str, Any]] = {}
        file.seek(0)
        *lines, torn = file.read().split(b"\n")
        # A writer that was killed may have left half a line: its row is not done.
        file.truncate(file.tell() - len(torn))
        for line in lines:
            # Suppressed: something else has spoilt this line. Its row is made again.
            with suppress(ValueError, KeyError, AttributeError, TypeError):
                row = json.loads(line)
                self.rows[row.pop("key")] = row

    def append(self, key: str, row: dict[str, Any]) -> None:
        """Add a finished row; from here on it outlives this program."""
        self._file.write(json.dumps({"key": key, **row}, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())  # a row may be paid for, and a power cut is no excuse
        self.rows[key] = row

    def clear(self) -> None:
        """Forget all rows."""
        self._file.truncate(0)
        self.rows = {}


@contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """The ledger in a file, made if need be. Raises LedgerBusy while another program holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_name(path.name + ".lock"), timeout=0), path.open("a+b") as file:
            yield Ledger(file)
    except Timeout as error:
        raise LedgerBusy(
            f"Another notebook or program is writing {path.name} right now. Wait for it, or stop "
            "it, and run this cell again."
        ) from error
