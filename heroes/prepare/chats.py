"""Tables whose rows are chats already, in whatever spelling."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pandas as pd

from helpers.dialogue import without_nulls
from helpers.report import type_name
from helpers.shapes import ROLES
from heroes.prepare.columns import NAMES, find
from heroes.prepare.suggestion import (
    TEXTS,
    InputError,
    Plan,
    listed,
    note,
    number,
    shown,
)
from heroes.prepare.workbook import as_text

Message = dict[str, Any]
SPELLED = {other: role for role, others in TEXTS["roles"].items() for other in others}
SPELLED |= {role: role for role in (*ROLES, "tool", "function")}


def is_chats(frame: pd.DataFrame, plan: Plan) -> bool:
    """Whether the rows are chats. Raises InputError for what a supervised job cannot learn."""
    if plan.prompt is not None or plan.completion:
        return False
    if find(frame, (*NAMES["better"], *NAMES["worse"])):
        raise InputError("preferences", better=find(frame, NAMES["better"]) or "COLUMN")
    column, completion = find(frame, NAMES["dialogue"]), find(frame, ["completion"])
    label, role, text = (find(frame, names) for names in (["label"], NAMES["role"], NAMES["text"]))
    if label and completion and frame[label].map(type).eq(bool).all():
        raise InputError("kto", label=label)
    if role and text and not column and {"user", "assistant"} & {*frame[role].map(role_of)}:
        raise InputError("one_message", role=role, text=text)
    if column and completion:
        empty = frame.index[frame[column].isna() | (frame[column].astype(str) == "")]
        if len(empty):
            raise InputError("mixed", f"{frame.index.name} {empty[0]}")
    # TRL writes prompt and completion as lists of messages.
    pair = [frame[name].iloc[0] for name in (find(frame, ["prompt"]), completion) if name]
    in_messages = len(pair) == 2 and all(re.match(r"\s*\[\s*\{", str(cell)[:20]) for cell in pair)
    return column is not None or in_messages


def read_chats(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table with a first column of lists, `messages`, spelled as a job wants it; notes."""
    column = find(frame, NAMES["dialogue"])
    used = [column] if column else [find(frame, [name]) for name in ("prompt", "completion")]
    system, tools = find(frame, NAMES["system"]), find(frame, ["tools"])
    places = [f"{frame.index.name} {place}" for place in frame.index]
    raw = [
        [message for cell in row for message in _messages(cell, place)]
        for place, row in zip(places, frame[used].to_numpy().tolist(), strict=True)
    ]
    chats = [[_message(message) for message in chat] for chat in raw]
    changed = sum(chat != before for chat, before in zip(chats, raw, strict=True))
    for chat, text in zip(chats, frame[system] if system else (), strict=False):
        if text and not has_system(chat):
            chat.insert(0, {"role": "system", "content": str(text)})
    made = frame.drop(columns=[name for name in (*used, system) if name])
    if tools:
        cells = zip(places, made[tools], strict=True)
        made[tools] = [_parsed(c, place, tools) if isinstance(c, str) else c for place, c in cells]
    made.insert(0, "messages", pd.Series(chats, frame.index, dtype=object))
    notes = [note("chats", columns=listed(used))] if used != ["messages"] else []
    if changed:
        notes.append(note("spelled", chats=number(changed, "chat")))
    return made, notes


def _messages(cell: Any, place: str) -> list[Any]:
    """The messages of a cell: a list, or one written as JSON or as Python text."""
    value = _parsed(cell, place, "messages") if isinstance(cell, str) and cell else cell or []
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    if not isinstance(value, list):
        raise InputError("not_list", f"{place}, messages", found=type_name(value))
    return value


def _parsed(text: str, place: str, column: str) -> Any:
    # numpy writes a list of messages without commas: "[{…}\n {…}]".
    with_commas = re.sub(r"\}\s*\n\s*\{", "}, {", text)
    for read, cell in (
        (json.loads, text),
        (ast.literal_eval, text),
        (ast.literal_eval, with_commas),
    ):
        try:
            return read(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    raise InputError("not_parsed", f"{place}, {column}", cell=shown(text))


def _message(message: Any) -> Any:
    """A message with the keys role and content; texts as they are, parts joined, no nulls."""
    if not isinstance(message, dict) or _is_plain(message):
        return message
    message = {k: v for k, v in without_nulls(message).items() if v is not None and v != []}
    role = next((key for key in NAMES["role"] if key in message), None)
    text = next((key for key in NAMES["text"] if key in message), None)
    if role is None and len(message) == 1:  # {"user": "…"}
        ((spelled, content),) = message.items()
        return {"role": role_of(spelled), "content": content}
    rest = {key: value for key, value in message.items() if key not in (role, text)}
    made: Message = {"role": role_of(message[role])} if role else {}
    if text is not None:
        content = message[text]
        if isinstance(content, list) and all(_is_text(part) for part in content):
            content = "".join(p if isinstance(p, str) else p["text"] for p in content)
        elif isinstance(content, int | float) and not isinstance(content, bool):
            content = as_text(content)
        if content != "" or not rest.get("tool_calls"):
            made["content"] = content
    return {**made, **rest}


def _is_plain(message: Message) -> bool:
    is_short = len(message) == 2 and isinstance(message.get("content"), str)
    return is_short and message.get("role") in ROLES


def _is_text(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, dict) and isinstance(part.get("text"), str))


def role_of(role: Any) -> Any:
    """A role as a job wants it, if it is a known one."""
    return SPELLED.get(role.strip().lower(), role) if isinstance(role, str) else role


def has_system(chat: list[Any]) -> bool:
    """Whether a chat has a system message."""
    return any(isinstance(message, dict) and message.get("role") == "system" for message in chat)
