"""The one door to the database: opening a state directory, connections, transactions."""

import contextlib
import logging
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from sandbox.store.errors import NotOurState, StateDamaged, storage_errors
from sandbox.store.rows import now
from sandbox.store.tables import APPLICATION_ID, BESIDES, FIRST_TABLES, TABLES, VERSION

log = logging.getLogger(__name__)

BUSY_SECONDS = 30.0
CLOCK_SLACK_SECONDS = 3600


class Store:
    """The database and the folders of one state directory.

    Safe to use from several threads and several processes at once. Opening it makes what is
    missing and brings the schema up to date; the folders and the database are closed to other
    users of the machine. A directory that is not ours is left as it is.

    Raises NotOurState or StorageError (full, read-only, damaged).
    """

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = Path(state_dir).resolve()
        self.files_dir = self.state_dir / "files"
        self.jobs_dir = self.state_dir / "jobs"
        self.models_dir = self.state_dir / "models"
        self.path = self.state_dir / "sandbox.db"
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def write(self) -> AbstractContextManager[sqlite3.Connection]:
        """Run a block as one transaction: all of it is kept, or (after an error) none of it.

        The write lock is taken before the first read, so that what the block has read is still
        true when it writes. Raises StorageError when the disk is full, read-only or damaged.
        """
        return self._transaction("BEGIN IMMEDIATE")

    def read(self) -> AbstractContextManager[sqlite3.Connection]:
        """Run a block of queries that all see the same moment. Raises StorageError."""
        return self._transaction("BEGIN")

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
        with storage_errors(self.path):
            db = self._take()
            try:
                db.execute(begin)
                yield db
                db.execute("COMMIT")
            except BaseException:
                # Closing rolls back, and leaves no connection in doubt.
                db.close()
                raise
        self._give(db)

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise sqlite3.ProgrammingError(f"The store {self.state_dir} is closed.")
            if self._idle:
                return self._idle.pop()
        return _connect(self.path)

    def _give(self, db: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(db)
                return
        db.close()

    def _open(self) -> None:
        folders = (self.files_dir, self.jobs_dir, self.models_dir)
        with storage_errors(self.state_dir):
            # In this order: another process that makes the state makes the folders last.
            there = [folder for folder in folders if folder.is_dir()]
            filled = [folder for folder in there if any(folder.iterdir())]
            missing = not self.path.exists()
            if missing and filled:
                raise NotOurState(
                    f"{filled[0]} has content, but {self.path} is missing. Put the database "
                    "back, or choose another folder with --state. Nothing was changed."
                )
            if missing:
                self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
                self.path.touch(mode=0o600)
        with storage_errors(self.path), contextlib.closing(_connect(self.path)) as db:
            db.execute("BEGIN")  # all that is read is of one moment
            _require_ours(db, self.path, new=missing or not there)
            db.execute("COMMIT")
            db.execute("PRAGMA journal_mode=WAL")
        with storage_errors(self.state_dir):
            _close_to_others(self.path, 0o600)
            _close_to_others(self.state_dir, 0o700)
        with self.read() as db:
            _require_whole(db, self.path)
        with self.write() as db:
            _make_tables(db)
            _warn_of_a_wrong_clock(db, self.path)
        with storage_errors(self.state_dir):
            for folder in folders:
                folder.mkdir(exist_ok=True)
                _close_to_others(folder, 0o700)


def _connect(path: Path) -> sqlite3.Connection:
    # Read and write, but never make: a database that is gone is an error, not a new one.
    db = sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    db.row_factory = sqlite3.Row
    try:
        # A flush at every commit, about a millisecond: what was answered outlives a power cut, and
        # a job's saved state is never ahead of the steps that are recorded.
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA foreign_keys=ON")
    except BaseException:
        db.close()
        raise
    return db


def _make_tables(db: sqlite3.Connection) -> None:
    """Make the tables and columns that are missing, inside a transaction."""
    for table in TABLES:
        columns = [f"{name} {sql}" for name, sql in table.columns().items()]
        inside = ", ".join([*columns, table.CONSTRAINTS])
        db.execute(f"CREATE TABLE IF NOT EXISTS {table.TABLE} ({inside})")
        there = {row["name"] for row in db.execute(f"PRAGMA table_info({table.TABLE})")}
        for name in table.columns().keys() - there:
            db.execute(f"ALTER TABLE {table.TABLE} ADD COLUMN {name} {table.columns()[name]}")
    for statement in BESIDES:
        db.execute(statement)
    db.execute(f"PRAGMA user_version={VERSION}")
    db.execute(f"PRAGMA application_id={APPLICATION_ID}")


def _require_ours(db: sqlite3.Connection, path: Path, new: bool) -> None:
    """Check that this sandbox can work with a database. Raises NotOurState.

    Only that of a ``new`` state may be empty: others have been emptied by mistake.
    """
    [application] = db.execute("PRAGMA application_id").fetchone()
    [version] = db.execute("PRAGMA user_version").fetchone()
    tables = {row["name"] for row in db.execute("SELECT name FROM sqlite_master")}
    if new and not (application or version or tables):
        return
    # The first edition did not mark its databases.
    marked = application == APPLICATION_ID or (application == 0 and version > 0)
    if not (marked and tables >= FIRST_TABLES):
        raise NotOurState(
            f"{path} {'is not a database of the sandbox' if tables else 'is empty'}. Put the right "
            "one back, or choose another folder with --state. Nothing was changed."
        )
    if version > VERSION:
        raise NotOurState(
            f"{path} was made by a newer version of the sandbox (schema {version}, this one knows "
            f"{VERSION}). Update, or use another --state folder."
        )


def _require_whole(db: sqlite3.Connection, path: Path) -> None:
    """Look for damaged pages. Raises StateDamaged."""
    [found] = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise StateDamaged(StateDamaged.advice.format(path=path, why=found.splitlines()[-1]))


def _warn_of_a_wrong_clock(db: sqlite3.Connection, path: Path) -> None:
    query = "SELECT created_at FROM files UNION ALL SELECT created_at FROM events"
    [newest] = db.execute(f"SELECT MAX(created_at) FROM ({query})").fetchone()
    if (newest or 0) > now() + CLOCK_SLACK_SECONDS:
        log.warning(
            "This machine's clock says %s, but %s has entries of %s. Set the clock: until then "
            "times are wrong, and files and batches expire too late.",
            time.strftime("%Y-%m-%d %H:%M"),
            path,
            time.strftime("%Y-%m-%d %H:%M", time.localtime(newest)),
        )


def _close_to_others(path: Path, mode: int) -> None:
    if stat.S_IMODE(path.stat().st_mode) != mode:
        # FAT, for one, knows no permissions and refuses.
        with contextlib.suppress(PermissionError):
            path.chmod(mode)
