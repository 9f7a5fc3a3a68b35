"""Answers of /v1/responses, kept so that a conversation can go on from them."""

import time
from dataclasses import dataclass
from typing import Any

from sandbox.store import rows
from sandbox.store.database import Store
from sandbox.store.rows import Row

ON_ITS_WAY = "json_extract(answer, '$.status') IN ('queued', 'in_progress')"
LIFE_SECONDS = 30 * 24 * 3600  # as long as the hosted API keeps them


@dataclass(frozen=True)
class ResponseRow(Row):
    """One answer; ``items`` are all messages that led to it, its own left out."""

    TABLE = "responses"
    JSON = ("items", "answer")

    id: str
    project: str
    created_at: int
    items: list[dict[str, Any]]
    answer: dict[str, Any]


def add_response(
    store: Store, project: str, items: list[dict[str, Any]], answer: dict[str, Any]
) -> None:
    """Keep an answer under its own id, and forget those whose time is over."""
    now = int(time.time())
    values = {"id": answer["id"], "project": project, "created_at": now}
    with store.write() as db:
        db.execute("DELETE FROM responses WHERE created_at < ?", (now - LIFE_SECONDS,))
        rows.insert(db, ResponseRow, **values, items=items, answer=answer)


def update_response(store: Store, answer: dict[str, Any]) -> None:
    """Store how an answer stands now, unless it has ended or been deleted meanwhile."""
    values = ResponseRow.dump({"id": answer["id"], "answer": answer})
    with store.write() as db:
        db.execute(f"UPDATE responses SET answer = :answer WHERE id = :id AND {ON_ITS_WAY}", values)


def list_unfinished(store: Store) -> list[ResponseRow]:
    """Return all projects' answers that are still on their way, oldest first."""
    with store.read() as db:
        return rows.many(db, ResponseRow, ON_ITS_WAY)


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
