"""The new files: what the endpoint accepts, the split, names that overwrite nothing, the check."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count, zip_longest
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.check_example import check_example
from helpers.check_file import check_file
from helpers.jsonl import json_line, write_jsonl
from helpers.report import Report
from helpers.settings import Settings, load_settings
from heroes.prepare.chats import has_system
from heroes.prepare.suggestion import SHOWN, InputError, Plan, Suggestion, drop_rows

SUFFIXES = re.compile(r"(?i)(\.(csv|tsv|tab|txt|json|jsonl|ndjson|xlsx|xlsm|xls|gz|zip))+$")
FEW_GROUPS = 20  # up to so many are named


def examples(frame: pd.DataFrame, plan: Plan) -> Iterator[dict[str, Any]]:
    """One example a row, in the format of the plan."""
    for row in frame.to_dict("records"):
        if "messages" in row:
            chat = row.pop("messages")
            if plan.system and not has_system(chat):
                chat = [{"role": "system", "content": plan.system}, *chat]
            yield {"messages": chat, **{k: v for k, v in row.items() if v is not None and v != []}}
        elif plan.format == "completions":
            yield {"prompt": row["prompt"], "completion": row["completion"]}
        else:
            texts = {"system": plan.system or row.get("system"), "user": row["prompt"]}
            texts["assistant"] = row["completion"]
            chat = [{"role": role, "content": text} for role, text in texts.items() if text]
            yield {"messages": chat}


def refused(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Suggest leaving out what the configured endpoint would refuse; InputError if that is all."""
    settings = load_settings()
    faults = pd.Series([_fault(e, settings) for e in examples(frame, plan)], index=frame.index)
    bad = faults != ""
    if not bad.any():
        return None
    kinds = faults[bad].drop_duplicates()[:SHOWN].items()
    why = " ".join(f"({frame.index.name} {place}) {fault}" for place, fault in kinds)
    if bad.all():
        raise InputError(f"A job would refuse all {len(frame):,} examples: {why}")
    return drop_rows(frame, bad, "refused", "necessary", "that a job would refuse", why)


def _fault(example: dict[str, Any], settings: Settings) -> str:
    """An example's first fault in words, or ""."""
    for problem in check_example(example, settings):
        if problem.severity == "error":
            place = f"{problem.field}: " if problem.field else ""
            return f"{place}{problem.message} {problem.remedy}"
    return ""


def split(
    frame: pd.DataFrame, groups: pd.Series | None, share: float, seed: int
) -> tuple[pd.Series, str]:
    """Which rows go to validation, as a mask, and what was done in words.

    Whole groups go, in random order, as long as they fit: the values of --group-by, else equal
    prompts, because the same question on both sides would be no test. InputError for one group.
    """
    questions = _questions(frame)
    keys = questions if groups is None else groups.loc[frame.index]
    by = "prompt" if groups is None else groups.name
    sizes = keys.value_counts().sort_index().sample(frac=1, random_state=seed)
    if len(sizes) < 2:
        raise InputError(f"All rows have the same {by}: they can't be split by it.")
    wanted = share if isinstance(share, int) else max(1, round(share * len(frame)))
    chosen, total = [], 0
    for group, size in sizes.items():
        if total + size <= wanted and len(chosen) < len(sizes) - 1:
            chosen.append(group)
            total += size
    chosen = chosen or [sizes.idxmin()]
    mask = keys.isin(chosen)
    told = f"Split by {by}: {len(chosen):,} of {len(sizes):,} groups are for validation"
    if groups is not None and len(chosen) <= FEW_GROUPS:
        told += f": {', '.join(sorted(chosen))}"
    if both := len(set(questions[mask]) & set(questions[~mask])):
        told += f". Warning: {both:,} prompts are in both files"
    return mask, f"{told}."


def _questions(frame: pd.DataFrame) -> pd.Series:
    if "messages" not in frame:
        return frame["prompt"] if frame["prompt"].any() else frame["completion"]
    asked = frame["messages"].map(lambda chat: [m for m in chat if m.get("role") == "user"] or chat)
    return asked.map(lambda messages: "\n".join(str(m.get("content")) for m in messages))


def target(source: Path) -> Path:
    """`name_prepared.jsonl` beside the file."""
    return source.with_name(f"{SUFFIXES.sub('', source.name)}_prepared.jsonl")


def free_paths(wanted: Path, roles: tuple[str, ...], force: bool) -> list[Path]:
    """`name.jsonl`, or `name_train.jsonl` and `name_valid.jsonl`; with " (1)" if one is taken."""
    for number in count():
        again = f" ({number})" if number else ""
        paths = [wanted.with_name(f"{wanted.stem}{role}{again}.jsonl") for role in roles]
        if force or not any(path.exists() for path in paths):
            break
    return paths


def is_same(source: Path, frame: pd.DataFrame, plan: Plan) -> bool:
    """Whether the source holds, byte by byte, what would be written."""
    if source.suffix != ".jsonl":
        return False
    with source.open("rb") as lines:
        made = (json_line(example).encode() for example in examples(frame, plan))
        return all(a == b for a, b in zip_longest(lines, made))


def write(paths: list[Path], frames: list[pd.DataFrame], plan: Plan, source: Path) -> list[Report]:
    """Write the files, each all or nothing, and check them as the configured endpoint would."""
    if any(path.exists() and path.samefile(source) for path in paths):
        raise InputError(f"{source} would be overwritten. Choose another name with --output.")
    for path, frame in zip(paths, frames, strict=True):
        write_jsonl(path, examples(frame, plan))
    settings = load_settings()
    return [check_file(path, training=path == paths[0], settings=settings) for path in paths]
