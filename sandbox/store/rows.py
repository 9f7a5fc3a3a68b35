"""Rows of the database as frozen dataclasses, and the few verbs that all tables need.

A class of rows names its table and which of its fields are kept as JSON::

    @dataclass(frozen=True)
    class FileRow(Row):
        TABLE = "files"
        id: str
        …

Conditions are SQL with named values: ``one(db, FileRow, "id = :id", id=file_id)``. Every verb runs
in the caller's transaction, on the connection that ``store.read()`` or ``store.write()`` gives.
"""

import functools
import json
import sqlite3
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, Self, TypeVar

from sandbox.store.errors import InvalidCursor


class Row:
    """The parent of all rows."""

    TABLE: ClassVar[str]
    JSON: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @functools.cache
    def columns(cls) -> str:
        """Return the names of the columns, as a query lists them."""
        return ", ".join(field.name for field in fields(cls))  # type: ignore[arg-type]

    @classmethod
    def load(cls, row: sqlite3.Row) -> Self:
        """Make a row of what the database has given."""
        values = dict(row)
        for name in cls.JSON:
            values[name] = None if values[name] is None else json.loads(values[name])
        return cls(**values)

    @classmethod
    def dump(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return values as the database takes them. Raises ValueError for NaN and infinity."""
        return {
            name: json.dumps(value, allow_nan=False)
            if name in cls.JSON and value is not None
            else value
            for name, value in values.items()
        }


R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Page(Generic[R]):
    """One page of a list and whether more rows follow it."""

    rows: list[R]
    has_more: bool


def insert(db: sqlite3.Connection, kind: type[R], **values: Any) -> R:
    """Add a row and return it as it is stored, defaults and all."""
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    query = f"INSERT INTO {kind.TABLE} ({names}) VALUES ({marks}) RETURNING {kind.columns()}"
    return kind.load(db.execute(query, kind.dump(values)).fetchone())


def update(db: sqlite3.Connection, kind: type[R], row_id: str, **values: Any) -> R:
    """Change some columns of the row with this id and return it. Raises KeyError."""
    changes = ", ".join(f"{name} = :{name}" for name in values)
    query = f"UPDATE {kind.TABLE} SET {changes} WHERE id = :id RETURNING {kind.columns()}"
    row = db.execute(query, {**kind.dump(values), "id": row_id}).fetchone()
    if row is None:
        raise KeyError(row_id)
    return kind.load(row)


def many(
    db: sqlite3.Connection, kind: type[R], where: str, *, order: str = "n", **values: Any
) -> list[R]:
    """Return all rows that meet a condition, in the order of their insertion if not told."""
    query = f"SELECT {kind.columns()} FROM {kind.TABLE} WHERE {where} ORDER BY {order}"
    return [kind.load(row) for row in db.execute(query, values)]


def one(
    db: sqlite3.Connection, kind: type[R], where: str, *, order: str = "n", **values: Any
) -> R | None:
    """Return the first row that meets a condition, or None."""
    return next(iter(many(db, kind, where, order=f"{order} LIMIT 1", **values)), None)


def require(db: sqlite3.Connection, kind: type[R], row_id: str) -> R:
    """Return the row with this id. Raises KeyError."""
    row = one(db, kind, "id = :id", id=row_id)
    if row is None:
        raise KeyError(row_id)
    return row


def has_pairs(pairs: str) -> str:
    """Return the condition that an object in JSON has each of the pairs of the value ``wanted``.

    They are compared in JSON: any text may be asked for.
    """
    return f"""NOT EXISTS (SELECT 1 FROM json_each(:wanted) AS pair WHERE NOT EXISTS (
        SELECT 1 FROM json_each({pairs}) AS own WHERE own.key = pair.key AND own.value = pair.value
    ))"""


def page(
    db: sqlite3.Connection,
    kind: type[R],
    scope: str,
    *,
    after: str | None,
    limit: int,
    filters: str = "1",
    newest_first: bool = True,
    **values: Any,
) -> Page[R]:
    """Return up to ``limit`` rows in order of insertion, and whether there are more.

    ``scope`` is the condition that the row named by ``after`` must meet too; ``filters`` narrows
    the list only, so a cursor stays good when its row has left the list meanwhile.
    Raises InvalidCursor when ``after`` names nothing in the scope.
    """
    start, direction = "1", "DESC" if newest_first else "ASC"
    if after is not None:
        query = f"SELECT n FROM {kind.TABLE} WHERE id = :after AND {scope}"
        found = db.execute(query, {**values, "after": after}).fetchone()
        if found is None:
            raise InvalidCursor(after)
        start, values["start"] = f"n {'<' if newest_first else '>'} :start", found["n"]
    where, order = f"{scope} AND {filters} AND {start}", f"n {direction} LIMIT :most"
    rows = many(db, kind, where, order=order, most=limit + 1, **values)
    return Page(rows[:limit], len(rows) > limit)
