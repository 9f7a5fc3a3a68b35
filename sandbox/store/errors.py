"""What can go wrong in the store."""

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path


class StoreError(Exception):
    """The parent of every error the store raises on purpose."""


class NotOurState(StoreError):
    """The directory holds a database that this sandbox cannot work with, or content without one."""


class StorageError(StoreError, OSError):
    """The disk does not do what the store needs; the message says where and what to do."""

    advice = "The sandbox could not use {path} ({why}). If it is a busy disk, try again."


class StorageFull(StorageError):
    """There is no room left."""

    advice = "No room is left to write to {path} ({why}). Free some disk space, then try again."


class StorageReadOnly(StorageError):
    """Nothing may be written there."""

    advice = (
        "The sandbox may not write to {path} ({why}). Check who owns it and whether the disk is "
        "mounted read-only, or choose another folder with --state."
    )


class StateDamaged(StorageError):
    """The database is damaged: its content cannot be trusted any more."""

    advice = (
        "{path} is damaged ({why}). Nothing in the folder was changed. Put back a copy of the "
        "database, or save what can be read with `sqlite3 {path} .recover`, or start anew with "
        "another folder (--state)."
    )


class InvalidCursor(StoreError):
    """The ``after`` of a list names nothing that is in the list."""


class MissingFile(StoreError):
    """A job or batch names a file that does not exist (any more)."""

    def __init__(self, file_id: str) -> None:
        super().__init__(f"No such File object: {file_id}")
        self.file_id = file_id


class InUse(StoreError):
    """A job or batch that has not finished, ``user``, needs this file or model."""

    def __init__(self, name: str, user: str) -> None:
        super().__init__(f"{name} is in use by {user}")
        self.user = user


class StateError(StoreError):
    """A job's or batch's state does not allow this step; ``status`` says what the state is."""

    def __init__(self, row_id: str, status: str, wanted: str) -> None:
        super().__init__(f"{row_id} is {status}; it cannot be {wanted}")
        self.status = status


KINDS: dict[int, type[StorageError]] = {
    errno.ENOSPC: StorageFull,
    errno.EDQUOT: StorageFull,
    errno.EROFS: StorageReadOnly,
    errno.EACCES: StorageReadOnly,
    errno.EPERM: StorageReadOnly,
    errno.EIO: StorageError,
}
KINDS_OF_SQLITE: dict[int, type[StorageError]] = {
    sqlite3.SQLITE_FULL: StorageFull,
    sqlite3.SQLITE_READONLY: StorageReadOnly,
    sqlite3.SQLITE_PERM: StorageReadOnly,
    sqlite3.SQLITE_CANTOPEN: StorageReadOnly,
    sqlite3.SQLITE_CORRUPT: StateDamaged,
    sqlite3.SQLITE_NOTADB: StateDamaged,
    sqlite3.SQLITE_IOERR: StorageError,
    sqlite3.SQLITE_BUSY: StorageError,
    sqlite3.SQLITE_LOCKED: StorageError,
}


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn errors of the disk at ``path``, or of the database that it is, into StorageErrors."""
    try:
        yield
    except StorageError:
        raise
    except (OSError, sqlite3.Error) as error:
        if isinstance(error, OSError):
            kind, why = KINDS.get(error.errno or 0), error.strerror
        else:
            # The low byte is the kind of error. Misuse of Python's module has none.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            kind, why = KINDS_OF_SQLITE.get(code), str(error)
        if kind is None:
            raise
        raise kind(kind.advice.format(path=path, why=why)) from error
