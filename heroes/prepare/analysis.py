"""The file in numbers, before anything is changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from helpers.rules import texts_of
from helpers.tokens import estimate_tokens
from heroes.prepare.columns import Shape, find_columns
from heroes.prepare.reading import Source
from heroes.prepare.rows import is_classification, is_open_ended
from heroes.prepare.suggestion import Plan, number, shorten, show_value
from heroes.prepare.table import Table

FEW = 100
KINDS = {
    "chat": "chats",
    "open-ended": "texts without prompts: the model will learn to write such texts",
    "classification": "few different completions: the model will learn to choose one",
    "generation": "each prompt has its own completion",
}


@dataclass(frozen=True)
class Column:
    """What stands in one column: how many different texts, and how long they are."""

    name: str
    source: str
    different: int
    empty: int
    shortest: int
    median: int
    longest: int

    def __str__(self) -> str:
        source = f" (column {self.source!r})" if self.source != self.name else ""
        lengths = (
            f"{self.shortest:,} to {self.longest:,} characters, half of them up to {self.median:,}"
        )
        empty = f", {self.empty:,} empty" if self.empty else ""
        return f"{self.name}{source}: {self.different:,} different, {lengths}{empty}"


@dataclass(frozen=True)
class Analysis:
    """The numbers that `heroes prepare` shows first."""

    file: str
    format: str
    encoding: str
    rows: int
    columns: tuple[str, ...]
    kind: str
    tokens: int
    texts: tuple[Column, ...]
    most_frequent: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """The analysis in words."""
        encoding = f", {self.encoding}" if self.encoding else ""
        rows, width = number(self.rows, "row"), number(len(self.columns), "column")
        found = [f"{self.file}: {self.format}{encoding}, {rows}, {width}"]
        found += [f"  {column}" for column in self.texts]
        found.append(f"  {KINDS[self.kind]}; about {self.tokens:,} tokens in all")
        if self.most_frequent:
            often = ", ".join(f'"{text}" {count:,} ×' for text, count in self.most_frequent)
            found.append(f"  most frequent: {often}")
        if self.rows < FEW:
            found.append("  Few rows: 10 are the least, 50 to 100 a good start, more is better.")
        return found + [f"  {note}" for note in self.notes]


def analyse(source: Source, shape: Shape, plan: Plan) -> Analysis:
    """Count and measure. Raises InputError if the columns can't be found."""
    table = source.table
    found = _chats(table) if shape == "chat" else _pairs(table, plan)
    kind, tokens, texts, frequent = found
    return Analysis(
        table.name,
        source.kind,
        source.encoding,
        len(table),
        tuple(table.columns),
        kind,
        tokens,
        texts,
        frequent,
        source.notes,
    )


Found = tuple[str, int, tuple[Column, ...], tuple[tuple[str, int], ...]]


def _chats(table: Table) -> Found:
    chats = [chat if isinstance(chat, list) else [] for chat in table["messages"]]
    texts = [texts_of({"messages": chat}) for chat in chats]
    tokens = sum(estimate_tokens(text) for chat in texts for text in chat)
    whole = ["\n".join(chat) for chat in texts]
    return "chat", tokens, (_column("messages", "messages", whole),), ()


def _pairs(table: Table, plan: Plan) -> Found:
    sources = dict(zip(("prompt", "completion"), find_columns(table, plan), strict=True))
    texts = {
        name: ["" if v is None else str(v) for v in table[source]]
        for name, source in sources.items()
    }
    pairs = Table(table.name, texts, table.places)
    kind = "generation"
    if is_open_ended(pairs):
        kind = "open-ended"
    elif is_classification(pairs):
        kind = "classification"
    often = Counter(texts["completion"]).most_common(5) if kind == "classification" else []
    frequent = tuple((shorten(show_value(text), 30), count) for text, count in often)
    tokens = sum(estimate_tokens(text) for column in texts.values() for text in column)
    columns = tuple(_column(name, sources[name], texts[name]) for name in texts)
    return kind, tokens, columns, frequent


def _column(name: str, source: str, texts: list[Any]) -> Column:
    lengths = [len(text) for text in texts]
    return Column(
        name,
        source,
        len(set(texts)),
        sum(not text.strip() for text in texts),
        min(lengths),
        median_low(lengths),
        max(lengths),
    )
