"""What a check of a training file found: problems, and the report that lists them."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass, field
from html import escape

import pandas as pd

from helpers.settings import ROOT

KEEP = 10  # of each kind, so that a file full of bad lines still gives a short report
WORDS = tomllib.loads((ROOT / "data" / "problems.toml").read_text(encoding="utf-8"))
# Every kind of problem: its severity ("error": a job fails, or "warning") and its remedy.
KINDS: dict[str, dict[str, str]] = WORDS["kinds"]


def type_name(value: object) -> str:
    """The JSON name of a value's type, with its article."""
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a string"}
    return (names | {list: "a list"}).get(type(value), "an object")


def shorten(value: object, length: int = 40) -> str:
    """A value as a message can show it: short, on one line."""
    if isinstance(value, (list, dict)):
        return type_name(value)
    text = repr(value[: length + 1] if isinstance(value, str) else value)
    return text if len(text) <= length else f"{text[:length]}…"


@dataclass
class Problem:
    """What is wrong, where and what to do. `line` counts from 1; None is the whole file."""

    kind: str
    message: str
    field: str = ""
    line: int | None = None
    remedy: str = ""  # that of the kind, if there is no better one

    def __post_init__(self) -> None:
        self.remedy = self.remedy or KINDS[self.kind]["remedy"]

    @property
    def severity(self) -> str:
        return KINDS[self.kind]["severity"]

    @property
    def where(self) -> str:
        """The place in words: "line 3, messages[1].role"."""
        line = "the file" if self.line is None else f"line {self.line}"
        return f"{line}, {self.field}" if self.field else line

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.message} {self.remedy}"


def _counted(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"


@dataclass
class Report:
    """The result of `check_file`. `problems` keeps the first 10 of each kind, `counts` has all."""

    name: str
    format: str = "unknown"  # or chat, completion, preference, mixed
    n_examples: int = 0
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, problem: Problem) -> None:
        """Note a problem; beyond the first ones of its kind only count it."""
        self.counts[problem.kind] += 1
        if self.counts[problem.kind] <= KEEP:
            self.problems.append(problem)

    @property
    def n_errors(self) -> int:
        return sum(n for kind, n in self.counts.items() if KINDS[kind]["severity"] == "error")

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
        frame = pd.DataFrame(rows, columns=names)
        return frame.assign(line=[row[1] or "" for row in rows])  # none for the whole file

    def _sorted(self) -> list[Problem]:
        return sorted(self.problems, key=lambda p: (p.severity, p.line or 0))

    def _more(self) -> list[str]:
        hidden = {kind: n - KEEP for kind, n in self.counts.items() if n > KEEP}
        return [f"and {n:,} more of the kind {kind}" for kind, n in hidden.items()]

    @property
    def summary(self) -> str:
        """One line: name, number of examples, format, numbers of problems."""
        numbers = {"error": self.n_errors, "warning": self.n_warnings}
        found = ", ".join(_counted(n, word) for word, n in numbers.items() if n)
        examples = _counted(self.n_examples, "example")
        return f"{self.name}: {examples}, {self.format} format, {found or 'no problems'}"

    def __str__(self) -> str:
        return "\n  ".join([self.summary, *map(str, self._sorted()), *self._more()])

    # Where there is no HTML, a cell that ends in a report shows the same words.
    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The report as Jupyter shows it. Everything from the file is escaped."""
        head = f"<p><strong>{escape(self.summary)}</strong></p>"
        if not self.problems:
            return head
        table = self.frame().drop(columns="kind").astype({"line": "string"})
        more = "".join(f"<p>{escape(text)}</p>" for text in self._more())
        html = table.to_html(index=False, na_rep="", border=0)
        # Jupyter sets cells flush right and on one line, which suits figures and not sentences.
        for cell in ("th", "td"):
            html = html.replace(f"<{cell}>", f'<{cell} style="text-align: left">')
        return head + html.replace("<table ", '<table style="width: auto" ') + more
