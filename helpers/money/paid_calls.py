"""The diary of paid calls: a file that all programs of a learner share, and its ceiling."""

from __future__ import annotations

import json
import math
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import openai
from filelock import FileLock

from helpers.money.costs import money
from helpers.settings import SettingsError, read_variable

CEILING = "HEROES_MAX_USD"
LOCK_SECONDS = 60.0
TOLERANCE = 1e-9  # sums of fractions are not exact to the last digit

State = Literal["open", "done", "void"]


class BudgetExceeded(openai.OpenAIError):
    """It would cost more than the ceiling allows. Nothing was called."""


@dataclass(frozen=True)
class Entry:
    """A paid call. While it is `open`, `usd` is the most it can cost; None: price not known."""

    id: str
    at: int
    what: str
    model: str
    usd: float | None
    state: State = "open"
    input_tokens: int = 0
    output_tokens: int = 0
    run: str | None = None


@dataclass
class Limit:
    """A ceiling for what this program spends in a `with at_most(...)` block."""

    usd: float
    ids: set[str]


class Diary:
    """The file of paid calls: a line for each change of an entry, the last one counts.

    Lines are only added, under a lock that the system frees if a program is killed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.limits: list[Limit] = []
        self._entries: dict[str, Entry] = {}
        self._read_to = 0
        self._sum = 0.0  # of all entries, kept up so that a long diary is as quick as a short one

    def reserve(self, what: str, model: str, usd: float | None) -> Entry:
        """Set aside the most that a call can cost. Raises BudgetExceeded if that is too much."""
        with self._locked():
            self._check(model, usd)
            entry = Entry(uuid.uuid4().hex[:16], int(time.time()), what, model, usd)
            self._add(entry)
            for limit in self.limits:
                limit.ids.add(entry.id)
        return entry

    def settle(
        self, entry: Entry, usd: float | None, input_tokens: int, output_tokens: int = 0
    ) -> None:
        """Write down what the call did cost."""
        tokens = {"input_tokens": input_tokens, "output_tokens": output_tokens}
        self._change(replace(entry, state="done", usd=usd, **tokens))

    def void(self, entry: Entry) -> None:
        """The call was refused, and cost nothing."""
        self._change(replace(entry, state="void", usd=0.0))

    def belongs_to(self, entry: Entry, run_id: str) -> None:
        """Note for which fine-tuning job or batch the money is set aside."""
        self._change(replace(entry, run=run_id))

    def entries(self) -> list[Entry]:
        """All entries as they stand now, oldest first."""
        with self._locked():
            return list(self._entries.values())

    def check(self, model: str, usd: float | None) -> None:
        """Raise BudgetExceeded if a cost of so many dollars would break a ceiling."""
        with self._locked():
            self._check(model, usd)

    def _check(self, model: str, usd: float | None) -> None:
        limits = [(limit.usd, self._total(limit.ids), "--max-usd") for limit in self.limits]
        if (most := ceiling()) is not None:
            limits.append((most, self._sum, CEILING))
        for most, before, name in limits:
            if usd is None:
                raise BudgetExceeded(
                    f"The price of {model} is not known, so {name}={most:g} cannot be kept. Add "
                    "a line for it to data/prices.csv, or go without a ceiling. Nothing was called."
                )
            if before + usd > most + TOLERANCE:
                raise BudgetExceeded(
                    f"{model}: up to {money(usd)} more, after {money(before)}, is above "
                    f"{name}={most:g}. Nothing was called. Raise the ceiling if you mean it, or "
                    "allow a shorter answer."
                )

    def _total(self, ids: set[str]) -> float:
        return math.fsum(self._entries[each].usd or 0.0 for each in ids & self._entries.keys())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(self.path.name + ".lock"), timeout=LOCK_SECONDS):
            self._catch_up()
            yield

    def _change(self, entry: Entry) -> None:
        with self._locked():
            self._add(entry)

    def _add(self, entry: Entry) -> None:
        line = json.dumps(asdict(entry)) + "\n"
        with self.path.open("a+b") as file:
            # A program that was killed while it wrote may have left half a line.
            if size := file.seek(0, os.SEEK_END):
                file.seek(size - 1)
                line = line if file.read(1) == b"\n" else "\n" + line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        self._catch_up()

    def _catch_up(self) -> None:
        """Read what others have added since the last time."""
        if not self.path.is_file() or self.path.stat().st_size < self._read_to:
            self._entries, self._read_to, self._sum = {}, 0, 0.0  # somebody began a new diary
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self._read_to)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for line in whole.splitlines():
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue  # half a line
            before = self._entries.get(entry.id)
            self._entries[entry.id] = entry
            self._sum += (entry.usd or 0.0) - (before.usd or 0.0 if before else 0.0)


def ceiling() -> float | None:
    """HEROES_MAX_USD in dollars, or None. Raises SettingsError if it is no amount."""
    text = read_variable(CEILING)
    if text is None:
        return None
    try:
        usd = float(text.removeprefix("$"))
    except ValueError:
        usd = math.nan
    if not usd >= 0:
        raise SettingsError(f"{CEILING} must be an amount of dollars such as 1.50, not {text!r}.")
    return usd
