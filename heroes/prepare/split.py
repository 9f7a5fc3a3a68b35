"""Splitting into training and validation, so that nothing of a group is on both sides."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from heroes.prepare.errors import InputError
from heroes.prepare.table import Table

FEW_GROUPS = 20  # up to so many are named


@dataclass(frozen=True)
class Split:
    """The two sides, which groups went to validation, and how many prompts are on both."""

    train: Table
    valid: Table
    by: str
    n_groups: int
    held_out: tuple[str, ...]
    shared_prompts: int

    def to_dict(self) -> dict[str, Any]:
        """What a script wants to know about it."""
        return {
            "train": len(self.train),
            "valid": len(self.valid),
            "by": self.by,
            "groups": self.n_groups,
            "held_out": list(self.held_out),
            "prompts_in_both": self.shared_prompts,
        }


def parse_share(text: str) -> float | int:
    """ "0.2" is a share, "20" a number of rows. Raises ValueError for anything else."""
    try:
        share = int(text) if text.strip().isdigit() else float(text)
    except ValueError:
        share = 0
    if (isinstance(share, int) and share < 1) or (isinstance(share, float) and not 0 < share < 1):
        raise ValueError(
            f"{text!r} is neither a share such as 0.2 nor a number of rows such as 20."
        )
    return share


def split(table: Table, share: float, seed: int, by: str | None) -> Split:
    """Send whole groups to validation until it holds about `share` of the rows.

    Groups are the values of the column `by`, which the table has put aside, else equal prompts:
    the same question on both sides would be no exam. Raises InputError if there is one group.
    """
    questions = _questions(table)
    keys: Sequence[Hashable] = questions if by is None or table.hidden is None else table.hidden
    wanted = share if isinstance(share, int) else max(1, round(share * len(table)))
    chosen = _choose(Counter(keys), wanted, seed)
    if not chosen or len(chosen) == len(set(keys)):
        what = f"All rows have the same {by or 'prompt'}." if chosen else "There are too few rows."
        remedy = "Split by another column (--group-by), or leave --split out."
        raise InputError(table.name, f"They can't be split: {what}", remedy, field=by or "")
    flags = [key in chosen for key in keys]
    held_out = tuple(sorted(map(str, chosen))) if by and len(chosen) <= FEW_GROUPS else ()
    inside = [q for q, flag in zip(questions, flags, strict=True) if flag]
    outside = {q for q, flag in zip(questions, flags, strict=True) if not flag}
    return Split(
        table.keep([not flag for flag in flags]),
        table.keep(flags),
        by or "prompt",
        len(set(keys)),
        held_out,
        len(outside.intersection(inside)),
    )


def _questions(table: Table) -> list[str]:
    if "prompt" in table.columns:
        # Texts without prompts have nothing in common but that.
        prompts = table["prompt"]
        return prompts if any(prompts) else table["completion"]
    return ["\n".join(_asked(chat)) for chat in table["messages"]]


def _asked(chat: list[dict[str, Any]]) -> list[str]:
    asked = [str(message.get("content")) for message in chat if message.get("role") == "user"]
    return asked or [str(message.get("content")) for message in chat]


def _choose(sizes: Counter[Hashable], wanted: int, seed: int) -> set[Hashable]:
    """Groups in random order, as long as they fit; at least one, but never all."""
    if len(sizes) < 2:
        return set(sizes)
    groups = sorted(sizes, key=str)
    random.Random(seed).shuffle(groups)
    chosen: set[Hashable] = set()
    total = 0
    for group in groups:
        if total + sizes[group] <= wanted and len(chosen) < len(groups) - 1:
            chosen.add(group)
            total += sizes[group]
    return chosen or {min(groups, key=lambda group: sizes[group])}
