"""The new files: what the endpoint accepts, the split, names that overwrite nothing, the check."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import count, zip_longest
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.check_file import check_file
from helpers.jsonl import json_line, write_jsonl
from helpers.report import Report
from helpers.settings import load_settings
from heroes.prepare.chats import has_system
from heroes.prepare.suggestion import InputError, Plan

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
        raise InputError("one_group", by=by)
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


def refuse_folder(folder: Path) -> None:
    """Raises InputError if no file can be made there. Missing folders will be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise InputError("no_folder", folder=folder)
    if not os.access(folder, os.W_OK):
        raise InputError("read_only", folder=folder)


def write(paths: list[Path], frames: list[pd.DataFrame], plan: Plan, source: Path) -> list[Report]:
    """Write the files, each all or nothing, and check them as the configured endpoint would."""
    if any(path.exists() and path.samefile(source) for path in paths):
        raise InputError("overwritten", path=source)
    for path, frame in zip(paths, frames, strict=True):
        try:
            write_jsonl(path, examples(frame, plan))
        except OSError as error:
            raise InputError("not_written", path=path, error=error.strerror) from None
    settings = load_settings()
    return [check_file(path, training=path == paths[0], settings=settings) for path in paths]
