"""Rows of the database as frozen dataclasses, and the few verbs that all tables need.

Conditions are SQL with named values: ``one(db, FileRow, "id = :id", id=file_id)``. Every verb runs
in the caller's transaction, on the connection that ``store.read()`` or ``store.write()`` gives.
"""

import functools
import json
import sqlite3
import time
import types
import typing
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, ClassVar, Generic, Self, TypeVar

from sandbox.store.errors import InvalidCursor


def now() -> int:
    """Return the time as rows have it: whole Unix seconds."""
    return int(time.time())


@dataclass(frozen=True, kw_only=True)
class Row:
    """The parent of all rows.

    ``n`` is the order of insertion, given by the database: ids are random and times have whole
    seconds only, so lists are sorted by it.
    """

    TABLE: ClassVar[str]
    CONSTRAINTS: ClassVar[str] = "UNIQUE (id)"

    n: int = 0
    created_at: int = field(default_factory=now)

    @classmethod
    @functools.cache
    def columns(cls) -> dict[str, str]:
        """Return the names of the columns and, for each, how SQL declares it."""
        return {column.name: _declaration(column) for column in fields(cls)}

    @classmethod
    def load(cls, row: sqlite3.Row) -> Self:
        """Make a row of what the database has given."""
        values = dict(row)
        for name in _json_columns(cls):
            values[name] = None if values[name] is None else json.loads(values[name])
        return cls(**values)

    @classmethod
    def dump(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return values as the database takes them. Raises ValueError for NaN and infinity."""
        as_json = _json_columns(cls)
        return {
            name: json.dumps(value, allow_nan=False)
            if name in as_json and value is not None
            else value
            for name, value in values.items()
        }


R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Page(Generic[R]):
    """One page of a list and whether more rows follow it."""

    rows: list[R]
    has_more: bool


def insert(db: sqlite3.Connection, row: R) -> R:
    """Add a row and return it with its place in the order."""
    values = row.dump(vars(row))
    del values["n"]
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    cursor = db.execute(f"INSERT INTO {row.TABLE} ({names}) VALUES ({marks})", values)
    return replace(row, n=cursor.lastrowid)


def update(db: sqlite3.Connection, kind: type[R], row_id: str, **values: Any) -> R:
    """Change some columns of the row with this id and return it. Raises KeyError."""
    changes = ", ".join(f"{name} = :{name}" for name in values)
    query = f"UPDATE {kind.TABLE} SET {changes} WHERE id = :id"
    db.execute(query, {**kind.dump(values), "id": row_id})
    return require(db, kind, row_id)


def many(
    db: sqlite3.Connection, kind: type[R], where: str, *, order: str = "n", **values: Any
) -> list[R]:
    """Return all rows that meet a condition, in the order of their insertion if not told."""
    names = ", ".join(kind.columns())
    query = f"SELECT {names} FROM {kind.TABLE} WHERE {where} ORDER BY {order}"
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
        found = one(db, kind, f"id = :after AND {scope}", after=after, **values)
        if found is None:
            raise InvalidCursor(after)
        start, values["start"] = f"n {'<' if newest_first else '>'} :start", found.n
    where, order = f"{scope} AND {filters} AND {start}", f"n {direction} LIMIT :most"
    rows = many(db, kind, where, order=order, most=limit + 1, **values)
    return Page(rows[:limit], len(rows) > limit)


def _types(column: Field[Any]) -> set[type]:
    """Return what a field's type allows: ``int | None`` are two."""
    union = isinstance(column.type, types.UnionType)
    return set(typing.get_args(column.type) if union else [column.type])


@functools.cache
def _json_columns(kind: type[Row]) -> list[str]:
    plain = {str, int, types.NoneType}
    return [column.name for column in fields(kind) if not _types(column) <= plain]


def _declaration(column: Field[Any]) -> str:
    if column.name == "n":
        return "INTEGER PRIMARY KEY AUTOINCREMENT"
    allowed = _types(column)
    sql = "INTEGER" if int in allowed else "TEXT"
    if types.NoneType not in allowed:
        sql += " NOT NULL"
    # What the rows of an older database get.
    return f"{sql} DEFAULT {column.default}" if isinstance(column.default, int) else sql
