"""What was really spent, in a diary that all notebooks and commands share, and a ceiling.

Before a paid call, the most it can cost is set aside; after it, what it did cost takes its place.
So the ceiling (HEROES_MAX_USD) holds, however many programs call side by side. A call whose
answer never came stays in the diary with the most it can have cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.data import my_folder
from helpers.money.costs import money
from helpers.money.paid_calls import CEILING, BudgetExceeded, Diary, Entry, Limit, ceiling

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CEILING",
    "BudgetExceeded",
    "Diary",
    "Entry",
    "Spent",
    "at_most",
    "ceiling",
    "diary",
    "spent",
]

FILE = "spent.jsonl"

_diaries: dict[Path, Diary] = {}


def diary() -> Diary:
    """The learner's diary of paid calls, `spent.jsonl` among their own files."""
    path = (my_folder() / FILE).resolve()
    return _diaries.setdefault(path, Diary(path))


@contextmanager
def at_most(usd: float | None) -> Iterator[None]:
    """Inside this block, this program's paid calls may cost at most so many dollars together."""
    if usd is None:
        yield
        return
    book, limit = diary(), Limit(usd, set())
    book.limits.append(limit)
    try:
        yield
    finally:
        book.limits.remove(limit)


@dataclass(frozen=True, repr=False)
class Spent:
    """The running total. `usd` includes `open_usd`, the most that unanswered calls can cost."""

    usd: float
    open_usd: float
    calls: int
    unknown: int
    ceiling: float | None
    entries: tuple[Entry, ...]

    def frame(self) -> pd.DataFrame:
        """One row for each model: calls, tokens, dollars."""
        import pandas as pd

        columns = ["model", "input_tokens", "output_tokens", "usd"]
        rows = [{name: getattr(entry, name) for name in columns} for entry in self.entries]
        table = pd.DataFrame(rows, columns=columns)
        table.insert(1, "calls", 1)
        return table.groupby("model", as_index=False).sum()

    def __str__(self) -> str:
        calls = f"{self.calls:,} paid call{'' if self.calls == 1 else 's'}"
        parts = [f"Spent: {money(self.usd)} in {calls}"]
        if self.open_usd:
            parts.append(f"up to {money(self.open_usd)} of it for calls without an answer so far")
        if self.unknown:
            parts.append(f"{self.unknown:,} of them at a price that is not known")
        if self.ceiling is not None:
            parts.append(f"the ceiling is {money(self.ceiling)}")
        return "; ".join(parts) + "."

    # What a notebook's cell shows that ends in it.
    __repr__ = __str__


def spent() -> Spent:
    """What was spent so far, by all notebooks and commands that share this folder of yours."""
    entries = tuple(entry for entry in diary().entries() if entry.state != "void")
    return Spent(
        usd=math.fsum(entry.usd or 0.0 for entry in entries),
        open_usd=math.fsum(entry.usd or 0.0 for entry in entries if entry.state == "open"),
        calls=len(entries),
        unknown=sum(entry.usd is None for entry in entries),
        ceiling=ceiling(),
        entries=entries,
    )
