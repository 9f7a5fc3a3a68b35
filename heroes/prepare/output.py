"""The new files: examples from the table, names that overwrite nothing, and the checker's word."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from helpers.jsonl.report import Report

from helpers.check_file import check_file
from helpers.jsonl import json_line, write_jsonl
from helpers.rules import TOP_KEYS
from heroes.prepare.suggestion import Plan
from heroes.prepare.table import Table


def examples(table: Table, plan: Plan) -> Iterator[dict[str, Any]]:
    """One example a row, in the format of the plan."""
    if "messages" in table.columns:
        yield from _chats(table, plan)
        return
    for prompt, completion in zip(table["prompt"], table["completion"], strict=True):
        if plan.format == "completions":
            yield {"prompt": prompt, "completion": completion}
        else:
            yield {"messages": _messages(prompt, completion, plan.system)}


def _messages(prompt: str, completion: str, system: str | None) -> list[dict[str, str]]:
    first = [{"role": "system", "content": system}] if system else []
    question = [{"role": "user", "content": prompt}] if prompt else []
    return [*first, *question, {"role": "assistant", "content": completion}]


def _chats(table: Table, plan: Plan) -> Iterator[dict[str, Any]]:
    others = [name for name in table.columns if name in TOP_KEYS and name != "messages"]
    for index, chat in enumerate(table["messages"]):
        if plan.system and all(message["role"] != "system" for message in chat):
            chat = [{"role": "system", "content": plan.system}, *chat]
        values = {name: table[name][index] for name in others}
        yield {"messages": chat, **{k: v for k, v in values.items() if v is not None}}


def free_paths(wanted: Path, roles: tuple[str, ...], force: bool) -> list[Path]:
    """`name.jsonl`, or `name_train.jsonl` and `name_valid.jsonl`; with " (1)" if one is taken."""
    number = 0
    while True:
        again = f" ({number})" if number else ""
        paths = [wanted.with_name(f"{wanted.stem}{_tag(role)}{again}.jsonl") for role in roles]
        if force or not any(path.exists() for path in paths):
            return paths
        number += 1


def _tag(role: str) -> str:
    return f"_{role}" if role else ""


def is_same(source: Path, table: Table, plan: Plan) -> bool:
    """Whether the source holds, byte by byte, what would be written."""
    if source.suffix != ".jsonl":
        return False
    with source.open("rb") as lines:
        written = (json_line(example).encode() for example in examples(table, plan))
        return all(a == b for a, b in zip_longest(lines, written))


def write_and_check(path: Path, table: Table, plan: Plan, training: bool) -> Report:
    """Write the file, all or nothing, and let the checker read it."""
    write_jsonl(path, examples(table, plan))
    return check_file(path, training=training)
