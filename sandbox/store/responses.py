"""Answers of /v1/responses, kept so that a conversation can go on from them."""

from typing import Any

from sandbox.store import rows
from sandbox.store.database import Store
from sandbox.store.tables import ResponseRow

LIFE_SECONDS = 30 * 24 * 3600  # as long as the hosted API keeps them


def add_response(
    store: Store, project: str, items: list[dict[str, Any]], answer: dict[str, Any]
) -> None:
    """Keep an answer under its own id, and forget those whose time is over."""
    new = ResponseRow(id=answer["id"], project=project, items=items, answer=answer)
    with store.write() as db:
        db.execute("DELETE FROM responses WHERE created_at < ?", (rows.now() - LIFE_SECONDS,))
        rows.insert(db, new)


def get_response(store: Store, project: str, response_id: str) -> ResponseRow | None:
    """Return one of a project's answers."""
    where = "id = :id AND project = :project"
    with store.read() as db:
        return rows.one(db, ResponseRow, where, id=response_id, project=project)


def delete_response(store: Store, project: str, response_id: str) -> bool:
    """Forget an answer; return whether it was there."""
    query = "DELETE FROM responses WHERE id = ? AND project = ?"
    with store.write() as db:
        return db.execute(query, (response_id, project)).rowcount > 0
