"""API keys: made here, kept only as digests, each belonging to one project."""

import hashlib
import re

from sandbox.store import ids, rows
from sandbox.store.database import Store
from sandbox.store.tables import KeyRow

PREFIX = "sk-sandbox-"
PROJECT = re.compile(r"[a-z0-9-]{1,32}")


def create_key(store: Store, project: str, name: str) -> tuple[KeyRow, str]:
    """Make a key and return its row and the secret, which can never be read again.

    Raises ValueError when the project's name is not 1 to 32 of a-z, 0-9 and "-".
    """
    if not PROJECT.fullmatch(project):
        raise ValueError(f"A project name has 1 to 32 of a-z, 0-9 and '-'; this is {project!r}.")
    secret = PREFIX + ids.random_text(40)
    key = KeyRow(project=project, name=name, digest=_digest(secret), last4=secret[-4:])
    with store.write() as db:
        return rows.insert(db, key), secret


def find_key(store: Store, secret: str) -> KeyRow | None:
    """Return the live key with this secret, or None if it is unknown or revoked."""
    where = "digest = :digest AND revoked_at IS NULL"
    with store.read() as db:
        return rows.one(db, KeyRow, where, digest=_digest(secret))


def list_keys(store: Store) -> list[KeyRow]:
    """Return every key, oldest first, the revoked ones too."""
    with store.read() as db:
        return rows.many(db, KeyRow, "1")


def revoke_key(store: Store, key_id: str) -> bool:
    """Make a key useless from now on; return False if there is no such live key."""
    with store.write() as db:
        live = rows.one(db, KeyRow, "id = :id AND revoked_at IS NULL", id=key_id)
        if live is not None:
            rows.update(db, KeyRow, key_id, revoked_at=rows.now())
        return live is not None


def _digest(secret: str) -> str:
    # The secrets are 40 random characters: a plain hash cannot be guessed back.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
