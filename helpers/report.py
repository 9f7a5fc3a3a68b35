"""What a check of a training file found: the kinds of problems, and the report that lists them."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from typing import Literal, NamedTuple

import pandas as pd

from helpers.settings import ROOT

KEEP = 10  # of each kind, so that a file of a million bad lines still gives a short report


class Kind(NamedTuple):
    """How bad a kind of problem is, and what to do about it."""

    severity: Literal["error", "warning"]
    remedy: str


# Every problem the checker knows. An error makes a fine-tuning job fail; a warning makes the
# result worse, or fails on some endpoints only.
WORDS = tomllib.loads((ROOT / "data" / "problems.toml").read_text(encoding="utf-8"))
KINDS = {kind: Kind(**row) for kind, row in WORDS["kinds"].items()}


class Finding(NamedTuple):
    """What is wrong with one example: a kind, the place ("messages[1].role"), a sentence."""

    kind: str
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `line` counts from 1; None and "" mean the whole file and the whole line."""

    line: int | None
    field: str
    kind: str
    message: str
    remedy: str

    @property
    def severity(self) -> str:
        return KINDS[self.kind].severity

    @property
    def where(self) -> str:
        """The place in words: "line 3, messages[1].role"."""
        line = "the file" if self.line is None else f"line {self.line}"
        return f"{line}, {self.field}" if self.field else line

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.message} {self.remedy}"


@dataclass
class Report:
    """The result of `check_file`. `problems` keeps the first 10 of each kind, `counts` has all."""

    name: str
    format: Literal["chat", "completion", "preference", "mixed", "unknown"] = "unknown"
    n_lines: int = 0
    n_examples: int = 0
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(
        self, kind: str, message: str, line: int | None = None, field: str = "", remedy: str = ""
    ) -> None:
        """Note a problem; beyond the first ones of its kind only count it."""
        self.counts[kind] += 1
        if self.counts[kind] <= KEEP:
            remedy = remedy or KINDS[kind].remedy
            self.problems.append(Problem(line, field, kind, message, remedy))

    @property
    def n_errors(self) -> int:
        return sum(n for kind, n in self.counts.items() if KINDS[kind].severity == "error")

    @property
    def n_warnings(self) -> int:
        return self.counts.total() - self.n_errors

    @property
    def ok(self) -> bool:
        """Whether a job would accept the file: no errors. Warnings are still worth a look."""
        return self.n_errors == 0

    def frame(self) -> pd.DataFrame:
        """The kept problems as a table, errors first, then by line."""
        names = ["severity", "line", "field", "kind", "message", "remedy"]
        rows = [[getattr(problem, name) for name in names] for problem in self._sorted()]
        return pd.DataFrame(rows, columns=names).astype({"line": "Int64"})

    def _sorted(self) -> list[Problem]:
        return sorted(self.problems, key=lambda p: (p.severity, p.line or 0))

    def _more(self) -> list[str]:
        hidden = {kind: n - KEEP for kind, n in self.counts.items() if n > KEEP}
        return [f"and {n:,} more of the kind {kind}" for kind, n in hidden.items()]

    @property
    def summary(self) -> str:
        """One line: name, number of examples, format, numbers of problems."""
        found = [
            f"{n:,} {word}{'' if n == 1 else 's'}"
            for n, word in ((self.n_errors, "error"), (self.n_warnings, "warning"))
            if n
        ]
        examples = f"{self.n_examples:,} example{'' if self.n_examples == 1 else 's'}"
        return f"{self.name}: {examples}, {self.format} format, {', '.join(found) or 'no problems'}"

    def __str__(self) -> str:
        lines = [f"  {problem}" for problem in self._sorted()]
        return "\n".join([self.summary, *lines, *(f"  {more}" for more in self._more())])

    # Where there is no HTML, a cell that ends in a report shows the same words.
    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The report as Jupyter shows it. Everything from the file is escaped."""
        head = f"<p><strong>{escape(self.summary)}</strong></p>"
        if not self.problems:
            return head
        table = self.frame().drop(columns="kind").astype({"line": object})
        table["line"] = table["line"].where(table["line"].notna(), "")
        more = "".join(f"<p>{escape(text)}</p>" for text in self._more())
        return head + table.to_html(index=False, escape=True, border=0) + more
