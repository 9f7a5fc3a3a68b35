"""Lists in pages: "the next ``limit`` rows after this one"."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sandbox.store.database import Store
from sandbox.store.errors import InvalidCursor

Row = TypeVar("Row")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page of a list and whether more rows follow it."""

    rows: list[Row]
    has_more: bool


def page_of_project(
    store: Store,
    table: str,
    project: str,
    make: Callable[[sqlite3.Row], Row],
    *,
    filters: str = "1",
    filter_values: tuple[object, ...] = (),
    after: str | None,
    limit: int,
    newest_first: bool = True,
) -> Page[Row]:
    """Return one page of what a project has in a table. Raises InvalidCursor."""
    with store.read() as db:
        rows, more = select_page(
            db,
            table,
            "project = ?",
            (project,),
            filters=filters,
            filter_values=filter_values,
            after=after,
            limit=limit,
            newest_first=newest_first,
        )
    return Page([make(row) for row in rows], more)


def select_page(
    db: sqlite3.Connection,
    table: str,
    scope: str,
    values: tuple[object, ...],
    *,
    filters: str = "1",
    filter_values: tuple[object, ...] = (),
    after: str | None,
    limit: int,
    newest_first: bool = True,
) -> tuple[list[sqlite3.Row], bool]:
    """Return up to ``limit`` raw rows in order of insertion, and whether there are more.

    ``scope`` is the SQL condition that the row named by ``after`` must meet too; ``filters``
    narrows the list only, so a cursor stays good when its row has left the list meanwhile.
    Raises InvalidCursor when ``after`` names nothing in the scope.
    """
    start, start_values = "1", ()
    if after is not None:
        found = db.execute(f"SELECT n FROM {table} WHERE id = ? AND {scope}", (after, *values))
        row = found.fetchone()
        if row is None:
            raise InvalidCursor(after)
        start, start_values = ("n < ?" if newest_first else "n > ?"), (row["n"],)
    rows = db.execute(
        f"SELECT * FROM {table} WHERE {scope} AND {filters} AND {start} "
        f"ORDER BY n {'DESC' if newest_first else 'ASC'} LIMIT ?",
        (*values, *filter_values, *start_values, limit + 1),
    ).fetchall()
    return rows[:limit], len(rows) > limit
