"""Rules that leave rows out of a table with the columns prompt and completion."""

from __future__ import annotations

from collections.abc import Sequence

from helpers.jsonl.check import LONG_TEXT

from helpers.rules import SPECIAL_TOKEN
from heroes.prepare.suggestion import Plan, Suggestion, drop_rows
from heroes.prepare.table import Table

LENGTHY = f"of more than {LONG_TEXT:,} characters"
FINISHED = ("stop", "")


def is_open_ended(table: Table) -> bool:
    """Whether there are only completions: all prompts are empty."""
    return not any(table["prompt"])


def is_classification(table: Table) -> bool:
    """Whether the same few completions come again and again."""
    return len(set(table["completion"])) < len(table) / 3


def cut_off(table: Table, plan: Plan) -> Suggestion | None:
    """Answers whose own finish_reason says that they are not whole."""
    if "finish_reason" not in table.columns:
        return None
    bad = [reason not in FINISHED for reason in map(_word, table["finish_reason"])]
    why = "Their finish_reason is not stop: the answer was cut off, and a model learns that too."
    return drop_rows(table, bad, "cut_off", "recommended", "with an unfinished answer", why)


def _word(value: object) -> str:
    return "" if value is None else str(value).strip().lower()


def empty_completions(table: Table, plan: Plan) -> Suggestion | None:
    """Rows without an answer."""
    bad = [not text.strip() for text in table["completion"]]
    why = "A job refuses examples without an answer."
    return drop_rows(table, bad, "empty_completion", "necessary", "without a completion", why)


def empty_prompts(table: Table, plan: Plan) -> Suggestion | None:
    """Rows without a question, among others that have one."""
    bad = [not text.strip() for text in table["prompt"]]
    if all(bad):
        return None
    why = "The others have one: such rows teach to answer nothing in particular."
    return drop_rows(table, bad, "empty_prompt", "recommended", "without a prompt", why)


def special_tokens(table: Table, plan: Plan) -> Suggestion | None:
    """Rows with markers such as <|end|>, which are no text."""
    pairs = zip(table["prompt"], table["completion"], strict=True)
    bad = [
        "<|" in p + a and bool(SPECIAL_TOKEN.search(p) or SPECIAL_TOKEN.search(a)) for p, a in pairs
    ]
    why = "Markers such as <|end|> steer a model; endpoints refuse them inside texts."
    return drop_rows(table, bad, "special_token", "necessary", "with a model's own markers", why)


def too_long(table: Table, plan: Plan) -> Suggestion | None:
    """Rows that fit into hardly any model's context."""
    bad = [
        len(p) + len(a) > LONG_TEXT
        for p, a in zip(table["prompt"], table["completion"], strict=True)
    ]
    why = "What does not fit into a model's context is cut off, or the job fails."
    return drop_rows(table, bad, "too_long", "recommended", LENGTHY, why)


def duplicates(table: Table, plan: Plan) -> Suggestion | None:
    """Rows that are there more than once; the first stays."""
    bad = repeated(list(zip(table["prompt"], table["completion"], strict=True)))
    why = "The same prompt and completion stand further up; twice teaches nothing new."
    return drop_rows(table, bad, "duplicate", "recommended", "seen before", why)


def repeated(keys: Sequence[object]) -> list[bool]:
    """For each key whether it came before."""
    seen: set[object] = set()
    flags = []
    for key in keys:
        flags.append(key in seen)
        seen.add(key)
    return flags
