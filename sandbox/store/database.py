"""The one door to the database: connections, transactions, migrations."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from sandbox.store.errors import SchemaTooNew
from sandbox.store.schema import MIGRATIONS

BUSY_SECONDS = 30.0


class Store:
    """The database and the folders of one state directory.

    Safe to use from several threads and several processes at once. Opening it makes the folders
    and brings the schema up to date. Raises SchemaTooNew.
    """

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = Path(state_dir).resolve()
        self.files_dir = self.state_dir / "files"
        self.jobs_dir = self.state_dir / "jobs"
        self.models_dir = self.state_dir / "models"
        # Not for other users of the machine: it holds what the learners upload.
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.files_dir, self.jobs_dir, self.models_dir):
            folder.mkdir(exist_ok=True)
        self.path = self.state_dir / "sandbox.db"
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        self._migrate()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run a block as one transaction: all of it is kept, or (after an error) none of it.

        The write lock is taken before the first read, so that what the block has read is still
        true when it writes.
        """
        with self._transaction("BEGIN IMMEDIATE") as db:
            yield db

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Run a block of queries that all see the same moment."""
        with self._transaction("BEGIN") as db:
            yield db

    def close(self) -> None:
        """Close the idle connections; the store cannot be used afterwards."""
        with self._lock:
            self._closed = True
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        db = self._take()
        try:
            db.execute(begin)
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
        except BaseException:
            # A connection in doubt is closed: closing also ends whatever was left open in it.
            db.close()
            raise
        self._give(db)

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise sqlite3.ProgrammingError(f"The store {self.state_dir} is closed.")
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give(self, db: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(db)
                return
        db.close()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        db.row_factory = sqlite3.Row
        try:
            _use_wal(db)
            # NORMAL never loses a commit when a process dies, only when the power does, and it
            # spares the disk a flush at every training step.
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("PRAGMA foreign_keys=ON")
        except BaseException:
            db.close()
            raise
        return db

    def _migrate(self) -> None:
        with self.write() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > len(MIGRATIONS):
                raise SchemaTooNew(
                    f"{self.path} was made by a newer version of the sandbox (schema {version}, "
                    f"this one knows {len(MIGRATIONS)}). Update, or use another --state folder."
                )
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    db.execute(statement)
            # Part of the same transaction: the schema and its number can never disagree.
            db.execute(f"PRAGMA user_version={len(MIGRATIONS)}")


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to write-ahead logging, waiting while another process makes the same switch.

    SQLite's own busy timeout does not cover this one statement.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)
