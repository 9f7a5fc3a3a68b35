"""API keys: made here, kept only as digests, each belonging to one project."""

import hashlib
import re
import sqlite3
import time
from dataclasses import dataclass

from sandbox.store import ids
from sandbox.store.database import Store

PREFIX = "sk-sandbox-"
PROJECT = re.compile(r"[a-z0-9-]{1,32}")


@dataclass(frozen=True)
class KeyRow:
    """What is known of a key. The secret itself is not: only its last four characters."""

    id: str
    project: str
    name: str
    last4: str
    created_at: int
    revoked_at: int | None


def create_key(store: Store, project: str, name: str) -> tuple[KeyRow, str]:
    """Make a key and return its row and the secret, which can never be read again.

    Raises ValueError when the project's name is not 1 to 32 of a-z, 0-9 and "-".
    """
    if not PROJECT.fullmatch(project):
        raise ValueError(f"A project name has 1 to 32 of a-z, 0-9 and '-'; this is {project!r}.")
    secret = PREFIX + ids.random_text(40)
    row = KeyRow(ids.key_id(), project, name, secret[-4:], int(time.time()), None)
    with store.write() as db:
        db.execute(
            "INSERT INTO keys (id, project, name, digest, last4, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (row.id, project, name, _digest(secret), row.last4, row.created_at),
        )
    return row, secret


def find_key(store: Store, secret: str) -> KeyRow | None:
    """Return the live key with this secret, or None if it is unknown or revoked."""
    with store.read() as db:
        row = db.execute(
            "SELECT * FROM keys WHERE digest = ? AND revoked_at IS NULL", (_digest(secret),)
        ).fetchone()
    return _row(row) if row else None


def list_keys(store: Store) -> list[KeyRow]:
    """Return every key, oldest first, the revoked ones too."""
    with store.read() as db:
        return [_row(row) for row in db.execute("SELECT * FROM keys ORDER BY n")]


def revoke_key(store: Store, key_id: str) -> bool:
    """Make a key useless from now on; return False if there is no such live key."""
    with store.write() as db:
        changed = db.execute(
            "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
            (int(time.time()), key_id),
        )
        return changed.rowcount == 1


def _digest(secret: str) -> str:
    # The secrets are 40 random characters: a plain hash cannot be guessed back.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _row(row: sqlite3.Row) -> KeyRow:
    return KeyRow(**{field: row[field] for field in KeyRow.__dataclass_fields__})
