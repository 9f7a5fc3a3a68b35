"""Answers that are kept: those of /v1/responses, and chats that were asked for with store=true."""

import json
from typing import Any

from sandbox.store import rows
from sandbox.store.database import Store
from sandbox.store.rows import Page
from sandbox.store.tables import AnswerRow

LIFE_SECONDS = 30 * 24 * 3600  # as long as the hosted API keeps them
# The kinds of answers are told by their ids.
RESPONSE, CHAT = "resp_", "chatcmpl-"
OF_KIND = "project = :project AND id GLOB :prefix || '*'"
ON_ITS_WAY = "json_extract(answer, '$.status') IN ('queued', 'in_progress')"


def add_answer(
    store: Store, project: str, items: list[dict[str, Any]], answer: dict[str, Any]
) -> None:
    """Keep an answer under its own id, and forget those whose time is over."""
    new = AnswerRow(id=answer["id"], project=project, items=items, answer=answer)
    with store.write() as db:
        db.execute("DELETE FROM responses WHERE created_at < ?", (rows.now() - LIFE_SECONDS,))
        rows.insert(db, new)


def get_answer(store: Store, project: str, answer_id: str, kind: str) -> AnswerRow | None:
    """Return one of a project's answers, if it is of this kind."""
    where = f"id = :id AND {OF_KIND}"
    with store.read() as db:
        return rows.one(db, AnswerRow, where, id=answer_id, project=project, prefix=kind)


def list_chats(
    store: Store,
    project: str,
    *,
    model: str | None,
    metadata: dict[str, str] | None,
    newest_first: bool,
    after: str | None,
    limit: int,
) -> Page[AnswerRow]:
    """Return one page of a project's chats: those of a model, with these pairs of metadata.

    Raises InvalidCursor.
    """
    own = "json_extract(answer, '$.metadata')"
    filters = "(:model IS NULL OR json_extract(answer, '$.model') = :model)"
    filters += f" AND {rows.has_pairs(own)}" if metadata else ""
    filters += f" AND {own} = '{{}}'" if metadata == {} else ""
    values = {"project": project, "prefix": CHAT, "model": model, "wanted": json.dumps(metadata)}
    place = {"after": after, "limit": limit, "newest_first": newest_first}
    with store.read() as db:
        return rows.page(db, AnswerRow, OF_KIND, filters=filters, **place, **values)


def list_unfinished(store: Store) -> list[AnswerRow]:
    """Return all projects' answers that are still on their way, oldest first."""
    with store.read() as db:
        return rows.many(db, AnswerRow, ON_ITS_WAY)


def move_on(store: Store, answer: dict[str, Any]) -> None:
    """Store how an answer stands now, unless it has ended or been deleted meanwhile."""
    values = AnswerRow.dump({"id": answer["id"], "answer": answer})
    query = f"UPDATE responses SET answer = :answer WHERE id = :id AND {ON_ITS_WAY}"
    with store.write() as db:
        db.execute(query, values)


def change(store: Store, row: AnswerRow, **fields: Any) -> AnswerRow:
    """Change fields of an answer that has ended. Raises KeyError."""
    with store.write() as db:
        return rows.update(db, AnswerRow, row.id, answer=row.answer | fields)


def delete_answer(store: Store, answer_id: str) -> None:
    """Forget an answer."""
    with store.write() as db:
        db.execute("DELETE FROM responses WHERE id = ?", (answer_id,))
