"""The table that everything here works on: columns of equal length, and where each row stood."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows as columns. `places` are their numbers in the file, counted in `unit`s."""

    name: str
    columns: dict[str, list[Any]]
    places: list[int]
    unit: str = "line"
    # A column that is kept for the split only.
    hidden: list[Any] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, column: str) -> list[Any]:
        return self.columns[column]

    def keep(self, wanted: Sequence[bool]) -> Table:
        """The rows for which `wanted` is true, in their order."""
        return replace(
            self,
            columns={name: list(compress(values, wanted)) for name, values in self.columns.items()},
            places=list(compress(self.places, wanted)),
            hidden=None if self.hidden is None else list(compress(self.hidden, wanted)),
        )

    def put(self, column: str, values: list[Any]) -> Table:
        """The table with other values in one column."""
        return replace(self, columns={**self.columns, column: values})

    def place(self, index: int) -> str:
        """Where a row stood: "line 17"."""
        return f"{self.unit} {self.places[index]}"


def from_rows(name: str, rows: Sequence[dict[str, Any]], places: list[int], unit: str) -> Table:
    """A table of objects. The columns come in the order in which they first appear."""
    names = dict.fromkeys(key for row in rows for key in row)
    return Table(name, {key: [row.get(key) for row in rows] for key in names}, places, unit)


def places_in_words(unit: str, places: Iterable[int], count: int) -> str:
    """ "line 3", "lines 3, 17 and 5 more": the first few places, and how many others there are."""
    first = [f"{place:,}" for place in places]
    more = count - len(first)
    listed = (
        ", ".join(first) if more or len(first) < 2 else f"{', '.join(first[:-1])} and {first[-1]}"
    )
    return f"{unit}{'' if count == 1 else 's'} {listed}{f' and {more:,} more' if more else ''}"
